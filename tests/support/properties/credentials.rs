//! The `Authorization` header: what is read from it, written again as the RFCs say, is what was sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use leadgate::http::credentials::{BasicPair, Credentials};

/// `input` is a header's value as it came; and once more the text within a Basic header.
pub fn credentials(input: &[u8]) {
    if let Some(read) = read(input) {
        check(input, &read);
    }
    let encoded = STANDARD.encode(input);
    let read = read(format!("Basic {encoded}").as_bytes()).expect("base64 can stand in a header");
    match (pair_in(input), &read) {
        (Some(expected), Credentials::Basic(pair)) => assert_eq!(pair.raw(), expected),
        (None, Credentials::Malformed) => {}
        (expected, other) => panic!("{expected:?} was read as {other:?}"),
    }
}

fn read(value: &[u8]) -> Option<Credentials> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
    Some(Credentials::from(&headers))
}

fn check(header: &[u8], read: &Credentials) {
    let words: Vec<&[u8]> = header.trim_ascii().splitn(2, |&byte| byte == b' ').collect();
    let is = |scheme: &str| words[0].eq_ignore_ascii_case(scheme.as_bytes());
    let parameter = words.get(1).copied().unwrap_or_default().trim_ascii();
    match read {
        Credentials::Absent => assert!(!is("basic") && !is("bearer")),
        Credentials::Malformed => assert!(is("basic") || is("bearer")),
        Credentials::Several => panic!("there is one header"),
        Credentials::Bearer(token) => {
            assert!(is("bearer") && token.as_bytes() == parameter);
            let body = token.trim_end_matches('=');
            let b64token = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
            assert!(!body.is_empty() && body.chars().all(b64token), "{token}");
        }
        Credentials::Basic(pair) => {
            let (name, password) = pair.raw();
            let again = STANDARD.encode(format!("{name}:{password}"));
            assert!(is("basic") && again.as_bytes() == parameter && !name.contains(':'));
            check_candidates(pair);
        }
    }
}

/// The pair as it is comes last; before it, what a form's decoder makes of it, if that is something else.
fn check_candidates(pair: &BasicPair) {
    let candidates: Vec<_> = pair.candidates().collect();
    assert_eq!(candidates.last(), Some(&pair.raw()));
    if let [decoded, raw] = candidates[..] {
        let lenient = |half: &str| {
            // The other separator of a form is an ordinary character here.
            let text = half.replace('&', "%26");
            let mut pairs = url::form_urlencoded::parse(text.as_bytes()).into_owned();
            let (name, value) = pairs.next().unwrap_or_default();
            if half.contains('=') { format!("{name}={value}") } else { name }
        };
        assert_ne!(decoded, raw);
        assert_eq!((decoded.0, decoded.1), (lenient(raw.0).as_str(), lenient(raw.1).as_str()));
    }
}

/// Name and password as RFC 7617 §2 joins them.
fn pair_in(text: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(text).ok()?;
    text.chars().all(|c| !c.is_control()).then(|| text.split_once(':'))?
}
