//! A mail server on this machine: takes every letter, and hands it to the test.

use std::net::SocketAddr;
use std::str::FromStr;

use leadgate::model::mail::{MailRoute, MailServer};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A letter as its reader sees it.
#[derive(Debug)]
pub struct Received {
    /// Whom `RCPT TO` names.
    pub to: String,
    /// Header and body.
    pub text: String,
}

impl Received {
    /// The first address in it that leads to the gateway: its path and query.
    pub fn link(&self) -> String {
        let line = self.text.lines().find(|line| line.starts_with("http://")).expect("a link");
        let url = url::Url::parse(line).unwrap();
        format!("{}?{}", url.path(), url.query().unwrap())
    }
}

/// The server; it stops when this is dropped.
pub struct PostBox {
    pub address: SocketAddr,
    letters: mpsc::UnboundedReceiver<Received>,
    task: JoinHandle<()>,
}

impl PostBox {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, letters) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone()));
            }
        });
        Self { address, letters, task }
    }

    /// Its URL, as a setting.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// How a gateway sends by way of it.
    pub fn route(&self) -> MailRoute {
        let from = "Leads <leads@example.com>".parse().unwrap();
        MailRoute { server: MailServer::from_str(&self.url()).unwrap(), from }
    }

    /// The next letter.
    pub async fn letter(&mut self) -> Received {
        super::soon("a letter arrives", self.letters.recv()).await.unwrap()
    }

    /// Whether a letter lies there that nobody has asked for.
    pub fn is_empty(&mut self) -> bool {
        self.letters.try_recv().is_err()
    }
}

impl Drop for PostBox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads quoted-printable (RFC 2045 §6.7) of ASCII, which is how lines that are long are sent.
fn decoded(text: &str) -> String {
    assert!(text.contains("Content-Transfer-Encoding: quoted-printable"), "{text}");
    let joined = text.replace("=\n", "");
    let mut parts = joined.split('=');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        // What is no code is a "=" of a header.
        match part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => format!("{done}{}{}", char::from(code), &part[2..]),
            None => format!("{done}={part}"),
        }
    })
}

async fn serve(stream: TcpStream, letters: mpsc::UnboundedSender<Received>) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let (mut to, mut answer) = (String::new(), "220 ready".to_owned());
    loop {
        if writer.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
        let Ok(Some(line)) = lines.next_line().await else { return };
        answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250 here".into(),
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                "250 fine".into()
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await.unwrap();
                let mut text = String::new();
                while let Ok(Some(line)) = lines.next_line().await
                    && line != "."
                {
                    text.push_str(&line);
                    text.push('\n');
                }
                // The test may have ended.
                let _ = letters.send(Received { to: to.clone(), text: decoded(&text) });
                "250 taken".into()
            }
            "QUIT" => "221 bye".into(),
            _ => "250 fine".into(),
        };
    }
}
