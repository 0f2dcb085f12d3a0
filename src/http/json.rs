//! JSON in and out: bodies of at most 1 MiB, and answers written as API.md prints them.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Value};

use super::body::{self, BodyRefused};

/// The longest body that is read, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// Not JSON, or JSON of another shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the JSON that was expected")]
pub struct InvalidJson;

/// Reads a whole body.
pub async fn read(body: Body) -> Result<Bytes, BodyRefused> {
    body::read(body, MAX_BODY).await
}

/// A body that must be a JSON object. Nesting beyond 128 levels is refused by the parser.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, InvalidJson> {
    serde_json::from_slice(body).map_err(|_| InvalidJson)
}

/// A body that must be a JSON list.
pub fn list(body: &[u8]) -> Result<Vec<Value>, InvalidJson> {
    serde_json::from_slice(body).map_err(|_| InvalidJson)
}

/// An answer in JSON that nobody may cache.
pub fn answer(status: StatusCode, value: &impl Serialize) -> Response {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Documented);
    value.serialize(&mut serializer).expect("answers are made of JSON values, and memory takes what is written");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, bytes).into_response()
}

/// Writes JSON with a blank after each colon and comma. That is how the answers are documented, and documented behaviour
/// is kept to the byte: some partner may compare texts.
struct Documented;

impl Formatter for Documented {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
