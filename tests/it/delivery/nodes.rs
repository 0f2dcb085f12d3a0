//! Several nodes on one PostgreSQL: each has a driver and a clock of its own, which stands still until it is moved.

use std::time::Duration;

use leadgate::delivery::Policy;
use leadgate::model::Clock;
use leadgate::model::delivery::State;
use leadgate::model::time::after;
use serde_json::json;

use super::world::{LEASE, World};
use crate::harness::engine::Engine;
use crate::harness::receiver::{Receiver, Reply};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_idle_node_delivers_at_once_what_another_committed() {
    Engine::Postgres.run(news_wake_an_idle_node()).await;
}

/// No clock moves: only the news can wake the idle node, not its polling.
async fn news_wake_an_idle_node() {
    let (idle, mut receiver) = (World::start().await, Receiver::start().await);
    let busy = idle.beside().await;
    let subscriber = busy.subscriber(&receiver.url("/")).await;
    for delivered in 1..=3 {
        let lead = busy.lead(subscriber).await;
        assert_eq!(receiver.answer(Reply::status(200)).await.json()["id"], json!(lead.to_string()));
        idle.until("it is delivered", |counts| counts.delivered == delivered).await;
    }
}

/// From now on what new sessions tell goes nowhere: a function of this name comes before the server's own.
const SILENCE: &str = "
    CREATE FUNCTION pg_notify(TEXT, TEXT) RETURNS VOID LANGUAGE SQL AS 'SELECT';
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
    END $$";

#[tokio::test]
async fn a_node_that_hears_no_news_finds_the_work_within_a_second() {
    Engine::Postgres.run(polling_finds_work()).await;
}

async fn polling_finds_work() {
    let (mut idle, mut receiver) = (World::still(&["127.0.0.0/8"], &[]).await, Receiver::start().await);
    idle.sql(SILENCE);
    let busy = idle.beside().await;
    let subscriber = busy.subscriber(&receiver.url("/")).await;
    let start = idle.clock.now();
    idle.run();
    // It has looked, and found nothing.
    idle.clock.awaited(after(start, SECOND)).await;
    let lead = busy.lead(subscriber).await;
    receiver.assert_quiet();
    idle.clock.advance(SECOND);
    assert_eq!(receiver.answer(Reply::status(200)).await.json()["id"], json!(lead.to_string()));
    idle.until("it is delivered", |counts| counts.delivered == 1).await;
}

#[tokio::test]
async fn what_a_stopped_node_held_is_taken_over_when_its_lease_ends() {
    Engine::Postgres.run(takeover(Policy::default(), LEASE)).await;
}

#[tokio::test]
async fn short_attempts_have_short_leases() {
    let policy = Policy { timeout: Duration::from_secs(2), ..Policy::default() };
    Engine::Postgres.run(takeover(policy, Duration::from_secs(4))).await;
}

/// The first node stands still, as its clock does, with a request under way. The other takes over within a second after
/// the lease, and no sooner; and what the first has to say later counts for nothing.
async fn takeover(policy: Policy, lease: Duration) {
    let (stopped, mut receiver) = (World::with(policy).await, Receiver::start().await);
    let subscriber = stopped.subscriber(&receiver.url("/")).await;
    let lead = stopped.lead(subscriber).await;
    let lost = receiver.next().await;
    stopped.update(subscriber, lead, json!({"city": "Kailua"})).await;

    let mut other = stopped.beside().await;
    let start = other.clock.now();
    other.run();
    other.clock.advance(lease - SECOND);
    // It has looked for work once more, and sleeps until it does so again.
    other.clock.awaited(after(start, lease)).await;
    receiver.assert_quiet();

    other.clock.advance(2 * SECOND);
    let taken = receiver.next().await;
    assert_eq!(taken.request.header("x-lead-router-message-id"), lost.request.header("x-lead-router-message-id"));

    lost.answer(Reply::status(200));
    stopped.until("it has recorded what it believes", |counts| counts.delivered == 1).await;
    let head = other.log(subscriber).await.pop().unwrap();
    assert_eq!(head.state, State::Waiting);
    receiver.assert_quiet();

    taken.answer(Reply::status(200));
    assert_eq!(receiver.answer(Reply::status(200)).await.json()["city"], "Kailua");
    let head = other.details(head.id).await;
    assert_eq!((head.delivery.state, head.attempts.len()), (State::Delivered, 1));
}
