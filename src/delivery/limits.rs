//! Who may take a place: "a slow or dead receiver slows nobody else" (API.md §5), made into arithmetic.
//!
//! A place is one request under way. All subscriptions draw on the same places, so a few hundred receivers that hang
//! would take them all for as long as a time-out lasts. Therefore each kind of claim may use the places only up to a line,
//! and what lies beyond is kept for stronger claims (eighths of all places):
//!
//! | claim | may begin while |
//! |---|---|
//! | any | its host and port have less than six eighths |
//! | a failing subscription's only request | failing ones together hold less than two eighths |
//! | further requests of a subscription that has not answered yet | more than seven eighths are free |
//! | further requests of one that answers | more than two eighths are free |
//! | the first request of any other | a place is free; the last eighth not if its host already holds one |
//! | any to a host that is not known to answer | such ones together hold less than seven eighths |
//!
//! So a hanging subscription that nobody has heard of takes one place as soon as it gets crowded, a failing one takes a
//! turn in a quarter, and one partner's host, with a hundred thousand subscriptions, leaves a quarter to the others, alive or
//! dead: as much as further requests of its subscriptions would leave anyway, so that the bound costs it nothing where it answers.
//! Should two such hosts share all of the places, an eighth is left all the same; and should any number of hosts hang that nobody
//! has heard of yet, as after a start, an eighth is left for those that answer.

/// How a subscription's receiver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// Nothing was heard of it since there was last nothing to send.
    #[default]
    Unknown,
    /// Its last attempt was answered.
    Answering,
    /// Its last attempt failed: one request at a time until one succeeds.
    Failing,
}

/// The bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Places in all.
    pub places: usize,
    /// Places of one subscription.
    pub per_subscription: usize,
    /// Bytes of bodies that may be held; see [`super::policy::Policy::memory`].
    pub memory: usize,
}

/// How the places are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Places taken.
    pub taken: usize,
    /// Of these, by failing subscriptions.
    pub failing: usize,
    /// Of all, by requests to hosts that were not known to answer.
    pub strangers: usize,
}

/// A subscription that claims a place.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// How its receiver does.
    pub health: Health,
    /// Places that it has.
    pub own: usize,
    /// Places that all subscriptions with its host have.
    pub host: usize,
    /// Whether its host is known to answer.
    pub answers: bool,
}

/// So many deliveries of an answering subscription are held at most, as a multiple of its places: while the store commits the
/// next lease, which is asked for when half of them are gone, the fastest receiver is kept busy.
const AHEAD: usize = 32;

impl Limits {
    /// Whether the claim is good now.
    pub fn may_begin(&self, load: Load, claim: Claim) -> bool {
        let free = self.free(load);
        let first = free > self.eighth() || claim.host < self.eighth();
        let further = claim.own < self.per_subscription;
        free > 0
            && claim.host < self.per_host()
            && (claim.answers || load.strangers < self.of_strangers())
            && match (claim.health, claim.own) {
                (Health::Failing, 0) => first && load.failing < 2 * self.eighth(),
                (Health::Failing, _) => false,
                (_, 0) => first,
                (Health::Unknown, _) => further && self.is_roomy(load),
                (Health::Answering, _) => further && free > 2 * self.eighth(),
            }
    }

    /// Places that nobody has.
    pub fn free(&self, load: Load) -> usize {
        self.places.saturating_sub(load.taken)
    }

    /// Whether so much is free that unknown subscriptions may have all their places.
    pub fn is_roomy(&self, load: Load) -> bool {
        self.free(load) > 7 * self.eighth()
    }

    /// Places that one host and port may have.
    pub fn per_host(&self) -> usize {
        self.places.saturating_sub(2 * self.eighth()).max(1)
    }

    /// How many deliveries can be leased of subscriptions that hold none, in all, and of one. So many that were leased wait for
    /// their hosts to have less under way (`blocked`): there may be as many in all as there are places. Then more are leased only
    /// `now_and_then`, to see who stands in line behind those who wait for the same hosts.
    pub fn newcomers(&self, load: Load, blocked: usize, now_and_then: bool) -> (usize, usize) {
        // All of them may be strangers: that shows only when they are read. So the eighth that is kept is for what is new or held.
        let free = self.free(load).min(self.of_strangers().saturating_sub(load.strangers));
        let look = if now_and_then { self.places } else { 0 };
        if self.is_roomy(load) {
            (free.min(self.free(load) - 7 * self.eighth()), self.per_subscription)
        } else {
            (free.saturating_sub(blocked).max(if blocked > 0 { look } else { 0 }), 1)
        }
    }

    /// How many deliveries a subscription may hold, under way and ready together, so that they can soon begin; `ahead`
    /// more places may be filled with ready ones in all.
    pub fn may_hold(&self, load: Load, health: Health, ahead: usize) -> usize {
        match health {
            Health::Failing => usize::from(load.failing < 2 * self.eighth()),
            Health::Unknown if self.is_roomy(load) => self.per_subscription,
            Health::Answering if ahead > 0 => self.per_subscription + ahead.min(self.per_subscription * (AHEAD - 1)),
            Health::Answering if self.free(load) > 2 * self.eighth() => self.per_subscription,
            _ => 1,
        }
    }

    /// How many more failing subscriptions may have their one request.
    pub fn failing_turns(&self, load: Load) -> usize {
        (2 * self.eighth()).saturating_sub(load.failing)
    }

    /// Whether a subscription that holds `held` of what it `may_hold` should be leased more, if the store has more: rather much at a
    /// time than one for each that ends.
    pub fn runs_low(&self, health: Health, held: usize, may_hold: usize) -> bool {
        held < may_hold
            && match health {
                Health::Failing => held == 0,
                Health::Unknown => held < self.per_subscription,
                Health::Answering => held < self.per_subscription || held <= may_hold / 2,
            }
    }

    /// Places that hosts which are not known to answer may have together.
    fn of_strangers(&self) -> usize {
        if self.places < 8 { self.places } else { self.places - self.eighth() }
    }

    fn eighth(&self) -> usize {
        (self.places / 8).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { places: 512, per_subscription: 16, memory: 1 << 20 };

    /// Lets `subscriptions` claimants, each with its own host, take all that they can get. None ever answers.
    fn hang(limits: Limits, load: &mut Load, health: Health, subscriptions: usize) -> Vec<usize> {
        let mut taken = vec![0; subscriptions];
        for own in &mut taken {
            while limits.may_begin(*load, Claim { health, own: *own, host: *own, answers: false }) {
                *own += 1;
                load.taken += 1;
                load.strangers += 1;
                load.failing += usize::from(health == Health::Failing);
            }
        }
        taken
    }

    #[test]
    fn a_lone_subscription_gets_all_its_places() {
        for (health, places) in [(Health::Unknown, 16), (Health::Answering, 16), (Health::Failing, 1)] {
            assert_eq!(hang(LIMITS, &mut Load::default(), health, 1), [places]);
        }
    }

    #[test]
    fn hundreds_of_hanging_receivers_leave_places_to_others() {
        for health in [Health::Unknown, Health::Failing] {
            let mut load = Load::default();
            hang(LIMITS, &mut load, health, 300);
            for other in [Health::Unknown, Health::Answering] {
                let claim = Claim { health: other, own: 0, host: 0, answers: false };
                assert!(LIMITS.may_begin(load, claim), "{other:?} after {health:?}");
            }
        }
        let mut load = Load::default();
        hang(LIMITS, &mut load, Health::Answering, 100);
        assert!(LIMITS.may_begin(load, Claim { health: Health::Unknown, own: 0, host: 0, answers: true }));
        load.strangers = 0;
        assert!(LIMITS.may_begin(load, Claim { health: Health::Unknown, own: 0, host: 0, answers: false }));
    }

    #[test]
    fn any_number_of_hanging_strangers_leave_an_eighth_to_those_that_answer() {
        let mut load = Load::default();
        assert_eq!(hang(LIMITS, &mut load, Health::Unknown, 1000).iter().sum::<usize>(), 448);
        assert_eq!(LIMITS.newcomers(load, 0, false).0, 0, "what could not begin is not leased");
        let claim = |answers| Claim { health: Health::Unknown, own: 0, host: 0, answers };
        assert!(LIMITS.may_begin(load, claim(true)) && !LIMITS.may_begin(load, claim(false)));
    }

    #[test]
    fn any_number_of_failing_ones_share_a_quarter() {
        let mut load = Load::default();
        assert_eq!(hang(LIMITS, &mut load, Health::Failing, 10_000).iter().sum::<usize>(), 128);
    }

    #[test]
    fn the_last_eighth_is_not_for_a_host_that_holds_one() {
        let load = Load { taken: 448, ..Load::default() };
        let claim = |host| Claim { health: Health::Unknown, own: 0, host, answers: true };
        assert!(!LIMITS.may_begin(load, claim(64)));
        assert!(LIMITS.may_begin(load, claim(63)));
        assert!(LIMITS.may_begin(Load { taken: 447, ..Load::default() }, claim(383)));
    }

    #[test]
    fn a_host_has_at_most_three_quarters_of_the_places_whoever_claims_them() {
        let load = Load { taken: 384, ..Load::default() };
        for (health, own) in [Health::Unknown, Health::Answering, Health::Failing].map(|health| (health, 0)) {
            assert!(LIMITS.may_begin(load, Claim { health, own, host: 383, answers: true }));
            assert!(!LIMITS.may_begin(load, Claim { health, own, host: 384, answers: true }));
        }
        let further = |taken, host| {
            LIMITS.may_begin(
                Load { taken, ..Load::default() },
                Claim { health: Health::Answering, own: 1, host, answers: true },
            )
        };
        assert!(further(383, 383) && !further(383, 384));
    }

    #[test]
    fn what_waits_for_a_crowded_host_is_not_leased_without_end() {
        let load = Load { taken: 384, ..Load::default() };
        assert_eq!(LIMITS.newcomers(load, 0, false), (128, 1));
        assert_eq!(LIMITS.newcomers(load, 100, false), (28, 1));
        assert_eq!(LIMITS.newcomers(load, 300, false), (0, 1));
        assert_eq!(LIMITS.newcomers(load, 300, true), (512, 1), "others may stand behind them in line");
    }

    #[test]
    fn a_single_place_goes_to_whoever_comes() {
        let one = Limits { places: 1, per_subscription: 16, memory: 1 << 20 };
        for health in [Health::Unknown, Health::Answering, Health::Failing] {
            assert_eq!(hang(one, &mut Load::default(), health, 2), [1, 0]);
        }
    }

    #[test]
    fn what_is_leased_can_begin() {
        for taken in 0..=512 {
            let load = Load { taken, ..Load::default() };
            let (all, each) = LIMITS.newcomers(load, 0, true);
            assert!(all <= LIMITS.free(load));
            assert_eq!(each, if taken < 64 { 16 } else { 1 });
            for health in [Health::Unknown, Health::Answering, Health::Failing] {
                assert!(LIMITS.may_hold(load, health, 0) <= 16);
            }
        }
        assert_eq!(LIMITS.may_hold(Load::default(), Health::Answering, 1000), 16 * AHEAD);
        assert_eq!(LIMITS.may_hold(Load { taken: 200, failing: 128, strangers: 0 }, Health::Failing, 1000), 0);
    }
}
