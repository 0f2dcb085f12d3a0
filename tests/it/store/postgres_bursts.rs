//! Many changes at once on PostgreSQL: of one lead one after the other, whichever nodes they come to; of others without
//! waiting; and merged only into what no other node has its hands on.

use std::collections::HashSet;
use std::sync::Mutex;

use futures_util::future::join_all;
use leadgate::model::delivery::{LeaseRequest, Verdict};
use leadgate::model::lead::Effect;
use serde_json::{Value, json};

use super::fixture::Fixture;
use super::postgres_nodes::Nodes;
use super::receiver::Receiver;
use crate::harness::soon;

/// Leases and delivers until there is nothing. What is delivered arrives at the receiver in the order of its lane: nobody else
/// has that lane before the outcome is recorded.
async fn deliver(node: &Fixture, receiver: &Mutex<Receiver>) {
    loop {
        let leased = node.lease_as(LeaseRequest { limit: 5, ..node.request() }).await.deliveries;
        if leased.is_empty() {
            return;
        }
        for one in leased {
            receiver.lock().unwrap().take(&one);
            assert!(node.record(&one, Verdict::Delivered).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_are_merged_on_two_nodes_while_both_deliver() {
    let nodes = Nodes::new().await;
    let (site, ..) = nodes.one.merging_site().await;
    let leads = [nodes.one.lead(&site, "a@b.com").await, nodes.one.lead(&site, "c@d.com").await];
    let receiver = Mutex::default();
    let changes = async |node: &Fixture, name: &str| {
        for n in 0..60 {
            let fields = json!({name: n, "last": format!("{name} {n}"), format!("{name} {n}"): n});
            node.apply(node.patch(site.id, leads[n % 2], fields)).await;
        }
    };
    let drive = async |node: &Fixture| {
        for _ in 0..40 {
            deliver(node, &receiver).await;
        }
    };
    tokio::join!(changes(&nodes.one, "one"), changes(&nodes.two, "two"), drive(&nodes.one), drive(&nodes.two));
    deliver(&nodes.two, &receiver).await;
    for lead in leads {
        let (lead, _) = nodes.one.store.lead(site.id, lead).await.unwrap().unwrap();
        receiver.lock().unwrap().assert_knows(&lead);
    }
    let delivered = receiver.lock().unwrap().messages();
    assert_eq!(nodes.one.states().await, [("delivered", delivered)].into(), "no lane is stuck");
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_is_just_leasing_is_left_alone() {
    let nodes = Nodes::new().await;
    let f = &nodes.one;
    let (site, ..) = f.merging_site().await;
    let lead = f.lead(&site, "a@b.com").await;
    f.record(&f.lease().await[0], Verdict::Delivered).await;
    f.apply(f.patch(site.id, lead, json!({"n": 1}))).await;
    let waiting = f.deliveries().await.remove(1);
    // The other node has leased it, and has not committed yet.
    let other = nodes.database.session().await;
    other.batch_execute("BEGIN; UPDATE deliveries SET lease = gen_random_uuid()").await.unwrap();
    soon("nobody waits for it", f.apply(f.patch(site.id, lead, json!({"n": 2})))).await;
    other.batch_execute("COMMIT").await.unwrap();
    let after = f.deliveries().await;
    assert_eq!((after.len(), &after[1], after[2].due), (3, &waiting, None));
    // From then on, the new one takes in what comes.
    f.apply(f.patch(site.id, lead, json!({"n": 3}))).await;
    let after = f.deliveries().await;
    assert_eq!((after.len(), &after[1]), (3, &waiting));
    let body = f.store.delivery(after[2].id).await.unwrap().unwrap().body;
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["n"], 3);
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_of_one_lead_at_two_nodes_are_one_after_the_other() {
    let nodes = Nodes::new().await;
    let (site, ..) = nodes.one.subscribed_site(1).await;
    let lead = nodes.one.lead(&site, "a@b.com").await;
    let patches = (0..40).map(|n| {
        let node = [&nodes.one, &nodes.two][n % 2];
        node.apply(node.patch(site.id, lead, json!({"last": n, format!("field {n}"): n})))
    });
    assert!(join_all(patches).await.iter().all(|receipt| receipt.effect == Effect::Updated));
    let receiver = Mutex::default();
    deliver(&nodes.two, &receiver).await;
    let (lead, _) = nodes.one.store.lead(site.id, lead).await.unwrap().unwrap();
    receiver.lock().unwrap().assert_knows(&lead);
    let fields: HashSet<_> = lead.fields.as_json().keys().cloned().collect();
    assert!((0..40).all(|n| fields.contains(&format!("field {n}"))), "{fields:?}");
    assert_eq!(receiver.lock().unwrap().messages(), 1 + 40);
    nodes.close().await;
}

/// One node is held up in the midst of changing a lead. The lead's other changes wait for it; those of other leads do not, on
/// neither node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_other_leads_do_not_wait_for_one_that_is_held_up() {
    let nodes = Nodes::new().await;
    let (site, ..) = nodes.one.subscribed_site(1).await;
    let [slow, quick] = [nodes.one.lead(&site, "a@b.com").await, nodes.one.lead(&site, "c@d.com").await];
    let other = nodes.database.session().await;
    other.batch_execute("BEGIN").await.unwrap();
    other.execute("SELECT 1 FROM leads WHERE id = ($1::TEXT)::UUID FOR UPDATE", &[&slow.to_string()]).await.unwrap();
    let patch = |node: &Fixture, lead, n| {
        let (store, command) =
            (node.store.clone(), node.patch(site.id, lead, json!({"n": n, format!("field {n}"): n})));
        tokio::spawn(async move { store.apply_lead_change(command).await.unwrap() })
    };
    let held_up = patch(&nodes.two, slow, 0);
    waiting_for_locks(&other, 1).await;
    // From here on there are three seconds, until the database gives up who waits (`lock_timeout`): so there are few of these.
    let behind = patch(&nodes.one, slow, 1);
    for (n, node) in [&nodes.one, &nodes.two].into_iter().cycle().take(4).enumerate() {
        soon("another lead is changed", patch(node, quick, n)).await.unwrap();
    }
    assert!(!held_up.is_finished() && !behind.is_finished());
    other.batch_execute("ROLLBACK").await.unwrap();
    soon("both are carried out", join_all([held_up, behind])).await;
    let (lead, _) = nodes.one.store.lead(site.id, slow).await.unwrap().unwrap();
    let fields = lead.fields.as_json();
    assert_eq!((&fields["n"], &fields["field 0"], &fields["field 1"]), (&json!(1), &json!(0), &json!(1)));
    nodes.close().await;
}

/// Three commands come at once and are a group; somebody else is just writing one of its leads. One thread, so that all three are
/// asked for before any of them begins.
#[tokio::test]
async fn a_group_that_is_held_up_keeps_no_smaller_one_waiting() {
    let nodes = Nodes::new().await;
    let f = &nodes.one;
    let (site, taken) = (f.site("www.site.com").await, f.lead_id());
    let other = nodes.database.session().await;
    let row = format!("('{}', '{taken}', '{{}}', 0, 0)", site.id);
    let sql = "BEGIN; INSERT INTO leads (site_uuid, id, fields, created_at, updated_at) VALUES";
    other.batch_execute(&format!("{sql} {row}")).await.unwrap();
    let create = |given, n| {
        let (store, command) = (f.store.clone(), f.upsert(site.id, given, json!({"n": n})));
        tokio::spawn(async move { store.apply_lead_change(command).await.unwrap() })
    };
    let group = [create(None, 1), create(Some(taken), 2), create(None, 3)];
    waiting_for_locks(&other, 1).await;
    soon("it is not waited for", create(None, 4)).await.unwrap();
    assert!(group.iter().all(|one| !one.is_finished()));
    other.batch_execute("ROLLBACK").await.unwrap();
    soon("all are carried out", join_all(group)).await;
    nodes.close().await;
}

/// Waits until so many statements wait for locks that others hold.
async fn waiting_for_locks(session: &tokio_postgres::Client, count: i64) {
    let sql = "SELECT count(DISTINCT pid) FROM pg_locks
         WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
    let waiting = async || {
        // Within a transaction the list of sessions stays as it was first seen, without those that connect later.
        session.batch_execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
        session.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    soon("they wait", async { while waiting().await < count {} }).await;
}
