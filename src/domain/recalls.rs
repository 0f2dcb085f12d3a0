//! Waiting for others: who removes or changes a subscription is not told so while another gateway may still send what it
//! held of it.
//!
//! Others hear of a recall within moments, put back what they held, and write that down; then it is no longer under their
//! leases. One that is cut off hears nothing, and its leases may last for as long as two attempts: nobody is kept waiting for
//! that.

use std::time::Duration;

use crate::model::Clock;
use crate::model::time::after;
use crate::store::{Outstanding, Recalling, Store};

/// How long others are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between the first two looks, and between any two at most; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// What became of a change, once others have let go of what it recalled.
pub(super) async fn once_let_go<T>(store: &dyn Store, clock: &dyn Clock, change: Recalling<T>) -> T {
    let_go(store, clock, change.outstanding).await;
    change.outcome
}

/// Returns when others hold none of what was recalled any more, or after [`PATIENCE`]. The change is committed, whatever
/// becomes of the looking.
async fn let_go(store: &dyn Store, clock: &dyn Clock, recalled: Outstanding) {
    let end = after(clock.now(), PATIENCE);
    let (mut left, mut pause) = (recalled, FIRST_PAUSE);
    while !left.is_empty() {
        // Read before the look: so the next one is due by when this one began, however long it takes.
        let now = clock.now();
        match store.still_outstanding(left.clone(), now).await {
            Ok(still) => left = still,
            Err(error) => tracing::warn!(%error, "nobody knows whether other gateways still send what was recalled"),
        }
        if left.is_empty() {
            return;
        }
        if now >= end {
            let deliveries = left.len();
            tracing::warn!(
                deliveries,
                "another gateway has not let go of what was recalled: it is cut off, dead, or too busy to hear of it. \
                 What it holds may still be sent to the old receiver until its leases end"
            );
            return;
        }
        clock.sleep_until(after(now, pause).min(end)).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}
