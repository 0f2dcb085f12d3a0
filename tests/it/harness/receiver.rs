//! A partner's receiver on loopback. It hands every request to the test, which holds it as long as it likes and then
//! says what to answer: well or badly.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::soon;

/// A receiver. It stops when it is dropped; requests that the test still holds live on.
pub struct Receiver {
    address: SocketAddr,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    listening: JoinHandle<()>,
}

/// A request that waits for its answer. Dropped without one, its connection is closed.
#[derive(Debug)]
pub struct Arrival {
    /// What came.
    pub request: Request,
    /// The connection that it came on.
    pub connection: Connection,
    reply: oneshot::Sender<Reply>,
    over: oneshot::Receiver<usize>,
}

/// A connection to the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// Tells it from an earlier one of the same address.
    pub number: usize,
}

/// What came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method, path with query, version.
    pub line: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What to answer.
#[derive(Debug)]
pub enum Reply {
    /// These bytes; afterwards the connection is ready for another request.
    Bytes(Vec<u8>),
    /// These bytes, and then nothing more until the other side hangs up.
    Hang(Vec<u8>),
    /// These bytes, and then the connection is closed.
    Close(Vec<u8>),
    /// 200 with a body of so many bytes, as far as the other side reads it.
    Body(usize),
}

impl Reply {
    /// An empty answer.
    pub fn status(status: u16) -> Self {
        Self::with(status, &[], "")
    }

    /// An answer.
    pub fn with(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        Self::Bytes(format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes())
    }
}

impl Request {
    /// A header's value; the test fails if it is not there exactly once.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let value = values.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        assert_eq!(values.next(), None, "two {name} in {:?}", self.headers);
        value
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

impl Arrival {
    /// Answers.
    pub fn answer(self, reply: Reply) {
        self.answer_until_over(reply);
    }

    /// Answers; the result is known when the answer is written, or the other side has hung up: how many bytes of the
    /// answer it took.
    pub fn answer_until_over(self, reply: Reply) -> Over {
        // Fails if the other side has hung up: then nobody waits for the answer.
        let _ = self.reply.send(reply);
        Over(self.over)
    }

    /// Waits until the other side hangs up without an answer.
    pub async fn hung_up(self) {
        let Self { reply, over, .. } = self;
        soon("the sender hangs up", over).await.expect("the receiver reports the end");
        drop(reply);
    }
}

/// The end of an answer.
pub struct Over(oneshot::Receiver<usize>);

impl Over {
    /// How many bytes of the answer were written.
    pub async fn written(self) -> usize {
        soon("the answer ends", self.0).await.expect("the receiver reports the end")
    }
}

impl Receiver {
    /// Starts a receiver on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, arrivals) = mpsc::unbounded_channel();
        let listening = tokio::spawn(async move {
            let mut number = 0;
            while let Ok((stream, peer)) = listener.accept().await {
                number += 1;
                // A connection that breaks is the test's doing.
                tokio::spawn(serve(stream, Connection { peer, number }, sender.clone()));
            }
        });
        Self { address, arrivals, listening }
    }

    /// A URL that leads here.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The next request.
    pub async fn next(&mut self) -> Arrival {
        soon("a request arrives", self.arrivals.recv()).await.expect("the receiver listens")
    }

    /// A request that has arrived already.
    pub fn waiting(&mut self) -> Option<Arrival> {
        self.arrivals.try_recv().ok()
    }

    /// The next request, answered.
    pub async fn answer(&mut self, reply: Reply) -> Request {
        let arrival = self.next().await;
        let request = arrival.request.clone();
        arrival.answer(reply);
        request
    }

    /// Fails if a request has arrived that the test did not ask for.
    pub fn assert_quiet(&mut self) {
        if let Some(arrival) = self.waiting() {
            panic!("an unexpected request: {:?}", arrival.request);
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: Connection,
    arrivals: mpsc::UnboundedSender<Arrival>,
) -> io::Result<()> {
    while let Some(request) = read(&mut stream).await? {
        let (reply, told) = oneshot::channel();
        let (report, over) = oneshot::channel();
        if arrivals.send(Arrival { request, connection, reply, over }).is_err() {
            break;
        }
        let mut unexpected = [0];
        let reply = tokio::select! {
            told = told => told,
            // A client sends nothing before it is answered: this is its end.
            _ = stream.read(&mut unexpected) => {
                let _ = report.send(0);
                break;
            }
        };
        // Not answered: hang up.
        let Ok(reply) = reply else { break };
        let (written, go_on) = write(&mut stream, reply).await;
        let _ = report.send(written);
        if !go_on {
            break;
        }
    }
    Ok(())
}

/// Writes an answer; returns how many bytes of it were taken, and whether the connection is ready for another request.
async fn write(stream: &mut TcpStream, reply: Reply) -> (usize, bool) {
    match reply {
        Reply::Bytes(bytes) => {
            let done = stream.write_all(&bytes).await.is_ok();
            (bytes.len(), done)
        }
        Reply::Close(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            (bytes.len(), false)
        }
        Reply::Hang(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.read(&mut [0]).await;
            (bytes.len(), false)
        }
        Reply::Body(length) => (write_body(stream, length).await.unwrap_or_else(|written| written), false),
    }
}

/// Writes a long body. `Err`: how far it got.
async fn write_body(stream: &mut TcpStream, length: usize) -> Result<usize, usize> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.map_err(|_| 0_usize)?;
    let mut written = 0;
    while written < length {
        let piece = [b'x'; 4096];
        let taken = stream.write(&piece[..piece.len().min(length - written)]).await.map_err(|_| written)?;
        written += taken;
    }
    Ok(written)
}

/// Reads one request; `None` when the client has closed the connection.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers: Vec<_> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value);
    let mut body = vec![0; length.parse().map_err(io::Error::other)?];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request { line, headers, body }))
}
