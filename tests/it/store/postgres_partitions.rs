//! The delivery log on PostgreSQL: what is over leaves the queue, goes into the partition of its day, and with it.

use std::time::Duration;

use leadgate::model::delivery::{Attempt, DeliveryFilter, Outcome, Replay, State, Verdict};
use leadgate::model::site::Site;
use leadgate::model::{DeliveryId, Timestamp};
use leadgate::store::{self, Purpose};
use serde_json::json;

use super::fixture::Fixture;
use crate::harness::postgres::Database;

const DAY: u64 = 24 * 60 * 60;

/// A node, and a look behind its back. Its clock shows a day long before those that `migrate` covered.
struct Log {
    f: Fixture,
    database: Database,
}

impl Log {
    async fn new() -> Self {
        let database = Database::new();
        let store = store::open(&database.url(), Purpose::Serve).await.unwrap();
        Self { f: Fixture::new(store, Box::new(())), database }
    }

    /// One that made partitions from the next day on, and shows that day, 2026-01-03.
    async fn covered() -> Self {
        let log = Self::new().await;
        assert_eq!(log.tidy(14).await, 0);
        log.f.pass(DAY);
        log
    }

    /// Housekeeping where finished deliveries are kept for so many days.
    async fn tidy(&self, kept: u64) -> usize {
        self.f.store.purge(self.f.now(), self.days_ago(kept), 100).await.unwrap()
    }

    fn days_ago(&self, days: u64) -> Timestamp {
        self.f.now().checked_sub(Duration::from_secs(days * DAY)).unwrap()
    }

    /// Creates leads, and records the same of their deliveries.
    async fn finish(&self, site: &Site, count: usize, verdict: Verdict) -> Vec<DeliveryId> {
        for n in 0..count {
            self.f.apply(self.f.upsert(site.id, None, json!({"first_name": n.to_string()}))).await;
        }
        let leased = self.f.lease().await;
        for one in &leased {
            assert!(self.f.record(one, verdict).await);
        }
        leased.into_iter().map(|leased| leased.id).collect()
    }

    fn rows(&self, table: &str) -> i64 {
        self.database.number(&format!("SELECT count(*) FROM {table}"))
    }

    /// How many partitions there are of which the name begins like this.
    fn partitions(&self, name: &str) -> i64 {
        self.rows(&format!(
            "pg_inherits JOIN pg_class c ON c.oid = inhrelid
             WHERE inhparent = 'delivery_log'::REGCLASS AND relname LIKE '{name}%'"
        ))
    }

    async fn close(self) {
        self.f.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_made_ahead() {
    let log = Log::new().await;
    let today = "to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')";
    assert_eq!(
        log.rows(&format!("pg_class WHERE relkind = 'r' AND relname LIKE 'delivery_log_' || {today} || '%'")),
        1
    );

    assert_eq!(log.tidy(14).await, 0);
    assert_eq!(log.partitions("delivery_log_2026010"), 7, "from the next day on");
    assert_eq!(log.tidy(14).await, 0);
    assert_eq!(log.partitions("delivery_log_202601"), 7);
    log.f.pass(DAY);
    log.tidy(14).await;
    assert_eq!(log.partitions("delivery_log_202601"), 8);
    assert_eq!(log.partitions("delivery_log_20260110_20260111"), 1);

    let (site, _, _) = log.f.subscribed_site(1).await;
    log.finish(&site, 3, Verdict::Delivered).await;
    assert_eq!((log.rows("delivery_log_20260103_20260104"), log.rows("delivery_log_default")), (3, 0));
    assert_eq!((log.rows("deliveries"), log.rows("delivery_bodies")), (0, 0), "nothing stays in the queue");
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_for_long_is_kept_in_wide_partitions() {
    let log = Log::new().await;
    log.tidy(3650).await;
    assert_eq!(log.partitions("delivery_log_20260"), 1);
    assert_eq!(log.partitions("delivery_log_20260103_20260304"), 1);
    // Who then keeps it for less goes on behind it, a day at a time.
    log.f.pass(58 * DAY);
    log.tidy(14).await;
    assert_eq!(log.partitions("delivery_log_20260"), 1 + 5);
    assert_eq!(log.partitions("delivery_log_20260308_20260309"), 1);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_past_is_dropped_and_not_deleted_row_by_row() {
    let log = Log::covered().await;
    let (site, _, _) = log.f.subscribed_site(1).await;
    log.finish(&site, 5, Verdict::Delivered).await;

    let day_ends: Timestamp = "2026-01-04T00:00:00Z".parse().unwrap();
    let before = day_ends.checked_sub(Duration::from_millis(1)).unwrap();
    assert_eq!(log.f.purge(before, 2).await, (0, 0), "it goes with its day");
    assert_eq!(log.f.states().await, [("delivered", 5)].into());
    assert_eq!(log.f.purge(day_ends, 2).await, (1, 1), "a partition, and no row");
    assert_eq!(log.f.deliveries().await, []);
    assert_eq!(log.partitions("delivery_log_20260103"), 0);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_which_something_was_caught_by_the_net_stays_with_it() {
    let log = Log::new().await;
    let (site, _, _) = log.f.subscribed_site(1).await;
    // A node whose clock is two days ahead.
    let early = Fixture::new(store::open(&log.database.url(), Purpose::Serve).await.unwrap(), Box::new(())).seeded(2);
    early.lead(&site, "a@b.com").await;
    early.pass(2 * DAY);
    let leased = early.lease().await.remove(0);
    assert!(early.record(&leased, Verdict::Delivered).await);
    assert_eq!(log.rows("delivery_log_default"), 1);

    assert_eq!(log.tidy(14).await, 0);
    assert_eq!((log.partitions("delivery_log_202601"), log.partitions("delivery_log_20260104")), (6, 0));
    log.f.pass(2 * DAY);
    log.finish(&site, 4, Verdict::Delivered).await;
    assert_eq!(log.rows("delivery_log_default"), 5);
    let finished = log.f.now();
    assert_eq!(log.f.purge(finished, 2).await, (1, 1), "the empty day before");
    assert_eq!(log.f.purge(finished.checked_add(Duration::from_millis(1)).unwrap(), 2).await, (5, 3));
    assert_eq!(log.f.deliveries().await, []);
    early.store.close().await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_that_cannot_have_the_log_gives_up_and_harms_nobody() {
    let log = Log::covered().await;
    let (site, partners, _) = log.f.subscribed_site(1).await;
    log.finish(&site, 1, Verdict::Delivered).await;
    log.f.store.remove_subscription(partners[0].id, site.id, log.f.now()).await.unwrap();
    log.f.subscribe(&partners[0], &site).await;
    log.f.pass(3 * DAY);

    let reader = log.database.session().await;
    reader.batch_execute("BEGIN; SELECT count(*) FROM delivery_log").await.unwrap();
    let (purged, finished) = tokio::join!(log.tidy(1), log.finish(&site, 3, Verdict::Delivered));
    assert_eq!((purged, finished.len()), (0, 3));
    assert_eq!(log.partitions("delivery_log_20260103"), 1);
    assert_eq!(log.f.states().await, [("delivered", 4)].into());
    assert_eq!(log.rows("subscriptions WHERE removed_at IS NOT NULL"), 1, "the log still names it");

    reader.batch_execute("COMMIT").await.unwrap();
    // Three days, the first of them with a delivery; and the subscription.
    assert_eq!(log.f.purge(log.days_ago(1), 100).await.0, 2 + 1);
    assert_eq!(log.f.states().await, [("delivered", 3)].into());
    assert_eq!(log.rows("subscriptions WHERE removed_at IS NOT NULL"), 0);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_have_the_newest_of_queue_and_log_in_one_order() {
    let log = Log::new().await;
    let (site, _, _) = log.f.subscribed_site(2).await;
    for n in 0..6 {
        log.f.lead(&site, &format!("{n}@b.com")).await;
    }
    let mut newest_first: Vec<_> = log.f.deliveries().await.iter().map(|delivery| delivery.id).collect();
    newest_first.reverse();
    log.tidy(14).await;
    // Of twelve, four are caught by the net, four go into the next day's partition, and four wait.
    for (n, leased) in log.f.lease().await.iter().enumerate() {
        let verdict = [Verdict::Delivered, Verdict::Release, Verdict::Retry(log.f.now())][n % 3];
        assert!(log.f.record(leased, verdict).await);
    }
    log.f.pass(DAY);
    for (n, leased) in log.f.lease().await.iter().enumerate() {
        assert!(log.f.record(leased, [Verdict::Failed, Verdict::Release][n % 2]).await);
    }
    assert_eq!(
        ["delivery_log_default", "delivery_log_20260103_20260104", "deliveries"].map(|t| log.rows(t)),
        [4, 4, 4]
    );
    for (site, limit) in [(None, 12), (None, 7), (Some(site.id), 12), (Some(site.id), 5), (None, 0)] {
        let listed = log.f.store.deliveries(DeliveryFilter { site, state: None, limit }).await.unwrap();
        assert_eq!(listed.into_iter().map(|delivery| delivery.id).collect::<Vec<_>>(), newest_first[..limit]);
    }
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_delivery_leaves_the_log_and_takes_its_story_along() {
    let log = Log::covered().await;
    let f = &log.f;
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let mut told = Vec::new();
    for verdict in [Verdict::Retry(f.now()), Verdict::Failed, Verdict::Refused] {
        let leased = f.lease().await.remove(0);
        let words = format!("line\n\0 of {} \u{2028}", told.len());
        let attempt = Attempt { response: words.clone(), error: Some(words), ..f.attempt() };
        told.push(attempt.clone());
        let outcome = Outcome::of(&leased, Some(attempt), verdict);
        assert_eq!(f.store.record_outcomes(vec![outcome], f.now()).await.unwrap(), 1);
        let details = f.store.delivery(leased.id).await.unwrap().unwrap();
        assert_eq!((&details.attempts, details.body), (&told, leased.body));
        if verdict == Verdict::Failed {
            assert_eq!((log.rows("deliveries"), log.rows("delivery_log")), (0, 1));
            assert_eq!(f.store.replay(Replay::These(vec![leased.id]), f.now()).await.unwrap(), [leased.id]);
            assert_eq!((log.rows("deliveries"), log.rows("delivery_log")), (1, 0));
            let waiting = f.store.delivery(leased.id).await.unwrap().unwrap();
            assert_eq!((waiting.delivery.state, waiting.delivery.attempts), (State::Waiting, 0));
            assert_eq!(waiting.attempts, told);
        }
    }
    assert_eq!(f.story().await, [State::Refused]);
    log.close().await;
}
