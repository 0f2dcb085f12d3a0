//! What the driver has done so far, for metrics, and for tests to wait on.

use tokio::sync::watch;

use crate::model::delivery::Verdict;

/// Numbers since the driver was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deliveries that were answered 2xx.
    pub delivered: u64,
    /// Deliveries that were answered 406.
    pub refused: u64,
    /// Attempts that failed and will be made again.
    pub retried: u64,
    /// Deliveries that were given up.
    pub failed: u64,
    /// Attempts that were answered 410.
    pub paused: u64,
    /// Leased deliveries that were put back without an attempt.
    pub released: u64,
    /// Requests under way now.
    pub in_flight: usize,
}

/// Live [`Counts`]. A delivery is counted when its outcome is on disk.
#[derive(Debug, Default)]
pub struct DeliveryStats {
    counts: watch::Sender<Counts>,
}

impl DeliveryStats {
    /// The numbers now.
    pub fn now(&self) -> Counts {
        *self.counts.borrow()
    }

    /// A view that can be waited on.
    pub fn subscribe(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }

    pub(super) fn recorded(&self, verdicts: &[Verdict]) {
        self.counts.send_modify(|counts| verdicts.iter().for_each(|verdict| counts.add(verdict)));
    }

    pub(super) fn in_flight(&self, in_flight: usize) {
        self.counts.send_modify(|counts| counts.in_flight = in_flight);
    }
}

impl Counts {
    fn add(&mut self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Delivered => &mut self.delivered,
            Verdict::Refused => &mut self.refused,
            Verdict::Retry(_) => &mut self.retried,
            Verdict::Failed => &mut self.failed,
            Verdict::Pause => &mut self.paused,
            Verdict::Release => &mut self.released,
        };
        *counter += 1;
    }
}
