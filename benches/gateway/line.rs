//! A caller's connection to a server: HTTP/1.1, kept alive, one request after the other, and nothing that a general client
//! would do besides. What the callers cost is taken from the gateway, which shares their cores.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More headers than a gateway ever sends.
const MOST_HEADERS: usize = 32;

/// Opened by the first request, in the runtime where that is sent.
pub struct Line {
    to: String,
    stream: Option<TcpStream>,
    received: Vec<u8>,
}

/// An answer that is there as a whole: what matters of it.
pub struct Answer<'a> {
    pub status: u16,
    pub location: Option<&'a str>,
}

impl Line {
    /// To a server at `to`, an address with a port.
    pub fn to(address: &str) -> Self {
        Self { to: address.to_owned(), stream: None, received: Vec::with_capacity(2048) }
    }

    /// Sends a whole request and waits for the answer, which must be a success.
    pub async fn ask(&mut self, request: &[u8]) -> Answer<'_> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(open(&self.to).await),
        };
        stream.write_all(request).await.expect("the server reads");
        self.received.clear();
        while !is_whole(&self.received) {
            let read = stream.read_buf(&mut self.received).await.expect("the server answers");
            assert_ne!(read, 0, "the server hung up");
        }
        let answer = answer(&self.received).expect("it is whole").0;
        assert!((200..300).contains(&answer.status), "{}", String::from_utf8_lossy(&self.received));
        answer
    }
}

async fn open(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("TCP");
    stream
}

fn is_whole(received: &[u8]) -> bool {
    answer(received).is_some_and(|(_, length)| received.len() >= length)
}

/// The answer, and how long it is with its body; unless its headers have not come yet.
fn answer(received: &[u8]) -> Option<(Answer<'_>, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = answer.parse(received).expect("HTTP/1.1") else { return None };
    let status = answer.code.expect("it is complete");
    let location = header(answer.headers, "location");
    Some((Answer { status, location }, head + content_length(answer.headers)))
}

/// How long the body is. Nobody here sends any in chunks.
pub fn content_length(headers: &[httparse::Header<'_>]) -> usize {
    header(headers, "content-length").map_or(0, |length| length.parse().expect("a number"))
}

/// The value of the header with this name.
pub fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    Some(std::str::from_utf8(found.value).expect("ASCII"))
}
