//! Writes outcomes down: whatever has queued goes in one batch, and a lone one waits for nobody. Batches keep a little distance,
//! so that a receiver whose answers come one after the other does not cost a transaction for each. When the store does not
//! answer, outcomes are kept and written later; the board leases no more until they are, or while too many are kept.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use super::shared::Shared;
use crate::model::delivery::{Outcome, Verdict};
use crate::model::time::after;
use crate::model::{LeadId, SubscriptionId};
use crate::store::{StoreError, queue};

/// From the beginning of one batch to that of the next. A lead's next change waits so long at most, if many are changed.
const APART: Duration = Duration::from_millis(3);

/// A batch of so many waits for nothing: a larger one is hardly cheaper for each.
const ENOUGH: usize = 32;

/// Outcomes in one batch, at most.
const BATCH: usize = 512;

/// Lanes that are hastened in one go.
const HASTEN: usize = 500;

/// The pause after the store failed.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// What the recorder is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Write an outcome down.
    Record(Outcome),
    /// Make retries of a subscription due that were put off; all that came before is written down first.
    Hasten(SubscriptionId),
    /// End, when all that came before is written down.
    Stop,
}

/// The recorder. It runs until [`Job::Stop`].
pub(super) struct Recorder {
    shared: Arc<Shared>,
    jobs: UnboundedReceiver<Job>,
    batch: Vec<Outcome>,
    /// Subscriptions to hasten, each with the lane to go on behind.
    hasten: VecDeque<(SubscriptionId, Option<LeadId>)>,
    stopping: bool,
    /// When the last batch was begun.
    begun: Instant,
}

impl Recorder {
    pub fn new(shared: Arc<Shared>, jobs: UnboundedReceiver<Job>) -> Self {
        Self { shared, jobs, batch: Vec::new(), hasten: VecDeque::new(), stopping: false, begun: Instant::now() }
    }

    pub async fn run(mut self) {
        while !self.stopping {
            if self.hasten.is_empty() {
                // The board, which this task shares, keeps the other end open.
                let Some(job) = self.jobs.recv().await else { break };
                self.take(job);
                self.keep_distance().await;
            }
            self.gather().await;
            self.record().await;
            if !self.stopping {
                self.hasten_some().await;
            }
        }
    }

    /// Takes what comes until the last batch is [`APART`], or it is [`ENOUGH`]. It is real time, whatever the clock of the deliveries
    /// says: nothing but the size of the batches depends on it.
    async fn keep_distance(&mut self) {
        let mut apart = pin!(sleep_until(self.begun + APART));
        while self.batch.len() < ENOUGH && !self.stopping {
            tokio::select! {
                biased;
                Some(job) = self.jobs.recv() => self.take(job),
                () = &mut apart => break,
            }
        }
        self.begun = Instant::now();
    }

    /// Takes what has come, and what comes soon: a batch costs little more than one outcome, and where many attempts end, many
    /// end soon.
    async fn gather(&mut self) {
        while self.batch.len() < BATCH
            && !self.stopping
            && let Some(job) = queue::soon(&mut self.jobs).await
        {
            self.take(job);
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Record(outcome) => self.batch.push(outcome),
            Job::Hasten(subscription) => self.hasten.push_back((subscription, None)),
            Job::Stop => self.stopping = true,
        }
    }

    async fn record(&mut self) {
        let outcomes = std::mem::take(&mut self.batch);
        if outcomes.is_empty() {
            return;
        }
        match self.write(&outcomes).await {
            Ok(()) => {}
            Err(error) if outcomes.len() > 1 => {
                tracing::error!(%error, "a batch of outcomes cannot be recorded; trying one by one");
                for outcome in &outcomes {
                    if let Err(error) = self.write(std::slice::from_ref(outcome)).await {
                        give_up(outcome, &error);
                    }
                }
            }
            Err(error) => give_up(&outcomes[0], &error),
        }
        if self.shared.board().recorded(outcomes.len()) {
            self.shared.wake.notify_one();
        }
    }

    /// Writes outcomes; while the store is unavailable, again and again.
    async fn write(&self, outcomes: &[Outcome]) -> Result<(), StoreError> {
        loop {
            let now = self.shared.parts.clock.now();
            match self.shared.parts.store.record_outcomes(outcomes.to_vec(), now).await {
                Ok(_) => break,
                Err(StoreError::Unavailable(cause)) => {
                    tracing::warn!(cause, outcomes = outcomes.len(), "outcomes cannot be recorded now; trying again");
                    self.shared.board().not_recorded();
                    self.pause().await;
                }
                Err(other) => return Err(other),
            }
        }
        let verdicts: Vec<Verdict> = outcomes.iter().map(|outcome| outcome.verdict).collect();
        self.shared.stats.recorded(&verdicts);
        Ok(())
    }

    /// Takes the next step for one of the subscriptions that are to be hastened.
    async fn hasten_some(&mut self) {
        let Some((subscription, behind)) = self.hasten.pop_front() else { return };
        match self.shared.parts.store.hasten(subscription, behind, self.shared.parts.clock.now(), HASTEN).await {
            Ok(Some(lead)) => self.hasten.push_back((subscription, Some(lead))),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, %subscription, "retries cannot be made due now; trying again");
                self.hasten.push_back((subscription, behind));
                self.pause().await;
            }
        }
        self.shared.wake.notify_one();
    }

    async fn pause(&self) {
        let clock = &self.shared.parts.clock;
        clock.sleep_until(after(clock.now(), PAUSE)).await;
    }
}

/// An outcome that the store cannot take at all: the delivery's lease runs out, and it is attempted again.
fn give_up(outcome: &Outcome, error: &StoreError) {
    tracing::error!(%error, delivery = %outcome.delivery, "an outcome cannot be recorded and is dropped");
}
