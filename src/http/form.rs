//! Strict reading of `application/x-www-form-urlencoded`, in bodies and in queries.
//!
//! Our own, because the common crates repair what they read: they keep a bad `%`, replace bad UTF-8, and let the last of
//! two equal names win. At an OAuth endpoint each of those is an attack or a broken client, and has to be an error
//! (RFC 6749 §3.1, §3.2, Appendix B).

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

use super::body::{self, BodyRefused};

/// The text is not form-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedForm {
    /// A `%` without two hex digits behind it.
    #[error("a percent sign is not followed by two hex digits")]
    Percent,
    /// A NUL character, plain or encoded.
    #[error("a NUL character")]
    Nul,
    /// What is left after decoding is not UTF-8.
    #[error("not UTF-8")]
    Utf8,
}

/// A request's body is no form that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormRefused {
    /// Its `Content-Type` is another one, or there is none, or several.
    #[error("the body must be application/x-www-form-urlencoded")]
    ContentType,
    /// It was not read.
    #[error(transparent)]
    Body(#[from] BodyRefused),
    /// It is not form-encoded.
    #[error("the body is malformed: {0}")]
    Malformed(#[from] MalformedForm),
}

/// The parameters of a form or a query.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params {
    values: BTreeMap<String, Vec<String>>,
}

impl Params {
    /// Decodes `name=value&…`. A name that is there twice is no error here, but [`Params::get`] does not see it.
    pub fn parse(text: &[u8]) -> Result<Self, MalformedForm> {
        let mut values = BTreeMap::<String, Vec<String>>::new();
        for pair in text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            values.entry(name).or_default().push(value);
        }
        Ok(Self { values })
    }

    /// The value of `name`; `None` if it is absent, empty (RFC 6749 §3.1: the same as absent) or there several times.
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.values.get(name)?.as_slice() {
            [value] if !value.is_empty() => Some(value),
            _ => None,
        }
    }

    /// Whether `name` is there more than once, whatever the values.
    pub fn is_repeated(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|values| values.len() > 1)
    }

    /// A name that is there more than once, if there is one.
    pub fn repeated(&self) -> Option<&str> {
        self.values.iter().find(|(_, values)| values.len() > 1).map(|(name, _)| name.as_str())
    }
}

/// Reads a request's body as a form of at most `limit` bytes.
pub async fn read(request: Request<Body>, limit: usize) -> Result<Params, FormRefused> {
    if !is_form(request.headers()) {
        return Err(FormRefused::ContentType);
    }
    let body = body::read(request.into_body(), limit).await?;
    Ok(Params::parse(&body)?)
}

/// Whether there is one `Content-Type` and it is a form's, in any case and with any parameters.
fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else { return false };
    let essence = one.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// Decodes one name or value: `+` is a space, `%xx` in any case is a byte, everything else is itself.
pub fn decode(text: &[u8]) -> Result<String, MalformedForm> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next())? << 4 | hex_digit(rest.next())?,
            plain => plain,
        });
    }
    if bytes.contains(&0) {
        return Err(MalformedForm::Nul);
    }
    String::from_utf8(bytes).map_err(|_| MalformedForm::Utf8)
}

fn hex_digit(byte: Option<&u8>) -> Result<u8, MalformedForm> {
    match byte {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(MalformedForm::Percent),
    }
}

/// Names only: values can be passwords and codes.
impl std::fmt::Debug for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Params {
        Params::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn values_are_decoded_once() {
        let params = parse("a=x+y%20z%2b%2B&b=%C3%A9&%63=1=2&&d");
        assert_eq!(params.get("a"), Some("x y z++"));
        assert_eq!(params.get("b"), Some("é"));
        assert_eq!(params.get("c"), Some("1=2"));
        assert_eq!(params.get("d"), None);
        assert_eq!(parse("a=%2541").get("a"), Some("%41"));
    }

    #[test]
    fn an_empty_value_is_an_absent_one() {
        assert_eq!(parse("a=&b").get("a"), None);
        assert_eq!(parse("a=&b").get("b"), None);
        assert_eq!(parse("").repeated(), None);
    }

    #[test]
    fn a_repeated_name_has_no_value_and_is_told() {
        for text in ["a=1&b=2&a=1", "a=1&%61=2&b=2", "a=1&a=&b=2", "a&a&b=2"] {
            let params = parse(text);
            assert_eq!(params.get("a"), None, "{text}");
            assert_eq!(params.get("b"), Some("2"), "{text}");
            assert_eq!(params.repeated(), Some("a"), "{text}");
            assert!(params.is_repeated("a") && !params.is_repeated("b"), "{text}");
        }
    }

    #[test]
    fn what_would_need_repair_is_refused() {
        for (text, fault) in [
            ("a=%", MalformedForm::Percent),
            ("a=%4", MalformedForm::Percent),
            ("a=%4g", MalformedForm::Percent),
            ("a=%+1", MalformedForm::Percent),
            ("%zz=1", MalformedForm::Percent),
            ("a=%00", MalformedForm::Nul),
            ("a=\0", MalformedForm::Nul),
            ("a=%ff", MalformedForm::Utf8),
            ("a=%ed%a0%80", MalformedForm::Utf8),
            ("a=%c0%80", MalformedForm::Utf8),
        ] {
            assert_eq!(Params::parse(text.as_bytes()), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn only_one_content_type_is_a_form() {
        let is = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_TYPE, axum::http::HeaderValue::from_static(value));
            }
            is_form(&headers)
        };
        assert!(is(&["application/x-www-form-urlencoded"]));
        assert!(is(&["Application/X-WWW-Form-Urlencoded ; charset=UTF-8"]));
        assert!(!is(&[]));
        assert!(!is(&["application/json"]));
        assert!(!is(&["multipart/form-data; boundary=x"]));
        assert!(!is(&["application/x-www-form-urlencodedx"]));
        assert!(!is(&["application/x-www-form-urlencoded", "application/x-www-form-urlencoded"]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Params::parse(&text);
        }

        #[test]
        fn what_a_browser_encodes_comes_back(name in "[^\0]{1,20}", value in "[^\0]{1,60}") {
            let text = url::form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            let params = parse(&text);
            prop_assert_eq!(params.get(&name), Some(value.as_str()));
        }

        #[test]
        fn percent_encoding_every_byte_changes_nothing(value in "[^\0]{1,60}", upper in any::<bool>()) {
            let encoded: String = value.bytes()
                .map(|byte| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") })
                .collect();
            prop_assert_eq!(decode(encoded.as_bytes()), Ok(value));
        }
    }
}
