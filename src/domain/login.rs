//! Who is at the browser: logging in, sessions, logging out.

use super::Gateway;
use super::passwords::Checked;
use crate::model::SessionId;
use crate::model::person::{Email, User};
use crate::model::session::{NewSession, SignedIn, UserAgent};
use crate::model::token::{Plain, Session};
use crate::store::Result;

/// Somebody at a browser says who they are.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// The e-mail, as it was typed.
    pub email: &'a str,
    /// The password, as it was typed.
    pub password: &'a str,
    /// The session that the browser has until now.
    pub before: Option<&'a Plain<Session>>,
    /// What the browser calls itself.
    pub agent: &'a UserAgent,
}

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
    pub async fn log_in(&self, attempt: Attempt<'_>) -> Result<LogIn> {
        let user = match self.user_with_password(attempt.email, attempt.password).await? {
            Known::Yes(user) => user,
            Known::No => return Ok(LogIn::Wrong),
            Known::Busy => return Ok(LogIn::Busy),
        };
        if let Some(before) = attempt.before {
            self.log_out(before).await?;
        }
        let session = self.start_session(&user, attempt.agent).await?;
        tracing::info!(user = %user.id, "logged in");
        Ok(LogIn::Done(session))
    }

    /// Starts a session for somebody who has just proven who they are.
    pub(super) async fn start_session(&self, user: &User, agent: &UserAgent) -> Result<Plain<Session>> {
        let session = Plain::generate(&*self.entropy);
        let now = self.clock.now();
        let new = NewSession {
            id: SessionId::random(&*self.entropy),
            hash: session.hash(),
            user: user.id,
            agent: agent.clone(),
            created: now,
            expires: self.policy.sessions.end(now, now),
        };
        self.store.start_session(new).await?;
        Ok(session)
    }

    /// Who is signed in with this cookie, if its session is alive. That it is used keeps it alive.
    pub async fn signed_in(&self, cookie: &Plain<Session>) -> Result<Option<SignedIn>> {
        let (now, lives) = (self.clock.now(), self.policy.sessions);
        let Some(signed_in) = self.store.session(&cookie.hash(), now).await? else { return Ok(None) };
        if !lives.is_noted(&signed_in.session, now) {
            let expires = lives.end(signed_in.session.created, now);
            self.store.use_session(&cookie.hash(), now, expires).await?;
        }
        Ok(Some(signed_in))
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
