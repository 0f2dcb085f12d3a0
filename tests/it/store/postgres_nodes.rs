//! PostgreSQL's own matters: several nodes on one database, who migrates it, and a database that goes away and comes back.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use leadgate::model::delivery::{LeaseRequest, Leased, Space, State, Verdict};
use leadgate::model::lead::{Effect, Idempotency, LeadCommand};
use leadgate::model::oauth::GrantRefused;
use leadgate::model::{LeadId, SubscriptionId, Timestamp, time};
use leadgate::store::{self, DatabaseUrl, Found, OpenError, Purpose, Signal, StoreError};
use serde_json::json;
use tokio::join;
use tokio::sync::mpsc;

use super::courier::TestCourier;
use super::fixture::Fixture;
use crate::harness::postgres::Database;
use crate::harness::soon;

/// Two nodes on one database. They show the same time as long as they are moved together.
pub struct Nodes {
    pub one: Fixture,
    pub two: Fixture,
    pub database: Database,
}

impl Nodes {
    pub async fn new() -> Self {
        let database = Database::new();
        let one = Fixture::new(store::open(&database.url(), Purpose::Serve).await.unwrap(), Box::new(()));
        let two = Fixture::new(store::open(&database.url(), Purpose::Serve).await.unwrap(), Box::new(()));
        Self { one, two: two.seeded(2), database }
    }

    fn pass(&self, seconds: u64) {
        self.one.pass(seconds);
        self.two.pass(seconds);
    }

    /// By turns.
    fn node(&self, n: usize) -> &Fixture {
        [&self.one, &self.two][n % 2]
    }

    pub async fn close(self) {
        self.one.store.close().await;
        self.two.store.close().await;
    }
}

/// What a node hears from now on.
fn ear(node: &Fixture) -> mpsc::UnboundedReceiver<Signal> {
    let (heard, ear) = mpsc::unbounded_channel();
    node.store.signals().listen(move |signal| {
        // Nobody listens any more when the test is over.
        let _ = heard.send(signal);
    });
    ear
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_redemptions_on_two_nodes_one_succeeds() {
    let nodes = Nodes::new().await;
    let f = &nodes.one;
    let (partner, site, owner) = (f.partner("piesync").await, f.site("www.site.com").await, f.user("a@b.com").await);
    f.store.grant_site(site.id, &owner.email).await.unwrap();
    let code = f.approve(&partner, &site, &owner).await;
    let results = join_all((0..20).map(|n| {
        let node = nodes.node(n);
        node.store.redeem_code(node.redemption(&code))
    }))
    .await;
    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(results.iter().filter(|result| **result == Err(GrantRefused::Replayed)).count(), 19);
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_email_or_key_at_two_nodes_at_once_makes_one_lead() {
    let nodes = Nodes::new().await;
    let (site, _, _) = nodes.one.subscribed_site(1).await;
    let by_email = join_all((0..20).map(|n| {
        let node = nodes.node(n);
        node.apply(node.upsert(site.id, Some(node.lead_id()), json!({"email": "a@b.com", "n": n})))
    }));
    let by_email = by_email.await;
    assert!(by_email.iter().all(|receipt| receipt.lead == by_email[0].lead));
    assert_eq!(by_email.iter().filter(|receipt| receipt.effect == Effect::Created).count(), 1);

    let by_key = join_all((0..20).map(|n| {
        let node = nodes.node(n);
        let key = Idempotency { key: "k".into(), request: [1; 32], expires: Timestamp::MAX };
        let command = node.upsert(site.id, None, json!({"first_name": "Ann"}));
        node.apply(LeadCommand { idempotency: Some(key), ..command })
    }));
    let by_key = by_key.await;
    assert!(by_key.iter().all(|receipt| *receipt == by_key[0]));

    let given = nodes.one.lead_id();
    let by_id = join_all((0..20).map(|n| {
        let node = nodes.node(n);
        node.apply(node.upsert(site.id, Some(given), json!({"email": format!("{n}@b.com")})))
    }));
    assert!(by_id.await.iter().all(|receipt| receipt.lead == given));
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_set_on_two_nodes_at_once_is_one() {
    let nodes = Nodes::new().await;
    let (partner, site) = (nodes.one.partner("piesync").await, nodes.one.site("www.site.com").await);
    let puts = join_all((0..20).map(|n| {
        let node = nodes.node(n);
        node.store.replace_subscription(node.subscription(partner.id, site.id, &format!("http://{n}.example")))
    }));
    assert!(puts.await.iter().all(Result::is_ok));
    let found = nodes.two.store.subscription(partner.id, site.id).await.unwrap();
    assert!(matches!(found, Found::One(_)), "{found:?}");
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_for_which_a_node_has_no_room_is_served_by_another_within_a_second() {
    let nodes = Nodes::new().await;
    let (site, _, subscriptions) = nodes.one.subscribed_site(1).await;
    nodes.one.lead(&site, "a@b.com").await;
    let at = |millis| time::after(nodes.one.now(), Duration::from_millis(millis));
    let lease = async |node: &Fixture, millis, busy: &[SubscriptionId]| {
        let busy = busy.iter().map(|id| (*id, 0)).collect();
        node.lease_as(LeaseRequest { now: at(millis), busy, ..node.request() }).await
    };
    // The full one meets it first, each time; for a tenth of a second it stays in line.
    for (millis, passed_over) in [(0, 0), (99, 0), (100, 1)] {
        assert_eq!(lease(&nodes.one, millis, &subscriptions).await.passed_over.len(), passed_over, "{millis}");
    }
    assert_eq!(lease(&nodes.two, 100, &[]).await.next_due, Some(at(1100)));
    assert_eq!(lease(&nodes.two, 1099, &[]).await.deliveries.len(), 0);
    assert_eq!(lease(&nodes.one, 1100, &subscriptions).await.passed_over.len(), 0);
    assert_eq!(lease(&nodes.two, 1100, &[]).await.deliveries.len(), 1);
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_to_which_another_node_is_just_adding_has_no_more_until_that_is_done() {
    let nodes = Nodes::new().await;
    let (site, _, _) = nodes.one.subscribed_site(1).await;
    nodes.one.lead(&site, "a@b.com").await;
    let holder = nodes.database.hold_leads_back("TRUE").await;
    let adding = nodes.two.lead(&site, "c@d.com");
    let leasing = async {
        while !nodes.database.has_a_waiter() {
            tokio::task::yield_now().await;
        }
        for due in [1, 0, 0] {
            let batch = nodes.one.lease_as(nodes.one.request()).await;
            assert_eq!((batch.deliveries.len(), batch.have_more), (due, HashSet::new()));
        }
        drop(holder);
    };
    join!(adding, leasing);
    assert_eq!(nodes.one.lease().await.len(), 1);
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_lease_at_once_never_get_the_same() {
    let nodes = Nodes::new().await;
    let (site, _, _) = nodes.one.subscribed_site(3).await;
    for n in 0..100 {
        nodes.one.lead(&site, &format!("{n}@b.com")).await;
    }
    let rounds = join_all((0..2).map(|n| {
        let node = nodes.node(n);
        async move {
            let mut leased = Vec::new();
            loop {
                let some = node.lease_as(LeaseRequest { limit: 7, ..node.request() }).await.deliveries;
                if some.is_empty() {
                    return leased;
                }
                leased.extend(some.into_iter().map(|leased| leased.id));
            }
        }
    }))
    .await;
    let mut leased = rounds.concat();
    // What one skipped because the other had it in its hands for a moment is not lost.
    leased.extend(nodes.one.lease().await.into_iter().map(|leased| leased.id));
    assert_eq!(leased.len(), 300);
    assert_eq!(leased.iter().collect::<HashSet<_>>().len(), 300);
    nodes.close().await;
}

/// Leases and delivers on one node until there is nothing. What was delivered, in order.
async fn deliver(node: &Fixture, under_way: &std::sync::Mutex<HashSet<(SubscriptionId, LeadId)>>) -> Vec<Leased> {
    let mut delivered = Vec::new();
    loop {
        let leased = node.lease_as(LeaseRequest { limit: 5, ..node.request() }).await.deliveries;
        if leased.is_empty() {
            return delivered;
        }
        for one in &leased {
            let fresh = under_way.lock().unwrap().insert((one.subscription, one.lead));
            assert!(fresh, "two of one lane are under way at once");
        }
        for one in leased {
            under_way.lock().unwrap().remove(&(one.subscription, one.lead));
            assert!(node.record(&one, Verdict::Delivered).await);
            delivered.push(one);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_keep_their_order_while_nodes_change_and_deliver_at_once() {
    let nodes = Nodes::new().await;
    let (site, _, _) = nodes.one.subscribed_site(2).await;
    let leads = [nodes.one.lead(&site, "a@b.com").await, nodes.one.lead(&site, "c@d.com").await];
    let under_way = std::sync::Mutex::default();
    let changes = async |node: &Fixture, name: &str| {
        for n in 0..60 {
            node.apply(node.patch(site.id, leads[n % 2], json!({name: n.to_string()}))).await;
        }
    };
    let drive = async |node: &Fixture| {
        let mut delivered = Vec::new();
        for _ in 0..40 {
            delivered.extend(deliver(node, &under_way).await);
        }
        delivered
    };
    let (_, _, by_one, by_two) =
        tokio::join!(changes(&nodes.one, "one"), changes(&nodes.two, "two"), drive(&nodes.one), drive(&nodes.two));
    let rest = deliver(&nodes.one, &under_way).await;
    assert_eq!(nodes.one.states().await, [("delivered", 2 * (2 + 120))].into(), "no lane is stuck");

    // Each lane was delivered in the order of its changes: by every node, and to the end.
    let log = nodes.one.deliveries().await;
    let age: HashMap<_, _> = log.iter().enumerate().map(|(age, delivery)| (delivery.id, age)).collect();
    for delivered in [&by_one, &by_two, &rest] {
        let mut last = HashMap::new();
        for one in delivered {
            let before = last.insert((one.subscription, one.lead), age[&one.id]);
            assert!(before.is_none_or(|before| before < age[&one.id]));
        }
    }
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_is_taken_over_and_its_outcome_is_void() {
    let nodes = Nodes::new().await;
    let (site, _, _) = nodes.one.subscribed_site(1).await;
    nodes.one.lead(&site, "a@b.com").await;
    let lost = nodes.one.lease().await.remove(0);
    // A node that starts takes nothing from the others.
    let third = Fixture::new(store::open(&nodes.database.url(), Purpose::Serve).await.unwrap(), Box::new(()));
    assert!(third.lease().await.is_empty() && nodes.two.lease().await.is_empty());
    third.store.close().await;

    nodes.pass(60);
    let taken = nodes.two.lease().await.remove(0);
    assert_eq!(taken.id, lost.id);
    assert!(!nodes.one.record(&lost, Verdict::Delivered).await);
    assert_eq!(nodes.one.story().await, [State::Waiting]);
    assert!(nodes.two.record(&taken, Verdict::Delivered).await);
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_meets_changes_on_another_node_and_leaves_nothing_waiting() {
    let nodes = Nodes::new().await;
    let (site, partners, _) = nodes.one.subscribed_site(1).await;
    for _ in 0..10 {
        nodes.one.subscribe(&partners[0], &site).await;
        let leads = join_all((0..10).map(|n| {
            let node = nodes.node(n);
            node.apply(node.upsert(site.id, None, json!({"first_name": "Ann"})))
        }));
        let removed = nodes.two.store.remove_subscription(partners[0].id, site.id, nodes.two.now());
        let (_, removed) = tokio::join!(leads, removed);
        assert!(removed.unwrap().outcome);
        nodes.two.purge(Timestamp::UNIX_EPOCH, 100).await;
    }
    assert_eq!(nodes.database.number("SELECT count(*) FROM deliveries"), 0);
    assert_eq!(nodes.database.number("SELECT count(*) FROM subscriptions WHERE NOT swept"), 0);
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_reach_the_other_nodes() {
    let nodes = Nodes::new().await;
    let (site, partners, subscriptions) = nodes.one.subscribed_site(1).await;
    let mut ear = ear(&nodes.two);
    nodes.one.lead(&site, "a@b.com").await;
    assert_eq!(soon("work is heard", ear.recv()).await, Some(Signal::Work));
    nodes.one.store.remove_subscription(partners[0].id, site.id, nodes.one.now()).await.unwrap();
    assert_eq!(soon("a recall is heard", ear.recv()).await, Some(Signal::Recalled(subscriptions[0])));

    // Where one has its hands full, others may not.
    nodes.one.subscribe(&partners[0], &site).await;
    let courier = TestCourier::of(&*nodes.one.store);
    courier.have_space(Space::Full);
    nodes.one.heard();
    nodes.one.lead(&site, "b@c.com").await;
    assert_eq!(nodes.one.heard(), []);
    assert_eq!(soon("work is heard", ear.recv()).await, Some(Signal::Work));

    // A command tells before it ends.
    let command = Fixture::new(store::open(&nodes.database.url(), Purpose::Command).await.unwrap(), Box::new(()));
    let command = command.seeded(3);
    command.lead(&site, "c@d.com").await;
    command.store.close().await;
    assert_eq!(soon("work is heard", ear.recv()).await, Some(Signal::Work));
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_is_unavailable_and_found_again() {
    let nodes = Nodes::new().await;
    let (site, _, _) = nodes.one.subscribed_site(1).await;
    let elsewhere = Database::empty();
    let name = nodes.database.name();
    elsewhere.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
    elsewhere.sql(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    ));
    for _ in 0..20 {
        let refused = nodes.one.store.apply_lead_change(nodes.one.upsert(site.id, None, json!({}))).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(nodes.one.store.ping().await.is_err());
        assert!(matches!(nodes.one.store.lease_due(nodes.one.request()).await, Err(StoreError::Unavailable(_))));
    }
    let mut ear = ear(&nodes.two);
    elsewhere.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
    nodes.one.lead(&site, "a@b.com").await;
    soon("the line stands again", async { while ear.recv().await != Some(Signal::Work) {} }).await;
    assert_eq!(nodes.two.lease().await.len(), 1);
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recall_is_heard_although_the_line_was_cut() {
    let nodes = Nodes::new().await;
    let (site, partners, subscriptions) = nodes.one.subscribed_site(1).await;
    let mut ear = ear(&nodes.two);
    let elsewhere = Database::empty();
    let name = nodes.database.name();
    elsewhere.sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    // The first may still be refused: its connection was one of those that ended.
    while nodes.one.store.remove_subscription(partners[0].id, site.id, nodes.one.now()).await.is_err() {}
    let recalled = Signal::Recalled(subscriptions[0]);
    soon("the recall is heard", async { while ear.recv().await != Some(recalled) {} }).await;
    nodes.close().await;
}

async fn refusal(url: &DatabaseUrl, purpose: Purpose) -> String {
    store::open(url, purpose).await.unwrap_err().to_string()
}

#[tokio::test]
async fn nobody_but_migrate_migrates() {
    let database = Database::empty();
    let url = database.url();
    for purpose in [Purpose::Serve, Purpose::Command, Purpose::Check] {
        let refused = store::open(&url, purpose).await.unwrap_err();
        assert!(matches!(refused, OpenError::Older { found: 0, .. }), "{refused}");
        assert!(refused.to_string().ends_with("run `leadgate migrate`"));
    }
    // Ten at once: each step is done once.
    let applied = join_all((0..10).map(|_| store::migrate(&url))).await;
    let applied: Vec<_> = applied.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(applied, ["0001_initial"]);
    store::open(&url, Purpose::Check).await.unwrap().close().await;

    database.sql("INSERT INTO leadgate_schema (version, name) VALUES (99, '0099_later')");
    for purpose in [Purpose::Serve, Purpose::Command, Purpose::Check] {
        let refused = refusal(&url, purpose).await;
        assert!(refused.contains("newer version") && refused.contains("99"), "{refused}");
    }
    assert!(matches!(store::migrate(&url).await, Err(OpenError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let url: DatabaseUrl = "postgres://me:hush@127.0.0.1:1/leads".parse().unwrap();
    assert!(!format!("{url:?}").contains("hush"));
    let refused = refusal(&url, Purpose::Serve).await;
    assert!(
        refused.starts_with("cannot open postgres://127.0.0.1:1/leads: ") && !refused.contains("hush"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let database = Database::new();
    let url: DatabaseUrl = format!("{}?sslmode=require", database.url_text()).parse().unwrap();
    let refused = refusal(&url, Purpose::Serve).await;
    assert!(refused.contains("TLS"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_with_a_nul_is_kept_or_nobodys() {
    let nodes = Nodes::new().await;
    let f = &nodes.one;
    let (site, _, _) = f.subscribed_site(1).await;
    let lead = f.lead(&site, "a\0@b.com").await;
    assert_eq!(f.lead(&site, "a\0@b.com").await, lead);
    let leased = f.lease().await.remove(0);
    let attempt = leadgate::model::delivery::Attempt {
        response: "\0".into(),
        error: Some("a\0b".into()),
        duration: Duration::ZERO,
        ..f.attempt()
    };
    let outcome = leadgate::model::delivery::Outcome::of(&leased, Some(attempt.clone()), Verdict::Delivered);
    assert_eq!(f.store.record_outcomes(vec![outcome], f.now()).await.unwrap(), 1);
    assert_eq!(f.store.delivery(leased.id).await.unwrap().unwrap().attempts, [attempt]);
    let nobody = leadgate::model::partner::ClientId::received("a\0");
    assert_eq!(f.store.partner_by_client_id(&nobody).await.unwrap(), None);
    nodes.close().await;
}
