//! A connection to the gateway without an HTTP client's good manners.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::soon;

/// A connection.
pub struct Wire(TcpStream);

impl Wire {
    /// Opens one.
    pub async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Opens one from another address of this machine, such as 127.0.0.2.
    pub async fn from(source: [u8; 4], address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        Self(socket.connect(address).await.unwrap())
    }

    /// Sends these bytes. Where the other end has hung up already, nothing is sent.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// All that comes until the gateway hangs up.
    pub async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A connection that is reset has ended, too.
        let _ = soon("the gateway hangs up", self.0.read_to_end(&mut bytes)).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The status of the next answer; what follows its first line stays unread.
    pub async fn status(&mut self) -> u16 {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(soon("the gateway answers", self.0.read_u8()).await.unwrap());
        }
        let line = String::from_utf8(line).unwrap();
        line.split(' ').nth(1).unwrap_or_else(|| panic!("{line}")).parse().unwrap()
    }

    /// The status of the next answer, whose head and body are read.
    pub async fn answer(&mut self) -> (u16, String) {
        let status = self.status().await;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && head != "\r\n" {
            head.push(soon("the head ends", self.0.read_u8()).await.unwrap().into());
        }
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        soon("the body ends", self.0.read_exact(&mut body)).await.unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    /// Says that nothing more comes.
    pub async fn finish(&mut self) {
        self.0.shutdown().await.unwrap();
    }
}

/// The statuses of all answers in `text`.
pub fn statuses(text: &str) -> Vec<u16> {
    let lines = text.split("HTTP/1.1 ").skip(1);
    lines.map(|line| line[..3].parse().unwrap()).collect()
}
