//! Passwords: how they are hashed and checked.
//!
//! Argon2id is slow on purpose, and takes 19 MiB each time. So it runs in threads of its own, which give way to all others,
//! and only a few at once: many logins wait for each other, and nothing else waits for them.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::hashers::Hashers;
use super::new_password::NewPassword;
use crate::model::Entropy;
use crate::model::person::PasswordHash;

/// The longest password, in bytes.
pub const MAX_BYTES: usize = 1024;

/// Memory in KiB, passes and lanes: OWASP's first choice for argon2id.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
const SALT: usize = 16;

/// For each check that runs, so many may wait: a second or two's work. A flood of guesses must not keep the right one
/// waiting for longer than a person does.
const QUEUE: usize = 64;

/// Hashes a new password. Takes tens of milliseconds.
pub fn hash_password(password: &NewPassword, entropy: &dyn Entropy) -> PasswordHash {
    hash(password.expose(), entropy.bytes::<SALT>())
}

/// Checks passwords, a few at a time.
#[derive(Debug, Clone)]
pub struct Passwords {
    hashers: Hashers,
    /// Checks that run.
    turns: Arc<Semaphore>,
    /// Checks that run or wait for their turn.
    queue: Arc<Semaphore>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It is not the password.
    Wrong,
    /// It is the password, and its hash is as it should be.
    Right,
    /// It is the password, but its hash is of older parameters; this is a better one.
    Rehashed(PasswordHash),
    /// Nobody knows: too many checks are waiting.
    Busy,
}

impl Passwords {
    /// At most `at_once` checks, but one at least, run at the same time, and [`QUEUE`] times as many wait.
    ///
    /// # Errors
    /// The system gives us no more threads.
    pub fn start(at_once: usize) -> std::io::Result<Self> {
        let at_once = at_once.max(1);
        Self::with_queue(at_once, at_once * QUEUE)
    }

    fn with_queue(at_once: usize, waiting: usize) -> std::io::Result<Self> {
        let (turns, queue) = (Arc::new(Semaphore::new(at_once)), Arc::new(Semaphore::new(at_once + waiting)));
        Ok(Self { hashers: Hashers::start(at_once)?, turns, queue })
    }

    /// Waits for a turn to check or hash a password; `None` if too many wait already.
    pub async fn turn(&self) -> Option<Turn> {
        let place = self.queue.clone().try_acquire_owned().ok()?;
        let turn = self.turns.clone().acquire_owned().await.expect("the semaphore is never closed");
        Some(Turn { hashers: self.hashers.clone(), _held: (place, turn) })
    }
}

/// The right to check or hash one password now.
#[derive(Debug)]
pub struct Turn {
    hashers: Hashers,
    _held: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Turn {
    /// Whether `password` is what `stored` was made of. Without a stored hash the answer is no, after the same work: how
    /// long it takes does not tell whether somebody exists.
    pub async fn check(self, password: &str, stored: Option<PasswordHash>, entropy: &dyn Entropy) -> Checked {
        if password.len() > MAX_BYTES {
            return Checked::Wrong;
        }
        let (password, salt, hashers) = (password.to_owned(), entropy.bytes::<SALT>(), self.hashers.clone());
        let work = move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _turn = self;
            check(&password, stored.as_ref(), salt)
        };
        hashers.run(work).await
    }

    /// Hashes a new password.
    pub async fn hash(self, password: NewPassword, entropy: &dyn Entropy) -> PasswordHash {
        let (salt, hashers) = (entropy.bytes::<SALT>(), self.hashers.clone());
        let work = move || {
            let _turn = self;
            hash(password.expose(), salt)
        };
        hashers.run(work).await
    }
}

fn check(password: &str, stored: Option<&PasswordHash>, salt: [u8; SALT]) -> Checked {
    let parsed = stored.map(|stored| Phc::new(&stored.0));
    if let Some(Err(cause)) = &parsed {
        tracing::error!(%cause, "a stored password hash cannot be read");
    }
    let Some(Ok(stored)) = parsed else {
        hash(password, salt);
        return Checked::Wrong;
    };
    match argon2id().verify_password(password.as_bytes(), &stored) {
        Ok(()) if is_current(&stored) => Checked::Right,
        Ok(()) => Checked::Rehashed(hash(password, salt)),
        Err(_) => Checked::Wrong,
    }
}

fn hash(password: &str, salt: [u8; SALT]) -> PasswordHash {
    let hashed: Phc = argon2id()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .expect("argon2 refuses only lengths that do not occur here");
    PasswordHash(hashed.to_string())
}

fn is_current(stored: &Phc) -> bool {
    let current = argon2id();
    stored.algorithm == Algorithm::Argon2id.ident()
        && stored.version == Some(Version::V0x13.into())
        && Params::try_from(stored).is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) == (current.params().m_cost(), COST.1, COST.2)
        })
}

fn argon2id() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("the parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OsEntropy;

    async fn checked(password: &str, stored: Option<PasswordHash>) -> Checked {
        let turn = Passwords::start(1).unwrap().turn().await.expect("nobody else waits");
        turn.check(password, stored, &OsEntropy).await
    }

    #[tokio::test]
    async fn only_the_password_itself_is_right() {
        let stored = hash("correct horse", [7; SALT]);
        assert!(stored.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored.0);
        assert_eq!(checked("correct horse", Some(stored.clone())).await, Checked::Right);
        assert_eq!(checked("correct horse ", Some(stored.clone())).await, Checked::Wrong);
        assert_eq!(checked("", Some(stored)).await, Checked::Wrong);
        assert_eq!(checked("correct horse", None).await, Checked::Wrong);
        assert_eq!(checked("correct horse", Some(PasswordHash("$1$x".into()))).await, Checked::Wrong);
    }

    #[tokio::test]
    async fn oauth_038_long_passwords_are_never_cut() {
        let long = "ü".repeat(MAX_BYTES / 2);
        let stored = hash(&long, [7; SALT]);
        assert_eq!(checked(&long, Some(stored.clone())).await, Checked::Right);
        assert_eq!(checked(&long[..MAX_BYTES - 2], Some(stored.clone())).await, Checked::Wrong);
        assert_eq!(checked(&format!("{long}x"), Some(stored)).await, Checked::Wrong);
    }

    #[tokio::test]
    async fn when_too_many_wait_the_next_one_is_told_so() {
        let passwords = Passwords::with_queue(1, 1).unwrap();
        let check = async || Some(passwords.turn().await?.check("a password", None, &OsEntropy).await);
        let (first, second, third) = tokio::join!(check(), check(), check());
        assert_eq!([first, second, third], [Some(Checked::Wrong), Some(Checked::Wrong), None]);
        assert_eq!(check().await, Some(Checked::Wrong));
    }

    #[tokio::test]
    async fn oauth_038_a_weaker_hash_is_replaced() {
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let stored: Phc = weak.hash_password_with_salt(b"correct horse", &[7; SALT]).unwrap();
        let Checked::Rehashed(better) = checked("correct horse", Some(PasswordHash(stored.to_string()))).await else {
            panic!("not replaced")
        };
        assert_eq!(checked("correct horse", Some(better)).await, Checked::Right);
        assert_eq!(checked("wrong", Some(PasswordHash(stored.to_string()))).await, Checked::Wrong);
    }
}
