//! Every page, judged by axe-core as WCAG 2.2 AA wants: on a phone and at a desk, light and dark.

use std::time::Duration;

use fantoccini::Locator;
use leadgate::model::OsEntropy;
use leadgate::model::time::after;
use serde_json::Value;

use super::partner::{Partner, Server};
use crate::harness::mail_server::PostBox;
use crate::harness::{Browser, Gate, Look, PASSWORD, make, on_every_engine, packages};

on_every_engine!(every_page_meets_wcag_2_2_aa, every_page_of_an_account_meets_wcag_2_2_aa,);

/// A phone, a desk, and the narrowest window that a page has to fit without scrolling sideways (WCAG 1.4.10).
const SCREENS: [(u32, u32); 3] = [(390, 844), (1280, 800), (320, 640)];

/// Tells each violation, and each thing that axe-core could not decide, in a line.
const JUDGE: &str = "
    const done = arguments[arguments.length - 1];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const lines = rule => rule.nodes.map(node => `${rule.id}: ${node.html} ${node.failureSummary}`);
    axe.run(document, {runOnly: tags, rules: {'target-size': {enabled: true}}}).then(
        found => done([...found.violations, ...found.incomplete].flatMap(lines)),
        error => done([String(error)]));";

async fn every_page_meets_wcag_2_2_aa() {
    let gate = Gate::start().await;
    let [one, many, none] = ["one@example.com", "many@example.com", "none@example.com"];
    let owners = [gate.person(one).await, gate.person(many).await];
    gate.person(none).await;
    gate.site("www.site.com", &[&owners[0], &owners[1]]).await;
    gate.site("a-very-long-name-of-an-agency-in-honolulu.example.com", &[&owners[1]]).await;
    let partner = Partner::start(&gate, Server::Answers).await;
    let judge = Judge { browser: Browser::start().await, axe: axe() };
    let (browser, asks) = (&judge.browser, partner.asks(&gate, "s"));

    browser.page.goto(&asks).await.unwrap();
    judge.accepts("Sign in to connect piesync Inc.").await;
    browser.sign_in(none, "wrong password").await;
    judge.accepts("Error: Sign in to connect piesync Inc.").await;
    browser.signs_in(none).await;
    judge.accepts("No site to connect to piesync Inc.").await;
    browser.presses("form[action*=logout] button").await;
    browser.signs_in(many).await;
    judge.accepts("Choose a site for piesync Inc.").await;
    browser.chooses_a_site().await;
    browser.sees("button[value=approve]").await;
    judge.accepts("Connect piesync Inc. to a-very-long-name-of-an-agency-in-honolulu.example.com?").await;
    browser.presses("form[action*=logout] button").await;
    browser.signs_in(one).await;
    judge.accepts("Connect piesync Inc. to www.site.com?").await;
    gate.clock.advance(Duration::from_secs(3600));
    browser.approves().await;
    judge.accepts("This page has expired").await;
    browser.page.goto(&asks.replace("client_id=", "client_id=x")).await.unwrap();
    judge.accepts("This link does not work").await;
    browser.page.goto(&gate.url("/nowhere")).await.unwrap();
    judge.accepts("Page not found").await;
    browser.page.clone().close().await.unwrap();
}

async fn every_page_of_an_account_meets_wcag_2_2_aa() {
    let mut post = PostBox::start().await;
    let gate = Gate::start_with(|settings| settings.mail = Some(post.route())).await;
    let email = "kim.with-a-long-name@a-very-long-name-of-an-agency.example.com";
    let person = gate.person(email).await;
    let elsewhere = make::session(&OsEntropy, gate.now(), person.id, after(gate.now(), Duration::from_secs(3600)));
    gate.store.start_session(elsewhere).await.unwrap();
    let judge = Judge { browser: Browser::start().await, axe: axe() };
    let browser = &judge.browser;

    browser.page.goto(&gate.url("/account/")).await.unwrap();
    judge.accepts("Sign in").await;
    browser.sign_in(email, "wrong password").await;
    judge.accepts("Error: Sign in").await;
    browser.signs_in(email).await;
    judge.accepts("Your account").await;
    browser.presses("a[href='/account/password/']").await;
    judge.accepts("Change your password").await;
    browser.changes_password(PASSWORD, "password").await;
    judge.accepts("Error: Change your password").await;
    browser.changes_password(PASSWORD, "another good one").await;
    judge.accepts("Your new password is set").await;
    browser.page.goto(&gate.url("/account/password/forgotten/")).await.unwrap();
    judge.accepts("Forgot your password?").await;
    browser.sees("input[name=email]").await.send_keys(email).await.unwrap();
    browser.presses("form[action*=forgotten] button").await;
    judge.accepts("Look at your mail").await;
    browser.page.goto(&gate.url(&post.letter().await.link())).await.unwrap();
    judge.accepts("Choose a password").await;
    browser.page.clone().close().await.unwrap();
}

fn axe() -> String {
    let file = packages::node().join("node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

struct Judge {
    browser: Browser,
    axe: String,
}

impl Judge {
    /// Judges the page with this title on every screen. What the driver runs is not subject to the page's own policy,
    /// which lets no script in.
    async fn accepts(&self, title: &str) {
        let page = &self.browser.page;
        let shown = format!("//title[text()='{title} · Leadgate']");
        page.wait().for_element(Locator::XPath(&shown)).await.expect(&shown);
        page.execute(&self.axe, Vec::new()).await.unwrap();
        for (width, height) in SCREENS {
            for dark in [false, true] {
                let look = Look { width, height, dark };
                self.browser.look(look).await;
                let found = page.execute_async(JUDGE, Vec::new()).await.unwrap();
                assert_eq!(found, Value::Array(Vec::new()), "{title} {look:?}: {found:#}");
                let wider = "return document.scrollingElement.scrollWidth - innerWidth";
                let wider = page.execute(wider, Vec::new()).await.unwrap();
                assert!(wider.as_i64() <= Some(0), "{title} is {wider} pixels wider than {look:?}");
            }
        }
    }
}
