//! What tests stand on: a gateway in the process, personas, a receiver, a clock, names.

mod clock;
mod gate;
mod names;

pub use gate::{Answer, Cast, Gate, answer};

use serde_json::Value;

/// Sends JSON without any client's own ideas of how to write it.
pub trait JsonBody {
    fn json_body(self, body: &Value) -> Self;
}

impl JsonBody for reqwest::RequestBuilder {
    fn json_body(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }
}
