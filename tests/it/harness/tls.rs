//! A receiver that speaks TLS, with a certificate that its own maker signed: nobody's roots know it.
//!
//! `tls/` was made with `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500
//! -subj /CN=receiver.test -addext subjectAltName=DNS:receiver.test,IP:127.0.0.1`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

/// Serves one connection: answers one request with 200. Returns where it listens.
pub fn serve_one() -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/certificate.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key))
        .expect("a TLS configuration");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept()?;
        let mut connection = ServerConnection::new(Arc::new(config)).map_err(std::io::Error::other)?;
        let mut stream = Stream::new(&mut connection, &mut socket);
        // Fails if the client does not trust us, which is what the test is about.
        let _ = stream.read(&mut [0; 65536])?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    });
    address
}
