//! Who is at the browser: logging in, sessions, logging out.

use std::time::Duration;

use super::Gateway;
use super::passwords::Checked;
use crate::model::person::{Email, NewSession, User};
use crate::model::time;
use crate::model::token::{Plain, Session};
use crate::store::Result;

/// How long a session lives, whether it is used or not.
pub const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// What became of an attempt to log in.
#[derive(Debug)]
pub enum LogIn {
    /// A session has started; this is its cookie.
    Done(Plain<Session>),
    /// There is no such pair of e-mail and password.
    Wrong,
    /// Too many passwords are being checked; nobody knows.
    Busy,
}

/// Whether e-mail and password belong together.
enum Known {
    Yes(User),
    No,
    Busy,
}

impl Gateway {
    /// Starts a session for the person with this e-mail and password. Whatever session the browser had before is ended,
    /// so that nobody can plant one (OWASP: session fixation).
    pub async fn log_in(&self, email: &str, password: &str, before: Option<&Plain<Session>>) -> Result<LogIn> {
        let user = match self.user_with_password(email, password).await? {
            Known::Yes(user) => user,
            Known::No => return Ok(LogIn::Wrong),
            Known::Busy => return Ok(LogIn::Busy),
        };
        if let Some(before) = before {
            self.log_out(before).await?;
        }
        let session = Plain::generate(&*self.entropy);
        let now = self.clock.now();
        let expires = time::after(now, SESSION_LIFE);
        let new = NewSession { hash: session.hash(), user: user.id, created: now, expires };
        self.store.start_session(new).await?;
        tracing::info!(user = %user.id, "logged in");
        Ok(LogIn::Done(session))
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
    async fn user_with_password(&self, email: &str, password: &str) -> Result<Known> {
        let known = match email.parse::<Email>() {
            Ok(email) => self.store.user_by_email(&email).await?,
            Err(_) => None,
        };
        let (user, stored) = known.map_or((None, None), |(user, stored)| (Some(user), stored));
        let checked = self.passwords.check(password, stored.clone(), &*self.entropy).await;
        match (user, stored, checked) {
            (_, _, Checked::Busy) => {
                tracing::warn!("too many passwords wait to be checked");
                Ok(Known::Busy)
            }
            (Some(user), _, Checked::Right) => Ok(Known::Yes(user)),
            (Some(user), Some(old), Checked::Rehashed(new)) => {
                self.store.rehash_password(user.id, old, new).await?;
                Ok(Known::Yes(user))
            }
            (user, ..) => {
                tracing::info!(user = user.map(|user| user.id.to_string()), "login refused");
                Ok(Known::No)
            }
        }
    }
}
