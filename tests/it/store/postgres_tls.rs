//! TLS to PostgreSQL: whose certificate is good, and what an operator is told of one that is not.

use std::path::{Path, PathBuf};

use leadgate::store::{self, DatabaseUrl, Purpose};

use crate::harness::encrypted::Encrypted;

/// A file of the tests' certificates.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/harness/tls").join(name)
}

fn trusting(server: &Encrypted, host: &str, authorities: &Path) -> DatabaseUrl {
    server.url(host, &format!("?sslrootcert={}", authorities.display())).parse().unwrap()
}

async fn refusal(url: DatabaseUrl) -> String {
    store::migrate(&url).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_must_be_the_servers_and_of_an_authority_that_is_trusted() {
    let server = Encrypted::start();
    let trusted = trusting(&server, "localhost", &file("authority.pem"));
    assert!(!store::migrate(&trusted).await.unwrap().is_empty());
    let store = store::open(&trusted, Purpose::Serve).await.unwrap();
    store.ping().await.unwrap();
    store.close().await;
    let as_libpq_says = format!("?sslmode=verify-full&sslrootcert={}", file("authority.pem").display());
    let as_libpq_says = server.url("localhost", &as_libpq_says).parse().unwrap();
    assert!(store::migrate(&as_libpq_says).await.unwrap().is_empty());

    let other_authority = refusal(trusting(&server, "localhost", &file("certificate.pem"))).await;
    assert!(other_authority.contains("UnknownIssuer"), "{other_authority}");
    let system = refusal(server.url("localhost", "?sslmode=require").parse().unwrap()).await;
    assert!(system.contains("UnknownIssuer"), "{system}");
    let other_name = refusal(trusting(&server, "127.0.0.1", &file("authority.pem"))).await;
    assert!(other_name.contains("certificate not valid for name"), "{other_name}");
    let in_the_clear = refusal(server.url("localhost", "").parse().unwrap()).await;
    assert!(in_the_clear.contains("no encryption"), "{in_the_clear}");
}

#[tokio::test]
async fn a_file_without_certificates_is_named() {
    for (name, fault) in [("missing.pem", "No such file"), ("key.pem", "it has no certificates")] {
        let url = format!("postgres://me:hush@127.0.0.1:1/leads?sslrootcert={}", file(name).display());
        let refused = refusal(url.parse().unwrap()).await;
        assert!(refused.contains(name) && refused.contains(fault) && !refused.contains("hush"), "{refused}");
    }
}
