//! The raw loop: the same signed bodies, the same HTTP client, no store. In a process of its own, so that its CPU time
//! can be set beside the gateway's.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use leadgate::egress::{Client, Guard, SystemResolver};
use leadgate::model::subscription::DestinationUrl;
use leadgate::model::{DeliveryId, OsEntropy, SystemClock, signature};

use crate::cast;
use crate::lead::lead;
use crate::machine::cpu_of;
use crate::receiver::{Receiver, per_second};

const WORD: &str = "--raw-loop";

/// Requests under way at once: the gateway's own default for one subscription.
const AT_ONCE: usize = 16;

/// What the process is to do.
pub struct Order {
    url: String,
    count: usize,
}

impl Order {
    /// Reads the arguments that [`in_a_process_of_its_own`] gives.
    pub fn parse(arguments: &[String]) -> Option<Self> {
        match arguments {
            [_, word, url, count] if word == WORD => Some(Self { url: url.clone(), count: count.parse().ok()? }),
            _ => None,
        }
    }
}

/// Sends everything that was ordered, then waits until its standard input is closed, so that it can be measured.
pub async fn run(order: Order) {
    let guard = Guard::new(
        vec!["127.0.0.0/8".parse().expect("a network")],
        Arc::new(SystemResolver::new(Arc::new(SystemClock))),
        Arc::new(SystemClock),
    );
    let client = Client::new(Arc::new(guard)).expect("a client");
    let url: Arc<DestinationUrl> = Arc::new(order.url.parse().expect("a URL"));
    let next = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (client, url, next) = (client.clone(), url.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= order.count {
                        return;
                    }
                    send(&client, &url, n).await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("no sender fails");
    }
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()))
        .await
        .expect("stdin")
        .expect("stdin");
}

async fn send(client: &Client, url: &DestinationUrl, n: usize) {
    let body = Bytes::from(lead(n).to_string());
    let id = DeliveryId::random(&OsEntropy).to_string();
    let timestamp = cast::now().as_second().to_string();
    let secret = cast::SECRET.as_bytes();
    let headers = [
        ("content-type", "application/json".to_owned()),
        (signature::SIGNATURE_HEADER, signature::lead_router(secret, &body)),
        (signature::WEBHOOK_SIGNATURE_HEADER, signature::standard_webhook(secret, &id, &timestamp, &body)),
        (signature::MESSAGE_ID_HEADER, id.clone()),
        (signature::WEBHOOK_ID_HEADER, id),
        (signature::WEBHOOK_TIMESTAMP_HEADER, timestamp),
    ];
    let headers = headers
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(&value).expect("printable ASCII")));
    let answer = client.post(url, headers.collect::<HeaderMap>(), body, Duration::from_secs(15)).await;
    assert_eq!(answer.expect("an answer").status, 200);
}

/// What the raw loop does per second, and its CPU seconds per 1,000.
pub async fn measure(count: usize) -> [f64; 2] {
    let mut receiver = Receiver::start().await;
    let raw = in_a_process_of_its_own(&receiver.url(), count);
    let rate = per_second(&receiver.times_of(count).await);
    [rate, raw.finish().as_secs_f64() * 1000.0 / count as f64]
}

/// A raw loop that runs.
struct Started(Child);

/// Starts the raw loop against `url`.
fn in_a_process_of_its_own(url: &str, count: usize) -> Started {
    let program = std::env::current_exe().expect("this program");
    let child = Command::new(program).args([WORD, url, &count.to_string()]).stdin(Stdio::piped()).spawn();
    Started(child.expect("the raw loop starts"))
}

impl Started {
    /// Its CPU time, taken while it waits to be let go; then lets it go.
    fn finish(mut self) -> Duration {
        let cpu = cpu_of(self.0.id()).expect("it waits");
        drop(self.0.stdin.take());
        self.0.wait().expect("the raw loop ends");
        cpu
    }
}
