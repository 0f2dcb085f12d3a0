//! The two scopes, and sets of them (API.md §1, RFC 6749 §3.3).

use std::fmt;

/// One permission that a partner can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `leadrouter:connect`: manage the site's subscription, and so receive its leads.
    Connect,
    /// `leadrouter:send`: send leads in.
    Send,
}

impl Scope {
    /// All scopes, in the order in which they are printed.
    pub const ALL: [Scope; 2] = [Scope::Connect, Scope::Send];

    /// The scope's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Connect => "leadrouter:connect",
            Scope::Send => "leadrouter:send",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Scope::Connect => 1,
            Scope::Send => 2,
        }
    }
}

/// A set of scopes that is never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

/// A scope that does not exist, or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown or malformed scope")]
pub struct InvalidScope;

impl Scopes {
    /// Every scope there is: what an authorization request without `scope` asks for (RFC 6749 §3.3 wants one
    /// documented default).
    pub const ALL: Scopes = Scopes(3);

    /// Whether `scope` is in the set.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether every scope of this set is in `other`.
    pub fn is_within(self, other: Scopes) -> bool {
        self.0 & !other.0 == 0
    }

    /// The scopes of the set, in the order in which they are printed.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl std::str::FromStr for Scopes {
    type Err = InvalidScope;

    /// Space-separated, case-sensitive, in any order; repeats are harmless (RFC 6749 §3.3).
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let mut bits = 0;
        for name in text.split(' ') {
            let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == name).ok_or(InvalidScope)?;
            bits |= scope.bit();
        }
        Ok(Scopes(bits))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(" "))
    }
}
