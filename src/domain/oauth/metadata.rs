//! Metadata (RFC 8414): each partner's path is an authorization server of its own.

use crate::domain::{Gateway, StoreError};
use crate::model::partner::Slug;

impl Gateway {
    /// The issuer of the authorization server under this slug; `None` if there is no such partner.
    pub async fn issuer_at(&self, slug: Option<&Slug>) -> Result<Option<String>, StoreError> {
        let Some(slug) = slug else { return Ok(None) };
        let partner = self.store.partner_by_slug(slug).await?;
        Ok(partner.map(|partner| self.issuer(&partner.slug)))
    }
}
