//! The main job as a person sees it: from "Connect your site" to the delivered leads.

use fantoccini::Locator;
use serde_json::Value;

use crate::harness::Browser;
use crate::harness::process::Home;

#[tokio::test]
async fn a_person_connects_a_site_and_sees_its_leads_arrive() {
    let home = Home::new();
    let mut demo = home.start("demo --json");
    let said: Value = serde_json::from_str(&demo.prints("{")).expect("the demo says where it is");
    let says = |key: &str| said[key].as_str().unwrap_or_else(|| panic!("{key} in {said}"));
    let browser = Browser::start().await;
    let page = &browser.page;

    page.goto(says("url")).await.unwrap();
    page.find(Locator::LinkText("Connect your site")).await.unwrap().click().await.unwrap();

    let email = page.wait().for_element(Locator::Css("input[name=email]")).await.unwrap();
    email.send_keys(says("email")).await.unwrap();
    let password = page.find(Locator::Css("input[name=password]")).await.unwrap();
    password.send_keys(says("password")).await.unwrap();
    page.find(Locator::Css("form[action*=login] button")).await.unwrap().click().await.unwrap();

    let site = page.wait().for_element(Locator::Css("input[name=site]")).await.unwrap();
    site.click().await.unwrap();
    page.find(Locator::Css("form[action*=site] button")).await.unwrap().click().await.unwrap();

    let approve = page.wait().for_element(Locator::Css("button[name=decision][value=approve]")).await.unwrap();
    approve.click().await.unwrap();

    let verified = Locator::XPath("//*[contains(translate(., 'S', 's'), 'signature verified')]");
    page.wait().for_element(verified).await.expect("a lead arrives");
    let text = browser.text().await;
    assert!(text.contains("Connected to www."), "{text}");
    browser.page.clone().close().await.unwrap();
}
