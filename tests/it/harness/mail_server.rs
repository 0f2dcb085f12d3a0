//! A mail server on this machine: takes every letter, and hands it to the test.

use std::net::SocketAddr;
use std::str::FromStr;

use leadgate::model::mail::{Encryption, MailRoute, MailServer};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::tls;

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

/// A line that the server was told.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether nobody between could read it.
    pub encrypted: bool,
    pub line: String,
}

/// The server; it stops when this is dropped.
pub struct PostBox {
    pub address: SocketAddr,
    letters: mpsc::UnboundedReceiver<Received>,
    said: mpsc::UnboundedReceiver<Said>,
    task: JoinHandle<()>,
}

impl PostBox {
    /// One that knows no encryption.
    pub async fn start() -> Self {
        Self::start_with(Encryption::None).await
    }

    /// One that is `localhost` to those who trust `tls::AUTHORITY`, and takes letters only from who is encrypted so.
    pub async fn start_with(encryption: Encryption) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (letters_in, letters) = mpsc::unbounded_channel();
        let (said_in, said) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, encryption, Desk { letters: letters_in.clone(), said: said_in.clone() }));
            }
        });
        Self { address, letters, said, task }
    }

    /// How a client that expects this encryption finds it, with a login.
    pub fn expecting(&self, encryption: Encryption) -> MailRoute {
        let login = Some(("kim@example.com".to_owned(), "p/w of Kim".to_owned()));
        let server = MailServer { encryption, host: "localhost".into(), port: self.address.port(), login };
        MailRoute { server, ..self.route() }
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

    /// What it was told until now.
    pub fn heard(&mut self) -> Vec<Said> {
        std::iter::from_fn(|| self.said.try_recv().ok()).collect()
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

/// Where a conversation leaves what it hears.
struct Desk {
    letters: mpsc::UnboundedSender<Received>,
    said: mpsc::UnboundedSender<Said>,
}

async fn serve(mut stream: TcpStream, encryption: Encryption, desk: Desk) {
    let offers = if encryption == Encryption::StartTls { "250-here\r\n250 STARTTLS" } else { "250 here" };
    let at_once = encryption == Encryption::Tls;
    // A client that does not trust this server leaves here.
    if (at_once || desk.talk(&mut stream, offers, false, true).await)
        && let Ok(mut stream) = tls::localhost().accept(stream).await
    {
        desk.talk(&mut stream, "250-here\r\n250 AUTH PLAIN", true, at_once).await;
    }
}

impl Desk {
    /// Talks until the client leaves, or (which is the answer) wants to go on encrypted.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        hello: &str,
        encrypted: bool,
        greets: bool,
    ) -> bool {
        let mut stream = BufReader::new(stream);
        let mut answer = if greets { "220 ready" } else { "" };
        let mut to = String::new();
        loop {
            if !answer.is_empty() && stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                return false;
            }
            // What is written to TLS waits there until it is told to go.
            let _ = stream.flush().await;
            let Some(line) = next_line(&mut stream).await else { return false };
            // The test may have ended.
            let _ = self.said.send(Said { encrypted, line: line.clone() });
            answer = match line.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => hello,
                "STARTTLS" => {
                    let _ = stream.write_all(b"220 go on\r\n").await;
                    return true;
                }
                "AUTH" => "235 welcome",
                "RCPT" => {
                    to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    "250 fine"
                }
                "DATA" => {
                    let _ = stream.write_all(b"354 go on\r\n").await;
                    let _ = stream.flush().await;
                    let mut text = String::new();
                    while let Some(line) = next_line(&mut stream).await
                        && line != "."
                    {
                        text.push_str(&line);
                        text.push('\n');
                    }
                    let _ = self.letters.send(Received { to: to.clone(), text: decoded(&text) });
                    "250 taken"
                }
                "QUIT" => "221 bye",
                _ => "250 fine",
            };
        }
    }
}

async fn next_line(stream: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
