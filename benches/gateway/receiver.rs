//! The receiver: answers 200 to everything, and tells when each request's first bytes came.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A delivery that arrived.
pub struct Arrival {
    pub at: Instant,
    pub body: Bytes,
}

pub struct Receiver {
    address: SocketAddr,
    arrivals: UnboundedReceiver<Arrival>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, arrivals) = unbounded_channel();
        tokio::spawn(serve(listener, sender));
        Self { address, arrivals }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next delivery, unless none comes for a minute.
    pub async fn next(&mut self) -> Arrival {
        let arrival = tokio::time::timeout(Duration::from_secs(60), self.arrivals.recv());
        arrival.await.expect("deliveries keep coming").expect("the receiver runs")
    }

    /// Waits for `count` deliveries. Returns when each came.
    pub async fn times_of(&mut self, count: usize) -> Vec<Instant> {
        let mut times = Vec::with_capacity(count);
        while times.len() < count {
            times.push(self.next().await.at);
        }
        times
    }
}

/// How many came per second, from the first to the last.
pub fn per_second(times: &[Instant]) -> f64 {
    let (first, last) = (times[0], times[times.len() - 1]);
    (times.len() - 1) as f64 / last.duration_since(first).as_secs_f64()
}

async fn serve(listener: TcpListener, arrivals: UnboundedSender<Arrival>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let arrivals = arrivals.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let arrivals = arrivals.clone();
            let at = Instant::now();
            async move {
                if let Ok(body) = request.into_body().collect().await {
                    let _ = arrivals.send(Arrival { at, body: body.to_bytes() });
                }
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
