//! Straight from the commit to the socket: what the store makes is committed under this driver's lease as far as there is
//! room, and begins without being leased. What there is no room for waits in the store.

use std::sync::{Arc, Weak};

use super::attempt::begin;
use super::driver::lease_time;
use super::shared::Shared;
use crate::model::delivery::{Leased, Space};
use crate::model::time::after;
use crate::model::{LeaseToken, SubscriptionId, Timestamp};
use crate::store::{Courier, Room};

/// The driver, as the store knows it. The store outlives it.
pub(super) struct Hand(pub(super) Weak<Shared>);

impl Courier for Hand {
    fn room(&self, subscription: SubscriptionId, bytes: usize) -> Option<Box<dyn Room>> {
        let shared = self.0.upgrade()?;
        let now = shared.parts.clock.now();
        let number = shared.board().promise(subscription, bytes, now)?;
        let lease = shared.new_lease();
        let until = after(now, lease_time(shared.parts.policy.timeout));
        Some(Box::new(Promised { shared, subscription, number: Some(number), lease, until }))
    }

    fn space_for(&self, subscription: SubscriptionId) -> Space {
        let Some(shared) = self.0.upgrade() else { return Space::For(1) };
        let now = shared.parts.clock.now();
        shared.board().space_for(subscription, now)
    }

    fn has_leased(&self, lease: LeaseToken) -> bool {
        self.0.upgrade().is_some_and(|shared| shared.has_leased(lease))
    }
}

/// Room on the board.
struct Promised {
    shared: Arc<Shared>,
    subscription: SubscriptionId,
    /// `None` once it is filled.
    number: Option<u64>,
    lease: LeaseToken,
    until: Timestamp,
}

impl Room for Promised {
    fn lease(&self) -> LeaseToken {
        self.lease
    }

    fn until(&self) -> Timestamp {
        self.until
    }

    fn fill(mut self: Box<Self>, delivery: Leased) {
        let Some(number) = self.number.take() else { return };
        let now = self.shared.parts.clock.now();
        let start = self.shared.board().keep(number, delivery, now);
        begin(&self.shared, start);
        self.shared.promises.notify_one();
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.shared.board().withdraw(self.subscription, number);
            self.shared.promises.notify_one();
        }
    }
}
