//! What a browser shows to prove that somebody has logged in there before ("device cookies", OWASP): a mark for each account,
//! which only the gateway can make.
//!
//! A guesser elsewhere has no mark, and so cannot use up the guesses of those who have one. A mark is bound to the
//! password's hash: with another password it is worthless.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::person::PasswordHash;
use super::seal::Keyring;
use super::{Entropy, UserId};

/// Printed in front; makes leaked ones findable.
const PREFIX: &str = "lgd_";
/// Marks of one browser at most: it forgets the account that logged in longest ago.
const MARKS: usize = 4;
const NONCE: usize = 16;
const MARK: usize = NONCE + 32;

/// The marks of one browser, the newest first; 1 to [`MARKS`] of them, or none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Device {
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    nonce: [u8; NONCE],
    tag: [u8; 32],
}

impl Device {
    /// What a browser sent, if it has the form of marks; whether they are ours is seen when they are used.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (marks, rest) = bytes.as_chunks::<MARK>();
        (rest.is_empty() && (1..=MARKS).contains(&marks.len()))
            .then(|| Self { marks: marks.iter().map(Mark::from_bytes).collect() })
    }

    /// What the browser keeps.
    pub fn to_text(&self) -> String {
        let bytes: Vec<_> = self.marks.iter().flat_map(|mark| [mark.nonce.as_slice(), &mark.tag].concat()).collect();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What tells this browser from others that the account has logged in with; `None` if it has not logged in here since
    /// it has this password.
    pub fn of(&self, user: UserId, password: &PasswordHash, keys: &Keyring) -> Option<[u8; NONCE]> {
        self.marks.iter().find(|mark| mark.is_of(user, password, keys)).map(|mark| mark.nonce)
    }

    /// The device with a fresh mark for an account that has just logged in. The old one goes.
    pub fn marked(&self, user: UserId, password: &PasswordHash, keys: &Keyring, entropy: &dyn Entropy) -> Self {
        let nonce = entropy.bytes::<NONCE>();
        let fresh = Mark { nonce, tag: keys.tag(PURPOSE, &message(&nonce, user, password)) };
        let others = self.marks.iter().filter(|mark| !mark.is_of(user, password, keys));
        Self { marks: [&fresh].into_iter().chain(others).take(MARKS).copied().collect() }
    }
}

impl Mark {
    fn from_bytes(bytes: &[u8; MARK]) -> Self {
        let (nonce, tag) = bytes.split_first_chunk().expect("a mark is longer than its nonce");
        Self { nonce: *nonce, tag: tag.try_into().expect("the rest of a mark is its tag") }
    }

    fn is_of(&self, user: UserId, password: &PasswordHash, keys: &Keyring) -> bool {
        keys.is_tag(&self.tag, PURPOSE, &message(&self.nonce, user, password))
    }
}

const PURPOSE: &str = "device";

/// Nonce and id have fixed lengths, so that no two sets of parts make the same message.
fn message(nonce: &[u8; NONCE], user: UserId, password: &PasswordHash) -> Vec<u8> {
    [nonce.as_slice(), user.as_bytes(), password.0.as_bytes()].concat()
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({} marks)", self.marks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::OsEntropy;
    use super::*;

    fn keys(text: &[&str]) -> Keyring {
        Keyring::parse(&text.iter().map(|key| key.repeat(32)).collect::<Vec<_>>().join(",")).unwrap()
    }

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 16])
    }

    fn password(text: &str) -> PasswordHash {
        PasswordHash(text.into())
    }

    #[test]
    fn a_device_is_known_to_those_who_logged_in_there_with_the_password_of_then() {
        let keys = keys(&["11"]);
        let device = Device::default().marked(user(1), &password("a"), &keys, &OsEntropy);
        let device = device.marked(user(2), &password("b"), &keys, &OsEntropy);
        let device = Device::parse(&device.to_text()).unwrap();
        let (one, two) = (device.of(user(1), &password("a"), &keys), device.of(user(2), &password("b"), &keys));
        assert!(one.is_some() && two.is_some() && one != two);
        assert_eq!(device.of(user(1), &password("other"), &keys), None);
        assert_eq!(device.of(user(2), &password("a"), &keys), None);
    }

    #[test]
    fn a_mark_of_an_older_key_holds_until_that_is_taken_away() {
        let device = Device::default().marked(user(1), &password("a"), &keys(&["11"]), &OsEntropy);
        assert!(device.of(user(1), &password("a"), &keys(&["22", "11"])).is_some());
        assert_eq!(device.of(user(1), &password("a"), &keys(&["22"])), None);
    }

    #[test]
    fn the_newest_marks_are_kept_and_one_of_each_account() {
        let (keys, a) = (keys(&["11"]), password("a"));
        let mut device = Device::default();
        for number in [1, 2, 1, 3, 4, 5] {
            device = device.marked(user(number), &a, &keys, &OsEntropy);
        }
        let known: Vec<_> = (1..=5).filter(|number| device.of(user(*number), &a, &keys).is_some()).collect();
        assert_eq!(known, [1, 3, 4, 5]);
    }

    #[test]
    fn anything_else_is_no_device() {
        let mark = URL_SAFE_NO_PAD.encode([0; MARK]);
        for text in ["", "lgd_", "lgd_AAAA", &mark, &format!("lgd_{mark}="), &format!("lgd_{}", mark.repeat(MARKS + 1))]
        {
            assert_eq!(Device::parse(text), None, "{text}");
        }
        let forged = Device::parse(&format!("lgd_{mark}")).unwrap();
        assert_eq!(forged.of(user(0), &password(""), &keys(&["11"])), None);
    }
}
