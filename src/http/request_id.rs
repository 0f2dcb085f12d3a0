//! The ids that join a caller's answer to the operator's log. They are no secrets, and need only differ: so randomness is
//! asked for once, not by every request, for which it is a system call.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Entropy;

/// Weyl's sequence with this step meets every number once before it meets one again, as with any odd one.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of ids.
#[derive(Debug)]
pub struct RequestIds(AtomicU64);

impl RequestIds {
    /// A source that begins anywhere.
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(AtomicU64::new(u64::from_ne_bytes(entropy.bytes())))
    }

    /// 16 hex digits that no other request has.
    pub fn next(&self) -> String {
        hex::encode(scattered(self.0.fetch_add(STEP, Ordering::Relaxed)).to_be_bytes())
    }
}

/// The last step of SplitMix64: one number for each, and neighbours look nothing alike. An operator who searches the log for
/// a few digits finds one request.
fn scattered(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::OsEntropy;

    #[test]
    fn ids_are_16_hex_digits_and_differ() {
        let ids = RequestIds::new(&OsEntropy);
        let many: HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(many.len(), 10_000);
        assert!(many.iter().all(|id| id.len() == 16 && id.bytes().all(|digit| digit.is_ascii_hexdigit())));
    }
}
