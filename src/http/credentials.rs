//! The `Authorization` header, read strictly and once for all endpoints.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::form;

/// What a request says about who sends it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// No `Authorization` header, or a scheme that is used nowhere here.
    Absent,
    /// A name and a password (RFC 7617).
    Basic(BasicPair),
    /// A token of the b64token alphabet (RFC 6750 §2.1).
    Bearer(String),
    /// Basic or Bearer, but not as their RFCs say.
    Malformed,
    /// Several `Authorization` headers.
    Several,
}

impl From<&HeaderMap> for Credentials {
    fn from(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::parse(value.as_bytes()),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

impl Credentials {
    /// `scheme 1*SP token68` (RFC 9110 §11.4), the scheme in any case.
    fn parse(header: &[u8]) -> Self {
        let text = header.trim_ascii();
        let (scheme, rest) = text.split_at(text.iter().position(|&byte| byte == b' ').unwrap_or(text.len()));
        let parameter = rest.trim_ascii_start();
        if scheme.eq_ignore_ascii_case(b"basic") {
            BasicPair::parse(parameter).map_or(Self::Malformed, Self::Basic)
        } else if scheme.eq_ignore_ascii_case(b"bearer") {
            b64token(parameter).map_or(Self::Malformed, Self::Bearer)
        } else {
            Self::Absent
        }
    }
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750 §2.1).
fn b64token(text: &[u8]) -> Option<String> {
    let end = text.iter().rposition(|&byte| byte != b'=')?;
    let alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let valid = text[..=end].iter().all(alphabet);
    // All of it is ASCII then.
    valid.then(|| String::from_utf8_lossy(text).into_owned())
}

/// The two halves of HTTP Basic.
///
/// RFC 6749 §2.3.1 wants both halves form-encoded before they are joined; many clients do not do it. So there are two
/// readings of the same header, and a caller may accept either: what one client means by `a%2Bb`, another sends as
/// `a+b`.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicPair {
    raw: (String, String),
    decoded: Option<(String, String)>,
}

impl BasicPair {
    /// Base64 of UTF-8 text with a colon and without control characters (RFC 7617 §2).
    fn parse(token68: &[u8]) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(token68).ok()?).ok()?;
        if text.contains(char::is_control) {
            return None;
        }
        let (name, password) = text.split_once(':')?;
        let decode = |half: &str| form::decode(half.as_bytes()).ok();
        let decoded = decode(name).zip(decode(password));
        Some(Self { decoded, raw: (name.to_owned(), password.to_owned()) })
    }

    /// Name and password as RFC 7617 means them: not decoded any further.
    pub fn raw(&self) -> (&str, &str) {
        (&self.raw.0, &self.raw.1)
    }

    /// The readings to try, one after the other: form-decoded (if it can be), then as it is (if that differs).
    pub fn candidates(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let decoded = self.decoded.as_ref().filter(|decoded| **decoded != self.raw);
        decoded.into_iter().chain([&self.raw]).map(|(name, password)| (name.as_str(), password.as_str()))
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Basic(_) => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
            Self::Malformed => "Malformed",
            Self::Several => "Several",
        })
    }
}

impl std::fmt::Debug for BasicPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BasicPair(…)")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(header: &[u8]) -> Credentials {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(header).unwrap());
        Credentials::from(&headers)
    }

    fn basic(pair: &str) -> Credentials {
        read(format!("Basic {}", STANDARD.encode(pair)).as_bytes())
    }

    fn candidates(credentials: &Credentials) -> Vec<(&str, &str)> {
        match credentials {
            Credentials::Basic(pair) => pair.candidates().collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn schemes_are_read_in_any_case_and_with_any_number_of_spaces() {
        for header in ["Bearer lga_1", "bearer lga_1", "BEARER   lga_1 "] {
            assert_eq!(read(header.as_bytes()), Credentials::Bearer("lga_1".into()), "{header}");
        }
        for scheme in ["Basic", "basic", "bAsIc  "] {
            let credentials = read(format!("{scheme} {}", STANDARD.encode("a:b")).as_bytes());
            assert_eq!(candidates(&credentials), [("a", "b")], "{scheme}");
        }
    }

    #[test]
    fn basic_is_split_at_the_first_colon_and_offered_decoded_and_as_it_is() {
        assert_eq!(candidates(&basic("a:b:c")), [("a", "b:c")]);
        assert_eq!(candidates(&basic("a:")), [("a", "")]);
        assert_eq!(candidates(&basic("a%20b:c+d")), [("a b", "c d"), ("a%20b", "c+d")]);
        assert_eq!(candidates(&basic("a:100%")), [("a", "100%")]);
        assert_eq!(candidates(&basic("é:ü")), [("é", "ü")]);
    }

    #[test]
    fn malformed_headers_are_told_from_absent_ones() {
        for header in [
            &b"Basic"[..],
            b"Basic ",
            b"Basic !!!",
            b"Basic YTpi!",
            b"Basic YTpi YTpi",
            b"Basic YWI=",
            b"Basic YTr/",
            b"Basic YQA6Yg==",
            b"Bearer",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer =",
            b"Bearer a=b",
            b"Bearer \xff",
        ] {
            assert_eq!(read(header), Credentials::Malformed, "{}", header.escape_ascii());
        }
        for header in [&b""[..], b"Digest a", b"Basicx YTpi", b"\xff"] {
            assert_eq!(read(header), Credentials::Absent, "{}", header.escape_ascii());
        }
        assert_eq!(Credentials::from(&HeaderMap::new()), Credentials::Absent);
    }

    #[test]
    fn two_headers_are_one_too_many() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert_eq!(Credentials::from(&headers), Credentials::Several);
    }

    #[test]
    fn nothing_of_it_is_printed() {
        assert_eq!(format!("{:?}{:?}", basic("name:pass"), read(b"Bearer abc")), "Basic(…)Bearer(…)");
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(header in proptest::collection::vec(0x20u8..=0xff, 0..100)) {
            if let Ok(value) = HeaderValue::from_bytes(&header) {
                let _ = read(value.as_bytes());
            }
        }

        #[test]
        fn any_pair_comes_back_form_encoded_or_not(name in "[^:%+\\pC]{0,20}", password in "[^%+\\pC]{0,20}") {
            let pair = (name.as_str(), password.as_str());
            let plain = basic(&format!("{name}:{password}"));
            prop_assert!(candidates(&plain).contains(&pair));
            let encode = |half: &str| url::form_urlencoded::byte_serialize(half.as_bytes()).collect::<String>();
            let encoded = basic(&format!("{}:{}", encode(&name), encode(&password)));
            prop_assert!(candidates(&encoded).contains(&pair));
        }
    }
}
