//! How the driver does, for those who watch over the gateway.

use std::sync::Arc;

use super::shared::Shared;
use crate::model::Timestamp;
use crate::model::vitals::{HeldBack, Vitals};

impl Vitals for Shared {
    fn began(&self) -> Timestamp {
        self.began
    }

    fn last_round(&self) -> Timestamp {
        *self.last_round.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn held_back(&self) -> HeldBack {
        self.board().held_back(self.parts.clock.now())
    }
}

/// The driver's signs of life.
pub(super) fn of(shared: &Arc<Shared>) -> Arc<dyn Vitals> {
    shared.clone()
}
