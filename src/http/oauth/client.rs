//! What a partner's server sends: a form, with HTTP Basic and no other client authentication (RFC 6749 §2.3).

use axum::extract::{FromRequest, FromRequestParts, Request};

use super::MAX_BODY;
use super::error::OAuthError;
use crate::domain::oauth::client::Presented;
use crate::domain::oauth::error::TokenError;
use crate::http::App;
use crate::http::credentials::Credentials;
use crate::http::form::{self, Params};
use crate::http::middleware::ClientAddress;
use crate::http::routes::PartnerSlug;
use crate::model::partner::{Partner, Slug};
use crate::model::token::Plain;

/// A form of which the sender is known. The client is judged before anything that the form asks for, so that a failed
/// authentication burns no code.
pub(super) struct SignedForm {
    pub(super) partner: Partner,
    pub(super) form: Params,
}

impl FromRequest<App> for SignedForm {
    type Rejection = OAuthError;

    async fn from_request(request: Request, app: &App) -> Result<Self, OAuthError> {
        let from = ClientAddress::of(&request);
        let (mut head, body) = request.into_parts();
        let Ok(PartnerSlug(slug)) = PartnerSlug::from_request_parts(&mut head, app).await;
        let credentials = Credentials::from(&head.headers);
        let form = form::read(Request::from_parts(head, body), MAX_BODY).await?;
        if form.repeated().is_some() {
            return Err(TokenError::InvalidRequest("a parameter is repeated").into());
        }
        let partner = authenticate(app, slug.as_ref(), credentials, from, &form).await?;
        Ok(Self { partner, form })
    }
}

/// The partner that sends this request.
async fn authenticate(
    app: &App,
    slug: Option<&Slug>,
    credentials: Credentials,
    ClientAddress(address): ClientAddress,
    form: &Params,
) -> Result<Partner, OAuthError> {
    let presented = presented(credentials, form)?;
    let partner = app.gateway.authenticate_client(slug, &presented, address).await?;
    match form.get("client_id") {
        Some(other) if other != partner.client_id.as_str() => {
            Err(TokenError::InvalidRequest("client_id is not that of the authenticated client").into())
        }
        _ => Ok(partner),
    }
}

/// A secret in the body is no authentication here (`client_secret_post` is not offered); beside Basic it is a second one.
fn presented(credentials: Credentials, form: &Params) -> Result<Presented, TokenError> {
    match credentials {
        Credentials::Several => Err(TokenError::InvalidRequest("several Authorization headers")),
        Credentials::Basic(_) if form.get("client_secret").is_some() => {
            Err(TokenError::InvalidRequest("several kinds of client authentication"))
        }
        Credentials::Basic(pair) => {
            let pairs = pair.candidates().map(|(id, secret)| (id.to_owned(), Plain::received(secret)));
            Ok(Presented::Pairs(pairs.collect()))
        }
        Credentials::Absent | Credentials::Bearer(_) | Credentials::Malformed => Ok(Presented::Nothing),
    }
}
