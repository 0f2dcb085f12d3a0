//! Knowing a partner again when its server calls (RFC 6749 §2.3.1).

use std::net::IpAddr;

use super::error::TokenError;
use crate::domain::guesses::{self, Guess};
use crate::domain::{Gateway, StoreError};
use crate::model::partner::{Partner, Slug};
use crate::model::token::{Credential, Plain};

/// The client authentication of a request to a partner's OAuth endpoint.
pub enum Presented {
    /// None, or one that cannot be read.
    Nothing,
    /// `client_id` and secret. Several readings of the same header: one has to be right.
    Pairs(Vec<(String, Plain<Credential>)>),
}

impl Gateway {
    /// The partner with this slug, if the request is its own. Unknown partners and clients, other partners' clients and
    /// wrong secrets are all the same refusal. `address` is where it calls from.
    pub async fn authenticate_client(
        &self,
        slug: Option<&Slug>,
        presented: &Presented,
        address: IpAddr,
    ) -> Result<Partner, TokenError> {
        let Presented::Pairs(pairs) = presented else { return Err(TokenError::InvalidClient) };
        let names = pairs.iter().map(|(client_id, _)| client_id.as_str());
        let guess = Guess::at_credential(self, guesses::Credential::ClientSecret, names, address);
        // Side by side: the right secret, which nearly all have, costs no round trip more.
        let (allowed, partner) = tokio::join!(self.may_guess(&guess), self.partner(slug));
        let partner = partner?;
        let who = partner.as_ref().map(|partner| partner.slug.as_str());
        let throttled = |throttled| guess.report(throttled, who);
        allowed?.map_err(throttled)?;
        match partner {
            Some(partner) if pairs.iter().any(|pair| is_client(&partner, pair)) => Ok(partner),
            _ => {
                self.count_wrong(&guess).await?.map_err(throttled)?;
                tracing::info!(slug = slug.map(Slug::as_str), "client authentication failed");
                Err(TokenError::InvalidClient)
            }
        }
    }

    async fn partner(&self, slug: Option<&Slug>) -> Result<Option<Partner>, StoreError> {
        match slug {
            Some(slug) => self.store.partner_by_slug(slug).await,
            None => Ok(None),
        }
    }
}

/// Both halves are always looked at, and the secret's hash is compared in constant time.
fn is_client(partner: &Partner, (client_id, secret): &(String, Plain<Credential>)) -> bool {
    let secret_fits = secret.hash() == partner.secret;
    let id_fits = client_id == partner.client_id.as_str();
    secret_fits & id_fits
}
