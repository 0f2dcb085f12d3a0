//! Housekeeping: what is over is deleted, in small steps, while the gateway serves.

use std::time::Duration;

use crate::model::time;
use crate::store::StoreError;

use super::Gateway;

/// How often housekeeping looks for work.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// Rows of one step: few enough that nobody waits long for the transaction.
const STEP: usize = 500;

impl Gateway {
    /// Deletes some of what is over. Returns how many rows that were; 0 means that nothing is left.
    pub async fn tidy_step(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let finished_before = now.checked_sub(self.policy.retention).unwrap_or(time::Timestamp::MIN);
        self.store.purge(now, finished_before, STEP).await
    }
}
