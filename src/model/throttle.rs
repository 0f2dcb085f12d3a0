//! How often somebody may be wrong: buckets of guesses, which are refilled all the time.
//!
//! A bucket is one number, the time at which it will be full again if nobody guesses any more (GCRA, a token bucket without
//! a second number). No row means full; so an unused bucket costs nothing, and nothing is ever locked for good.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Timestamp;
use super::time::{after, before};

/// So many guesses at once; then they come back evenly over a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    guesses: u32,
    /// In which time one guess comes back: whole milliseconds, at least one.
    refill: Duration,
}

/// The most guesses that a [`Limit`] allows at once.
pub const MAX_GUESSES: u32 = 10_000;
/// In how much time at least all guesses of a [`Limit`] come back.
pub const MIN_PERIOD: Duration = Duration::from_secs(10);
/// In how much time at most all guesses of a [`Limit`] come back.
pub const MAX_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

/// Which bucket: a hash of what it counts, so that a store keeps no names and addresses of strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketKey([u8; 32]);

/// A bucket, and how large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Which one.
    pub key: BucketKey,
    /// How much it holds.
    pub limit: Limit,
}

/// What a store knows of a bucket that is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Which one.
    pub key: BucketKey,
    /// When it will be full.
    pub full: Timestamp,
}

/// There is no guess left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Empty {
    /// When there will be one again.
    pub until: Timestamp,
}

impl Limit {
    /// `guesses` (1 to [`MAX_GUESSES`]) at once, which come back over `period` ([`MIN_PERIOD`] to [`MAX_PERIOD`]).
    pub fn new(guesses: u32, period: Duration) -> Option<Self> {
        let within = (1..=MAX_GUESSES).contains(&guesses) && (MIN_PERIOD..=MAX_PERIOD).contains(&period);
        let millis = u64::try_from(period.as_millis()).ok()? / u64::from(guesses.max(1));
        within.then_some(Self { guesses, refill: Duration::from_millis(millis) })
    }

    /// From empty to full.
    pub fn period(self) -> Duration {
        self.refill * self.guesses
    }
}

impl BucketKey {
    /// The key of a bucket of this kind. The parts have lengths of their own, so that no two lists of them are alike.
    pub fn new(kind: &str, parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in [kind.as_bytes()].iter().chain(parts) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }

    /// A key as a store kept it.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes that a store keeps.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Bucket {
    /// Takes a guess out; the result is the level then.
    pub fn take(&self, level: Option<Timestamp>, now: Timestamp) -> Result<Level, Empty> {
        let latest = after(now, self.limit.period());
        // Never emptier than empty: neither a clock that went back nor a limit that was smaller keeps anybody waiting.
        let level = level.unwrap_or(now).clamp(now, latest);
        let full = after(level, self.limit.refill);
        if full <= latest {
            Ok(Level { key: self.key, full })
        } else {
            Err(Empty { until: before(full, self.limit.period()) })
        }
    }

    /// Puts a guess back: it was right, and so none.
    pub fn give_back(&self, level: Timestamp) -> Level {
        Level { key: self.key, full: before(level, self.limit.refill) }
    }
}

/// Takes one guess out of each of these buckets, or out of none if one of them is empty. `levels` are those that are not
/// full; the result is what they are then.
pub fn take_all(buckets: &[Bucket], levels: &[Level], now: Timestamp) -> Result<Vec<Level>, Empty> {
    let taken: Vec<_> = buckets.iter().map(|bucket| bucket.take(level_of(bucket, levels), now)).collect();
    match taken.iter().filter_map(|taken| taken.err()).max_by_key(|empty| empty.until) {
        Some(empty) => Err(empty),
        None => Ok(taken.into_iter().flatten().collect()),
    }
}

/// Puts one guess back into each of these buckets that is not full.
pub fn give_all_back(buckets: &[Bucket], levels: &[Level]) -> Vec<Level> {
    buckets.iter().filter_map(|bucket| Some(bucket.give_back(level_of(bucket, levels)?))).collect()
}

fn level_of(bucket: &Bucket, levels: &[Level]) -> Option<Timestamp> {
    levels.iter().find(|level| level.key == bucket.key).map(|level| level.full)
}

/// What counts as one address: of IPv6 the first of its /64, because whoever has one address there (a home, an office) has
/// them all.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn bucket(guesses: u32, seconds: u64) -> Bucket {
        let limit = Limit::new(guesses, Duration::from_secs(seconds)).unwrap();
        Bucket { key: BucketKey::new("test", &[]), limit }
    }

    /// How many guesses can be taken at `now`, and what the level is then.
    fn drain(bucket: &Bucket, mut level: Option<Timestamp>, now: Timestamp) -> (u32, Option<Timestamp>) {
        let mut taken = 0;
        while let Ok(next) = bucket.take(level, now) {
            (level, taken) = (Some(next.full), taken + 1);
        }
        (taken, level)
    }

    fn at(seconds: u64) -> Timestamp {
        after(NOW, Duration::from_secs(seconds))
    }

    #[test]
    fn so_many_at_once_and_then_one_by_one() {
        let bucket = bucket(10, 600);
        let (taken, level) = drain(&bucket, None, NOW);
        assert_eq!((taken, bucket.take(level, NOW)), (10, Err(Empty { until: at(60) })));
        assert_eq!(bucket.take(level, at(59)), Err(Empty { until: at(60) }));
        let (taken, level) = drain(&bucket, level, at(60));
        assert_eq!((taken, bucket.take(level, at(60))), (1, Err(Empty { until: at(120) })));
        assert_eq!(drain(&bucket, level, at(600)).0, 9);
        assert_eq!(drain(&bucket, level, at(100_000)).0, 10);
    }

    #[test]
    fn all_are_taken_or_none_and_the_emptiest_says_when() {
        let (narrow, wide) = (bucket(1, 60), Bucket { key: BucketKey::new("wide", &[]), ..bucket(2, 600) });
        let levels = take_all(&[narrow, wide], &[], NOW).unwrap();
        assert_eq!(take_all(&[narrow, wide], &levels, NOW), Err(Empty { until: at(60) }));
        let drained = [Level { key: wide.key, full: at(600) }, levels[0]];
        assert_eq!(take_all(&[narrow, wide], &drained, NOW), Err(Empty { until: at(300) }));
        let back = give_all_back(&[narrow, wide], &levels[..1]);
        assert_eq!(back, [Level { key: narrow.key, full: NOW }]);
    }

    #[test]
    fn limits_have_bounds() {
        let limit = |guesses, seconds| Limit::new(guesses, Duration::from_secs(seconds));
        assert!(limit(1, 10).is_some() && limit(10_000, 10).is_some() && limit(10_000, 86_400).is_some());
        for (guesses, seconds) in [(0, 60), (10_001, 60), (1, 9), (1, 86_401)] {
            assert_eq!(limit(guesses, seconds), None, "{guesses}/{seconds}s");
        }
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_a_mapped_one_is_ipv4() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn keys_tell_kinds_and_parts_apart() {
        let keys = [
            BucketKey::new("a", &[b"bc"]),
            BucketKey::new("ab", &[b"c"]),
            BucketKey::new("a", &[b"b", b"c"]),
            BucketKey::new("a", &[]),
        ];
        for (number, key) in keys.iter().enumerate() {
            assert!(!keys[..number].contains(key));
        }
    }

    proptest! {
        /// In no stretch of time are there more right answers to "may I?" than the bucket holds and gets back meanwhile;
        /// and who is refused may guess at the time that was named.
        #[test]
        fn never_more_than_it_holds_and_gets_back(
            guesses in 1_u32..20, seconds in 10_u64..5000, waits in prop::collection::vec(0_u64..100_000, 1..200),
        ) {
            let bucket = bucket(guesses, seconds);
            let (mut level, mut now, mut taken) = (None, NOW, Vec::new());
            for wait in waits {
                now = after(now, Duration::from_millis(wait));
                match bucket.take(level, now) {
                    Ok(next) => {
                        level = Some(next.full);
                        taken.push(now);
                    }
                    Err(empty) => {
                        prop_assert!(empty.until > now);
                        prop_assert!(bucket.take(level, empty.until).is_ok());
                        prop_assert!(bucket.take(level, before(empty.until, Duration::from_millis(1))).is_err());
                    }
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let back = to.duration_since(*from).as_millis() / bucket.limit.refill.as_millis() as i128;
                    prop_assert!((last - first) as i128 <= i128::from(guesses) + back);
                }
            }
        }

        /// However it got there, from a later time or another limit, waiting for one refill is always enough.
        #[test]
        fn nobody_waits_longer_than_one_guess_takes(level in any::<i32>(), guesses in 1_u32..20, seconds in 10_u64..5000) {
            let bucket = bucket(guesses, seconds);
            let level = crate::model::time::from_millis(level.into());
            if let Err(empty) = bucket.take(Some(level), NOW) {
                prop_assert!(empty.until <= after(NOW, bucket.limit.refill));
            }
        }

        /// A guess that is given back leaves no trace.
        #[test]
        fn what_is_given_back_was_never_taken(level in 0_u64..600, guesses in 2_u32..20) {
            let bucket = bucket(guesses, 600);
            let level = at(level);
            if let Ok(taken) = bucket.take(Some(level), NOW) {
                prop_assert_eq!(bucket.give_back(taken.full).full, level);
            }
        }
    }
}
