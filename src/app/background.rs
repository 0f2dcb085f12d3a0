//! What goes on beside requests and deliveries, until the gateway stops.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::delivery::{Counts, DeliveryStats};
use crate::domain::Gateway;
use crate::domain::housekeeping::INTERVAL;
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

/// Carries the driver's counts over to the metrics page.
pub async fn mirror(stats: Arc<DeliveryStats>, metrics: Arc<Metrics>, shutdown: CancellationToken) {
    let mut counts = stats.subscribe();
    let mut seen = Counts::default();
    loop {
        let now = *counts.borrow_and_update();
        for (outcome, more) in [
            ("delivered", now.delivered - seen.delivered),
            ("refused", now.refused - seen.refused),
            ("retried", now.retried - seen.retried),
            ("failed", now.failed - seen.failed),
            ("paused", now.paused - seen.paused),
        ] {
            metrics.count_attempts(outcome, more);
        }
        seen = now;
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = counts.changed() => if changed.is_err() { return },
        }
    }
}
