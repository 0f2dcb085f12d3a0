//! `leadgate listen`: what a partner's developer sees.

use std::io::Write;
use std::process::Stdio;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use leadgate::model::signature::lead_router;
use reqwest::RequestBuilder;

use crate::harness::install_crypto;
use crate::harness::process::{Home, Running};

const BODY: &str = r#"{"action":"created","id":"a27c20af4497415d9e4e7334dd1d40d2"}"#;

struct Listener {
    running: Running,
    url: String,
}

/// Starts `leadgate listen` with a secret on stdin.
fn listen(arguments: &str, secret: &str) -> Listener {
    install_crypto();
    let mut command = Home::new().command(&format!("listen --listen 127.0.0.1:0 --secret-stdin {arguments}"));
    let mut child = command.current_dir("/").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    let mut running = Running::new(child);
    let line = running.reports("listening on ");
    let url = line.split_whitespace().nth(2).unwrap().to_owned();
    Listener { running, url }
}

impl Listener {
    fn deliver(&self, secret: &str) -> RequestBuilder {
        reqwest::Client::new()
            .post(&self.url)
            .header("x-lead-router-action", "created")
            .header("x-lead-router-signature", lead_router(secret.as_bytes(), BODY.as_bytes()))
            .body(BODY)
    }
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn each_delivery_is_a_line_with_the_verdict() {
    let mut listener = listen("", "s3cret\n");
    assert_eq!(status(listener.deliver("s3cret")).await, 204);
    let line = listener.running.prints("created");
    assert!(line.contains("a27c20af4497415d9e4e7334dd1d40d2  signature verified"), "{line}");
    assert_eq!(status(listener.deliver("other")).await, 401);
    listener.running.prints("WRONG SIGNATURE");
    assert_eq!(status(reqwest::Client::new().post(&listener.url).body("?")).await, 401);
    listener.running.prints("NO SIGNATURE");
    assert_eq!(status(reqwest::Client::new().get(&listener.url)).await, 405);
    assert_eq!(listener.running.terminate(), Some(0));
}

#[tokio::test]
async fn programs_read_a_document_a_line() {
    let mut listener = listen("--json", "s3cret");
    status(listener.deliver("s3cret")).await;
    let line: serde_json::Value = serde_json::from_str(&listener.running.prints("{")).unwrap();
    assert_eq!((&line["signature"], &line["answer"]), (&"verified".into(), &204.into()));
    assert_eq!(line["lead_id"], line["body"]["id"]);
    assert!(line["time"].is_string() && line["action"] == "created", "{line}");
}

#[tokio::test]
async fn without_a_secret_nothing_is_checked() {
    let mut listener = listen("", "");
    assert_eq!(status(listener.deliver("whatever")).await, 204);
    listener.running.prints("signature not checked");
}

#[tokio::test]
async fn deliveries_are_passed_on_with_their_headers_and_the_answer_comes_back() {
    let answer = |headers: HeaderMap, body: String| async move {
        let signed = headers["x-lead-router-signature"] == lead_router(b"s3cret", body.as_bytes()).as_str();
        (if signed { StatusCode::IM_A_TEAPOT } else { StatusCode::BAD_REQUEST }, [("retry-after", "7")], "brewing")
    };
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let task = tokio::spawn(axum::serve(server, Router::new().route("/hook", post(answer))).into_future());
    let mut listener = listen(&format!("--forward-to http://{address}/hook"), "s3cret");
    let answer = listener.deliver("s3cret").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (418, &"7".parse().unwrap()));
    assert_eq!(answer.text().await.unwrap(), "brewing");
    let line = listener.running.prints("signature verified");
    assert!(line.ends_with("-> 418"), "{line}");
    task.abort();
}

#[tokio::test]
async fn an_application_that_does_not_answer_is_a_bad_gateway() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    // It takes the call, and hangs up.
    std::thread::spawn(move || server.incoming().for_each(drop));
    let mut listener = listen(&format!("--forward-to http://{address}/"), "s3cret");
    assert_eq!(status(listener.deliver("s3cret")).await, 502);
    listener.running.reports("cannot pass the delivery on");
}
