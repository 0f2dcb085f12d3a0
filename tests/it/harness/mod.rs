//! What the cases of all rooms are made with: makers of nouns, a clock that stands still until it is moved, random numbers
//! that are the same every time, a receiver that does what it is told.

pub mod clock;
pub mod entropy;
pub mod make;
pub mod receiver;
pub mod tls;

use std::future::Future;
use std::time::Duration;

/// Waits for something that is sure to happen, and fails the test if it does not: the limit is far above what any machine
/// needs, and nothing is concluded from the time that passes.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), event).await {
        Ok(value) => value,
        Err(_) => panic!("this did not happen: {what}"),
    }
}
