//! Guesses are counted, given back and looked at; time passes.

use std::time::Duration;

use leadgate::model::throttle::{Bucket, BucketKey, Limit};
use proptest::prelude::*;

use super::world::{Same, World};

/// How large the buckets are, and in how many seconds they are full again.
const BUCKETS: [(u32, u64); 3] = [(1, 10), (3, 60), (5, 200)];

/// Something that happens to buckets; numbers are places in the pool.
#[derive(Debug, Clone)]
pub enum Step {
    Take { buckets: Vec<usize> },
    GiveBack { buckets: Vec<usize> },
    See { buckets: Vec<usize> },
    Wait { seconds: u64 },
}

pub fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => some().prop_map(|buckets| Step::Take { buckets }),
        1 => some().prop_map(|buckets| Step::GiveBack { buckets }),
        1 => some().prop_map(|buckets| Step::See { buckets }),
        1 => (0..50_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

impl Step {
    pub async fn take(&self, world: &mut World) -> Same {
        let now = world.now;
        match self {
            Step::Take { buckets } => {
                let buckets = these(buckets);
                world.both(async |store| store.take_guess(&buckets, now).await).await.map(drop)
            }
            Step::GiveBack { buckets } => {
                let buckets = these(buckets);
                world.both(async |store| store.give_guess_back(&buckets).await).await
            }
            Step::See { buckets } => {
                let buckets = these(buckets);
                world.both(async |store| store.see_guess(&buckets, now).await).await.map(drop)
            }
            Step::Wait { seconds } => {
                world.now = world.after(*seconds);
                Ok(())
            }
        }
    }
}

/// What every bucket still gives.
pub async fn look(world: &World) -> Same {
    for bucket in 0..BUCKETS.len() {
        let buckets = these(&[bucket]);
        world.both(async |store| store.see_guess(&buckets, world.now).await).await.map(drop)?;
    }
    Ok(())
}

/// The keys of buckets of the pool.
pub fn keys(buckets: &[usize]) -> Vec<BucketKey> {
    these(buckets).iter().map(|bucket| bucket.key).collect()
}

/// Some of the pool.
pub fn some() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence((0..BUCKETS.len()).collect::<Vec<_>>(), 0..=BUCKETS.len())
}

fn these(buckets: &[usize]) -> Vec<Bucket> {
    let bucket = |number: &usize| {
        let (guesses, seconds) = BUCKETS[*number];
        let limit = Limit::new(guesses, Duration::from_secs(seconds)).unwrap();
        Bucket { key: BucketKey::new("sequence", &[&[*number as u8]]), limit }
    };
    buckets.iter().map(bucket).collect()
}
