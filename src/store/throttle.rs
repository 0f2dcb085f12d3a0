//! Buckets of guesses, shared by all nodes. Each method is atomic: of parallel guesses no more are allowed than there are.

use async_trait::async_trait;

use super::Result;
use crate::model::Timestamp;
use crate::model::throttle::{Bucket, Empty};

/// How often somebody may still be wrong.
#[async_trait]
pub trait Throttle: Send + Sync {
    /// Takes one guess out of each of these buckets at `now`; or, if one of them is empty, out of none. The last few may be
    /// forgotten in a power cut.
    async fn take_guess(&self, buckets: &[Bucket], now: Timestamp) -> Result<std::result::Result<(), Empty>>;

    /// Puts one guess back into each of these buckets: it was right, and so none.
    async fn give_guess_back(&self, buckets: &[Bucket]) -> Result<()>;

    /// What [`Throttle::take_guess`] would answer at `now`; takes nothing. A look-up by keys.
    async fn see_guess(&self, buckets: &[Bucket], now: Timestamp) -> Result<std::result::Result<(), Empty>>;
}
