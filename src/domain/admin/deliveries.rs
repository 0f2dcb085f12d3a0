//! The delivery log, and sending again by hand.

use super::{Admin, AdminError, Result};
use crate::model::DeliveryId;
use crate::model::delivery::{Delivery, DeliveryDetails, DeliveryFilter, Replay};

impl Admin {
    /// Deliveries, newest first.
    pub async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        if let Some(site) = filter.site {
            self.site(site).await?;
        }
        Ok(self.store.deliveries(filter).await?)
    }

    /// One delivery with its attempts.
    pub async fn delivery(&self, id: DeliveryId) -> Result<DeliveryDetails> {
        self.store.delivery(id).await?.ok_or(AdminError::NoSuchDelivery(id))
    }

    /// Sends finished deliveries again. Returns those that wait now: not those that waited already, or whose
    /// subscription is gone. If one of them does not exist, nothing is sent.
    pub async fn replay(&self, replay: Replay) -> Result<Vec<DeliveryId>> {
        match &replay {
            Replay::These(ids) => {
                for id in ids {
                    self.delivery(*id).await?;
                }
            }
            Replay::FailedOf(site) => {
                self.site(*site).await?;
            }
        }
        Ok(self.store.replay(replay, self.clock.now()).await?)
    }
}
