//! The main job as a person sees it: from "Connect your site" to the delivered leads.

use fantoccini::Locator;
use leadgate::model::source::Reach;
use leadgate::sample::{self, ConnectedSite, Registration};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::harness::engine::Engine;
use crate::harness::process::Home;
use crate::harness::{Browser, Gate, JsonBody, PASSWORD, answer, soon};

/// `leadgate demo`, as it is.
#[tokio::test]
async fn a_person_connects_a_site_and_sees_its_leads_arrive() {
    let home = Home::new();
    let mut demo = home.start("demo --json");
    let said: Value = serde_json::from_str(&demo.prints("{")).expect("the demo says where it is");
    let says = |key: &str| said[key].as_str().unwrap_or_else(|| panic!("{key} in {said}"));
    let browser = Browser::start().await;
    connect(&browser, says("url"), says("email"), says("password")).await;
    see_a_lead(browser).await;
}

/// The same application beside a gateway on PostgreSQL, which the demo does not use.
#[tokio::test]
async fn on_postgresql_too() {
    Engine::Postgres.run(journey()).await;
}

async fn journey() {
    let gate = Gate::start().await;
    let owner = gate.person("kim@example.com").await;
    gate.site("www.site.com", &[&owner]).await;
    gate.site("www.other.com", &[&owner]).await;
    let source = gate.source("portal", Reach::All).await;
    let (url, mut connected) = application(&gate).await;
    let browser = Browser::start().await;
    connect(&browser, &url, owner.email.as_str(), PASSWORD).await;

    let site = soon("the application knows", connected.recv()).await.unwrap();
    let lead = gate.post(&format!("/rest/sites/{}/leads", site.uuid)).basic_auth(&source.0, Some(&source.1));
    let lead = lead.json_body(&json!({"source": "Zillow", "first_name": "Ann", "email": "ann@example.com"}));
    assert_eq!(answer(lead).await.status, 201);
    see_a_lead(browser).await;
}

/// The sample partner application, known to the gateway; its URL, and the sites as they are connected.
async fn application(gate: &Gate) -> (String, UnboundedReceiver<ConnectedSite>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own_url = format!("http://{}", listener.local_addr().unwrap());
    let partner = gate.partner_with("sample", &[&format!("{own_url}/callback")], true).await;
    let registration = Registration {
        gateway: gate.url("/sample"),
        client_id: partner.partner.client_id.as_str().to_owned(),
        client_secret: partner.secret,
        own_url: own_url.clone(),
    };
    let (router, connected) = sample::application(registration, gate.http.clone());
    tokio::spawn(async { axum::serve(listener, router).await });
    (format!("{own_url}/"), connected)
}

/// From the application's page through the gateway's, and back.
async fn connect(browser: &Browser, url: &str, email: &str, password: &str) {
    let page = &browser.page;
    page.goto(url).await.unwrap();
    page.find(Locator::LinkText("Connect your site")).await.unwrap().click().await.unwrap();

    browser.sign_in(email, password).await;
    browser.chooses_a_site().await;
    browser.approves().await;
}

/// Waits until the application's page has a lead whose signature is right.
async fn see_a_lead(browser: Browser) {
    let verified = Locator::XPath("//*[contains(translate(., 'S', 's'), 'signature verified')]");
    browser.page.wait().for_element(verified).await.expect("a lead arrives");
    let text = browser.text().await;
    assert!(text.contains("Connected to www."), "{text}");
    browser.page.clone().close().await.unwrap();
}
