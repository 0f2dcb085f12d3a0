//! Servers that speak TLS: a receiver with a certificate that its own maker signed, which nobody's roots know; and whatever
//! is to be `localhost`, by an authority of the tests' own (`encrypted.rs` says how that was made).
//!
//! `tls/` was made with `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500
//! -subj /CN=receiver.test -addext subjectAltName=DNS:receiver.test,IP:127.0.0.1`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use tokio_rustls::TlsAcceptor;

/// The authority that signed the certificate of [`localhost`].
pub const AUTHORITY: &[u8] = include_bytes!("tls/authority.pem");

/// Speaks TLS as `localhost`.
pub fn localhost() -> TlsAcceptor {
    config(include_bytes!("tls/localhost.pem"), include_bytes!("tls/localhost-key.pem")).into()
}

fn config(certificate: &[u8], key: &[u8]) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key));
    Arc::new(config.expect("a TLS configuration"))
}

/// Serves one connection: answers one request with 200. Returns where it listens.
pub fn serve_one() -> SocketAddr {
    let config = config(include_bytes!("tls/certificate.pem"), include_bytes!("tls/key.pem"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept()?;
        let mut connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
        let mut stream = Stream::new(&mut connection, &mut socket);
        // Fails if the client does not trust us, which is what the test is about.
        let _ = stream.read(&mut [0; 65536])?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    });
    address
}
