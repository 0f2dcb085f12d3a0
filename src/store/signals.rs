//! What commits mean to the rest of this process: new work for the delivery driver, subscriptions that changed.
//!
//! Listeners run after the commit and before the caller is answered. So when a partner's DELETE answers, the driver has
//! already dropped what it held for that subscription.

use std::fmt;
use std::sync::RwLock;

use crate::model::SubscriptionId;

/// Something was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Deliveries are due that were not before.
    Work,
    /// The subscription was removed, or has another URL or secret: what is held in memory for it is out of date.
    Recalled(SubscriptionId),
}

type Listener = Box<dyn Fn(Signal) + Send + Sync>;

/// The listeners of one store.
#[derive(Default)]
pub struct Signals {
    listeners: RwLock<Vec<Listener>>,
}

impl Signals {
    /// Calls `listener` for every later signal. It must be quick and must not call the store.
    pub fn listen(&self, listener: impl Fn(Signal) + Send + Sync + 'static) {
        self.listeners.write().unwrap_or_else(|poisoned| poisoned.into_inner()).push(Box::new(listener));
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
