//! One attempt: sign, send, judge. It sits in a place of the board and gives it back whatever happens.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{AbortRegistration, Abortable};

use super::board::{Next, Seat, Settled, Start};
use super::outcome::{Meaning, Sign, meaning, sign_of};
use super::schedule::after_failure;
use super::shared::Shared;
use super::sign;
use crate::egress::{Answer, SendError};
use crate::model::Timestamp;
use crate::model::delivery::{Attempt, Leased, Outcome, Verdict};
use crate::model::seal::CannotOpen;
use crate::model::subscription::secret_context;
use crate::model::time::{after, until};

/// What came of sending; outside, whether there was a secret to sign with.
type Sent = Result<Result<Answer, SendError>, CannotOpen>;

/// Begins attempts, each as a task of its own.
pub(super) fn begin(shared: &Arc<Shared>, starts: impl IntoIterator<Item = Start>) {
    for Start { delivery, registration, seat } in starts {
        let place = Place { shared: shared.clone(), seat: Some(seat) };
        shared.runtime.spawn(run(place, delivery, registration));
    }
}

/// Begins what can begin now, and has the driver lease more if it is time to.
pub(super) fn go_on(shared: &Arc<Shared>, next: Next) {
    begin(shared, next.starts);
    if next.lease {
        shared.wake.notify_one();
    }
}

/// A place that is given back even if the attempt breaks down.
struct Place {
    shared: Arc<Shared>,
    seat: Option<Seat>,
}

impl Place {
    fn give_back(&mut self, settled: Option<Settled>) {
        let Some(seat) = self.seat.take() else { return };
        let next = self.shared.board().settle(&seat, settled, self.shared.parts.clock.now());
        go_on(&self.shared, next);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Otherwise a bug in one attempt would cost a place for ever. The delivery's lease runs out by itself. When
        // the runtime itself goes down, nothing more can begin.
        if self.seat.is_some() && tokio::runtime::Handle::try_current().is_ok() {
            tracing::error!("an attempt broke down");
            self.give_back(None);
        }
    }
}

async fn run(mut place: Place, delivery: Leased, registration: AbortRegistration) {
    let shared = place.shared.clone();
    let started = shared.parts.clock.now();
    if delivery.until < after(started, shared.parts.policy.timeout) {
        // The machine stood still between the board's look at the clock and this one.
        return place.give_back(Some(put_back(&delivery)));
    }
    // Checks before it sends anything whether the place was recalled already.
    let sent = Abortable::new(send(&shared, &delivery, started), registration).await;
    let settled = match sent {
        Ok(result) => judge(&shared, &delivery, started, result),
        Err(_aborted) => {
            tracing::debug!(delivery = %delivery.id, subscription = %delivery.subscription, "attempt aborted");
            put_back(&delivery)
        }
    };
    place.give_back(Some(settled));
}

fn put_back(delivery: &Leased) -> Settled {
    Settled { outcome: Outcome::of(delivery, None, Verdict::Release), sign: Sign::Nothing }
}

async fn send(shared: &Shared, delivery: &Leased, now: Timestamp) -> Sent {
    let secret = shared.parts.keys.open(&delivery.secret, &secret_context(delivery.partner, delivery.site))?;
    let headers = sign::headers(delivery, &secret, now);
    Ok(shared.parts.client.post(&delivery.url, headers, delivery.body.clone(), shared.parts.policy.timeout).await)
}

fn judge(shared: &Shared, delivery: &Leased, started: Timestamp, result: Sent) -> Settled {
    let now = shared.parts.clock.now();
    let (meaning, sign) = match &result {
        Ok(sent) => {
            let meaning = meaning(sent, now);
            (meaning, sign_of(sent, meaning, until(started, now)))
        }
        Err(CannotOpen) => {
            tracing::error!(subscription = %delivery.subscription, site = %delivery.site,
                "the subscription's secret cannot be decrypted: is the secret_key that sealed it still there?");
            (Meaning::TryAgain(Duration::ZERO), Sign::Failed)
        }
    };
    let made = delivery.attempts.saturating_add(1);
    let verdict = match meaning {
        Meaning::Accepted => Verdict::Delivered,
        Meaning::Unwanted => Verdict::Refused,
        Meaning::Gone => Verdict::Pause,
        Meaning::TryAgain(wait) => {
            after_failure(&shared.parts.policy.retry_schedule, made, wait, now, &*shared.parts.entropy)
        }
    };
    let attempt = describe(started, now, result);
    report(delivery, made, &attempt, verdict);
    Settled { outcome: Outcome::of(delivery, Some(attempt), verdict), sign }
}

/// Tells the operator; what ends a delivery without success, or stops a subscription, a little louder.
fn report(delivery: &Leased, made: u32, attempt: &Attempt, verdict: Verdict) {
    let (id, subscription) = (delivery.id, delivery.subscription);
    tracing::debug!(delivery = %id, %subscription, attempt = made, status = attempt.status, error = attempt.error,
        ?verdict, "attempt made");
    match verdict {
        Verdict::Failed => tracing::info!(delivery = %id, %subscription, attempts = made, "delivery given up"),
        Verdict::Pause => tracing::info!(%subscription, "the receiver is gone (410): subscription paused"),
        _ => {}
    }
}

/// The attempt as the log keeps it.
fn describe(started: Timestamp, now: Timestamp, result: Sent) -> Attempt {
    let duration = until(started, now);
    let failed =
        |status, error: String| Attempt { started, duration, status, error: Some(error), response: String::new() };
    match result {
        Ok(Ok(answer)) => {
            Attempt { started, duration, status: Some(answer.status), error: None, response: answer.excerpt }
        }
        Ok(Err(error)) => failed(error.status(), error.to_string()),
        Err(CannotOpen) => failed(None, "the subscription's secret cannot be decrypted".to_owned()),
    }
}
