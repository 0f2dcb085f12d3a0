//! How many files this process may hold open, and how that is shared out: a gateway that runs out of descriptors can neither
//! accept a lead nor reach its own database.

/// Descriptors for the database, the logs and the runtime (128), and for looking names up (64 at once, with two each).
const RESERVE: usize = 256;

/// What each part may hold open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Connections that callers have opened.
    pub callers: usize,
    /// Requests to receivers under way, and connections to receivers: idle ones give way to new ones.
    pub deliveries: usize,
}

/// Raises the process's limit as far as the system lets it, and shares it out.
pub fn share() -> Shares {
    // Where the limit cannot be raised or read, the smallest that any system has is a safe guess.
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(256);
    shares_of(usize::try_from(limit).unwrap_or(usize::MAX))
}

fn shares_of(limit: usize) -> Shares {
    let free = limit.saturating_sub(RESERVE).max(64);
    // A connection that is being made may take two sockets, one for each kind of address: hence a quarter, not a half.
    Shares { callers: (free / 2).min(16_384), deliveries: (free / 4).min(1024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_stay_below_the_limit_and_do_not_grow_without_end() {
        for limit in [64, 256, 1024, 1 << 20] {
            let shares = shares_of(limit);
            assert!(shares.callers >= 32 && shares.deliveries >= 16, "{limit}: {shares:?}");
            let taken = shares.callers + 2 * shares.deliveries;
            assert!(limit < 256 || taken <= limit, "{limit}: {shares:?}");
            assert!(limit < 512 || taken + RESERVE <= limit, "{limit}: {shares:?}");
        }
        assert_eq!(shares_of(usize::MAX), Shares { callers: 16_384, deliveries: 1024 });
    }
}
