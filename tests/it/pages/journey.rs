//! The main job as a person sees it: from "Connect your site" to the delivered leads.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use fantoccini::Locator;
use serde_json::Value;

use crate::harness::Browser;

/// `leadgate demo`, as somebody starts it.
struct Demo {
    process: Child,
    said: Value,
}

impl Demo {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_leadgate"))
            .args(["demo", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line).expect("the demo says where it is");
        Self { process, said }
    }

    fn says(&self, key: &str) -> &str {
        self.said[key].as_str().unwrap_or_else(|| panic!("{key} in {}", self.said))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_person_connects_a_site_and_sees_its_leads_arrive() {
    let demo = Demo::start();
    let browser = Browser::start().await;
    let page = &browser.page;

    page.goto(demo.says("url")).await.unwrap();
    page.find(Locator::LinkText("Connect your site")).await.unwrap().click().await.unwrap();

    let email = page.wait().for_element(Locator::Css("input[name=email]")).await.unwrap();
    email.send_keys(demo.says("email")).await.unwrap();
    let password = page.find(Locator::Css("input[name=password]")).await.unwrap();
    password.send_keys(demo.says("password")).await.unwrap();
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
