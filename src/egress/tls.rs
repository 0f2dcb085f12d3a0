//! TLS for the client: rustls on ring, trusting what the operating system trusts.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// A configuration that checks certificates against the system's roots; if it has none (a bare container), against
/// Mozilla's, which are compiled in.
///
/// # Errors
/// The provider supports no protocol version; cannot happen with the features that this program is built with.
pub fn config() -> Result<ClientConfig, rustls::Error> {
    trusting(roots())
}

/// The same with these roots. HTTP/2 is preferred, and sessions are resumed, those of the last 256 hosts.
///
/// # Errors
/// Like [`config`].
pub fn trusting(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's root certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        tracing::info!("the system has no root certificates; using the built-in ones");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
