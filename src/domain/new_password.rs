//! What a new password must be (NIST SP 800-63B §3.1.1.2): long enough, and none of those that are guessed first. There is no rule
//! on what characters it has: such rules make people choose worse ones.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::passwords::MAX_BYTES;
use crate::model::person::Email;

/// The shortest new password, in characters.
pub const MIN_CHARS: usize = 8;

/// The most common passwords, in lower case; where they come from stands in front of them, in lines that begin like this.
const COMMENT: &str = "#";
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    include_str!("common_passwords.txt").lines().filter(|line| *line != COMMENT && !line.starts_with("# ")).collect()
});

/// A password that somebody may choose.
#[derive(Clone)]
pub struct NewPassword(String);

/// A new password cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Fewer than [`MIN_CHARS`] characters.
    #[error("a password needs at least {MIN_CHARS} characters")]
    TooShort,
    /// More than [`MAX_BYTES`] bytes.
    #[error("a password can have at most {MAX_BYTES} bytes")]
    TooLong,
    /// One of the most common ones.
    #[error("this password is one of the most common ones, which are tried first: choose another")]
    Common,
    /// The e-mail address, or what stands before its `@`.
    #[error("a password must not be the e-mail address: choose another")]
    OwnEmail,
}

impl NewPassword {
    /// What the person with this e-mail has chosen, exactly as it was typed.
    pub fn parse(text: &str, email: &Email) -> Result<Self, InvalidPassword> {
        if text.chars().count() < MIN_CHARS {
            return Err(InvalidPassword::TooShort);
        }
        if text.len() > MAX_BYTES {
            return Err(InvalidPassword::TooLong);
        }
        let lower = text.to_lowercase();
        if COMMON.contains(lower.as_str()) {
            return Err(InvalidPassword::Common);
        }
        let local_part = email.as_str().split_once('@').map_or("", |(local, _)| local);
        if [email.as_str(), local_part].contains(&lower.as_str()) {
            return Err(InvalidPassword::OwnEmail);
        }
        Ok(Self(text.to_owned()))
    }

    /// The password itself, to be hashed.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<InvalidPassword> {
        NewPassword::parse(text, &"Kim.Owner@example.com".parse().unwrap()).err()
    }

    #[test]
    fn length_is_counted_in_characters_and_bounded_in_bytes() {
        assert_eq!(refused("üüüüüüü"), Some(InvalidPassword::TooShort));
        assert_eq!(refused("üüüüüüüü"), None);
        assert_eq!(refused(&"ü".repeat(MAX_BYTES / 2)), None);
        assert_eq!(refused(&format!("{}x", "ü".repeat(MAX_BYTES / 2))), Some(InvalidPassword::TooLong));
    }

    #[test]
    fn the_most_common_ones_are_refused_in_any_case() {
        for text in ["password", "PassWord", "12345678", "qwertyuiop", "iloveyou"] {
            assert_eq!(refused(text), Some(InvalidPassword::Common), "{text}");
        }
        assert_eq!(refused("password of mine"), None);
    }

    #[test]
    fn the_list_has_nothing_in_it_that_is_refused_anyway() {
        assert_eq!(COMMON.len(), 3000);
        for word in COMMON.iter() {
            assert!(word.chars().count() >= MIN_CHARS && *word == word.to_lowercase(), "{word}");
        }
    }

    #[test]
    fn ones_own_email_is_no_password() {
        for text in ["kim.owner@example.com", "KIM.OWNER@EXAMPLE.COM", "Kim.Owner"] {
            assert_eq!(refused(text), Some(InvalidPassword::OwnEmail), "{text}");
        }
    }
}
