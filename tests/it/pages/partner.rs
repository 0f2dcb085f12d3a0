//! A partner's server as small as can be: it notes who is sent back to it.

use axum::Router;
use axum::extract::OriginalUri;
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::harness::{Answer, Gate, PartnerPersona, answer, soon};
use crate::oauth::visitor::SentBack;

/// What a page of the partner says.
pub const WELCOME: &str = "Welcome back";

pub struct Partner {
    persona: PartnerPersona,
    callback: String,
    arrivals: UnboundedReceiver<SentBack>,
}

/// How a partner's server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Answers,
    /// It takes the request, and the browser waits.
    Hangs,
}

impl Partner {
    /// Starts one and registers it.
    pub async fn start(gate: &Gate, server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own_url = format!("http://{}", listener.local_addr().unwrap());
        let callback = format!("{own_url}/callback");
        let persona = gate.partner_with("piesync", &[&callback], true).await;
        let (sender, arrivals) = unbounded_channel();
        let arrive = get(move |OriginalUri(uri): OriginalUri| async move {
            sender.send(SentBack::at(&format!("{own_url}{uri}"))).expect("the test goes on until all have arrived");
            if server == Server::Hangs {
                std::future::pending::<()>().await;
            }
            Html(format!("<!doctype html><title>Partner</title><h1>{WELCOME}</h1>"))
        });
        tokio::spawn(async { axum::serve(listener, Router::new().route("/callback", arrive)).await });
        Self { persona, callback, arrivals }
    }

    /// Where it sends its users.
    pub fn asks(&self, gate: &Gate, state: &str) -> String {
        let client_id = self.persona.partner.client_id.as_str();
        let asked =
            [("client_id", client_id), ("response_type", "code"), ("redirect_uri", &self.callback), ("state", state)];
        gate.url(&crate::oauth::door::path(&asked))
    }

    /// The next user who is sent back.
    pub async fn arrival(&mut self) -> SentBack {
        soon("a user is sent back", self.arrivals.recv()).await.expect("the server runs")
    }

    /// Redeems a code.
    pub async fn redeem(&self, gate: &Gate, code: &str) -> Answer {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", self.callback.as_str())];
        let client_id = self.persona.partner.client_id.as_str();
        answer(gate.post("/piesync/oauth/token/").basic_auth(client_id, Some(&self.persona.secret)).form(&form)).await
    }
}
