//! Whether the gateway can do its work, and whether it had better be started anew.
//!
//! Readiness asks for what is late: something that has been due for [`LATE`], and could be sent. What is not sent because its
//! receiver fails, is slow, or is sent to at its own pace does not count: a partner must not be able to take the gateway down.
//! Liveness asks only whether the driver still makes its rounds, since that is all that a restart would mend.

use std::time::Duration;

use super::{Gateway, StoreError};
use crate::model::delivery::InLine;
use crate::model::time::{after, until};
use crate::model::vitals::{HeldBack, Vitals};
use crate::model::{Clock, Timestamp};
use crate::store::Store;

/// What could be sent and has not been for so long is late. Rounds are made at least each second, and nothing that a single
/// receiver does holds a place for longer than a time-out.
pub const LATE: Duration = Duration::from_secs(60);

/// A driver that has not ended a round for so long will not do so any more: it asks the database for no longer than that, and
/// has one round each second otherwise.
pub const STUCK: Duration = Duration::from_secs(300);

/// So many in line are looked at beside those that are held back, at most.
const LOOK: usize = 1000;

/// So many that are held back are looked past, at most.
const LOOK_PAST: usize = 10_000;

impl Gateway {
    /// How long something that could be sent has been waiting for its turn; zero if nothing has. It fails when the database
    /// does not answer.
    pub async fn oldest_due(&self) -> Result<Duration, StoreError> {
        self.store.ping().await?;
        oldest_due(&*self.store, &*self.vitals, self.clock.now()).await
    }

    /// Whether the delivery driver makes its rounds.
    pub fn is_alive(&self) -> bool {
        is_alive(&*self.vitals, &*self.clock)
    }
}

/// How long something that could be sent at `now` has been waiting for its turn; zero if nothing has. The time in which there
/// was no driver does not count.
pub async fn oldest_due(store: &dyn Store, driver: &dyn Vitals, now: Timestamp) -> Result<Duration, StoreError> {
    let held_back = driver.held_back();
    let in_line = store.in_line(now, LOOK + held_back.subscriptions.len().min(LOOK_PAST)).await?;
    // What began or ended meanwhile is known by now.
    let held_now = driver.held_back();
    let could_be_sent = in_line.iter().filter(|waiting| !holds(&held_back, waiting) && !holds(&held_now, waiting));
    let since = could_be_sent.map(|waiting| waiting.since).min();
    Ok(since.map_or(Duration::ZERO, |since| until(since.max(driver.began()), now)))
}

/// Whether a driver makes its rounds.
pub fn is_alive(driver: &dyn Vitals, clock: &dyn Clock) -> bool {
    clock.now() < after(driver.last_round(), STUCK)
}

fn holds(held_back: &HeldBack, waiting: &InLine) -> bool {
    held_back.subscriptions.contains(&waiting.subscription) || held_back.hosts.contains(waiting.url.url().authority())
}
