//! What the loop, the attempts and the recorder share.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::board::Board;
use super::limits::Limits;
use super::policy::Policy;
use super::recorder::Job;
use super::stats::DeliveryStats;
use crate::egress::Client;
use crate::model::seal::Keyring;
use crate::model::{Clock, Entropy, LeaseToken, Timestamp};
use crate::store::SharedStore;

/// What a driver works with.
pub struct DriverParts {
    /// The queue.
    pub store: SharedStore,
    /// What opens the subscriptions' secrets.
    pub keys: Arc<Keyring>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where lease tokens and jitter come from.
    pub entropy: Arc<dyn Entropy>,
    /// What sends.
    pub client: Client,
    /// The operator's choices.
    pub policy: Policy,
}

/// The parts, and what is known at the moment.
pub(super) struct Shared {
    pub parts: DriverParts,
    pub stats: Arc<DeliveryStats>,
    /// A reason to lease.
    pub wake: Notify,
    /// A promise was kept or withdrawn.
    pub promises: Notify,
    /// Where attempts run; what begins them may be a thread of the store's.
    pub runtime: Handle,
    /// When the driver was made.
    pub began: Timestamp,
    /// When the loop was last done with a round.
    pub last_round: Mutex<Timestamp>,
    board: Mutex<Board>,
    /// What all leases of this driver begin like.
    holder: LeaseToken,
}

impl Shared {
    /// Nothing is held yet. Outcomes go to `recorder`.
    pub fn new(parts: DriverParts, recorder: UnboundedSender<Job>) -> Self {
        let stats = Arc::new(DeliveryStats::default());
        let policy = &parts.policy;
        let limits = Limits {
            places: policy.max_in_flight.max(1),
            per_subscription: policy.max_per_subscription.max(1),
            memory: policy.memory,
        };
        let board = Mutex::new(Board::new(limits, policy.timeout, recorder, stats.clone()));
        let began = parts.clock.now();
        let holder = LeaseToken::random(&*parts.entropy);
        Self {
            parts,
            stats,
            wake: Notify::new(),
            promises: Notify::new(),
            runtime: Handle::current(),
            began,
            last_round: Mutex::new(began),
            board,
            holder,
        }
    }

    /// A lease for this driver.
    pub fn new_lease(&self) -> LeaseToken {
        self.holder.another(&*self.parts.entropy)
    }

    /// Whether this driver has taken the lease.
    pub fn has_leased(&self, lease: LeaseToken) -> bool {
        self.holder.has_holder_of(lease)
    }

    /// The loop is done with a round.
    pub fn round_is_over(&self) {
        *self.last_round.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = self.parts.clock.now();
    }

    /// The board, locked; never held across an `.await`.
    pub fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
