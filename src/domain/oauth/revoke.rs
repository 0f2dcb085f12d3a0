//! Revocation (RFC 7009): a partner disconnects.

use super::error::TokenError;
use crate::domain::Gateway;
use crate::model::oauth::Revocation;
use crate::model::partner::Partner;
use crate::model::token::AnyToken;

impl Gateway {
    /// Ends the grant that a token of the partner belongs to, and with it all its tokens, whichever of them was shown: one
    /// grant is one connection. The subscription stays; it is ended by its own DELETE.
    ///
    /// Unknown tokens, dead ones and other partners' are no error (RFC 7009 §2.2): what the caller wants is so already.
    pub async fn revoke_token(&self, partner: &Partner, token: Option<&str>) -> Result<(), TokenError> {
        let token = token.ok_or(TokenError::InvalidRequest("token is missing"))?;
        let Some(token) = AnyToken::received(token) else { return Ok(()) };
        let revocation = Revocation { token, partner: partner.id, now: self.clock.now() };
        if let Some(grant) = self.store.revoke_token(revocation).await? {
            tracing::info!(partner = %partner.slug, %grant, "the partner revoked a grant");
        }
        Ok(())
    }
}
