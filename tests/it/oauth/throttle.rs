//! Guesses at passwords (checklist 36) and client secrets (68): who is wrong too often waits, and nobody else does.

use std::time::Duration;

use futures_util::future::join_all;
use leadgate::config::Settings;
use leadgate::model::throttle::Limit;
use reqwest::RequestBuilder;

use super::door::{CALLBACK, Door, assert_page, assert_refused};
use super::visitor::{Form, Visitor};
use crate::harness::engine::Engine;
use crate::harness::{Answer, PASSWORD, answer, on_every_engine};

on_every_engine!(
    oauth_036_who_is_wrong_too_often_waits_whether_right_or_not,
    oauth_036_unknown_accounts_are_throttled_like_known_ones,
    oauth_036_what_is_right_is_not_counted,
    oauth_036_guesses_beside_each_other_are_no_more_than_after_each_other,
    oauth_036_an_address_that_guesses_at_many_accounts_waits,
    oauth_036_a_browser_that_is_known_is_not_locked_out_by_others,
    oauth_036_a_known_browser_has_its_own_limit_and_none_after_a_new_password,
    oauth_036_118_forwarded_addresses_count_only_behind_a_listed_proxy,
    oauth_068_wrong_secrets_are_throttled_whether_right_or_not,
    oauth_068_what_is_right_is_not_counted_and_a_stranger_elsewhere_stops_nobody,
    oauth_068_all_endpoints_count_together,
    oauth_068_an_address_that_guesses_at_many_clients_waits,
    oauth_068_guesses_beside_each_other_are_no_more_than_after_each_other,
);

const MINUTE: Duration = Duration::from_secs(60);

/// A limit whose guesses come back one a minute.
fn limit(guesses: u32) -> Limit {
    Limit::new(guesses, MINUTE * guesses).unwrap()
}

/// Three wrong guesses at an account, and ten from an address. The tests' requests come through a proxy.
fn narrow(settings: &mut Settings) {
    settings.throttle.per_account = limit(3);
    settings.throttle.per_address = limit(10);
    settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
}

const HERE: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";

impl Door {
    /// A browser at an address, with the login page before it.
    async fn browser(&self, address: &'static str) -> (Visitor<'_>, Answer) {
        let mut browser = Visitor::new(&self.gate).from(address);
        let page = browser.get(&self.asking(&[("state", Some("kept"))])).await;
        (browser, page)
    }

    /// A refresh from an address with this client's id and secret: past the authentication it is `invalid_grant`.
    async fn knock_from(&self, address: &str, client_id: &str, secret: &str) -> Answer {
        answer(self.knocking(address, client_id, secret)).await
    }

    fn knocking(&self, address: &str, client_id: &str, secret: &str) -> RequestBuilder {
        let request = self.token_request(&[("grant_type", "refresh_token"), ("refresh_token", "unknown")]);
        request.header("x-forwarded-for", address).basic_auth(client_id, Some(secret))
    }

    fn client_id(&self) -> &str {
        self.partner.partner.client_id.as_str()
    }
}

async fn attempt(browser: &mut Visitor<'_>, page: &Answer, email: &str, password: &str) -> Answer {
    browser.submit(&Form::of(page, "login").with("email", email).with("password", password)).await
}

/// Guesses wrong so many times; each is told so.
async fn guess_wrong(browser: &mut Visitor<'_>, page: &Answer, email: &str, times: usize) {
    for _ in 0..times {
        assert_page(&attempt(browser, page, email, "wrong password").await, 403);
    }
}

const KIM: &str = "kim@example.com";

async fn oauth_036_who_is_wrong_too_often_waits_whether_right_or_not() {
    let door = Door::open_with(narrow).await;
    door.gate.person("other@example.com").await;
    let (mut browser, page) = door.browser(HERE).await;
    guess_wrong(&mut browser, &page, KIM, 3).await;
    let wrong = attempt(&mut browser, &page, "KIM@example.com ", "wrong password").await;
    let right = attempt(&mut browser, &page, KIM, PASSWORD).await;
    for refused in [&wrong, &right] {
        assert_page(refused, 429);
        assert_eq!(refused.header("retry-after"), "60");
        assert!(!refused.headers.contains_key("set-cookie"));
    }
    assert_eq!(wrong.text, right.text);

    // The request is kept, and others are not concerned.
    let way_on = door.asking(&[("state", Some("kept"))]);
    let (path, _) = way_on.split_once('?').unwrap();
    assert!(right.text.contains(&format!("href=\"{path}?")) && right.text.contains("state=kept"), "{}", right.text);
    assert_eq!(attempt(&mut browser, &page, "other@example.com", PASSWORD).await.status, 303);

    door.gate.clock.advance(MINUTE - Duration::from_secs(1));
    let early = attempt(&mut browser, &page, KIM, PASSWORD).await;
    assert_eq!((early.status, early.header("retry-after")), (429, "1"));
    door.gate.clock.advance(Duration::from_secs(1));
    assert_eq!(attempt(&mut browser, &page, KIM, PASSWORD).await.status, 303);
}

async fn oauth_036_unknown_accounts_are_throttled_like_known_ones() {
    let door = Door::open_with(narrow).await;
    let mut answers = Vec::new();
    for email in [KIM, "nobody@example.com", "no e-mail"] {
        let (mut browser, page) = door.browser(HERE).await;
        guess_wrong(&mut browser, &page, email, 3).await;
        let refused = attempt(&mut browser, &page, email, PASSWORD).await;
        answers.push((refused.status, refused.header("retry-after").to_owned(), refused.text));
    }
    assert_eq!(answers[0].0, 429);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

async fn oauth_036_what_is_right_is_not_counted() {
    let door = Door::open_with(|settings| {
        narrow(settings);
        settings.throttle.per_account = limit(1);
    })
    .await;
    let office: Vec<_> = (0..16).map(|number| format!("{number}@example.com")).collect();
    for email in &office {
        door.gate.person(email).await;
    }
    // One after the other, and all at once: from one address, whose limit is ten.
    for email in &office[..6] {
        let (mut browser, page) = door.browser(HERE).await;
        assert_eq!(attempt(&mut browser, &page, email, PASSWORD).await.status, 303);
        assert_eq!(attempt(&mut browser, &page, email, PASSWORD).await.status, 303);
    }
    let at_once = office.iter().map(async |email| {
        let (mut browser, page) = door.browser(HERE).await;
        attempt(&mut browser, &page, email, PASSWORD).await.status
    });
    assert_eq!(join_all(at_once).await, vec![303; office.len()]);
}

async fn oauth_036_guesses_beside_each_other_are_no_more_than_after_each_other() {
    let door = Door::open_with(narrow).await;
    let at_once = (0..12).map(async |_| {
        let (mut browser, page) = door.browser(HERE).await;
        attempt(&mut browser, &page, KIM, "wrong password").await.status
    });
    let answers = join_all(at_once).await;
    assert_eq!(answers.iter().filter(|status| **status == 403).count(), 3, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 9, "{answers:?}");
}

async fn oauth_036_an_address_that_guesses_at_many_accounts_waits() {
    let door = Door::open_with(narrow).await;
    let (mut browser, page) = door.browser("2001:db8:1:2::1").await;
    for number in 0..10 {
        guess_wrong(&mut browser, &page, &format!("{number}@example.com"), 1).await;
    }
    // The whole network counts as one address.
    let (mut neighbour, page) = door.browser("2001:db8:1:2::ffff").await;
    let refused = attempt(&mut neighbour, &page, KIM, PASSWORD).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "60"));
    let (mut other, page) = door.browser("2001:db8:1:3::1").await;
    assert_eq!(attempt(&mut other, &page, KIM, PASSWORD).await.status, 303);
}

async fn oauth_036_a_browser_that_is_known_is_not_locked_out_by_others() {
    let door = Door::open_with(narrow).await;
    let (mut known, page) = door.browser(HERE).await;
    assert_eq!(attempt(&mut known, &page, KIM, PASSWORD).await.status, 303);
    known.cookies.remove("leadgate_session");

    // A stranger in the same office uses up what there is for the account and for the address.
    let (mut stranger, page) = door.browser(HERE).await;
    guess_wrong(&mut stranger, &page, KIM, 3).await;
    for number in 0..7 {
        guess_wrong(&mut stranger, &page, &format!("{number}@example.com"), 1).await;
    }
    assert_page(&attempt(&mut stranger, &page, KIM, PASSWORD).await, 429);
    let page = known.get(&door.asking(&[])).await;
    assert_eq!(attempt(&mut known, &page, KIM, PASSWORD).await.status, 303);

    // The stranger's own account is no help with another.
    door.gate.person("stranger@example.com").await;
    let (mut stranger, page) = door.browser(ELSEWHERE).await;
    assert_eq!(attempt(&mut stranger, &page, "stranger@example.com", PASSWORD).await.status, 303);
    assert!(stranger.cookies.contains_key("leadgate_device"));
    assert_page(&attempt(&mut stranger, &page, KIM, PASSWORD).await, 429);
}

async fn oauth_036_a_known_browser_has_its_own_limit_and_none_after_a_new_password() {
    let door = Door::open_with(narrow).await;
    let (mut known, page) = door.browser(HERE).await;
    assert_eq!(attempt(&mut known, &page, KIM, PASSWORD).await.status, 303);
    guess_wrong(&mut known, &page, KIM, 3).await;
    assert_page(&attempt(&mut known, &page, KIM, PASSWORD).await, 429);
    let (mut other, page) = door.browser(HERE).await;
    assert_eq!(attempt(&mut other, &page, KIM, PASSWORD).await.status, 303);

    door.gate.set_password(&door.owner, "another password").await;
    let (mut stranger, page) = door.browser(ELSEWHERE).await;
    guess_wrong(&mut stranger, &page, KIM, 3).await;
    let page = other.get(&door.asking(&[])).await;
    assert_page(&attempt(&mut other, &page, KIM, "another password").await, 429);
}

async fn oauth_036_118_forwarded_addresses_count_only_behind_a_listed_proxy() {
    for (proxy, expected) in [("127.0.0.0/8", 303), ("192.0.2.0/24", 429)] {
        let door = Door::open_with(|settings| {
            narrow(settings);
            settings.throttle.per_address = limit(1);
            settings.trusted_proxies = vec![proxy.parse().unwrap()];
        })
        .await;
        let (mut browser, page) = door.browser(HERE).await;
        guess_wrong(&mut browser, &page, "nobody@example.com", 1).await;
        let (mut browser, page) = door.browser(ELSEWHERE).await;
        assert_eq!(attempt(&mut browser, &page, KIM, PASSWORD).await.status, expected, "{proxy}");
    }
    // What stands before the listed proxies' own entries was written by the caller, and does not count.
    let door = Door::open_with(narrow).await;
    let (mut browser, page) = door.browser("203.0.113.1, 192.0.2.1, 127.0.0.1").await;
    guess_wrong(&mut browser, &page, KIM, 3).await;
    let (mut browser, page) = door.browser("203.0.113.2, 192.0.2.1").await;
    for number in 0..7 {
        guess_wrong(&mut browser, &page, &format!("{number}@example.com"), 1).await;
    }
    assert_page(&attempt(&mut browser, &page, "8@example.com", PASSWORD).await, 429);
}

#[tokio::test]
async fn oauth_036_068_nodes_count_together() {
    Engine::Postgres.run(nodes_count_together()).await;
}

async fn nodes_count_together() {
    let one = Door::open_with(narrow).await;
    let two = one.beside_with(narrow).await;
    let (mut browser, page) = one.browser(HERE).await;
    guess_wrong(&mut browser, &page, KIM, 2).await;
    let mut browser = browser.at(&two.gate);
    guess_wrong(&mut browser, &page, KIM, 1).await;
    assert_page(&attempt(&mut browser, &page, KIM, PASSWORD).await, 429);
    let mut browser = browser.at(&one.gate);
    assert_page(&attempt(&mut browser, &page, KIM, PASSWORD).await, 429);

    for door in [&one, &two, &one] {
        assert_refused(&door.knock_from(HERE, door.client_id(), "wrong").await, 401, "invalid_client");
    }
    let refused = two.knock_from(HERE, two.client_id(), &two.partner.secret).await;
    assert_refused(&refused, 429, "temporarily_unavailable");
    let at_once = (0..20).map(|n| [&one, &two][n % 2].knocking(ELSEWHERE, one.client_id(), "wrong"));
    let answers = join_all(at_once.map(answer)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 3);
}

async fn oauth_068_wrong_secrets_are_throttled_whether_right_or_not() {
    let door = Door::open_with(narrow).await;
    for _ in 0..3 {
        assert_refused(&door.knock_from(HERE, door.client_id(), "wrong").await, 401, "invalid_client");
    }
    let wrong = door.knock_from(HERE, door.client_id(), "wrong").await;
    let right = door.knock_from(HERE, door.client_id(), &door.partner.secret).await;
    for refused in [&wrong, &right] {
        assert_refused(refused, 429, "temporarily_unavailable");
        assert_eq!(refused.header("retry-after"), "60");
    }
    assert_eq!(wrong.text, right.text);
    door.gate.clock.advance(MINUTE);
    assert_refused(&door.knock_from(HERE, door.client_id(), &door.partner.secret).await, 400, "invalid_grant");

    // Form-encoded, it is the same account.
    let encoded: String = door.client_id().bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_refused(&door.knock_from(HERE, &encoded, "wrong").await, 401, "invalid_client");
    assert_refused(&door.knock_from(HERE, &encoded, "wrong").await, 429, "temporarily_unavailable");
}

async fn oauth_068_what_is_right_is_not_counted_and_a_stranger_elsewhere_stops_nobody() {
    let door = Door::open_with(narrow).await;
    for _ in 0..15 {
        assert_refused(&door.knock_from(HERE, door.client_id(), &door.partner.secret).await, 400, "invalid_grant");
    }
    for _ in 0..3 {
        assert_refused(&door.knock_from(ELSEWHERE, door.client_id(), "wrong").await, 401, "invalid_client");
    }
    assert_refused(&door.knock_from(ELSEWHERE, door.client_id(), "wrong").await, 429, "temporarily_unavailable");
    assert_refused(&door.knock_from(HERE, door.client_id(), &door.partner.secret).await, 400, "invalid_grant");
    let code = door.code().await;
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
    let request = door.partners_request(&form).header("x-forwarded-for", HERE);
    assert_eq!(answer(request).await.status, 200);
}

async fn oauth_068_all_endpoints_count_together() {
    let door = Door::open_with(narrow).await;
    let paths = ["token", "revoke", "introspect"].map(|endpoint| format!("/piesync/oauth/{endpoint}/"));
    let call = async |path: &str, secret: &str| {
        let request = door.form_request(path, &[("token", "unknown")]).header("x-forwarded-for", HERE);
        answer(request.basic_auth(door.client_id(), Some(secret))).await
    };
    for path in &paths {
        assert_refused(&call(path, "wrong").await, 401, "invalid_client");
    }
    for path in &paths {
        let right = call(path, &door.partner.secret).await;
        assert_refused(&right, 429, "temporarily_unavailable");
        assert_eq!(right.header("retry-after"), "60");
    }
}

async fn oauth_068_an_address_that_guesses_at_many_clients_waits() {
    let door = Door::open_with(narrow).await;
    for number in 0..10 {
        assert_refused(&door.knock_from(HERE, &format!("client{number}"), "wrong").await, 401, "invalid_client");
    }
    let right = door.knock_from(HERE, door.client_id(), &door.partner.secret).await;
    assert_refused(&right, 429, "temporarily_unavailable");
    // People who log in from there are not concerned.
    let (mut browser, page) = door.browser(HERE).await;
    assert_eq!(attempt(&mut browser, &page, KIM, PASSWORD).await.status, 303);
}

async fn oauth_068_guesses_beside_each_other_are_no_more_than_after_each_other() {
    let door = Door::open_with(narrow).await;
    let answers = join_all((0..20).map(|_| door.knock_from(HERE, door.client_id(), "wrong"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 3);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 17);
}
