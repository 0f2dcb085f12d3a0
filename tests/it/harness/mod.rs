//! What tests stand on: a gateway in the process, personas, a receiver, a clock, names.

mod browser;
mod clock;
mod gate;
mod names;

pub use browser::Browser;
pub use gate::{Answer, Cast, Gate, PASSWORD, PartnerPersona, answer};

use std::sync::OnceLock;

use leadgate::domain::passwords::hash_password;
use leadgate::model::OsEntropy;
use leadgate::model::person::PasswordHash;
use serde_json::Value;

/// Hash of [`gate::PASSWORD`], made once: it is slow on purpose.
pub fn password_hash() -> PasswordHash {
    static HASH: OnceLock<PasswordHash> = OnceLock::new();
    HASH.get_or_init(|| hash_password(gate::PASSWORD, &OsEntropy).unwrap()).clone()
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
