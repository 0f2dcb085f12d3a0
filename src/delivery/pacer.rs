//! Keeps time for those whose pace holds them back: has them go on when it is time.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::attempt::go_on;
use super::shared::Shared;
use crate::model::Timestamp;

/// Runs until `shutdown`.
pub(super) async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    let sooner = shared.board().sooner();
    loop {
        let next = shared.board().next_turn();
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sooner.notified() => {}
            () = reached(&shared, next) => {
                let next = shared.board().go_on(shared.parts.clock.now());
                go_on(&shared, next);
            }
        }
    }
}

/// Completes at a time, if there is one.
async fn reached(shared: &Shared, time: Option<Timestamp>) {
    match time {
        Some(time) => shared.parts.clock.sleep_until(time).await,
        None => std::future::pending().await,
    }
}
