//! The operator changes `secret_key`: what browsers hold stays good, also between nodes that know of it and nodes that do
//! not yet.

use std::collections::BTreeMap;
use std::time::Duration;

use leadgate::model::throttle::Limit;
use reqwest::Method;
use serde_json::json;

use super::door::{Door, assert_page, pair};
use super::visitor::{Form, SentBack, Visitor};
use crate::harness::engine::Engine;
use crate::harness::process::Home;
use crate::harness::{Gate, JsonBody, PASSWORD, answer, keyed, on_every_engine};

on_every_engine!(forms_and_cookies_of_the_old_key_stay_good_until_it_is_taken_away);

const OLD: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
const NEW: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

impl Door {
    async fn restarted(self, keys: &str) -> Self {
        let (data, clock) = self.gate.stop().await;
        let narrow = |settings: &mut leadgate::config::Settings| {
            keyed(keys)(settings);
            settings.throttle.per_account = Limit::new(1, Duration::from_secs(3600)).unwrap();
        };
        Self { gate: Gate::start_in(data, clock, narrow).await, ..self }
    }

    fn with_cookies(&self, cookies: &BTreeMap<String, String>) -> Visitor<'_> {
        let mut browser = Visitor::new(&self.gate);
        browser.cookies = cookies.clone();
        browser
    }
}

async fn forms_and_cookies_of_the_old_key_stay_good_until_it_is_taken_away() {
    let door = Door::open_with(keyed(OLD)).await;
    let mut browser = Visitor::new(&door.gate);
    let login = browser.get(&door.asking(&[])).await;
    let consent = browser.log_in(&login, &door.owner).await;
    let cookies = browser.cookies;

    let door = door.restarted(&format!("{NEW},{OLD}")).await;
    // A stranger's guess leaves none for browsers that are not known.
    let mut stranger = Visitor::new(&door.gate);
    let page = stranger.get(&door.asking(&[])).await;
    let wrong = Form::of(&page, "login").with("email", door.owner.email.as_str()).with("password", "wrong password");
    assert_page(&stranger.submit(&wrong).await, 403);
    let mut browser = door.with_cookies(&cookies);
    let right = wrong.with("password", PASSWORD);
    assert_page(&stranger.submit(&right).await, 429);
    browser.log_in(&login, &door.owner).await;
    SentBack::read(&browser.approve(&consent).await).code();
    let renewed = browser.cookies;

    let home = Home::new().with("LEADGATE_DATABASE_URL", door.gate.data.url());
    home.with("LEADGATE_SECRET_KEY", format!("{NEW},{OLD}")).document("rekey");
    let door = door.restarted(NEW).await;
    let mut browser = door.with_cookies(&cookies);
    assert_page(&browser.approve(&consent).await, 403);
    // The mark that the last login gave is the new key's.
    let mut stranger = Visitor::new(&door.gate);
    let page = stranger.get(&door.asking(&[])).await;
    let right = Form::of(&page, "login").with("email", door.owner.email.as_str()).with("password", PASSWORD);
    assert_page(&stranger.submit(&right).await, 429);
    let mut browser = door.with_cookies(&renewed);
    browser.cookies.remove("leadgate_session");
    let page = browser.get(&door.asking(&[])).await;
    browser.log_in(&page, &door.owner).await;
}

#[tokio::test]
async fn nodes_may_have_their_keys_in_another_order_for_a_while() {
    Engine::Postgres.run(nodes_in_another_order()).await;
}

async fn nodes_in_another_order() {
    let one = Door::open_with(keyed(&format!("{OLD},{NEW}"))).await;
    let two = one.beside_with(keyed(&format!("{NEW},{OLD}"))).await;
    for (here, there) in [(&one, &two), (&two, &one)] {
        let mut browser = Visitor::new(&here.gate);
        let page = browser.get(&here.asking(&[])).await;
        let mut browser = browser.at(&there.gate);
        let consent = browser.log_in(&page, &here.owner).await;
        let mut browser = browser.at(&here.gate);
        let code = SentBack::read(&browser.approve(&consent).await).code().to_owned();
        let (access, _) = pair(&there.redeem(&code).await);
        let path = format!("/piesync/subscription/{}/", here.site.id);
        let wish = json!({"url": "http://127.0.0.1:9/hook", "secret": "s3cret"});
        let put = here.gate.request(Method::PUT, &path).bearer_auth(&access).json_body(&wish);
        assert_eq!(answer(put).await.status, 200);
        let shown = answer(there.gate.get(&path).bearer_auth(&access)).await;
        assert_eq!(shown.json()["secret"], "s3cret");
    }
}
