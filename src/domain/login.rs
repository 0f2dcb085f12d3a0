//! Who is at the browser: logging in, sessions, logging out.

use std::net::IpAddr;
use std::time::Duration;

use super::Gateway;
use super::guesses::{Guess, Throttled};
use super::passwords::Checked;
use crate::model::device::Device;
use crate::model::person::{Email, NewSession, PasswordHash, User};
use crate::model::time;
use crate::model::token::{Plain, Session};
use crate::store::Result;

/// How long a session lives, whether it is used or not.
pub const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// What became of an attempt to log in.
#[derive(Debug)]
pub enum LogIn {
    /// A session has started.
    Done {
        /// Its cookie.
        session: Plain<Session>,
        /// What the browser is known by the next time.
        device: Device,
    },
    /// There is no such pair of e-mail and password.
    Wrong,
    /// Too many passwords are being checked; nobody knows.
    Busy,
    /// Too many passwords were wrong; nobody has looked at this one.
    Throttled(Throttled),
}

/// The browser in which somebody logs in.
#[derive(Debug)]
pub struct At<'a> {
    /// Where it is.
    pub address: IpAddr,
    /// What it is known by.
    pub device: &'a Device,
    /// The session that it has.
    pub session: Option<&'a Plain<Session>>,
}

/// Whether e-mail and password belong together.
enum Known {
    Yes(User, PasswordHash),
    No,
    Busy,
    Throttled(Throttled),
}

impl Gateway {
    /// Starts a session for the person with this e-mail and password. Whatever session the browser had before is ended,
    /// so that nobody can plant one (OWASP: session fixation).
    pub async fn log_in(&self, email: &str, password: &str, at: At<'_>) -> Result<LogIn> {
        let (user, hash) = match self.user_with_password(email, password, &at).await? {
            Known::Yes(user, hash) => (user, hash),
            Known::No => return Ok(LogIn::Wrong),
            Known::Busy => return Ok(LogIn::Busy),
            Known::Throttled(throttled) => return Ok(LogIn::Throttled(throttled)),
        };
        if let Some(before) = at.session {
            self.log_out(before).await?;
        }
        let session = Plain::generate(&*self.entropy);
        let now = self.clock.now();
        let expires = time::after(now, SESSION_LIFE);
        let new = NewSession { hash: session.hash(), user: user.id, created: now, expires };
        self.store.start_session(new).await?;
        tracing::info!(user = %user.id, "logged in");
        let device = at.device.marked(user.id, &hash, &self.keys, &*self.entropy);
        Ok(LogIn::Done { session, device })
    }

    /// Whose session this is, if it is alive.
    pub async fn session_user(&self, session: &Plain<Session>) -> Result<Option<User>> {
        self.store.session_user(&session.hash(), self.clock.now()).await
    }

    /// Ends a session.
    pub async fn log_out(&self, session: &Plain<Session>) -> Result<()> {
        self.store.end_session(&session.hash()).await
    }

    /// An unknown e-mail, a person without a password and a wrong password take the same time.
    async fn user_with_password(&self, email: &str, password: &str, at: &At<'_>) -> Result<Known> {
        let known = match email.parse::<Email>() {
            Ok(email) => self.store.user_by_email(&email).await?,
            Err(_) => None,
        };
        let (user, stored) = known.map_or((None, None), |(user, stored)| (Some(user), stored));
        let guessed = user.as_ref().map(|user| user.id).zip(stored.as_ref());
        let guess = Guess::at_password(self, email, guessed, at.device, at.address);
        let checked = match self.check_password(&guess, password, stored.clone()).await? {
            Ok(checked) => checked,
            Err(throttled) => {
                let who = user.map(|user| user.id.to_string());
                return Ok(Known::Throttled(guess.report(throttled, who.as_deref())));
            }
        };
        match (user, stored, checked) {
            (_, _, Checked::Busy) => {
                tracing::warn!("too many passwords wait to be checked");
                Ok(Known::Busy)
            }
            (Some(user), Some(hash), Checked::Right) => Ok(Known::Yes(user, hash)),
            (Some(user), Some(old), Checked::Rehashed(new)) => {
                self.store.rehash_password(user.id, old, new.clone()).await?;
                Ok(Known::Yes(user, new))
            }
            (user, ..) => {
                tracing::info!(user = user.map(|user| user.id.to_string()), "login refused");
                Ok(Known::No)
            }
        }
    }
}
