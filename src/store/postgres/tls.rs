//! TLS to the database: rustls on ring, trusting what the operating system trusts.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Checks the server's certificate and name against the system's roots; if it has none (a bare container), against
/// Mozilla's, which are compiled in. A database's own authority is named with `SSL_CERT_FILE`.
pub(super) fn connector() -> MakeRustlsConnect {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the protocol versions that this program is built with")
        .with_root_certificates(roots())
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if usable == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
