//! OAuth 2.0 (RFC 6749, RFC 9700): the authorization code flow with PKCE, and rotating refresh tokens.
//!
//! `authorize` checks what a partner asks for, `flow` carries it through the pages, `consent` asks the user, `client`
//! knows the partner again, `token` pays out, `introspect` says what a token is worth and `revoke` ends it, `metadata` says
//! where all this is found.

pub mod authorize;
pub mod client;
pub mod consent;
pub mod error;
pub mod flow;
pub mod introspect;
pub mod metadata;
pub mod revoke;
pub mod token;

use super::Gateway;
use crate::model::partner::Slug;

impl Gateway {
    /// The issuer identifier of a partner's authorization server (RFC 8414 §2, RFC 9207 §2).
    pub fn issuer(&self, slug: &Slug) -> String {
        format!("{}/{slug}", self.policy.public_url)
    }
}
