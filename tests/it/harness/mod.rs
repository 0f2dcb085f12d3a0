//! What tests stand on: a gateway in the process, personas, a receiver that does what it is told, a clock that stands
//! still until it is moved, names, random numbers that are the same every time.

mod browser;
pub mod clock;
pub mod encrypted;
pub mod engine;
pub mod entropy;
mod gate;
pub mod mail_server;
pub mod make;
pub mod name_server;
pub mod names;
pub mod packages;
pub mod pair;
pub mod postgres;
#[path = "../../support/postgres_server.rs"]
pub mod postgres_server;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod secure;
pub mod sockets;
pub mod tls;

pub use browser::{Browser, Look};
pub(crate) use engine::on_every_engine;
pub use gate::{Answer, Cast, Gate, PASSWORD, PartnerPersona, answer, keyed};

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use leadgate::domain::new_password::NewPassword;
use leadgate::domain::passwords::hash_password;
use leadgate::model::OsEntropy;
use leadgate::model::person::PasswordHash;
use serde_json::Value;

/// Waits for something that is sure to happen, and fails the test if it does not: the limit is far above what any machine
/// needs, and nothing is concluded from the time that passes.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), event).await {
        Ok(value) => value,
        Err(_) => panic!("this did not happen: {what}"),
    }
}

/// Hash of [`gate::PASSWORD`], made once: it is slow on purpose.
pub fn password_hash() -> PasswordHash {
    static HASH: OnceLock<PasswordHash> = OnceLock::new();
    HASH.get_or_init(|| hashed(gate::PASSWORD)).clone()
}

/// Hash of a password that nobody's e-mail address is.
pub fn hashed(password: &str) -> PasswordHash {
    let email = "anybody@example.com".parse().unwrap();
    hash_password(&NewPassword::parse(password, &email).unwrap(), &OsEntropy)
}

/// The HTTP client of the tests needs to know which cryptography to use, although it speaks plain HTTP here.
pub fn install_crypto() {
    // It may be installed already, by another test.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Sends JSON without any client's own ideas of how to write it.
pub trait JsonBody {
    fn json_body(self, body: &Value) -> Self;
}

impl JsonBody for reqwest::RequestBuilder {
    fn json_body(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }
}
