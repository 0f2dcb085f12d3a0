//! Changes that recall subscriptions, and what they leave behind for a moment: deliveries in other processes' hands.
//!
//! This process hears of a recall before the one who caused it is answered. Others hear of it within moments, or never, if
//! they are cut off; until then they go on with what they hold. So a change says what that is, and who made it can wait until
//! they have let go ([`super::Deliveries::still_outstanding`]).

use crate::model::{DeliveryId, LeaseToken};

/// What became of a change that may recall subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalling<T> {
    /// What became of it.
    pub outcome: T,
    /// What other processes held of the recalled ones when it was committed.
    pub outstanding: Outstanding,
}

impl<T> Recalling<T> {
    /// Nothing was recalled.
    pub(in crate::store) fn nothing(outcome: T) -> Self {
        Self { outcome, outstanding: Outstanding::default() }
    }
}

/// Deliveries, each under the lease that another process had on it. While it still has, it may be sending.
///
/// What is leased after the change is sent as the change says. So these are waited for by their leases, and not by their
/// subscription, of which the next may be leased at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outstanding(Vec<(DeliveryId, LeaseToken)>);

impl Outstanding {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub(in crate::store) fn iter(&self) -> impl Iterator<Item = (DeliveryId, LeaseToken)> {
        self.0.iter().copied()
    }
}

impl FromIterator<(DeliveryId, LeaseToken)> for Outstanding {
    /// In one order, whichever engine found them.
    fn from_iter<T: IntoIterator<Item = (DeliveryId, LeaseToken)>>(held: T) -> Self {
        let mut held: Vec<_> = held.into_iter().collect();
        held.sort_unstable();
        Self(held)
    }
}
