//! Connections are kept, shared per host, and never too many.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leadgate::egress::{Answer, SendError};
use leadgate::model::time::after;
use leadgate::model::{Clock, SystemClock};
use nix::unistd::getpid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{client, post};
use crate::harness::clock::ManualClock;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::secure::{Secure, is_resumed};
use crate::harness::{sockets, soon};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn the_next_request_goes_over_the_same_connection() {
    let (client, mut receiver) = (client(&[], Arc::new(SystemClock), 8), Receiver::start().await);
    let url = receiver.url("/");
    let mut connections = HashSet::new();
    for body in ["", "a=b"] {
        for reply in [Reply::status(200), Reply::with(500, &[], "sorry"), Reply::status(204)] {
            let (sent, ()) = tokio::join!(post(&client, &url, body), async {
                let arrival = receiver.next().await;
                assert_eq!(arrival.request.body, body.as_bytes());
                connections.insert(arrival.connection);
                arrival.answer(reply);
            });
            sent.unwrap();
        }
    }
    assert_eq!((connections.len(), client.connections()), (1, 1));
}

#[tokio::test]
async fn an_answer_that_was_not_read_to_its_end_closes_its_connection() {
    let (client, mut receiver) = (client(&[], Arc::new(SystemClock), 8), Receiver::start().await);
    let url = receiver.url("/");
    let (sent, _) = tokio::join!(post(&client, &url, ""), async {
        receiver.next().await.answer_until_over(Reply::Body(1 << 26)).written().await
    });
    assert_eq!(sent.unwrap().status, 200);
    assert_eq!(client.connections(), 0);
}

#[tokio::test]
async fn of_an_answer_in_small_pieces_no_more_is_read() {
    let (sent, written) = flooded(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n").await;
    let answer = sent.unwrap();
    assert_eq!((answer.status, answer.excerpt), (200, "x".repeat(1024)));
    assert!(written < FLOOD, "{written}");
}

#[tokio::test]
async fn interim_answers_without_an_end_are_not_waited_for() {
    let (sent, written) = flooded(b"", b"HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(sent, Err(SendError::Garbage));
    assert!(written < FLOOD, "{written}");
}

/// More than what is read and all that systems keep in between.
const FLOOD: usize = 1 << 28;

/// What comes of a request that is answered with these bytes, and those again and again; and how many were written.
async fn flooded(head: &'static [u8], again: &'static [u8]) -> (Result<Answer, SendError>, usize) {
    let (listener, client) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), client(&[], Arc::new(ManualClock::new()), 8));
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let ended = tokio::join!(post(&client, &url, "a lead"), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        let (mut written, pieces) = (stream.write(head).await.unwrap(), again.repeat(1000));
        while written < FLOOD
            && let Ok(more) = stream.write(&pieces).await
        {
            written += more;
        }
        written
    });
    assert_eq!(client.connections(), 0);
    ended
}

#[tokio::test]
async fn however_many_hosts_there_are_the_connections_stay_within_their_bound() {
    const BOUND: usize = 16;
    let names: Vec<_> = (0..1000).map(|n| format!("host{n}.test")).collect();
    let client = client(&names.iter().map(String::as_str).collect::<Vec<_>>(), Arc::new(SystemClock), BOUND);
    let mut receiver = Receiver::start().await;
    let mut ours: Vec<SocketAddr> = Vec::new();
    for name in &names {
        let url = format!("http://{name}:{}/", receiver.port());
        let (sent, ()) = tokio::join!(post(&client, &url, ""), async {
            let arrival = receiver.next().await;
            ours.push(arrival.connection.peer);
            arrival.answer(Reply::status(200));
        });
        sent.unwrap();
        assert!(client.connections() <= BOUND);
    }
    let held = sockets::held_to(receiver.address(), &[getpid()]);
    let held: Vec<_> = ours.iter().filter(|address| held.contains(address)).collect();
    // Those that were used last.
    assert_eq!(held, ours[ours.len() - BOUND..].iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn who_finds_all_connections_in_use_waits_for_one() {
    let names = ["a.test", "b.test", "c.test", "d.test"];
    let (client, mut receiver) = (client(&names, Arc::new(SystemClock), 2), Receiver::start().await);
    let urls = names.map(|name| format!("http://{name}:{}/", receiver.port()));
    let sent = join_all(urls.iter().map(|url| post(&client, url, "")));
    let (sent, ()) = tokio::join!(sent, async {
        let mut held = vec![receiver.next().await, receiver.next().await];
        for _ in 0..2 {
            receiver.assert_quiet();
            assert_eq!(client.connections(), 2);
            held.remove(0).answer(Reply::status(200));
            held.push(receiver.next().await);
        }
        held.into_iter().for_each(|arrival| arrival.answer(Reply::status(200)));
    });
    assert!(sent.iter().all(|sent| sent.as_ref().is_ok_and(|answer| answer.status == 200)));
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline_though_the_connection_is_there_by_then() {
    let (listener, clock) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(ManualClock::new()));
    let client = client(&[], clock.clone(), 8);
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let mut sent = pin!(post(&client, &url, "a lead"));
    // As when the machine stands still while a connection is being made.
    let (mut stream, _) = tokio::select! {
        biased;
        accepted = listener.accept() => accepted.unwrap(),
        _ = &mut sent => panic!("it waits for its connection"),
    };
    clock.advance(Duration::from_secs(15));
    assert_eq!(sent.await, Err(SendError::ConnectTimeout));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_four_seconds() {
    let clock = Arc::new(ManualClock::new());
    let client = client(&[], clock.clone(), 8);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sent, mut connection) = tokio::join!(post(&client, &url, ""), async {
        let (mut connection, _) = listener.accept().await.unwrap();
        assert_ne!(connection.read(&mut [0; 4096]).await.unwrap(), 0);
        connection.write_all(OK).await.unwrap();
        connection
    });
    sent.unwrap();
    clock.awaited(after(clock.now(), Duration::from_secs(4))).await;
    assert_eq!(client.connections(), 1);
    clock.advance(Duration::from_secs(4));
    assert_eq!(soon("it is closed", connection.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_later_connection_goes_on_with_the_tls_session_of_an_earlier_one() {
    let client = client(&["localhost"], Arc::new(SystemClock), 8);
    let receiver = Secure::start(&["http/1.1"]).await;
    let url = receiver.url("/");
    for resumed in [false, true, true] {
        let (sent, ()) = tokio::join!(post(&client, &url, ""), async {
            let mut connection = receiver.accept().await;
            assert_eq!(is_resumed(&connection), resumed);
            assert_ne!(connection.read(&mut [0; 4096]).await.unwrap(), 0);
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
            connection.shutdown().await.unwrap();
        });
        assert_eq!(sent.unwrap().status, 200);
        assert_eq!(client.connections(), 0);
    }
}

#[tokio::test]
async fn a_receiver_that_knows_only_http_1_1_is_spoken_to_over_several_connections() {
    let client = client(&["localhost"], Arc::new(SystemClock), 8);
    let receiver = Secure::start(&["http/1.1"]).await;
    let url = receiver.url("/");
    let (sent, ()) = tokio::join!(join_all((0..3).map(|_| post(&client, &url, ""))), async {
        // All three are there before one is answered.
        let mut connections = vec![receiver.accept().await, receiver.accept().await, receiver.accept().await];
        for connection in &mut connections {
            assert_ne!(connection.read(&mut [0; 4096]).await.unwrap(), 0);
        }
        for connection in &mut connections {
            connection.write_all(OK).await.unwrap();
        }
    });
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
}
