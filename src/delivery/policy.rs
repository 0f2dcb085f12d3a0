//! The operator's choices about deliveries.

use std::time::Duration;

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

const fn hours(n: u64) -> Duration {
    minutes(n * 60)
}

/// The operator's choices about deliveries; the defaults are those of CLI.md.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How long to wait after each failed attempt (`delivery.retry_schedule`); there is one attempt more than waits.
    pub retry_schedule: Vec<Duration>,
    /// Connecting, headers and body of one attempt together (`delivery.timeout`).
    pub timeout: Duration,
    /// Requests under way at once to one subscription (`delivery.max_per_subscription`); at least 1.
    pub max_per_subscription: usize,
    /// Requests under way at once in all; at least 1. Each may take a socket, so it must stay below the process's limit
    /// of open files.
    pub max_in_flight: usize,
    /// Bytes of bodies that are held at once (`delivery.memory`); of what is leased while others are held, one body may pass it, so
    /// that a long one is sent at last.
    pub memory: usize,
    /// How long attempts under way may go on when the gateway stops.
    pub grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retry_schedule: vec![
                Duration::from_secs(30),
                minutes(2),
                minutes(10),
                minutes(30),
                hours(1),
                hours(2),
                hours(4),
                hours(8),
                hours(12),
                hours(24),
                hours(24),
            ],
            timeout: Duration::from_secs(15),
            max_per_subscription: 16,
            max_in_flight: 512,
            memory: 64 * 1024 * 1024,
            grace: Duration::from_secs(8),
        }
    }
}
