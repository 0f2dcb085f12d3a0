//! People who log in: site owners and operators.

use std::fmt;

use super::{Timestamp, UserId};

/// A person who can log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// What it logs in with; unique, whatever the case.
    pub email: Email,
    /// How pages address it; may be empty.
    pub name: String,
    /// Whether it also sees the console.
    pub operator: bool,
    /// When it was added.
    pub created: Timestamp,
}

/// An e-mail address as a login name: 3 to 254 characters with an `@` inside, no white space. Kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidEmail;

impl std::str::FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let lower = text.trim().to_lowercase();
        let valid = lower.len() <= 254
            && !lower.chars().any(|c| c.is_whitespace() || c.is_control())
            && lower.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
        if valid { Ok(Self(lower)) } else { Err(InvalidEmail) }
    }
}

impl Email {
    /// The address, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An argon2id hash in PHC form, of a password that somebody chose.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}
