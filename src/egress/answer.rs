//! What a receiver answered, cut down to what is kept.

use std::sync::atomic::{AtomicU16, Ordering};

use http::Response;
use http::header::RETRY_AFTER;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::error::SendError;
use super::wire::Allowance;
use crate::model::delivery::EXCERPT;

/// At most so many bytes of an answer are read, whatever they are; then the connection is dropped. Over HTTP/2, where others
/// share it, so many of an answer's body, and then this one stream is.
pub const MAX_ANSWER: usize = 64 * 1024;

/// A receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The `Retry-After` header, as it came.
    pub retry_after: Option<String>,
    /// The first [`EXCERPT`] bytes of the body, as harmless text.
    pub excerpt: String,
}

/// Reads an answer, as far as the allowance goes, and says whether it was read to its end. `state` is set to the status as
/// soon as it is known: reading may be cut off after that.
///
/// # Errors
/// [`SendError::Broken`].
pub(super) async fn read(
    response: Response<Incoming>,
    allowance: &Allowance,
    state: &AtomicU16,
) -> Result<(Answer, bool), SendError> {
    let status = response.status().as_u16();
    state.store(status, Ordering::Relaxed);
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (mut beginning, mut whole) = (Beginning::default(), true);
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let goes_on = match frame {
            // What is no data is trailers, which nobody wants.
            Ok(frame) => frame.data_ref().is_none_or(|piece| beginning.take(piece)),
            Err(_) if allowance.is_used_up() => false,
            Err(_) => return Err(SendError::Broken { status }),
        };
        if !goes_on {
            whole = false;
            break;
        }
    }
    Ok((Answer { status, retry_after, excerpt: beginning.into_text() }, whole))
}

/// Gathers the beginning of a body, and says when enough of it was read.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    kept: Vec<u8>,
    read: usize,
}

impl Beginning {
    /// Takes note of the next piece. `false`: enough was read.
    pub fn take(&mut self, piece: &[u8]) -> bool {
        let room = EXCERPT - self.kept.len();
        self.kept.extend_from_slice(&piece[..room.min(piece.len())]);
        self.read += piece.len();
        self.read < MAX_ANSWER
    }

    /// The excerpt.
    pub fn into_text(self) -> String {
        let cut = self.read > self.kept.len();
        harmless(&self.kept, cut)
    }
}

/// `bytes` as text that can be shown and stored anywhere: what is not UTF-8, and control characters, become U+FFFD. If
/// the bytes were `cut` off, a character that lost its end is left out.
fn harmless(bytes: &[u8], cut: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        text.extend(chunk.valid().chars().map(|c| if control(c) { char::REPLACEMENT_CHARACTER } else { c }));
        let severed = cut && chunks.peek().is_none();
        if !chunk.invalid().is_empty() && !severed {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_harmless_text() {
        assert_eq!(harmless("ok\t\u{0}\u{1b}[31m\r\n é".as_bytes(), false), "ok\t\u{fffd}\u{fffd}[31m\u{fffd}\n é");
        assert_eq!(harmless(b"a\xffb", false), "a\u{fffd}b");
        assert_eq!(harmless(b"caf\xc3", false), "caf\u{fffd}");
        assert_eq!(harmless(b"caf\xc3", true), "caf");
    }

    #[test]
    fn only_the_beginning_is_kept_and_reading_ends() {
        let mut body = Beginning::default();
        assert!(body.take(&[b'a'; EXCERPT - 1]));
        assert!(body.take("éé".as_bytes()));
        assert!(!body.take(&[b'b'; MAX_ANSWER]));
        assert_eq!(body.into_text(), "a".repeat(EXCERPT - 1));
    }
}
