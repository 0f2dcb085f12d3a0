//! What goes on beside requests and deliveries, until the gateway stops.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::domain::Gateway;
use crate::domain::housekeeping::INTERVAL;
use crate::domain::links::ResetRequests;
use crate::model::time;
use crate::telemetry::Metrics;

/// Deletes what is over, now and then.
pub async fn keep_tidy(gateway: Arc<Gateway>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match gateway.tidy_step().await {
            Ok(0) => {}
            Ok(rows) => {
                tracing::debug!(rows, "deleted what was over");
                continue;
            }
            Err(error) => tracing::warn!(%error, "housekeeping failed; it will be tried again"),
        }
        let next = time::after(gateway.clock.now(), INTERVAL);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = gateway.clock.sleep_until(next) => {}
        }
    }
}

/// How often it is looked whether something is late.
const LOOK: Duration = Duration::from_secs(15);

/// Keeps the metrics page informed of what is late. What cannot be found out now stays as it was.
pub async fn watch(gateway: Arc<Gateway>, metrics: Arc<Metrics>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if let Ok(waits) = gateway.oldest_due().await {
            metrics.oldest_due(waits);
        }
        let next = time::after(gateway.clock.now(), LOOK);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = gateway.clock.sleep_until(next) => {}
        }
    }
}

/// Mails that are sent at once. A server that is slow must not keep everybody waiting who is with it.
const MAILS: usize = 4;

/// Sends links to people who have forgotten their passwords.
pub async fn answer_resets(gateway: Arc<Gateway>, requests: ResetRequests, shutdown: CancellationToken) {
    let next = async |mut requests: ResetRequests| requests.recv().await.map(|email| (email, requests));
    let answered = stream::unfold(requests, next).for_each_concurrent(MAILS, |email| gateway.answer_reset(email));
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = answered => {}
    }
}
