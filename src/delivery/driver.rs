//! The loop that keeps deliveries going: lease what is due and has room, begin attempts, wait for a reason to do so
//! again. Attempts give their places back, and fill them from what is ready, without waiting for the loop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::attempt::begin;
use super::courier::Hand;
use super::pacer;
use super::recorder::{Job, PAUSE, Recorder};
use super::shared::{DriverParts, Shared};
use super::stats::DeliveryStats;
use super::vitals;
use crate::model::Timestamp;
use crate::model::delivery::{LeaseRequest, Unlisted};
use crate::model::time::after;
use crate::model::vitals::Vitals;
use crate::store::Signal;

/// The store is asked this often even if nothing seems due: other processes write to it too.
const POLL: Duration = Duration::from_secs(1);

/// How long a leased delivery may wait for its turn, at most; no longer than an attempt may take, so that whoever chooses
/// short attempts also has what a dead node held taken over soon. What has waited too long is put back.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// How long the last outcomes may take to be written when the gateway stops.
const LAST_RECORDS: Duration = Duration::from_millis(1500);

/// Sends what is due, until it is told to stop.
pub struct Driver {
    shared: Arc<Shared>,
    jobs: mpsc::UnboundedReceiver<Job>,
}

impl Driver {
    /// A driver, which from now on heeds the store's signals, and is handed what the store makes. There is one per store and
    /// process. It must be made within a runtime, which attempts run on.
    pub fn new(parts: DriverParts) -> Self {
        let (sender, jobs) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(parts, sender));
        heed_signals(&shared);
        shared.parts.store.signals().employ(Arc::new(Hand(Arc::downgrade(&shared))));
        Self { shared, jobs }
    }

    /// What the driver has done so far.
    pub fn stats(&self) -> Arc<DeliveryStats> {
        self.shared.stats.clone()
    }

    /// How the driver does, also when it has ended.
    pub fn vitals(&self) -> Arc<dyn Vitals> {
        vitals::of(&self.shared)
    }

    /// Sends what is due until `shutdown`; then lets attempts under way go on for `policy.grace`, puts the rest back,
    /// and returns when everything is recorded.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { shared, jobs } = self;
        let recorder = tokio::spawn(Recorder::new(shared.clone(), jobs).run());
        tokio::spawn(pacer::run(shared.clone(), shutdown.clone()));
        let mut round = Round::Again;
        while !shutdown.is_cancelled() {
            round = match round {
                Round::Again => {
                    let round = lease(&shared, &shutdown).await;
                    shared.round_is_over();
                    round
                }
                Round::Wait(until) => {
                    wait(&shared, &shutdown, until, shared.wake.notified()).await;
                    Round::Again
                }
                Round::Pause(until) => {
                    wait(&shared, &shutdown, until, std::future::pending()).await;
                    Round::Again
                }
            };
        }
        stop(&shared, recorder).await;
    }
}

/// What the loop does next.
enum Round {
    /// Lease.
    Again,
    /// Lease at this time, or when there is a reason to.
    Wait(Timestamp),
    /// Lease at this time and not before: the store failed.
    Pause(Timestamp),
}

/// Puts the store's signals on the board. Called by the store before it answers the one who caused them.
fn heed_signals(shared: &Arc<Shared>) {
    // The store outlives the driver.
    let weak = Arc::downgrade(shared);
    shared.parts.store.signals().listen(move |signal| {
        let Some(shared) = weak.upgrade() else { return };
        if let Signal::Recalled(subscription) = signal {
            shared.board().recall(subscription);
        }
        shared.wake.notify_one();
    });
}

/// Leases what is due and has room, and begins it.
async fn lease(shared: &Arc<Shared>, shutdown: &CancellationToken) -> Round {
    let now = shared.parts.clock.now();
    let poll = after(now, POLL);
    let starts = shared.board().round(now);
    begin(shared, starts);
    let token = shared.new_lease();
    let until = after(now, lease_time(shared.parts.policy.timeout));
    let plan = shared.board().plan(now, token, until);
    let Some(request) = plan.map(|plan| LeaseRequest { unlisted: unlisted(shared, now), ..plan }) else {
        return Round::Wait(poll);
    };
    let batch = match shared.parts.store.lease_due(request.clone()).await {
        Ok(batch) => batch,
        Err(error) => {
            tracing::error!(%error, "no deliveries can be leased");
            return Round::Pause(after(now, PAUSE));
        }
    };
    if shutdown.is_cancelled() {
        shared.board().close();
    }
    let due = batch.next_due.map_or(poll, |due| due.min(poll));
    let next = shared.board().accept(batch, &request, shared.parts.clock.now());
    begin(shared, next.starts);
    if next.lease { Round::Again } else { Round::Wait(due) }
}

/// What the store may ask about those that a request does not list.
fn unlisted(shared: &Arc<Shared>, now: Timestamp) -> Unlisted {
    // The store outlives the driver.
    let weak = Arc::downgrade(shared);
    Unlisted::new(move |id| weak.upgrade()?.board().space_of_unlisted(id, now))
}

/// How long a lease lasts: an attempt that begins at the last moment still ends under it.
pub(super) fn lease_time(timeout: Duration) -> Duration {
    timeout + timeout.min(LONGEST_WAIT)
}

async fn wait(shared: &Shared, shutdown: &CancellationToken, until: Timestamp, reason: impl Future<Output = ()>) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = reason => {}
        () = shared.parts.clock.sleep_until(until) => {}
    }
}

async fn stop(shared: &Shared, recorder: JoinHandle<()>) {
    shared.board().close();
    let end = after(shared.parts.clock.now(), shared.parts.policy.grace);
    tokio::select! {
        () = async { all_committed(shared).await; all_settled(shared).await } => {}
        () = shared.parts.clock.sleep_until(end) => {
            tracing::info!(attempts = shared.stats.now().in_flight, "stopping: attempts under way are put back");
            shared.board().abort_all();
            all_settled(shared).await;
        }
    }
    shared.board().stop();
    let abort = recorder.abort_handle();
    let end = after(shared.parts.clock.now(), LAST_RECORDS);
    tokio::select! {
        _ = recorder => {}
        () = shared.parts.clock.sleep_until(end) => {
            tracing::error!("the last outcomes could not be recorded: these deliveries will be sent again");
            abort.abort();
        }
    }
}

/// Completes when nothing is being committed under this driver's lease.
async fn all_committed(shared: &Shared) {
    while shared.board().has_promised() {
        shared.promises.notified().await;
    }
}

/// Completes when nothing is under way.
async fn all_settled(shared: &Shared) {
    // Fails only without a sender, which is `shared` itself.
    let _ = shared.stats.subscribe().wait_for(|counts| counts.in_flight == 0).await;
}
