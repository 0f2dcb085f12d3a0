//! What commits mean to the rest of this process: new work for the delivery driver, subscriptions that changed.
//!
//! Listeners run after the commit and before the caller is answered. So when a partner's DELETE answers, the driver has
//! already dropped what it held for that subscription. What other processes hold is another matter: see `recalling`.

use std::fmt;
use std::sync::{Arc, RwLock};

use super::courier::{Courier, Room};
use crate::model::delivery::Space;
use crate::model::{LeaseToken, SubscriptionId};

/// Something was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Deliveries are due that were not before.
    Work,
    /// The same, but this process has no space for them: it comes for them by itself, and another process may have some.
    WorkForOthers,
    /// The subscription was removed, or has another URL or secret: what is held in memory for it is out of date.
    Recalled(SubscriptionId),
}

type Listener = Box<dyn Fn(Signal) + Send + Sync>;

/// The listeners of one store, and who sends what it commits.
#[derive(Default)]
pub struct Signals {
    listeners: RwLock<Vec<Listener>>,
    courier: RwLock<Option<Arc<dyn Courier>>>,
}

impl Signals {
    /// Calls `listener` for every later signal. It must be quick and must not call the store.
    pub fn listen(&self, listener: impl Fn(Signal) + Send + Sync + 'static) {
        self.listeners.write().unwrap_or_else(|poisoned| poisoned.into_inner()).push(Box::new(listener));
    }

    /// From now on deliveries go straight to `courier`, as far as it has room. It replaces the one before.
    pub fn employ(&self, courier: Arc<dyn Courier>) {
        *self.courier.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(courier);
    }

    /// Room for a delivery to the subscription, with a body of so many bytes.
    pub(in crate::store) fn room(&self, subscription: SubscriptionId, bytes: usize) -> Option<Box<dyn Room>> {
        self.courier.read().unwrap_or_else(|poisoned| poisoned.into_inner()).as_ref()?.room(subscription, bytes)
    }

    /// Whether the courier has space for what falls due of the subscription; it has, if there is none.
    pub(in crate::store) fn space_for(&self, subscription: SubscriptionId) -> Space {
        let courier = self.courier.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        courier.as_ref().map_or(Space::For(1), |courier| courier.space_for(subscription))
    }

    /// Whether the lease is this process's own.
    pub(in crate::store) fn is_own(&self, lease: LeaseToken) -> bool {
        let courier = self.courier.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        courier.as_ref().is_some_and(|courier| courier.has_leased(lease))
    }

    /// Tells every listener.
    pub fn send(&self, signal: Signal) {
        for listener in self.listeners.read().unwrap_or_else(|poisoned| poisoned.into_inner()).iter() {
            listener(signal);
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signals")
    }
}
