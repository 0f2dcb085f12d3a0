//! Random sequences of operations on both engines: whatever the one answers and shows, the other answers and shows.
//!
//! A sequence begins in a small town (two sites, two partners, two subscriptions) and draws from small pools, so that
//! names and ids collide often. Times and random values come from the sequence. Every answer is compared, with the
//! signals that were heard, and after each step the delivery log; at the end everything that a store shows.
//!
//! `LEADGATE_SEQUENCES=0..5000` runs other sequences than the suite does: from the first seed to before the last. When
//! the engines differ, the sequence is made as short as two minutes allow and printed with its seed; `LEADGATE_SEQUENCES=17..18`
//! runs the same again. What is found this way becomes an ordinary case.
//!
//! **What may differ**, because the contract leaves it open, and how it is kept out of the comparison:
//! - Which subscriptions come first when there is not room for all, and which are passed over (`leasing`): each lease is
//!   repeated, as a driver would, until nothing more comes, and what came of all turns is compared.
//! - `next_due`: it may be too early, since a subscription is looked at "at the latest" when something falls due. It must
//!   not be too late.
//! - How many rows a purge counts, and when in a day it deletes what finished before (`deliveries`): each purge is
//!   repeated until it returns 0, with midnight as its limit.

mod deliveries;
mod directory;
mod guesses;
mod leads;
mod leasing;
mod look;
mod oauth;
mod subscriptions;
mod world;

use std::ops::Range;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use tokio::runtime::Runtime;

use world::{Same, World};

/// The seeds of the sequences that the suite runs.
const SUITE: Range<u64> = 0..24;

/// About how many steps a sequence has.
const STEPS: usize = 60;

/// In how many groups.
const GROUPS: usize = 10;

/// How long a sequence that shows a difference is made shorter, in milliseconds.
const SHRINK: u32 = 120_000;

/// One operation, of any kind.
#[derive(Debug, Clone)]
enum Step {
    Directory(directory::Step),
    OAuth(oauth::Step),
    Subscription(subscriptions::Step),
    Lead(leads::Step),
    Delivery(deliveries::Step),
    Guess(guesses::Step),
}

impl Step {
    async fn take(&self, world: &mut World) -> Same {
        match self {
            Step::Directory(step) => step.take(world).await,
            Step::OAuth(step) => step.take(world).await,
            Step::Subscription(step) => step.take(world).await,
            Step::Lead(step) => step.take(world).await,
            Step::Delivery(step) => step.take(world).await,
            Step::Guess(step) => step.take(world).await,
        }
    }
}

fn sequences() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => directory::steps().prop_map(Step::Directory),
        4 => oauth::steps().prop_map(Step::OAuth),
        3 => subscriptions::steps().prop_map(Step::Subscription),
        8 => leads::steps().prop_map(Step::Lead),
        12 => deliveries::steps().prop_map(Step::Delivery),
        2 => guesses::steps().prop_map(Step::Guess),
    ];
    // Each step can be left out, and each group of steps: so a sequence that fails is soon made shorter.
    let group = prop::collection::vec(prop::option::weighted(0.95, step), STEPS / GROUPS);
    prop::collection::vec(prop::option::weighted(0.99, group), GROUPS)
        .prop_map(|groups| groups.into_iter().flatten().flatten().flatten().collect())
}

#[test]
fn both_engines_answer_and_show_the_same() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for seed in seeds() {
        let config = Config {
            cases: 1,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            max_shrink_time: SHRINK,
            max_shrink_iters: 10_000,
            ..Config::default()
        };
        let result = TestRunner::new(config).run(&sequences(), |steps| compare(&runtime, &steps));
        match result {
            Ok(()) => {}
            Err(TestError::Fail(reason, steps)) => panic!("seed {seed}: {reason}\n{}", listed(&steps)),
            Err(TestError::Abort(reason)) => panic!("seed {seed}: {reason}"),
        }
    }
}

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("LEADGATE_SEQUENCES") else { return SUITE };
    let bounds = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    bounds.expect("LEADGATE_SEQUENCES is two numbers, like 0..5000")
}

fn compare(runtime: &Runtime, steps: &[Step]) -> Result<(), TestCaseError> {
    runtime.block_on(async {
        let mut world = World::new().await;
        let result = run(&mut world, steps).await;
        world.close().await;
        result.map_err(TestCaseError::fail)
    })
}

async fn run(world: &mut World, steps: &[Step]) -> Result<(), String> {
    for (number, step) in steps.iter().enumerate() {
        step.take(world).await.map_err(|difference| format!("step {number} differs.\n{difference}"))?;
        look::at_the_log(world).await.map_err(|difference| format!("after step {number}, {difference}"))?;
    }
    look::at_everything(world).await.map_err(|difference| format!("at the end, {difference}"))
}

fn listed(steps: &[Step]) -> String {
    steps.iter().enumerate().map(|(number, step)| format!("{number:4}: {step:?}\n")).collect()
}
