//! The receiver: answers, and keeps a ledger of what came and when. It has a thread of its own and does no more than that,
//! because it shares the gateway's cores.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::conduct::{Conduct, Manner, Reply};
use crate::lead::Mark;
use crate::ledger::{Arrival, Ledger};
use crate::line::{content_length, header};
use crate::thread;

/// More headers than a gateway ever sends.
const MOST_HEADERS: usize = 32;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// A receiver that listens.
pub struct Receiver {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    conduct: Arc<Conduct>,
    /// It ends with this.
    _life: oneshot::Sender<()>,
}

impl Receiver {
    /// One that answers 200 to everything.
    pub async fn start() -> Self {
        let (ledger, conduct) = (Arc::<Ledger>::default(), Arc::<Conduct>::default());
        let (ready, address) = oneshot::channel();
        let (life, ended) = oneshot::channel::<()>();
        let (its_ledger, its_conduct) = (ledger.clone(), conduct.clone());
        thread::start(async move || {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let _ = ready.send(listener.local_addr().expect("an address"));
            tokio::select! {
                () = listen(listener, its_ledger, its_conduct) => {}
                _ = ended => {}
            }
        });
        Self { address: address.await.expect("it listens"), ledger, conduct, _life: life }
    }

    /// From now on it behaves like this.
    pub fn behave(&self, manner: Manner) {
        self.conduct.change(manner);
    }

    /// When it refused requests, so far.
    pub fn refusals(&self) -> Vec<Instant> {
        self.ledger.refusals()
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Waits for the next `count` deliveries; fewer if none comes for a minute.
    pub async fn take(&mut self, count: usize) -> Vec<Arrival> {
        self.ledger.take(count).await
    }

    /// Waits for `count` deliveries. Returns when each came.
    pub async fn times_of(&mut self, count: usize) -> Vec<Instant> {
        let arrivals = self.take(count).await;
        assert_eq!(arrivals.len(), count, "deliveries keep coming");
        arrivals.iter().map(|arrival| arrival.at).collect()
    }
}

/// How many came per second, from the first to the last.
pub fn per_second(times: &[Instant]) -> f64 {
    let (first, last) = (times[0], times[times.len() - 1]);
    (times.len() - 1) as f64 / last.duration_since(first).as_secs_f64()
}

async fn listen(listener: TcpListener, ledger: Arc<Ledger>, conduct: Arc<Conduct>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::task::spawn_local(serve(stream, ledger.clone(), conduct.clone()));
    }
}

async fn serve(mut stream: TcpStream, ledger: Arc<Ledger>, conduct: Arc<Conduct>) {
    let _ = stream.set_nodelay(true);
    let mut received = Vec::with_capacity(8 * 1024);
    loop {
        let mut first_byte = None;
        let (length, arrival) = loop {
            if let Some(request) = request(&received, first_byte) {
                break request;
            }
            match stream.read_buf(&mut received).await {
                Err(_) | Ok(0) => return,
                Ok(_) => first_byte.get_or_insert_with(Instant::now),
            };
        };
        received.drain(..length);
        let answer = match conduct.reply() {
            Reply::Accept(after) => {
                ledger.note(arrival);
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                OK
            }
            Reply::Refuse => {
                ledger.refuse(arrival.at);
                UNAVAILABLE
            }
            // Nothing more comes until the other side has had enough.
            Reply::Nothing => continue,
        };
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// A request that is there as a whole: how long it is, and what matters of it.
fn request(received: &[u8], first_byte: Option<Instant>) -> Option<(usize, Arrival)> {
    let at = first_byte?;
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(received).expect("HTTP/1.1") else { return None };
    let length = head + content_length(request.headers);
    let body = received.get(head..length)?;
    let message = header(request.headers, "x-lead-router-message-id").expect("each delivery has its id");
    let message = message.parse().expect("a UUID");
    Some((length, Arrival { at, message, mark: Mark::of(body) }))
}
