//! Redirect URIs: one is another if and only if their bytes are the same; and an answer changes nothing but the query.

use http::HeaderValue;
use leadgate::http::form::Params;
use leadgate::model::partner::{ClientId, Partner, RedirectUri};
use leadgate::model::token::Plain;
use leadgate::model::{PartnerId, Timestamp};
use url::Url;

use super::halves;

/// `input` is a text to register, and a text that is asked for (or stands for any other parameter).
pub fn redirect(input: &[u8]) {
    let (first, second) = halves(input);
    let (Ok(first), Ok(second)) = (str::from_utf8(first), str::from_utf8(second)) else { return };
    let Ok(registered) = first.parse::<RedirectUri>() else { return };
    assert_eq!(registered.as_str(), first);
    let partner = partner(registered);
    assert_eq!(partner.registered(second).is_some(), first == second);
    assert_eq!(partner.registered(first).map(RedirectUri::as_str), Some(first));
    answered(&partner.redirect_uris[0], second);
}

/// An answer to `uri` reaches the registered place and says what it is to say, whatever that is.
fn answered(uri: &RedirectUri, state: &str) {
    let location = uri.with_answer(&[("code", "lgc_1"), ("state", state)]);
    assert!(HeaderValue::from_str(&location).is_ok(), "{location}");
    let rest = location.strip_prefix(uri.as_str()).expect("the registered URI comes first");
    let answer = rest.trim_start_matches(['?', '&']).as_bytes();
    let pairs: Vec<_> = url::form_urlencoded::parse(answer).into_owned().collect();
    assert_eq!(pairs, [("code".to_owned(), "lgc_1".to_owned()), ("state".to_owned(), state.to_owned())]);
    if !state.contains('\0') {
        let params = Params::parse(answer).expect("what is written is well-formed");
        assert_eq!(params.get("state").unwrap_or_default(), state);
    }

    let (before, after) = (Url::parse(uri.as_str()).expect("registered"), Url::parse(&location).expect("an answer"));
    assert_eq!((before.origin(), before.path()), (after.origin(), after.path()));
    assert!(after.fragment().is_none() && after.username().is_empty(), "{location}");
    let (query, kept) = (after.query().expect("an answer"), before.query().unwrap_or_default());
    assert!(
        query.starts_with(kept) && query.ends_with(std::str::from_utf8(answer).expect("it is ASCII")),
        "{location}"
    );
}

fn partner(uri: RedirectUri) -> Partner {
    Partner {
        id: PartnerId::from_bytes([1; 16]),
        slug: "piesync".parse().expect("a slug"),
        name: "PieSync".into(),
        client_id: ClientId::received("client"),
        secret: Plain::received("secret").hash(),
        redirect_uris: vec![uri],
        echo: true,
        merge_updates: false,
        require_pkce: false,
        created: Timestamp::UNIX_EPOCH,
    }
}
