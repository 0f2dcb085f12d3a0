//! Encryption at rest: a keyring that seals small secrets, and what it sealed.
//!
//! XChaCha20-Poly1305 with a random nonce; the context (whose secret it is) is authenticated, so that a sealed value
//! moved to another row does not open. The first key writes, all keys read: that is how keys are rotated.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Entropy;

const NONCE: usize = 24;

/// A secret as it is stored: nonce and ciphertext.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed(Vec<u8>);

/// No key of the keyring opens it, or it was changed, or it belongs to another context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be decrypted: wrong secret_key, or the data was changed")]
pub struct CannotOpen;

/// A setting that is not a list of 32-byte keys in hex.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret_key must be 32 bytes in hex (64 digits), or a comma-separated list of such keys")]
pub struct InvalidKey;

/// The operator's `secret_key`s: the first seals, every one opens.
pub struct Keyring {
    keys: Vec<[u8; 32]>,
    opened: Opened,
}

/// So many secrets are kept open at most: those of more partners and receivers than are busy at one time. They are short.
const KEPT_OPEN: usize = 1024;

/// What was opened lately, with its context. Busy receivers, and partners that ask often, need the same secrets again and again,
/// and to open one takes as long as to sign with it.
#[derive(Default)]
struct Opened(RwLock<HashMap<Sealed, Open>>);

struct Open {
    context: Vec<u8>,
    secret: Vec<u8>,
}

impl Opened {
    fn find(&self, sealed: &Sealed, context: &[u8]) -> Option<Vec<u8>> {
        let opened = self.0.read().unwrap_or_else(PoisonError::into_inner);
        opened.get(sealed).filter(|open| open.context == context).map(|open| open.secret.clone())
    }

    fn keep(&self, sealed: &Sealed, context: &[u8], secret: &[u8]) {
        let mut opened = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if opened.len() >= KEPT_OPEN {
            opened.clear();
        }
        opened.insert(sealed.clone(), Open { context: context.to_vec(), secret: secret.to_vec() });
    }
}

impl Keyring {
    /// Parses 64 hex digits, or several such keys separated by commas.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let key = |part: &str| -> Result<[u8; 32], InvalidKey> {
            let mut key = [0; 32];
            hex::decode_to_slice(part.trim(), &mut key).map_err(|_| InvalidKey)?;
            Ok(key)
        };
        Ok(Self { keys: text.split(',').map(key).collect::<Result<_, _>>()?, opened: Opened::default() })
    }

    /// A new key, in the form that [`Keyring::parse`] reads.
    pub fn generate(entropy: &dyn Entropy) -> String {
        hex::encode(entropy.bytes::<32>())
    }

    /// Encrypts `secret`, bound to `context`.
    pub fn seal(&self, secret: &[u8], context: &[u8], entropy: &dyn Entropy) -> Sealed {
        let nonce = entropy.bytes::<NONCE>();
        let payload = Payload { msg: secret, aad: context };
        let sealed = cipher(&self.keys[0])
            .encrypt(&XNonce::from(nonce), payload)
            .expect("the cipher fails only for messages of 256 GiB and more");
        Sealed([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts what any of the keys sealed for the same `context`.
    pub fn open(&self, sealed: &Sealed, context: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        if let Some(secret) = self.opened.find(sealed, context) {
            return Ok(secret);
        }
        let secret = self.keys.iter().find_map(|key| open(key, sealed, context)).ok_or(CannotOpen)?;
        self.opened.keep(sealed, context, &secret);
        Ok(secret)
    }

    /// Whether the first key sealed it: then the others are not needed for it.
    pub fn is_current(&self, sealed: &Sealed, context: &[u8]) -> bool {
        open(&self.keys[0], sealed, context).is_some()
    }

    /// HMAC-SHA256 under the first key: a tag that only this gateway can make. `purpose` keeps uses apart.
    pub fn tag(&self, purpose: &str, message: &[u8]) -> [u8; 32] {
        mac(&self.keys[0], purpose, message).finalize().into_bytes().into()
    }

    /// Whether `tag` is the [`Keyring::tag`] of all this under any of the keys. Takes the same time whatever it is.
    pub fn is_tag(&self, tag: &[u8], purpose: &str, message: &[u8]) -> bool {
        self.keys.iter().fold(false, |found, key| found | mac(key, purpose, message).verify_slice(tag).is_ok())
    }
}

fn open(key: &[u8; 32], sealed: &Sealed, context: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.0.split_first_chunk::<NONCE>()?;
    cipher(key).decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: context }).ok()
}

fn mac(key: &[u8; 32], purpose: &str, message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(message);
    mac
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

impl Sealed {
    /// A sealed value as a store kept it.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes that a store keeps.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::OsEntropy;
    use super::*;

    #[test]
    fn what_was_sealed_opens_only_with_its_key_and_context() {
        let old = Keyring::parse(&"11".repeat(32)).unwrap();
        let both = Keyring::parse(&format!("{},{}", "22".repeat(32), "11".repeat(32))).unwrap();
        let other = Keyring::parse(&"33".repeat(32)).unwrap();
        let sealed = old.seal(b"s3cret", b"site a", &OsEntropy);
        assert_eq!(both.open(&sealed, b"site a").unwrap(), b"s3cret");
        assert_eq!(both.open(&sealed, b"site b"), Err(CannotOpen));
        assert_eq!(other.open(&sealed, b"site a"), Err(CannotOpen));
        assert_eq!(old.open(&Sealed::from_bytes(vec![1, 2, 3]), b"site a"), Err(CannotOpen));
        assert!(old.is_current(&sealed, b"site a") && !both.is_current(&sealed, b"site a"));
    }

    #[test]
    fn what_was_opened_before_opens_again_and_only_as_it_was() {
        let keys = Keyring::parse(&"11".repeat(32)).unwrap();
        // More than are kept open.
        let sealed: Vec<_> =
            (0..2 * KEPT_OPEN).map(|n| keys.seal(&n.to_be_bytes(), &n.to_le_bytes(), &OsEntropy)).collect();
        for _ in 0..2 {
            for (n, sealed) in sealed.iter().enumerate() {
                assert_eq!(keys.open(sealed, &n.to_le_bytes()).unwrap(), n.to_be_bytes());
                assert_eq!(keys.open(sealed, &n.to_le_bytes()).unwrap(), n.to_be_bytes());
                assert_eq!(keys.open(sealed, b"another"), Err(CannotOpen));
            }
            assert!(keys.opened.0.read().unwrap().len() <= KEPT_OPEN);
        }
        let mut changed = sealed[0].as_bytes().to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(keys.open(&Sealed::from_bytes(changed), &0_usize.to_le_bytes()), Err(CannotOpen));
    }

    #[test]
    fn a_tag_of_any_key_is_good_and_the_first_makes_them() {
        let old = Keyring::parse(&"11".repeat(32)).unwrap();
        let both = Keyring::parse(&format!("{},{}", "22".repeat(32), "11".repeat(32))).unwrap();
        let (before, now) = (old.tag("a", b"b"), both.tag("a", b"b"));
        assert_ne!(before, now);
        assert!(both.is_tag(&before, "a", b"b") && both.is_tag(&now, "a", b"b"));
        assert!(!old.is_tag(&now, "a", b"b"));
        for (purpose, message) in [("b", b"b".as_slice()), ("a", b"c"), ("", b"a\0b")] {
            assert!(!both.is_tag(&now, purpose, message));
        }
        assert!(!both.is_tag(&now[..31], "a", b"b") && !both.is_tag(b"", "a", b"b"));
    }
}
