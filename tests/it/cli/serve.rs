//! `leadgate serve` and `leadgate demo`, as processes.

use std::net::TcpListener;

use crate::harness::process::{Home, Running};
use crate::harness::{install_crypto, on_every_engine};

on_every_engine!(
    serve_answers_until_it_is_told_to_stop,
    metrics_are_served_on_their_own_address,
    a_port_in_use_is_one_clear_line,
);

/// The address in a line of the log.
fn address(line: &str) -> String {
    let (_, rest) = line.split_once("address=").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

async fn get(url: &str) -> (u16, String) {
    install_crypto();
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn serve_answers_until_it_is_told_to_stop() {
    let home = Home::of_case().with("LEADGATE_LISTEN", "127.0.0.1:0");
    let mut gateway = home.start("serve");
    let address = address(&gateway.reports("serving"));
    assert_eq!(get(&format!("http://{address}/readyz")).await.0, 200);
    assert_eq!(gateway.terminate(), Some(0));
}

async fn metrics_are_served_on_their_own_address() {
    let any = "127.0.0.1:0";
    let home = Home::of_case().with("LEADGATE_LISTEN", any).with("LEADGATE_METRICS_LISTEN", any);
    let mut gateway = home.start("serve");
    let metrics = address(&gateway.reports("serving metrics"));
    let address = address(&gateway.reports("serving"));
    get(&format!("http://{address}/nowhere")).await;
    let (status, page) = get(&format!("http://{metrics}/metrics")).await;
    assert_eq!(status, 200);
    assert!(page.contains("leadgate_build_info{") && page.contains(r#"status="404""#), "{page}");
    assert_eq!(get(&format!("http://{address}/metrics")).await.0, 404);
    assert_eq!(gateway.terminate(), Some(0));
}

async fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let home = Home::of_case().with("LEADGATE_LISTEN", address.to_string());
    let line = home.refuses_to_serve();
    assert!(line.starts_with(&format!("cannot listen on {address}")), "{line}");
    let line = home.complains(&format!("listen --listen {address}"));
    assert!(line.starts_with(&format!("cannot listen on {address}")), "{line}");
}

#[test]
fn the_demo_says_all_that_is_needed_and_leaves_nothing_behind() {
    let home = Home::new();
    let room = home.path("tmp");
    std::fs::create_dir(&room).unwrap();
    let mut demo = home.command("demo");
    let mut demo = Running::new(demo.env("TMPDIR", &room).spawn().unwrap());
    demo.prints("Connect your site");
    demo.prints("Log in as demo@leadgate.test with the password demo-");
    demo.prints("curl -u demo-crm:");
    demo.prints("Ctrl-C stops everything");
    assert_eq!(std::fs::read_dir(&room).unwrap().count(), 1);
    assert_eq!(demo.terminate(), Some(0));
    assert_eq!(std::fs::read_dir(&room).unwrap().count(), 0);
    assert!(!home.path("leadgate.db").exists());
}

#[tokio::test]
async fn the_demo_tells_programs_in_one_line() {
    let home = Home::new();
    let mut demo = home.start("demo --json");
    let said: serde_json::Value = serde_json::from_str(&demo.prints("{")).unwrap();
    for key in ["url", "gateway_url", "email", "password"] {
        assert!(said[key].is_string(), "{key} in {said}");
    }
    assert_eq!(said["sites"].as_array().unwrap().len(), 2);
    let (status, page) = get(said["url"].as_str().unwrap()).await;
    assert!(status == 200 && page.contains("Connect your site"), "{page}");
    assert_eq!(demo.terminate(), Some(0));
}
