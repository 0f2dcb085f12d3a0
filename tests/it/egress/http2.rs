//! Receivers that speak HTTP/2: many requests share one connection, and what a receiver has not looked at is sent again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leadgate::egress::{Client, SendError};
use leadgate::model::time::after;
use leadgate::model::{Clock, SystemClock};

use super::{client, post};
use crate::harness::clock::ManualClock;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::secure::Http2Receiver;
use crate::harness::soon;

fn localhost() -> Client {
    client(&["localhost"], Arc::new(SystemClock), 8)
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let (client, mut receiver) = (localhost(), Http2Receiver::start(100).await);
    let url = format!("{}hook?a=b", receiver.url());
    let (sent, ()) = tokio::join!(join_all((0..50).map(|_| post(&client, &url, "a lead"))), async {
        let mut held = Vec::new();
        while held.len() < 50 {
            held.push(receiver.next().await);
        }
        for mut stream in held {
            assert_eq!(stream.connection, 1);
            assert_eq!(stream.request.method(), "POST");
            assert_eq!(stream.request.uri(), &*url);
            assert!(!stream.request.headers().contains_key("host"));
            assert_eq!(stream.body().await, b"a lead");
            stream.answer(202, "thanks");
        }
    });
    for answer in sent {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.excerpt.as_str()), (202, "thanks"));
    }
    assert_eq!(client.connections(), 1);
}

#[tokio::test]
async fn requests_beyond_what_the_receiver_takes_at_once_wait_for_their_turn() {
    let (client, mut receiver) = (localhost(), Http2Receiver::start(4).await);
    let url = receiver.url().to_owned();
    let (sent, ()) = tokio::join!(join_all((0..12).map(|_| post(&client, &url, ""))), async {
        let mut held = VecDeque::new();
        for _ in 0..4 {
            held.push_back(receiver.next().await);
        }
        for _ in 4..12 {
            receiver.assert_quiet();
            held.pop_front().unwrap().answer(200, "");
            held.push_back(receiver.next().await);
        }
        held.into_iter().for_each(|stream| stream.answer(200, ""));
    });
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
}

#[tokio::test]
async fn after_a_goaway_what_is_under_way_is_answered_and_the_rest_goes_elsewhere() {
    let (client, mut receiver) = (localhost(), Http2Receiver::start(100).await);
    let url = receiver.url().to_owned();
    let (first, second) = tokio::join!(post(&client, &url, "first"), async {
        let held = receiver.next().await;
        assert_eq!(held.connection, 1);
        receiver.go_away();
        // Some may still reach the old connection: it has not been told whose number is the last.
        let (second, ()) = tokio::join!(post(&client, &url, "second"), async {
            receiver.next().await.answer(201, "");
        });
        held.answer(200, "");
        second
    });
    assert_eq!((first.unwrap().status, second.unwrap().status), (200, 201));
    assert_eq!(receiver.ended().await, 1);
    let (third, ()) = tokio::join!(post(&client, &url, "third"), async {
        let stream = receiver.next().await;
        assert_eq!(stream.connection, 2);
        stream.answer(200, "");
    });
    assert_eq!(third.unwrap().status, 200);
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_but_not_for_ever() {
    let (client, mut receiver) = (localhost(), Http2Receiver::start(100).await);
    let url = receiver.url().to_owned();
    let (sent, ()) = tokio::join!(post(&client, &url, "a lead"), async {
        receiver.next().await.refuse();
        let mut stream = receiver.next().await;
        assert_eq!(stream.body().await, b"a lead");
        stream.answer(200, "");
    });
    assert_eq!(sent.unwrap().status, 200);
    let (sent, ()) = tokio::join!(post(&client, &url, "a lead"), async {
        for _ in 0..3 {
            receiver.next().await.refuse();
        }
    });
    sent.unwrap_err();
    receiver.assert_quiet();
}

#[tokio::test]
async fn of_a_huge_answer_the_beginning_is_read_and_the_connection_goes_on() {
    let (client, mut receiver) = (localhost(), Http2Receiver::start(100).await);
    let url = receiver.url().to_owned();
    for length in [1 << 24, 10] {
        let (sent, ()) = tokio::join!(post(&client, &url, ""), async {
            let stream = receiver.next().await;
            assert_eq!(stream.connection, 1);
            stream.answer(200, vec![b'x'; length]);
        });
        assert_eq!(sent.unwrap().excerpt.len(), length.min(1024));
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_four_seconds() {
    let clock = Arc::new(ManualClock::new());
    let client = client(&["localhost"], clock.clone(), 8);
    let mut receiver = Http2Receiver::start(100).await;
    let url = receiver.url().to_owned();
    let (sent, ()) = tokio::join!(post(&client, &url, ""), async {
        receiver.next().await.answer(200, "");
    });
    sent.unwrap();
    clock.awaited(after(clock.now(), Duration::from_secs(4))).await;
    assert_eq!(client.connections(), 1);
    clock.advance(Duration::from_secs(4));
    assert_eq!(receiver.ended().await, 1);
}

#[tokio::test]
async fn a_receiver_that_takes_no_requests_holds_no_connection_for_long() {
    let clock = Arc::new(ManualClock::new());
    let client = client(&["localhost"], clock.clone(), 8);
    let receiver = Http2Receiver::start(0).await;
    let (sent, ()) = tokio::join!(post(&client, receiver.url(), "a lead"), async {
        clock.awaited(after(clock.now(), Duration::from_secs(15))).await;
        // Everything happens on this thread: by then the request waits for a stream.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.connections(), 1);
        clock.advance(Duration::from_secs(15));
    });
    assert_eq!(sent, Err(SendError::Timeout));
    let good_bye = clock.now();
    clock.awaited(after(good_bye, Duration::from_secs(1))).await;
    clock.advance(Duration::from_secs(1));
    soon("the connection is closed", async {
        while client.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_gives_way_when_it_is_idle_and_another_host_needs_one() {
    let client = client(&["localhost", "other.test"], Arc::new(SystemClock), 1);
    let mut receiver = Http2Receiver::start(100).await;
    let url = receiver.url().to_owned();
    let (sent, ()) = tokio::join!(post(&client, &url, ""), async {
        receiver.next().await.answer(200, "");
    });
    sent.unwrap();
    let mut other = Receiver::start().await;
    let url = format!("http://other.test:{}/", other.port());
    let (sent, _) = tokio::join!(post(&client, &url, ""), other.answer(Reply::status(200)));
    sent.unwrap();
    assert_eq!(receiver.ended().await, 1);
}
