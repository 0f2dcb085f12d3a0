//! What the application does when things do not go as planned. That they do is tested from outside, in a browser.

use axum::body::Body;
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{Request, Response};
use axum::response::IntoResponse;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

const ISSUER: &str = "http://gateway.test/sample";

fn app() -> Router {
    let registration = Registration {
        gateway: ISSUER.into(),
        client_id: "id".into(),
        client_secret: "secret".into(),
        own_url: "http://sample.test".into(),
    };
    // Nothing here reaches the network; the client only has to exist.
    let _ = rustls::crypto::ring::default_provider().install_default();
    application(registration, reqwest::Client::new()).0
}

async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap().into_response()
}

async fn get(app: &Router, path: &str) -> Response<Body> {
    send(app, Request::get(path).body(Body::empty()).unwrap()).await
}

/// Begins a connection; the cookie, and the `state` that went to the gateway.
async fn begin(app: &Router) -> (String, String) {
    let answer = get(app, "/connect").await;
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let location = url::Url::parse(answer.headers()[LOCATION].to_str().unwrap()).unwrap();
    assert!(location.as_str().starts_with("http://gateway.test/sample/oauth/authorize/?"), "{location}");
    let state = location.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    (cookie, state)
}

/// Comes back from the gateway; where the browser is sent.
async fn come_back(app: &Router, cookie: &str, query: &str) -> String {
    let request = Request::get(format!("/callback?{query}")).header(COOKIE, cookie);
    let answer = send(app, request.body(Body::empty()).unwrap()).await;
    assert!(answer.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"), "the cookie is spent");
    answer.headers()[LOCATION].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_user_who_says_no_is_told_kindly() {
    let app = app();
    let (cookie, state) = begin(&app).await;
    let query = format!("error=access_denied&state={state}&iss={ISSUER}");
    let to = come_back(&app, &cookie, &query).await;
    assert_eq!(to, "/?notice=denied");
    let page = get(&app, &to).await.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&page).contains("You did not allow the connection"));
}

#[tokio::test]
async fn an_answer_that_this_browser_did_not_ask_for_is_refused() {
    let app = app();
    let (cookie, state) = begin(&app).await;
    let forged = format!("code=x&state=another&iss={ISSUER}");
    assert_eq!(come_back(&app, &cookie, &forged).await, "/?notice=not-begun");
    let elsewhere = format!("code=x&state={state}&iss={ISSUER}");
    assert_eq!(come_back(&app, "other=1", &elsewhere).await, "/?notice=not-begun");
    assert_eq!(come_back(&app, &cookie, "code=x").await, "/?notice=not-begun");
}

#[tokio::test]
async fn an_answer_of_another_gateway_is_refused() {
    let app = app();
    let (cookie, state) = begin(&app).await;
    let foreign = format!("code=x&state={state}&iss=http://evil.test/sample");
    assert_eq!(come_back(&app, &cookie, &foreign).await, "/?notice=failed");
    let nameless = format!("code=x&state={state}");
    assert_eq!(come_back(&app, &cookie, &nameless).await, "/?notice=failed");
}

#[tokio::test]
async fn leads_of_a_site_that_is_not_connected_are_gone() {
    let request = Request::post("/leads/aa808177-d2cc-415d-b504-a36abf39ac00").body(Body::from("{}")).unwrap();
    assert_eq!(send(&app(), request).await.status(), 410);
}

#[tokio::test]
async fn the_page_shows_nothing_of_the_address_bar() {
    let page = get(&app(), "/?notice=%3Cscript%3Ealert(1)%3C/script%3E").await;
    let page = page.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&page).contains("alert"));
}
