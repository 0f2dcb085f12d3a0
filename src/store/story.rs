//! The story of a delivery: its attempts as one text, a line of JSON each, oldest first.
//!
//! So that an attempt is added without reading the others, and the whole moves with the delivery. What receivers answer can
//! hold a NUL, which TEXT cannot; JSON writes it in other words.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::delivery::Attempt;
use crate::model::time::from_millis;
use crate::store::{Result, StoreError};

/// An attempt as it is written.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    /// In milliseconds since 1970.
    started: i64,
    /// In microseconds.
    duration: u64,
    status: Option<u16>,
    error: Option<Cow<'a, str>>,
    response: Cow<'a, str>,
}

/// The line that an attempt adds.
pub(in crate::store) fn line(attempt: &Attempt) -> String {
    let line = Line {
        started: attempt.started.as_millisecond(),
        duration: u64::try_from(attempt.duration.as_micros()).unwrap_or(u64::MAX),
        status: attempt.status,
        error: attempt.error.as_deref().map(Cow::Borrowed),
        response: Cow::Borrowed(&attempt.response),
    };
    let mut text = serde_json::to_string(&line).expect("numbers and text are always JSON");
    text.push('\n');
    text
}

/// The attempts that a story tells.
///
/// # Errors
/// [`StoreError::Corrupt`] if it is none.
pub(in crate::store) fn attempts(story: &str) -> Result<Vec<Attempt>> {
    story.lines().map(attempt).collect()
}

fn attempt(line: &str) -> Result<Attempt> {
    let line: Line = serde_json::from_str(line).map_err(|error| StoreError::Corrupt(format!("an attempt: {error}")))?;
    Ok(Attempt {
        started: from_millis(line.started),
        duration: Duration::from_micros(line.duration),
        status: line.status,
        error: line.error.map(Cow::into_owned),
        response: line.response.into_owned(),
    })
}
