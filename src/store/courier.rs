//! Straight from the commit to the receiver: a delivery for which its own process has room is committed under that
//! process's lease, and handed over without being read back.
//!
//! A room is asked for inside of the transaction, and filled when that is committed. If it fails, the room is dropped, and so
//! given back. A process that dies in between has lost nothing: the lease runs out, and the delivery falls due by itself.

use crate::model::delivery::{Leased, Space};
use crate::model::{LeaseToken, SubscriptionId, Timestamp};

/// Whoever sends deliveries in this process.
pub trait Courier: Send + Sync {
    /// Room for one more delivery to the subscription, with a body of so many bytes; `None` if it is to wait in the store.
    /// It must be quick and must not call the store.
    fn room(&self, subscription: SubscriptionId, bytes: usize) -> Option<Box<dyn Room>>;

    /// Whether there is space for what falls due of the subscription, and waits in the store. If there is none, the courier need
    /// not be told: it comes for it as soon as there is. It must be quick and must not call the store.
    fn space_for(&self, subscription: SubscriptionId) -> Space;

    /// Whether the lease is the courier's own. What is under one is not sent any more once the courier has heard of its recall. It
    /// must be quick and must not call the store.
    fn has_leased(&self, lease: LeaseToken) -> bool;
}

/// Room for one delivery. Who drops it gives it back.
pub trait Room: Send + Sync {
    /// The lease under which the delivery is committed.
    fn lease(&self) -> LeaseToken;

    /// From then on the lease is void.
    fn until(&self) -> Timestamp;

    /// Has the delivery sent; it is committed. Unless its subscription was recalled since there was room: then it is put back
    /// into the store. It must be quick and must not call the store.
    fn fill(self: Box<Self>, delivery: Leased);
}

/// A delivery that was written under a lease, and is to be sent once it is committed.
pub(in crate::store) struct Born {
    pub(in crate::store) room: Box<dyn Room>,
    pub(in crate::store) delivery: Leased,
}

impl Born {
    /// Hands over what was committed, in its order. The store outlives a courier that panics: what that one had is sent when
    /// the lease has run out.
    pub(in crate::store) fn hand_over(committed: Vec<Born>) {
        for Born { room, delivery } in committed {
            let id = delivery.id;
            let filled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| room.fill(delivery)));
            if filled.is_err() {
                tracing::error!(delivery = %id, "the courier panicked");
            }
        }
    }
}
