//! Addresses come from name servers, are kept as long as those say, and are judged all the same.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leadgate::egress::{Client, Guard, Resolve, SendError, SystemResolver};
use leadgate::model::time::{after, until};
use leadgate::model::{Clock, SystemClock};

use super::post;
use crate::harness::clock::ManualClock;
use crate::harness::name_server::{NameServer, Zone};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::{secure, soon};

const NAME: &str = "hooks.example";

struct World {
    clock: Arc<ManualClock>,
    server: NameServer,
    resolver: Arc<SystemResolver>,
}

impl World {
    async fn start() -> Self {
        let (clock, server) = (Arc::new(ManualClock::new()), NameServer::start().await);
        let resolver = SystemResolver::asking(server.address(), clock.clone()).unwrap();
        Self { clock, server, resolver: Arc::new(resolver) }
    }

    /// The server says that [`NAME`] has these addresses, good for so many seconds.
    fn set(&self, addresses: &[&str], ttl: u32) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.server.set(NAME, Zone::Addresses(addresses, ttl));
    }

    /// The addresses of [`NAME`]; none if it does not resolve.
    async fn resolve(&self) -> Vec<String> {
        let found = soon("the look-up ends", self.resolver.resolve(NAME)).await;
        found.unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    /// Moves the clock on by `seconds`, and tells how often the server was asked by a look-up then.
    async fn asked_after(&self, seconds: u64) -> usize {
        self.clock.advance(Duration::from_secs(seconds));
        let before = self.server.asked(NAME);
        self.resolve().await;
        self.server.asked(NAME) - before
    }
}

#[tokio::test]
async fn an_answer_is_kept_as_long_as_its_servers_say() {
    let world = World::start().await;
    world.set(&["192.0.2.1", "2001:db8::1"], 60);
    assert_eq!(world.resolve().await, ["192.0.2.1", "2001:db8::1"]);
    world.set(&["192.0.2.2"], 60);
    assert_eq!(world.asked_after(59).await, 0);
    assert_eq!(world.resolve().await, ["192.0.2.1", "2001:db8::1"]);
    assert_eq!(world.asked_after(1).await, 1);
    assert_eq!(world.resolve().await, ["192.0.2.2"]);
}

#[tokio::test]
async fn an_answer_that_is_good_for_no_time_is_not_kept() {
    let world = World::start().await;
    world.set(&["192.0.2.1"], 0);
    for _ in 0..3 {
        assert_eq!(world.asked_after(0).await, 1);
    }
}

#[tokio::test]
async fn no_answer_is_kept_for_longer_than_an_hour() {
    let world = World::start().await;
    world.set(&["192.0.2.1"], u32::MAX >> 1);
    assert_eq!(world.asked_after(0).await, 1);
    assert_eq!(world.asked_after(3599).await, 0);
    assert_eq!(world.asked_after(1).await, 1);
}

#[tokio::test]
async fn that_there_is_nothing_is_kept_for_half_a_minute_at_most() {
    let world = World::start().await;
    world.server.set(NAME, Zone::Nothing(86_400));
    assert_eq!(world.asked_after(0).await, 1);
    assert_eq!(world.asked_after(29).await, 0);
    world.set(&["192.0.2.1"], 60);
    assert_eq!(world.asked_after(1).await, 1);
    assert_eq!(world.resolve().await, ["192.0.2.1"]);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let world = World::start().await;
    world.server.set(NAME, Zone::Failure);
    assert!(world.resolve().await.is_empty());
    world.set(&["192.0.2.1"], 60);
    assert_eq!(world.resolve().await, ["192.0.2.1"]);
}

#[tokio::test]
async fn who_asks_at_the_same_time_shares_one_look_up() {
    let world = World::start().await;
    world.set(&["192.0.2.1"], 0);
    for found in join_all((0..20).map(|_| world.resolve())).await {
        assert_eq!(found, ["192.0.2.1"]);
    }
    assert_eq!(world.server.asked(NAME), 1);
}

#[tokio::test]
async fn names_whose_servers_are_silent_hold_up_nobody_else() {
    let world = World::start().await;
    let silent: Vec<_> = (0..200).map(|n| format!("silent{n}.example")).collect();
    silent.iter().for_each(|name| world.server.set(name, Zone::Silence));
    world.set(&["192.0.2.1"], 60);
    // Each is asked about by many, all before the other one.
    let hopeless = silent.iter().cycle().take(600).map(|name| world.resolver.resolve(name));
    let hopeless = async {
        let found = join_all(hopeless).await;
        assert!(found.iter().all(Result::is_err), "{found:?}");
        std::future::pending::<()>().await;
    };
    let time = async {
        loop {
            let half_a_second = Duration::from_millis(500);
            world.clock.awaited(after(world.clock.now(), half_a_second)).await;
            world.clock.advance(half_a_second);
        }
    };
    let before = world.clock.now();
    tokio::select! {
        biased;
        () = hopeless => {}
        found = world.resolve() => assert_eq!(found, ["192.0.2.1"]),
        () = time => {}
    }
    let waited = until(before, world.clock.now());
    assert!(waited < Duration::from_secs(8), "no longer than it takes to see that a few dozen are silent: {waited:?}");
}

#[tokio::test]
async fn of_a_name_with_very_many_addresses_a_few_are_kept() {
    let world = World::start().await;
    let many: Vec<_> = (1..=60).map(|n| format!("192.0.2.{n}")).collect();
    world.set(&many.iter().map(String::as_str).collect::<Vec<_>>(), 60);
    assert_eq!(world.resolve().await.len(), 16);
}

#[tokio::test]
async fn an_address_that_is_known_already_is_judged_at_each_connection() {
    let world = World::start().await;
    world.set(&["127.0.0.1"], 60);
    let client = |allowed: &[&str]| {
        let allowed = allowed.iter().map(|network| network.parse().unwrap()).collect();
        let guard = Guard::new(allowed, world.resolver.clone(), Arc::new(SystemClock));
        Client::with(Arc::new(guard), secure::trusting(), 8)
    };
    let mut receiver = Receiver::start().await;
    let url = format!("http://{NAME}:{}/", receiver.port());
    let trusted = client(&["127.0.0.0/8"]);
    for _ in 0..2 {
        let close = Reply::Close(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n".to_vec());
        let (sent, _) = tokio::join!(post(&trusted, &url, ""), receiver.answer(close));
        assert_eq!(sent.unwrap().status, 204);
    }
    assert_eq!(post(&client(&[]), &url, "").await, Err(SendError::Forbidden));
    receiver.assert_quiet();
    assert_eq!(world.server.asked(NAME), 1);
}

#[tokio::test]
async fn the_hosts_file_is_heeded() {
    let resolver = SystemResolver::new(Arc::new(SystemClock));
    let found = soon("the look-up ends", resolver.resolve("localhost")).await.unwrap();
    assert!(found.iter().all(|address| address.is_loopback()) && !found.is_empty(), "{found:?}");
}
