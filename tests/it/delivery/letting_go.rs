//! DELETE and PUT while another process holds deliveries: who asked for it is answered when the other has let go of them.

use std::time::Duration;

use leadgate::model::delivery::State;
use leadgate::model::time::after;
use leadgate::model::{Clock, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::world::{Subscriber, World};
use crate::harness::engine::Engine;
use crate::harness::receiver::{Arrival, Receiver, Reply};
use crate::harness::{Answer, Cast, Gate, answer, soon};

/// Until the second look: as much is to be waited for, if the first one came too early.
const PAUSE: Duration = Duration::from_millis(20);

/// A gateway with a partner's subscription, and another node, which has a driver and a clock of its own.
struct Two {
    gate: Gate,
    cast: Cast,
    other: World,
}

impl Two {
    /// The subscription leads to `receiver`. The other node has no driver yet.
    async fn with(receiver: &Receiver) -> Self {
        let gate = Gate::start().await;
        let cast = gate.cast().await;
        let other = World::beside_gate(&gate, cast.partner.partner.id).await;
        let two = Self { gate, cast, other };
        assert_eq!(two.put(&receiver.url("/")).await.status, 200);
        two
    }

    async fn put(&self, url: &str) -> Answer {
        self.call(Method::PUT, json!({"url": url, "secret": "s3cret"})).await
    }

    async fn delete(&self) -> Answer {
        self.call(Method::DELETE, Value::Null).await
    }

    async fn call(&self, method: Method, body: Value) -> Answer {
        let request = self.gate.request(method, &self.cast.subscription()).bearer_auth(&self.cast.token);
        answer(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// A lead that the other node makes and sends, and that waits for its answer.
    async fn lead_under_way(&self, receiver: &mut Receiver) -> Arrival {
        self.other.lead(self.subscriber()).await;
        receiver.next().await
    }

    /// Returns when the one that waits for the other node has looked once, and is to look again.
    async fn looked_once(&self, start: Timestamp) {
        self.gate.clock.awaited(after(start, PAUSE)).await;
    }

    fn subscriber(&self) -> Subscriber {
        Subscriber { site: self.cast.site.id, partner: self.cast.partner.partner.id }
    }

    /// When the other node has put so many back, the one that waits for it looks again.
    async fn until_put_back(&self, deliveries: u64) {
        self.other.until("what it held is put back", |counts| counts.released >= deliveries).await;
        self.gate.clock.advance(PAUSE);
    }
}

#[tokio::test]
async fn delete_is_answered_when_the_other_node_has_let_go() {
    Engine::Postgres.run(delete_waits_for_the_other_node()).await;
}

async fn delete_waits_for_the_other_node() {
    let mut receiver = Receiver::start().await;
    let two = Two::with(&receiver).await;
    // It sends what it makes, and is slow to write down what became of it.
    let driver = two.other.idle_driver();
    let stats = driver.stats();
    let mut under_way = Vec::new();
    for _ in 0..3 {
        under_way.push(two.lead_under_way(&mut receiver).await);
    }
    let (clock, start) = (&two.gate.clock, two.gate.now());

    let let_go = async {
        two.looked_once(start).await;
        tokio::spawn(driver.run(CancellationToken::new()));
        let mut counts = stats.subscribe();
        soon("all are put back", counts.wait_for(|counts| counts.released == 3)).await.expect("the driver lives");
        clock.advance(PAUSE);
    };
    let (answered, ()) = tokio::join!(two.delete(), let_go);

    assert_eq!(answered.status, 204);
    let log = two.other.log(two.subscriber()).await;
    assert!(log.iter().all(|delivery| delivery.state == State::Cancelled), "{log:?}");
    for arrival in under_way {
        arrival.hung_up().await;
    }
    receiver.assert_quiet();
}

#[tokio::test]
async fn put_is_answered_when_the_other_node_has_let_go_of_the_old_url() {
    Engine::Postgres.run(put_waits_for_the_other_node()).await;
}

/// And not for what goes to the new URL, whose receiver does not answer.
async fn put_waits_for_the_other_node() {
    let (mut old, mut new) = (Receiver::start().await, Receiver::start().await);
    let mut two = Two::with(&old).await;
    two.other.run();
    let under_way = two.lead_under_way(&mut old).await;

    let url = new.url("/");
    let (answered, again, ()) = tokio::join!(two.put(&url), new.next(), two.until_put_back(1));

    assert_eq!(answered.status, 200);
    under_way.hung_up().await;
    again.answer(Reply::status(200));
    old.assert_quiet();
}

#[tokio::test]
async fn a_put_that_changes_nothing_waits_for_nobody() {
    Engine::Postgres.run(an_unchanged_put()).await;
}

async fn an_unchanged_put() {
    let mut receiver = Receiver::start().await;
    let mut two = Two::with(&receiver).await;
    two.other.run();
    let under_way = two.lead_under_way(&mut receiver).await;
    // No clock moves.
    assert_eq!(two.put(&receiver.url("/")).await.status, 200);
    under_way.answer(Reply::status(200));
    two.other.until("it is delivered", |counts| counts.delivered == 1).await;
}

#[tokio::test]
async fn a_node_that_does_not_let_go_holds_up_an_answer_for_ten_seconds() {
    Engine::Postgres.run(a_deaf_node()).await;
}

async fn a_deaf_node() {
    let mut receiver = Receiver::start().await;
    let two = Two::with(&receiver).await;
    // It sends what it makes, and writes down nothing of what became of it.
    let _deaf = two.other.idle_driver();
    let _under_way = two.lead_under_way(&mut receiver).await;
    let (clock, start) = (&two.gate.clock, two.gate.now());

    let moved = async {
        two.looked_once(start).await;
        let nearly = clock.advance(Duration::from_secs(9));
        // It has looked again, and is to look once more.
        clock.awaited(after(nearly, 2 * PAUSE)).await;
        clock.advance(Duration::from_secs(1));
    };
    let (answered, ()) = tokio::join!(two.delete(), moved);

    assert_eq!(answered.status, 204);
}

#[tokio::test]
async fn an_answer_does_not_wait_longer_than_the_lease_lasts() {
    Engine::Postgres.run(a_short_lease()).await;
}

async fn a_short_lease() {
    let mut receiver = Receiver::start().await;
    let mut two = Two::with(&receiver).await;
    two.other.policy.timeout = Duration::from_secs(1);
    let _deaf = two.other.idle_driver();
    let _under_way = two.lead_under_way(&mut receiver).await;
    let (clock, start) = (&two.gate.clock, two.gate.now());

    let moved = async {
        two.looked_once(start).await;
        clock.advance(Duration::from_secs(2));
    };
    let (answered, ()) = tokio::join!(two.delete(), moved);
    assert_eq!(answered.status, 204);
}

#[tokio::test]
async fn a_command_beside_a_gateway_on_sqlite_ends_when_that_has_let_go() {
    let (server, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = server.subscriber(&receiver.url("/")).await;
    server.lead(subscriber).await;
    let under_way = receiver.next().await;
    let operator = server.command().await;
    let start = server.clock.now();

    let heard = async {
        // The site is removed, and the gateway still holds something of it: it hears of that when it next looks for work.
        operator.clock.awaited(after(start, PAUSE)).await;
        server.clock.advance(Duration::from_secs(1));
        server.until("what it held is put back", |counts| counts.released == 1).await;
        operator.clock.advance(PAUSE);
    };
    let (removed, ()) = tokio::join!(operator.admin.remove_site(subscriber.site), heard);

    removed.unwrap();
    under_way.hung_up().await;
    receiver.assert_quiet();
}
