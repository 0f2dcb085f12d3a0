//! There is an index for everything that is done often on PostgreSQL. Whether a planner that has the choice takes it,
//! with ten million deliveries, is for the benchmark to show: `cargo bench --bench gateway -- plans`.

#[path = "../../support/explained.rs"]
mod explained;
#[path = "../../support/hot_operations.rs"]
mod hot_operations;

use leadgate::model::delivery::LeaseRequest;
use leadgate::store::{self, Purpose};

use self::explained::{Explained, explain_everything};
use self::hot_operations::HotOperations;
use super::fixture::Fixture;
use crate::harness::postgres::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_done_often_has_an_index() {
    let database = Database::new();
    let node = Fixture::new(store::open(&database.url(), Purpose::Serve).await.unwrap(), Box::new(()));
    let (site, partner, subscription) = node.merging_site().await;
    node.store.close().await;

    // A table is read from end to end only where there is no other way.
    let name = database.name();
    database.sql(&format!("{}; ALTER DATABASE {name} SET enable_seqscan TO off", explain_everything(name)));
    let node = Fixture::new(store::open(&database.url(), Purpose::Command).await.unwrap(), Box::new(())).seeded(2);
    let (store, entropy, now, partner) = (&*node.store, &node.entropy, node.now(), partner.id);
    let operations = HotOperations { store, entropy, site: site.id, partner, subscription, now };
    operations.run().await;
    operations.run().await;
    operations.leave().await;
    let all = Explained::read(&database.log());
    assert_the_line_is_read_once(&node, &database, all.len()).await;
    node.store.close().await;

    for hot in [
        "INSERT INTO deliveries",
        "UPDATE delivery_bodies SET body",
        "SET due_at = leased_until",
        "'cancelled' AS state",
        "UPDATE subscriptions SET url",
    ] {
        assert!(all.iter().any(|explained| explained.statement.contains(hot)), "{hot}");
    }
    // What was asked only once was asked when the store was opened.
    let times = |statement: &str| all.iter().filter(|explained| explained.statement == statement).count();
    for explained in all.iter().filter(|explained| times(&explained.statement) > 1) {
        let scanned = explained.steps().into_iter().filter(|step| step.kind == "Seq Scan");
        let tables: Vec<_> = scanned.filter_map(|step| step.table).collect();
        assert!(tables.is_empty(), "{tables:?} scanned by {}", explained.statement);
    }
}

/// Of many that have little due each, one lease reads each place in line once. So many plans were told of before. (Here,
/// because all tests share the server's log.)
async fn assert_the_line_is_read_once(node: &Fixture, database: &Database, before: usize) {
    let (site, _, _) = node.subscribed_site(150).await;
    node.lead(&site, "a@b.com").await;
    let request = LeaseRequest { limit: 150, per_subscription: 16, ..node.request() };
    assert_eq!(node.lease_as(request).await.deliveries.len(), 150);
    let all = Explained::read(&database.log());
    let walk = all[before..].iter().filter(|explained| explained.statement.contains("ORDER BY next_due_at, seq LIMIT"));
    let read = walk.flat_map(Explained::steps).filter(|step| step.kind == "Index Scan").map(|step| step.rows);
    let read = read.sum::<u64>();
    assert!((150..200).contains(&read), "{read}");
}
