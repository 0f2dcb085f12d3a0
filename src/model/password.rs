//! Passwords that are set: by whom, on what proof, and the links that are such a proof.

use super::person::PasswordHash;
use super::token::{Hashed, PasswordLink};
use super::{Timestamp, UserId};

/// A password that is to be set.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// Whose.
    pub user: UserId,
    /// What allows it.
    pub proof: Proof,
    /// What it is from now on.
    pub password: PasswordHash,
    /// Whether the applications that the person connected are disconnected, too.
    pub disconnect: bool,
    /// When.
    pub now: Timestamp,
}

/// What allows a password to be set.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The operator says so.
    Operator,
    /// The old one was shown; this is its hash. It must still be the password.
    Old(PasswordHash),
    /// A link was followed. It must be alive, and is used up.
    Link(Hashed<PasswordLink>),
}

/// What became of setting a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordSet {
    /// It is set, and all sessions and links of the person are dead.
    Done,
    /// The person is gone, or the proof is not good any more. Nothing was changed.
    Refused,
}

/// What a link that sets a password is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// The operator invites somebody.
    Invitation,
    /// Somebody has forgotten the password.
    Reset,
}

impl LinkKind {
    /// Its name in a store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Reset => "reset",
        }
    }
}

/// A link with which a person sets a password, once. There is one of each kind at most: an older one is dead.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// Hash of what the link carries.
    pub hash: Hashed<PasswordLink>,
    /// Whose password it sets.
    pub user: UserId,
    /// What it is for.
    pub kind: LinkKind,
    /// When it was made.
    pub created: Timestamp,
    /// From then on it is dead.
    pub expires: Timestamp,
}
