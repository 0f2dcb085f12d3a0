//! A server that does nothing: an axum handler that returns a constant, in a process of its own. It is what GET
//! subscription could cost at least.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

const WORD: &str = "--constant";

/// As long as what the gateway answers.
const BODY: &str = r#"{"url": "http://127.0.0.1:9/", "secret": "benchmark-secret"}"#;

/// Whether this process is to be the server.
pub fn is_ordered(arguments: &[String]) -> bool {
    arguments.get(1).is_some_and(|word| word == WORD)
}

/// Serves until it is killed. Prints its address.
pub async fn run() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("an address"));
    let constant = get(async || ([(CONTENT_TYPE, "application/json")], BODY));
    axum::serve(listener, Router::new().route("/{partner}/subscription/{site}/", constant)).await.expect("it serves");
}

/// A constant server that runs.
pub struct Constant {
    pub address: String,
    child: Child,
}

impl Constant {
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program).arg(WORD).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut address).expect("an address");
        Self { address: address.trim_end().to_owned(), child }
    }
}

impl Drop for Constant {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
