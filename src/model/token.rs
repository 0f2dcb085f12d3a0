//! Tokens, codes and generated secrets: the plain form that is shown once, and the hash that is kept.
//!
//! All are 256 random bits, so a plain SHA-256 is as hard to reverse as guessing; a slow hash would only throttle
//! the token endpoint. The kind is part of the type: a refresh token's hash cannot be looked up as an access token's.

use std::fmt;
use std::marker::PhantomData;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Entropy;

/// What a token is for; its prefix makes leaked ones findable.
pub trait Kind {
    /// Printed in front of the random part.
    const PREFIX: &'static str;
}

macro_rules! kind {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl Kind for $name {
            const PREFIX: &'static str = $prefix;
        }
    };
}

kind!(
    /// An authorization code (RFC 6749 §4.1.2).
    Code,
    "lgc_"
);
kind!(
    /// An access token.
    Access,
    "lga_"
);
kind!(
    /// A refresh token.
    Refresh,
    "lgr_"
);
kind!(
    /// A logged-in browser's cookie.
    Session,
    "lgs_"
);
kind!(
    /// A browser's cookie before anyone has logged in; it binds forms to the browser.
    Browser,
    "lgb_"
);
kind!(
    /// What a link carries with which a person sets a password.
    PasswordLink,
    "lgp_"
);
kind!(
    /// A partner's client secret, or a source's password: letters and digits only, since some clients form-encode it
    /// before Basic and some do not (RFC 6749 §2.3.1).
    Credential,
    ""
);

/// A token in the clear, on its way to the one it belongs to or back. Never stored, never logged.
pub struct Plain<K> {
    text: String,
    kind: PhantomData<fn() -> K>,
}

/// What is kept of a token.
pub struct Hashed<K> {
    digest: [u8; 32],
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Plain<K> {
    /// A new token of 256 random bits.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::received(format!("{}{}", K::PREFIX, hex::encode(entropy.bytes::<32>())))
    }

    /// What a caller presented; whether it is a token of ours is for the store to say.
    pub fn received(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: PhantomData }
    }

    /// The hash under which it is kept.
    pub fn hash(&self) -> Hashed<K> {
        Hashed::from_bytes(Sha256::digest(self.text.as_bytes()).into())
    }

    /// The text itself, for the one it belongs to.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl<K> Hashed<K> {
    /// A hash as a store kept it.
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self { digest, kind: PhantomData }
    }

    /// The 32 bytes that a store keeps.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// A token of either kind, shown by somebody who need not say of which (RFC 7009 §2.1, RFC 7662 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyToken {
    /// It begins as access tokens do.
    Access(Hashed<Access>),
    /// It begins as refresh tokens do.
    Refresh(Hashed<Refresh>),
}

impl AnyToken {
    /// What a caller presented; `None` if no token of ours begins so. The prefix tells the kind, so that nobody's
    /// `token_type_hint` needs to be believed.
    pub fn received(text: &str) -> Option<Self> {
        if text.starts_with(Access::PREFIX) {
            Some(Self::Access(Plain::received(text).hash()))
        } else if text.starts_with(Refresh::PREFIX) {
            Some(Self::Refresh(Plain::received(text).hash()))
        } else {
            None
        }
    }
}

impl<K> Clone for Hashed<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Hashed<K> {}

/// Compared in constant time, although a difference of hashes says nothing useful about the secret.
impl<K> PartialEq for Hashed<K> {
    fn eq(&self, other: &Self) -> bool {
        self.digest.ct_eq(&other.digest).into()
    }
}

impl<K> Eq for Hashed<K> {}

impl<K: Kind> fmt::Debug for Plain<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plain({}…)", K::PREFIX)
    }
}

impl<K> fmt::Debug for Hashed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashed(…)")
    }
}
