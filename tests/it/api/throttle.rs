//! Guesses at sources' passwords: who is wrong too often waits, and nobody else does.

use std::time::Duration;

use leadgate::model::throttle::Limit;
use reqwest::Method;

use crate::harness::{Answer, Cast, Gate, answer, on_every_engine};

on_every_engine!(
    who_is_wrong_too_often_waits_whether_right_or_not,
    a_stranger_elsewhere_stops_no_source_and_what_is_right_is_not_counted,
    a_source_that_has_sent_leads_before_is_throttled_like_any_other,
);

const HERE: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";

/// A gateway behind a proxy, where three wrong guesses at an account come back one a minute.
async fn gate() -> (Gate, Cast) {
    let gate = Gate::start_with(|settings| {
        settings.throttle.per_account = Limit::new(3, Duration::from_secs(180)).unwrap();
        settings.throttle.per_address = Limit::new(5, Duration::from_secs(300)).unwrap();
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let cast = gate.cast().await;
    (gate, cast)
}

async fn call(gate: &Gate, cast: &Cast, address: &str, username: &str, password: &str) -> Answer {
    let request = gate.get(&cast.rest("/users")).header("x-forwarded-for", address);
    answer(request.basic_auth(username, Some(password))).await
}

async fn who_is_wrong_too_often_waits_whether_right_or_not() {
    let (gate, cast) = gate().await;
    let (username, password) = &cast.source;
    for _ in 0..3 {
        assert_eq!(call(&gate, &cast, HERE, username, "wrong").await.status, 401);
    }
    for password in ["wrong", password] {
        let refused = call(&gate, &cast, HERE, username, password).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "60"));
        assert_eq!(refused.text, r#"{"error": "Too many wrong passwords, try again later"}"#);
        assert!(!refused.headers.contains_key("www-authenticate"));
    }
    // Unknown ones count, too, and the address after five.
    for _ in 0..2 {
        assert_eq!(call(&gate, &cast, HERE, "nobody", "wrong").await.status, 401);
    }
    assert_eq!(call(&gate, &cast, HERE, "somebody", "wrong").await.status, 429);
    assert_eq!(
        answer(gate.get(&cast.rest("/users")).header("x-forwarded-for", HERE).bearer_auth(&cast.token)).await.status,
        200
    );
    gate.clock.advance(Duration::from_secs(60));
    assert_eq!(call(&gate, &cast, HERE, username, password).await.status, 200);
}

async fn a_stranger_elsewhere_stops_no_source_and_what_is_right_is_not_counted() {
    let (gate, cast) = gate().await;
    let (username, password) = &cast.source;
    for _ in 0..3 {
        assert_eq!(call(&gate, &cast, ELSEWHERE, username, "wrong").await.status, 401);
    }
    assert_eq!(call(&gate, &cast, ELSEWHERE, username, password).await.status, 429);
    for _ in 0..8 {
        assert_eq!(call(&gate, &cast, HERE, username, password).await.status, 200);
    }
}

async fn a_source_that_has_sent_leads_before_is_throttled_like_any_other() {
    let (gate, cast) = gate().await;
    let (username, password) = &cast.source;
    let post = async |password: &str, body: &'static str| {
        let request = gate.request(Method::POST, &cast.rest("/leads")).header("x-forwarded-for", HERE);
        answer(request.basic_auth(username, Some(password)).body(body)).await.status
    };
    let (good, bad) = (r#"{"source": "test", "first_name": "Ann"}"#, "{");
    for _ in 0..2 {
        assert_eq!((post(password, good).await, post(password, bad).await), (201, 400));
        // A wrong guess takes nothing from who is right.
        assert_eq!(post("wrong", good).await, 401);
        assert_eq!((post(password, good).await, post(password, bad).await), (201, 400));
    }
    assert_eq!(post("wrong", bad).await, 401);
    assert_eq!((post(password, good).await, post(password, bad).await), (429, 429));
    gate.clock.advance(Duration::from_secs(60));
    assert_eq!((post(password, good).await, post(password, bad).await), (201, 400));
}
