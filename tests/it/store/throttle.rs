//! Buckets of guesses: so many and no more, in whatever order they are taken, and full again in time.

use std::time::Duration;

use futures_util::future::join_all;
use leadgate::model::source::Reach;
use leadgate::model::throttle::{Bucket, BucketKey, Empty, Limit};
use leadgate::model::{Timestamp, time};
use leadgate::store::AddSource;

use super::fixture::{Fixture, engines};
use crate::harness::make;

engines!(
    a_bucket_gives_what_it_holds_and_then_what_comes_back,
    all_buckets_of_a_guess_give_or_none,
    to_look_takes_nothing,
    what_is_given_back_can_be_taken_again,
    of_parallel_guesses_there_are_no_more,
    of_many_who_look_at_once_each_sees_its_own,
    full_buckets_are_purged,
);

/// A bucket that holds so many guesses, each of which comes back after a minute.
fn bucket(name: &str, guesses: u32) -> Bucket {
    let limit = Limit::new(guesses, Duration::from_secs(60) * guesses).unwrap();
    Bucket { key: BucketKey::new(name, &[]), limit }
}

fn later(f: &Fixture, seconds: u64) -> Timestamp {
    time::after(f.now(), Duration::from_secs(seconds))
}

async fn take(f: &Fixture, buckets: &[Bucket]) -> Result<(), Empty> {
    f.store.take_guess(buckets, f.now()).await.unwrap()
}

async fn a_bucket_gives_what_it_holds_and_then_what_comes_back(f: &Fixture) {
    let (one, other) = (bucket("one", 3), bucket("other", 3));
    for _ in 0..3 {
        assert_eq!(take(f, &[one]).await, Ok(()));
    }
    assert_eq!(take(f, &[one]).await, Err(Empty { until: later(f, 60) }));
    assert_eq!(take(f, &[other]).await, Ok(()));
    f.pass(59);
    assert_eq!(take(f, &[one]).await, Err(Empty { until: later(f, 1) }));
    f.pass(1);
    assert_eq!(take(f, &[one]).await, Ok(()));
    assert_eq!(take(f, &[one]).await, Err(Empty { until: later(f, 60) }));
}

async fn all_buckets_of_a_guess_give_or_none(f: &Fixture) {
    let (narrow, wide) = (bucket("narrow", 1), bucket("wide", 2));
    assert_eq!(take(f, &[narrow, wide]).await, Ok(()));
    assert_eq!(take(f, &[narrow, wide]).await, Err(Empty { until: later(f, 60) }));
    assert_eq!(take(f, &[wide]).await, Ok(()), "the refused guess took nothing");
    f.pass(30);
    assert_eq!(take(f, &[wide, narrow]).await, Err(Empty { until: later(f, 30) }));
}

async fn to_look_takes_nothing(f: &Fixture) {
    let bucket = [bucket("one", 1)];
    let see = async || f.store.see_guess(&bucket, f.now()).await.unwrap();
    assert_eq!((see().await, see().await), (Ok(()), Ok(())));
    assert_eq!(take(f, &bucket).await, Ok(()));
    assert_eq!(see().await, Err(Empty { until: later(f, 60) }));
    f.pass(60);
    assert_eq!(see().await, Ok(()));
}

async fn what_is_given_back_can_be_taken_again(f: &Fixture) {
    let (one, other) = (bucket("one", 2), bucket("other", 1));
    f.store.give_guess_back(&[one]).await.unwrap();
    for _ in 0..5 {
        assert_eq!(take(f, &[one, other]).await, Ok(()));
        f.store.give_guess_back(&[one, other]).await.unwrap();
    }
    assert_eq!((take(f, &[one]).await, take(f, &[one]).await), (Ok(()), Ok(())));
    assert!(take(f, &[one]).await.is_err(), "a full bucket holds no more than it holds");
}

async fn of_parallel_guesses_there_are_no_more(f: &Fixture) {
    let (account, address) = (bucket("account", 7), bucket("address", 100));
    let orders = [[account, address], [address, account]];
    let taken = join_all((0..40).map(|n| f.store.take_guess(&orders[n % 2], f.now()))).await;
    assert_eq!(taken.into_iter().filter(|taken| *taken.as_ref().unwrap() == Ok(())).count(), 7);
    let alone = [address];
    let left = join_all((0..100).map(|_| f.store.take_guess(&alone, f.now()))).await;
    assert_eq!(left.into_iter().filter(|taken| *taken.as_ref().unwrap() == Ok(())).count(), 93);
}

/// An engine may look up what several ask for at once in one go: also sources, which are asked for beside.
async fn of_many_who_look_at_once_each_sees_its_own(f: &Fixture) {
    let [full, empty] = ["full", "empty"].map(|name| bucket(name, 1));
    assert_eq!(take(f, &[empty]).await, Ok(()));
    let source = make::source(&f.entropy, f.now(), "portal", Reach::All);
    assert_eq!(f.store.add_source(source.clone()).await.unwrap(), AddSource::Added);
    let looks = join_all((0..20).map(|n| async move {
        let (bucket, name) = if n % 2 == 0 { (full, "portal") } else { (empty, "nobody") };
        let (buckets, name) = ([bucket], name.parse().unwrap());
        let (seen, found) = tokio::join!(f.store.see_guess(&buckets, f.now()), f.store.source_by_username(&name));
        (seen.unwrap(), found.unwrap())
    }));
    for (n, look) in looks.await.into_iter().enumerate() {
        let nobody = (Err(Empty { until: later(f, 60) }), None);
        assert_eq!(look, if n % 2 == 0 { (Ok(()), Some(source.clone())) } else { nobody });
    }
}

async fn full_buckets_are_purged(f: &Fixture) {
    take(f, &[bucket("one", 3)]).await.unwrap();
    take(f, &[bucket("other", 3)]).await.unwrap();
    take(f, &[bucket("other", 3)]).await.unwrap();
    assert_eq!(f.purge(f.now(), 100).await, (0, 0));
    f.pass(60);
    assert_eq!(f.purge(f.now(), 100).await, (1, 1));
    assert_eq!(take(f, &[bucket("other", 3)]).await, Ok(()));
    assert_eq!(take(f, &[bucket("other", 3)]).await, Ok(()));
    assert!(take(f, &[bucket("other", 3)]).await.is_err(), "what was not full was kept");
}
