//! How a receiver behaves: well, or like one of those that there are.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What it does with requests.
#[derive(Clone, Copy)]
pub enum Manner {
    /// Accepts each at once.
    Good,
    /// Reads each and never answers.
    Hanging,
    /// Refuses each at once.
    Failing,
    /// Accepts each after this time.
    Slow(Duration),
    /// Accepts so many per second, evenly but for a tenth of a second's worth, and refuses what is more.
    Limited(u32),
}

/// How long a limited receiver lets others run ahead of its pace.
const AHEAD: Duration = Duration::from_millis(100);

/// What a request gets.
pub enum Reply {
    Accept(Duration),
    Refuse,
    Nothing,
}

/// A manner, which can change.
pub struct Conduct(Mutex<(Manner, Instant)>);

impl Default for Conduct {
    fn default() -> Self {
        Self(Mutex::new((Manner::Good, Instant::now())))
    }
}

impl Conduct {
    pub fn change(&self, manner: Manner) {
        self.inner().0 = manner;
    }

    /// What the request that has just come gets.
    pub fn reply(&self) -> Reply {
        let mut inner = self.inner();
        let (manner, free_at) = &mut *inner;
        match *manner {
            Manner::Good => Reply::Accept(Duration::ZERO),
            Manner::Hanging => Reply::Nothing,
            Manner::Failing => Reply::Refuse,
            Manner::Slow(time) => Reply::Accept(time),
            Manner::Limited(per_second) => {
                let now = Instant::now();
                if *free_at > now + AHEAD {
                    return Reply::Refuse;
                }
                *free_at = now.max(*free_at) + Duration::from_secs(1) / per_second;
                Reply::Accept(Duration::ZERO)
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, (Manner, Instant)> {
        self.0.lock().expect("no receiver fails")
    }
}
