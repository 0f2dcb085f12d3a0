//! For load balancers and supervisors: whether the process lives, and whether it can do its work.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::App;
use super::json::answer;
use crate::domain::health::LATE;

/// The process answers, and its delivery driver makes its rounds. If not, a restart may help.
pub async fn alive(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.gateway.is_alive() {
        (StatusCode::OK, "ok\n")
    } else {
        tracing::error!("the delivery driver makes no rounds any more");
        (StatusCode::SERVICE_UNAVAILABLE, "the delivery driver makes no rounds any more\n")
    }
}

/// The database answers, and what could be delivered is.
pub async fn ready(State(app): State<App>) -> Response {
    let not_ready = |why: Value| answer(StatusCode::SERVICE_UNAVAILABLE, &why);
    match app.gateway.oldest_due().await {
        Ok(waits) if waits <= LATE => {
            answer(StatusCode::OK, &json!({"ready": true, "oldest_due_seconds": waits.as_secs()}))
        }
        Ok(waits) => {
            let seconds = waits.as_secs();
            tracing::warn!(seconds, "not ready: deliveries that could be sent are late");
            let why = "deliveries that could be sent are late";
            not_ready(json!({"ready": false, "error": why, "oldest_due_seconds": seconds}))
        }
        Err(error) => {
            tracing::warn!(%error, "not ready");
            not_ready(json!({"ready": false, "error": "the database does not answer"}))
        }
    }
}
