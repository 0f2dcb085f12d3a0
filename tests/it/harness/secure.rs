//! Receivers that speak TLS with a certificate for `localhost`, which an authority of the tests' own signed: HTTP/1.1, or
//! HTTP/2 stream by stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use leadgate::egress::tls_config_trusting;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::soon;

/// The gateway's TLS, which trusts the tests' authority instead of the system's.
pub fn trusting() -> ClientConfig {
    let authority = CertificateDer::from_pem_slice(include_bytes!("tls/authority.pem")).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(authority).expect("an authority");
    tls_config_trusting(roots).expect("a TLS configuration")
}

/// A listener for TLS connections. It is on 127.0.0.1, and its certificate is for `localhost`.
pub struct Secure {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Secure {
    /// Starts one that speaks these protocols, the first best of all.
    pub async fn start(protocols: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(server_config(protocols))) }
    }

    /// A URL that leads here.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address().port())
    }

    /// The next connection, after its handshake.
    pub async fn accept(&self) -> TlsStream<TcpStream> {
        soon("a TLS connection", self.try_accept()).await.expect("the handshake succeeds")
    }

    async fn try_accept(&self) -> io::Result<TlsStream<TcpStream>> {
        let (socket, _) = self.listener.accept().await?;
        self.acceptor.accept(socket).await
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("an address")
    }
}

/// Whether the connection goes on with an earlier one's TLS session.
pub fn is_resumed(connection: &TlsStream<TcpStream>) -> bool {
    connection.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// A receiver that speaks HTTP/2. It hands every stream to the test.
pub struct Http2Receiver {
    url: String,
    arrivals: mpsc::UnboundedReceiver<Stream>,
    ended: mpsc::UnboundedReceiver<usize>,
    leave: Arc<Notify>,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Stream {
    /// The number of its connection, from 1.
    pub connection: usize,
    /// What came.
    pub request: Request<RecvStream>,
    reply: SendResponse<Bytes>,
}

impl Http2Receiver {
    /// Starts one that takes at most `streams` requests at once on a connection.
    pub async fn start(streams: u32) -> Self {
        let secure = Secure::start(&["h2"]).await;
        let (url, leave) = (secure.url("/"), Arc::new(Notify::new()));
        let (sender, arrivals) = mpsc::unbounded_channel();
        let (end, ended) = mpsc::unbounded_channel();
        let leaving = leave.clone();
        tokio::spawn(async move {
            for number in 1.. {
                let Ok(socket) = secure.try_accept().await else { continue };
                let (sender, end, leaving) = (sender.clone(), end.clone(), leaving.clone());
                tokio::spawn(async move {
                    serve(socket, number, streams, sender, leaving).await;
                    // The test may be over.
                    let _ = end.send(number);
                });
            }
        });
        Self { url, arrivals, ended, leave }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next request.
    pub async fn next(&mut self) -> Stream {
        soon("a request arrives", self.arrivals.recv()).await.expect("the receiver listens")
    }

    /// Fails if a request has arrived that the test did not ask for.
    pub fn assert_quiet(&mut self) {
        assert!(self.arrivals.try_recv().is_err(), "an unexpected request");
    }

    /// Says on its connections that it takes no more requests there: those that it has are answered.
    pub fn go_away(&self) {
        self.leave.notify_waiters();
    }

    /// Waits until a connection has ended. Returns its number.
    pub async fn ended(&mut self) -> usize {
        soon("a connection ends", self.ended.recv()).await.expect("the receiver listens")
    }
}

impl Stream {
    /// Answers.
    pub fn answer(mut self, status: u16, body: impl Into<Bytes>) {
        let response = Response::builder().status(status).body(()).expect("a response");
        // Fails if the other side has gone.
        let sent = self.reply.send_response(response, false);
        let _ = sent.and_then(|mut stream| stream.send_data(body.into(), true));
    }

    /// Says that it has not looked at the request.
    pub fn refuse(mut self) {
        self.reply.send_reset(Reason::REFUSED_STREAM);
    }

    /// The request's body.
    pub async fn body(&mut self) -> Vec<u8> {
        let (stream, mut body) = (self.request.body_mut(), Vec::new());
        while let Some(piece) = stream.data().await {
            body.extend_from_slice(&piece.expect("a body"));
        }
        body
    }
}

async fn serve(
    socket: TlsStream<TcpStream>,
    number: usize,
    streams: u32,
    arrivals: mpsc::UnboundedSender<Stream>,
    leave: Arc<Notify>,
) {
    let mut builder = Builder::new();
    let Ok(mut connection) = builder.max_concurrent_streams(streams).handshake::<_, Bytes>(socket).await else {
        return;
    };
    let mut leaving = std::pin::pin!(leave.notified());
    let mut told = false;
    loop {
        tokio::select! {
            next = connection.accept() => match next {
                Some(Ok((request, reply))) => {
                    // The test may be over.
                    let _ = arrivals.send(Stream { connection: number, request, reply });
                }
                _ => return,
            },
            () = &mut leaving, if !told => {
                told = true;
                connection.graceful_shutdown();
            }
        }
    }
}

fn server_config(protocols: &[&str]) -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/localhost.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/localhost-key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key))
        .expect("a TLS configuration");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}
