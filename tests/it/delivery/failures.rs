//! Receivers that do not answer properly, or may not be asked at all.

use std::time::Duration;

use leadgate::delivery::Policy;
use leadgate::model::delivery::{Attempt, State};
use leadgate::model::seal::Keyring;
use tokio::net::TcpListener;

use super::world::{Subscriber, World};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::{on_every_engine, soon, tls};

on_every_engine!(
    an_answer_that_is_not_http,
    a_connection_that_closes_without_an_answer,
    a_connection_that_the_receiver_closes_between_requests_is_no_failure,
    an_answer_that_breaks_off,
    a_receiver_that_hangs_times_out,
    a_body_that_drips_counts_towards_the_time_out,
    a_huge_body_is_not_read_to_its_end,
    a_refused_connection,
    addresses_that_may_not_be_reached_get_no_request,
    a_name_that_resolves_to_private_addresses_gets_no_request,
    a_name_is_dialled_at_those_of_its_addresses_that_may_be_reached,
    a_name_that_does_not_resolve,
    a_certificate_that_nobody_vouches_for,
    a_receiver_without_tls_at_an_https_url,
    a_secret_that_cannot_be_opened_is_a_failed_attempt,
);

/// The attempt of a site's only delivery, which waits for its retry.
async fn failed_attempt(world: &World, subscriber: Subscriber) -> Attempt {
    world.until("the attempt is recorded", |counts| counts.retried == 1).await;
    let mut delivery = world.only(subscriber).await;
    assert_eq!(delivery.delivery.state, State::Waiting);
    assert_eq!(delivery.attempts.len(), 1);
    delivery.attempts.remove(0)
}

/// What the log says after this answer.
async fn error_after(reply: Reply) -> (Option<u16>, String) {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    receiver.answer(reply).await;
    let attempt = failed_attempt(&world, subscriber).await;
    (attempt.status, attempt.error.expect("an error"))
}

/// What the log says of a URL that gets no request.
async fn error_of(world: &World, url: &str) -> String {
    let subscriber = world.subscriber(url).await;
    world.lead(subscriber).await;
    let attempt = failed_attempt(world, subscriber).await;
    assert_eq!(attempt.status, None);
    attempt.error.expect("an error")
}

async fn an_answer_that_is_not_http() {
    for garbage in ["SSH-2.0-OpenSSH_9.2\r\n", "\0\0\0\0\r\n\r\n", "HTTP/1.1 abc X\r\n\r\n", "HTTP/1.1 20 X\r\n\r\n"] {
        let (status, error) = error_after(Reply::Close(garbage.into())).await;
        assert_eq!((status, error.as_str()), (None, "the answer is not valid HTTP"), "{garbage:?}");
    }
}

async fn a_connection_that_closes_without_an_answer() {
    for beginning in ["", "HTTP/1.1 200 OK\r\ncontent-"] {
        let (status, error) = error_after(Reply::Close(beginning.into())).await;
        assert_eq!((status, error.as_str()), (None, "the connection was closed without an answer"));
    }
}

async fn a_connection_that_the_receiver_closes_between_requests_is_no_failure() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    for delivered in 1..=3 {
        world.lead(subscriber).await;
        receiver.answer(Reply::Close("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into())).await;
        world.until("it is delivered", |counts| counts.delivered == delivered).await;
    }
}

async fn an_answer_that_breaks_off() {
    let (status, error) = error_after(Reply::Close("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".into())).await;
    assert_eq!((status, error.as_str()), (Some(200), "the connection broke in the middle of the answer"));
}

async fn a_receiver_that_hangs_times_out() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    let arrival = receiver.next().await;

    world.clock.advance(Duration::from_secs(15));

    arrival.hung_up().await;
    let attempt = failed_attempt(&world, subscriber).await;
    assert_eq!(attempt.error.as_deref(), Some("time-out while waiting for the answer"));
    assert_eq!(attempt.duration, Duration::from_secs(15));
}

async fn a_body_that_drips_counts_towards_the_time_out() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    let dripping = Reply::Hang("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\ndrip".into());
    let over = receiver.next().await.answer_until_over(dripping);
    world.until("it is under way", |counts| counts.in_flight == 1).await;

    world.clock.advance(Duration::from_secs(15));

    over.written().await;
    let attempt = failed_attempt(&world, subscriber).await;
    // Whether the beginning of the answer came before the clock was moved is for the network to say.
    let error = attempt.error.expect("an error");
    assert!(error.starts_with("time-out "), "{error}");
}

async fn a_huge_body_is_not_read_to_its_end() {
    const LENGTH: usize = 100 * 1024 * 1024;
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    let over = receiver.next().await.answer_until_over(Reply::Body(LENGTH));

    world.until("it is delivered", |counts| counts.delivered == 1).await;

    // What was written beyond the 64 KiB that were read lies in the system's buffers.
    assert!(over.written().await < LENGTH / 2);
    assert_eq!(world.only(subscriber).await.attempts[0].response, "x".repeat(1024));
}

async fn a_refused_connection() {
    let world = World::start().await;
    let closed = Receiver::start().await.url("/");
    // The listener closes when its task has ended, which the next turn of this thread lets it do.
    tokio::task::yield_now().await;
    assert_eq!(error_of(&world, &closed).await, "the connection was refused");
}

async fn addresses_that_may_not_be_reached_get_no_request() {
    let mut receiver = Receiver::start().await;
    let port = receiver.port();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]", "10.0.0.1", "169.254.169.254"] {
        let world = World::reaching(&[], &[]).await;
        let error = error_of(&world, &format!("http://{host}:{port}/")).await;
        assert_eq!(error, "this address may not be reached", "{host}");
    }
    receiver.assert_quiet();
}

async fn a_name_that_resolves_to_private_addresses_gets_no_request() {
    let mut receiver = Receiver::start().await;
    let names: &[(_, &[_])] = &[("rebound.test", &["127.0.0.1", "::1"])];
    let world = World::reaching(&[], names).await;
    let error = error_of(&world, &receiver.url("/").replace("127.0.0.1", "rebound.test")).await;
    assert_eq!(error, "this address may not be reached");
    receiver.assert_quiet();
}

async fn a_name_is_dialled_at_those_of_its_addresses_that_may_be_reached() {
    let mut allowed = Receiver::start().await;
    let port = allowed.port();
    let names: &[(_, &[_])] = &[("both.test", &["127.0.0.2", "10.0.0.1", "127.0.0.1"])];
    let world = World::reaching(&["127.0.0.1/32"], names).await;
    let subscriber = world.subscriber(&format!("http://both.test:{port}/")).await;
    world.lead(subscriber).await;
    let request = allowed.answer(Reply::status(200)).await;
    assert_eq!(request.header("host"), format!("both.test:{port}"));
    world.until("it is delivered", |counts| counts.delivered == 1).await;
}

async fn a_name_that_does_not_resolve() {
    let world = World::start().await;
    assert_eq!(error_of(&world, "http://unknown.test/").await, "the host name cannot be resolved");
}

async fn a_certificate_that_nobody_vouches_for() {
    let world = World::start().await;
    let url = format!("https://{}/", tls::serve_one());
    assert_eq!(error_of(&world, &url).await, "TLS failed: the certificate's issuer is not known");
}

async fn a_receiver_without_tls_at_an_https_url() {
    let world = World::start().await;
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let subscriber = world.subscriber(&format!("https://{}/", receiver.local_addr().unwrap())).await;
    world.lead(subscriber).await;
    // What it reads is no HTTP, and it waits for more: the client's time is up.
    let _waits = soon("it is called", receiver.accept()).await.unwrap();
    world.clock.advance(Duration::from_secs(15));
    let attempt = failed_attempt(&world, subscriber).await;
    assert_eq!(attempt.status, None);
}

async fn a_secret_that_cannot_be_opened_is_a_failed_attempt() {
    let mut world = World::still(&["127.0.0.0/8"], &[]).await;
    let mut receiver = Receiver::start().await;
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.keys = Keyring::parse(&"22".repeat(32)).unwrap().into();
    world.policy = Policy { retry_schedule: vec![], ..Policy::default() };
    world.run();
    world.lead(subscriber).await;
    world.until("it is given up", |counts| counts.failed == 1).await;
    let delivery = world.only(subscriber).await;
    assert_eq!(delivery.delivery.state, State::Failed);
    assert_eq!(delivery.attempts[0].error.as_deref(), Some("the subscription's secret cannot be decrypted"));
    receiver.assert_quiet();
}
