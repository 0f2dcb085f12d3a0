//! Time passes; what is due is leased, delivered or not, sent again, brought forward, and deleted when it is over.

use std::time::Duration;

use leadgate::model::delivery::{Attempt, Outcome, Replay, Verdict};
use leadgate::model::{DeliveryId, LeaseToken, Timestamp, time};
use proptest::prelude::*;

use super::leasing::{self, Terms};
use super::look;
use super::world::{DOMAINS, Difference, Held, Same, World, pick, pick_late};

/// A day, in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// Something that happens to deliveries, or to all.
#[derive(Debug, Clone)]
pub enum Step {
    Pass {
        millis: u64,
    },
    Lease(Terms),
    /// All that is due is leased, and all of it ends like this.
    Drive(Meant),
    Record(Vec<Reported>),
    Replay {
        deliveries: Vec<usize>,
    },
    ReplayFailed {
        site: usize,
    },
    Hasten {
        subscription: usize,
        after: Option<usize>,
        limit: usize,
    },
    Purge {
        days: i64,
        limit: usize,
    },
}

/// What a holder reports.
#[derive(Debug, Clone)]
pub struct Reported {
    held: usize,
    whose: Whose,
    verdict: Meant,
    attempt: Option<bool>,
}

/// Under which lease an outcome is reported, and of what.
#[derive(Debug, Clone)]
enum Whose {
    Mine,
    Another,
    OfNothing,
}

/// A verdict, before it is known when.
#[derive(Debug, Clone)]
pub enum Meant {
    Delivered,
    Refused,
    Retry { seconds: u64 },
    Failed,
    Pause,
    Release,
}

pub fn steps() -> impl Strategy<Value = Step> {
    let millis = prop::sample::select(vec![1, 1000, 1000, 10_000, 10_000, 60_000, 3_600_000, 24 * 3_600_000]);
    let number = || any::<u8>().prop_map(usize::from);
    prop_oneof![
        6 => millis.prop_map(|millis| Step::Pass { millis }),
        8 => leasing::terms().prop_map(Step::Lease),
        4 => verdicts().prop_map(Step::Drive),
        8 => prop::collection::vec(reported(), 1..6).prop_map(Step::Record),
        2 => prop::collection::vec(0..20_usize, 1..8).prop_map(|deliveries| Step::Replay { deliveries }),
        1 => (0..DOMAINS.len()).prop_map(|site| Step::ReplayFailed { site }),
        2 => (number(), prop::option::of(number()), 1..4_usize)
            .prop_map(|(subscription, after, limit)| Step::Hasten { subscription, after, limit }),
        1 => (-1..3_i64, 1..20_usize).prop_map(|(days, limit)| Step::Purge { days, limit }),
    ]
}

fn reported() -> impl Strategy<Value = Reported> {
    let whose = prop_oneof![12 => Just(Whose::Mine), 1 => Just(Whose::Another), 1 => Just(Whose::OfNothing)];
    // Counted from the newest lease: outcomes of old ones are rarer.
    let held = prop_oneof![4 => 0..4_usize, 1 => 0..100_usize];
    (held, whose, verdicts(), prop::option::weighted(0.7, any::<bool>()))
        .prop_map(|(held, whose, verdict, attempt)| Reported { held, whose, verdict, attempt })
}

fn verdicts() -> impl Strategy<Value = Meant> {
    prop_oneof![
        4 => Just(Meant::Delivered),
        1 => Just(Meant::Refused),
        3 => prop::sample::select(vec![0, 5, 60, 3600]).prop_map(|seconds| Meant::Retry { seconds }),
        3 => Just(Meant::Failed),
        1 => Just(Meant::Pause),
        2 => Just(Meant::Release),
    ]
}

impl Step {
    pub async fn take(&self, world: &mut World) -> Same {
        match self {
            Step::Pass { millis } => world.now = time::after(world.now, Duration::from_millis(*millis)),
            Step::Lease(terms) => leasing::lease(world, terms).await?,
            Step::Drive(verdict) => {
                let before = world.held.len();
                leasing::lease(world, &Terms::AMPLE).await?;
                let report =
                    |held| Reported { held, whose: Whose::Mine, verdict: verdict.clone(), attempt: Some(true) };
                let reported: Vec<_> = (0..world.held.len() - before).map(report).collect();
                record(world, &reported).await?;
            }
            Step::Record(reported) => record(world, reported).await?,
            Step::Replay { deliveries } => {
                let ids: Vec<_> =
                    deliveries.iter().filter_map(|number| pick_late(&world.deliveries, *number)).collect();
                let now = world.now;
                world.both(async |store| store.replay(Replay::These(ids.clone()), now).await).await?;
            }
            Step::ReplayFailed { site } => {
                let (site, now) = (world.sites[*site].id, world.now);
                world.both(async |store| store.replay(Replay::FailedOf(site), now).await).await?;
            }
            Step::Hasten { subscription, after, limit } => {
                let Some(subscription) = pick(&world.subscriptions, *subscription) else { return Ok(()) };
                let (after, now) = (after.and_then(|after| pick(&world.leads, after)), world.now);
                world.both(async |store| store.hasten(subscription, after, now, *limit).await).await?;
            }
            Step::Purge { days, limit } => purge(world, *days, *limit).await?,
        }
        Ok(())
    }
}

async fn record(world: &mut World, reported: &[Reported]) -> Same {
    let held: Vec<_> = reported.iter().filter_map(|reported| pick_late(&world.held, reported.held)).collect();
    let outcomes: Vec<_> = reported.iter().zip(&held).map(|(reported, held)| reported.outcome(world, held)).collect();
    // From now on they are as good as the oldest: the next report is rather about others.
    world.held.retain(|one| !held.contains(one));
    world.held.splice(0..0, held);
    let now = world.now;
    world.both(async |store| store.record_outcomes(outcomes.clone(), now).await).await.map(|_| ())
}

impl Reported {
    fn outcome(&self, world: &World, held: &Held) -> Outcome {
        let (delivery, lease) = match self.whose {
            Whose::Mine => (held.delivery, held.lease),
            Whose::Another => (held.delivery, LeaseToken::random(&world.entropy)),
            Whose::OfNothing => (DeliveryId::random(&world.entropy), held.lease),
        };
        let verdict = match self.verdict {
            Meant::Delivered => Verdict::Delivered,
            Meant::Refused => Verdict::Refused,
            Meant::Retry { seconds } => Verdict::Retry(world.after(seconds)),
            Meant::Failed => Verdict::Failed,
            Meant::Pause => Verdict::Pause,
            Meant::Release => Verdict::Release,
        };
        let attempt = self.attempt.map(|answered| attempt(held.since, answered));
        let Held { site, lead, subscription, .. } = *held;
        Outcome { delivery, site, lead, subscription, lease, attempt, verdict }
    }
}

fn attempt(started: Timestamp, answered: bool) -> Attempt {
    Attempt {
        started,
        duration: Duration::from_micros(1_234_567),
        status: answered.then_some(503),
        error: (!answered).then(|| "no \0 answer\n".into()),
        response: if answered { "a \0 b\r\n\u{2028}\u{1f3dd}".into() } else { String::new() },
    }
}

/// Purges until nothing is left, up to a midnight; before today's if `days` is positive, after today's if it is negative.
async fn purge(world: &mut World, days: i64, limit: usize) -> Same {
    let before = time::from_millis((world.now.as_millisecond().div_euclid(DAY) - days) * DAY);
    for engine in &world.engines {
        let mut purged = 1;
        while purged > 0 {
            let answer = engine.fixture.store.purge(world.now, before, limit).await;
            purged = answer.map_err(|error| Difference::new(format!("{} cannot purge: {error}", engine.name)))?;
        }
    }
    look::at_the_log(world).await
}
