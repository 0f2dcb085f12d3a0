//! What a partner asks for: checking an authorization request (RFC 6749 §4.1.1).
//!
//! Until client and redirect URI are proven, an answer is for the person at the browser only. After that every fault
//! goes to the partner. [`ReturnAddress`] is the proof: only a registered URI becomes one.

use super::error::AuthorizationError;
use crate::domain::Gateway;
use crate::model::oauth::PkceChallenge;
use crate::model::partner::{ClientId, Partner, RedirectUri, Slug};
use crate::model::token::{Code, Plain};
use crate::model::{FlowId, PartnerId, Scopes, Timestamp};
use crate::store::StoreError;

/// The parameters of an authorization request, as they came. One that was repeated is absent here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// `client_id`.
    pub client_id: Option<&'a str>,
    /// `redirect_uri`.
    pub redirect_uri: Option<&'a str>,
    /// `response_type`.
    pub response_type: Option<&'a str>,
    /// `scope`.
    pub scope: Option<&'a str>,
    /// `state`.
    pub state: Option<&'a str>,
    /// `code_challenge`.
    pub code_challenge: Option<&'a str>,
    /// `code_challenge_method`.
    pub code_challenge_method: Option<&'a str>,
    /// Whether any parameter, also an unknown one, was there more than once.
    pub repeated: bool,
}

/// An authorization request that may be shown to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// Its id: it can be approved once.
    pub flow: FlowId,
    /// Who asks.
    pub partner: PartnerId,
    /// Who asks, as OAuth calls it.
    pub client_id: ClientId,
    /// Where the answer goes; registered for the partner.
    pub redirect_uri: RedirectUri,
    /// What is asked for.
    pub scopes: Scopes,
    /// What the partner wants to see again, byte for byte.
    pub state: Option<String>,
    /// The PKCE challenge, if one was sent.
    pub challenge: Option<PkceChallenge>,
    /// When it was received.
    pub created: Timestamp,
}

/// A request and the partner that it came from.
#[derive(Debug, Clone)]
pub struct Asking {
    /// Who asks.
    pub partner: Partner,
    /// For what.
    pub request: AuthorizationRequest,
    /// Where the answer goes.
    pub address: ReturnAddress,
}

/// Where an answer may go: a redirect URI that is registered for the partner that asked, and what comes with every
/// answer to it.
#[derive(Debug, Clone)]
pub struct ReturnAddress {
    redirect_uri: RedirectUri,
    state: Option<String>,
    issuer: String,
}

/// An answer on its way to a partner: the URL that the browser is sent to.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer(String);

/// Why an authorization request goes no further.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// No partner has this path.
    #[error("unknown partner")]
    UnknownPartner,
    /// `client_id` is missing, repeated, unknown, or another partner's.
    #[error("unknown client_id")]
    UnknownClient,
    /// `redirect_uri` is missing, repeated, or not registered.
    #[error("redirect_uri is not registered")]
    RedirectUri,
    /// The partner is to be told.
    #[error("the partner is told")]
    Answered(Answer),
    /// The store failed before it was known whom to tell.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gateway {
    /// Checks what is asked for at `slug`'s authorization endpoint. Writes nothing.
    pub async fn check_authorization(&self, slug: &Slug, asked: Asked<'_>) -> Result<Asking, Stopped> {
        let partner = self.store.partner_by_slug(slug).await?.ok_or(Stopped::UnknownPartner)?;
        if asked.client_id != Some(partner.client_id.as_str()) {
            return Err(Stopped::UnknownClient);
        }
        let registered = asked.redirect_uri.and_then(|uri| partner.registered(uri));
        let redirect_uri = registered.ok_or(Stopped::RedirectUri)?.clone();
        let address = self.return_address(slug, redirect_uri.clone(), asked.state.map(str::to_owned));
        let (scopes, challenge) = wishes(asked, partner.require_pkce).map_err(|error| {
            tracing::info!(%slug, %error, "authorization request refused");
            Stopped::Answered(address.error(error))
        })?;
        let request = AuthorizationRequest {
            flow: FlowId::random(&*self.entropy),
            partner: partner.id,
            client_id: partner.client_id.clone(),
            redirect_uri,
            scopes,
            state: asked.state.map(str::to_owned),
            challenge,
            created: self.clock.now(),
        };
        Ok(Asking { partner, request, address })
    }

    /// For a URI that was proven to be registered for the partner with this slug.
    pub(super) fn return_address(
        &self,
        slug: &Slug,
        redirect_uri: RedirectUri,
        state: Option<String>,
    ) -> ReturnAddress {
        ReturnAddress { redirect_uri, state, issuer: self.issuer(slug) }
    }
}

/// What is asked for, once it is known by whom.
fn wishes(asked: Asked<'_>, require_pkce: bool) -> Result<(Scopes, Option<PkceChallenge>), AuthorizationError> {
    if asked.repeated {
        return Err(AuthorizationError::InvalidRequest("a parameter is repeated"));
    }
    match asked.response_type {
        Some("code") => {}
        Some(_) => return Err(AuthorizationError::UnsupportedResponseType),
        None => return Err(AuthorizationError::InvalidRequest("response_type is missing")),
    }
    let scopes = match asked.scope {
        Some(scope) => scope.parse().map_err(|_| AuthorizationError::InvalidScope)?,
        None => Scopes::ALL,
    };
    let challenge = challenge(asked)?;
    if require_pkce && challenge.is_none() {
        return Err(AuthorizationError::InvalidRequest("code_challenge is missing"));
    }
    Ok((scopes, challenge))
}

/// S256 only. A challenge without a method means `plain` (RFC 7636 §4.3), which is refused like `plain` itself.
fn challenge(asked: Asked<'_>) -> Result<Option<PkceChallenge>, AuthorizationError> {
    match (asked.code_challenge, asked.code_challenge_method) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(AuthorizationError::InvalidRequest("code_challenge is missing")),
        (Some(challenge), Some("S256")) => match challenge.parse() {
            Ok(challenge) => Ok(Some(challenge)),
            Err(_) => Err(AuthorizationError::InvalidRequest("code_challenge is malformed")),
        },
        (Some(_), _) => Err(AuthorizationError::InvalidRequest("code_challenge_method must be S256")),
    }
}

impl ReturnAddress {
    /// The answer that the user approved (RFC 6749 §4.1.2).
    pub fn code(&self, code: &Plain<Code>) -> Answer {
        self.answer(&[("code", code.expose())])
    }

    /// The answer that something is wrong (RFC 6749 §4.1.2.1).
    pub fn error(&self, error: AuthorizationError) -> Answer {
        self.answer(&[("error", error.code()), ("error_description", &error.to_string())])
    }

    /// Every answer carries the state as it was sent, and the issuer (RFC 9207 §2).
    fn answer(&self, what: &[(&str, &str)]) -> Answer {
        let state = self.state.as_deref().map(|state| ("state", state));
        let with: Vec<_> = what.iter().copied().chain(state).chain([("iss", self.issuer.as_str())]).collect();
        Answer(self.redirect_uri.with_answer(&with))
    }
}

impl Answer {
    /// The URL.
    pub fn location(&self) -> &str {
        &self.0
    }
}

/// It may carry a code.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn asked() -> Asked<'static> {
        Asked { response_type: Some("code"), ..Asked::default() }
    }

    #[test]
    fn oauth_011_only_the_code_flow() {
        let with = |response_type| wishes(Asked { response_type, ..asked() }, false).unwrap_err().code();
        assert_eq!(with(None), "invalid_request");
        for wrong in ["token", "Code", "code token", "code ", "none"] {
            assert_eq!(with(Some(wrong)), "unsupported_response_type", "{wrong}");
        }
    }

    #[test]
    fn oauth_012_scopes() {
        let with = |scope| wishes(Asked { scope, ..asked() }, false).map(|(scopes, _)| scopes.to_string());
        let both = "leadrouter:connect leadrouter:send";
        assert_eq!(with(None).unwrap(), both);
        assert_eq!(with(Some("leadrouter:send leadrouter:connect leadrouter:send")).unwrap(), both);
        assert_eq!(with(Some("leadrouter:send")).unwrap(), "leadrouter:send");
        for wrong in
            ["x", "Leadrouter:send", "leadrouter:send  leadrouter:connect", " leadrouter:send", "leadrouter:send\t"]
        {
            assert_eq!(with(Some(wrong)), Err(AuthorizationError::InvalidScope), "{wrong:?}");
        }
    }

    #[test]
    fn oauth_077_plain_is_refused_however_it_is_spelt() {
        let with = |code_challenge, code_challenge_method| {
            wishes(Asked { code_challenge, code_challenge_method, ..asked() }, false).map_err(AuthorizationError::code)
        };
        assert!(with(Some(CHALLENGE), Some("S256")).unwrap().1.is_some());
        for method in [None, Some("plain"), Some("s256"), Some("S512")] {
            assert_eq!(with(Some(CHALLENGE), method), Err("invalid_request"), "{method:?}");
        }
        assert_eq!(with(None, Some("S256")), Err("invalid_request"));
    }

    #[test]
    fn oauth_078_a_challenge_is_43_characters_of_base64url() {
        let padded = format!("{CHALLENGE}=");
        let standard = CHALLENGE.replace('-', "+");
        for wrong in [&CHALLENGE[1..], &padded, &standard] {
            let asked = Asked { code_challenge: Some(wrong), code_challenge_method: Some("S256"), ..asked() };
            assert_eq!(wishes(asked, false).map_err(AuthorizationError::code), Err("invalid_request"), "{wrong}");
        }
    }

    #[test]
    fn oauth_013_014_every_answer_has_state_and_issuer() {
        let address = |state: Option<&str>| ReturnAddress {
            redirect_uri: "https://p.example/cb?x=1".parse().unwrap(),
            state: state.map(str::to_owned),
            issuer: "https://gate.example/pie".into(),
        };
        let denied = address(Some("a+b=&#é")).error(AuthorizationError::AccessDenied);
        assert_eq!(
            denied.location(),
            "https://p.example/cb?x=1&error=access_denied&error_description=the%20user%20did%20not%20approve\
             &state=a%2Bb%3D%26%23%C3%A9&iss=https%3A%2F%2Fgate.example%2Fpie"
        );
        let code = address(None).code(&Plain::received("lgc_1"));
        assert_eq!(code.location(), "https://p.example/cb?x=1&code=lgc_1&iss=https%3A%2F%2Fgate.example%2Fpie");
    }
}
