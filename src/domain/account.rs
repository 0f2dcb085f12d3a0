//! What people do with their own accounts: look at and end their sessions, and set their passwords.

use super::Gateway;
use super::guesses::Throttled;
use super::login::{At, Known, Welcome};
use super::new_password::{InvalidPassword, NewPassword};
use crate::model::SessionId;
use crate::model::device::Device;
use crate::model::password::{PasswordChange, PasswordSet, Proof};
use crate::model::person::User;
use crate::model::session::{LiveSession, SignedIn};
use crate::model::token::{PasswordLink, Plain};
use crate::store::Result;

/// A password that somebody wants to have instead of the old one.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The old one, as it was typed.
    pub old: &'a str,
    /// The new one, as it was typed.
    pub new: &'a str,
    /// Whether to disconnect what the person connected.
    pub disconnect: bool,
}

/// What became of changing a password.
#[derive(Debug)]
pub enum ChangedPassword {
    /// It is changed, and all sessions have ended; this browser has a new one.
    Done(Welcome),
    /// The old one is not right.
    Wrong,
    /// The new one cannot be accepted.
    Invalid(InvalidPassword),
    /// Too many passwords are being checked; nobody knows.
    Busy,
    /// Too many passwords were wrong; nobody has looked at this one.
    Throttled(Throttled),
}

/// What became of setting a password by a link.
#[derive(Debug)]
pub enum SetPassword {
    /// It is set, and all sessions have ended. This is what the browser is known by the next time.
    Done(Device),
    /// The link was used, has expired, or never was.
    Dead,
    /// The new one cannot be accepted. The link is still good.
    Invalid(User, InvalidPassword),
    /// Too many passwords are being hashed. The link is still good.
    Busy,
}

impl Gateway {
    /// The person's live sessions; those that were used last come first.
    pub async fn sessions(&self, user: &User) -> Result<Vec<LiveSession>> {
        self.store.sessions_of(user.id, self.clock.now()).await
    }

    /// Ends one of the person's sessions.
    pub async fn end_session(&self, user: &User, session: SessionId) -> Result<()> {
        self.store.end_session_of(user.id, session).await
    }

    /// Ends all of the person's sessions but this one.
    pub async fn end_other_sessions(&self, own: &SignedIn) -> Result<()> {
        self.store.end_sessions(own.user.id, Some(own.session.id), self.clock.now()).await?;
        Ok(())
    }

    /// Changes a person's password, if the old one is right. Everybody who was signed in as this person is so no longer,
    /// except in this browser, which gets a new session.
    pub async fn change_password(&self, user: &User, wish: Wish<'_>, at: At<'_>) -> Result<ChangedPassword> {
        let new = match NewPassword::parse(wish.new, &user.email) {
            Ok(new) => new,
            Err(invalid) => return Ok(ChangedPassword::Invalid(invalid)),
        };
        let old = match self.user_with_password(user.email.as_str(), wish.old, &at).await? {
            // Whoever has this e-mail now can be somebody else.
            Known::Yes(known, old) if known.id == user.id => old,
            Known::Yes(..) | Known::No => return Ok(ChangedPassword::Wrong),
            Known::Busy => return Ok(ChangedPassword::Busy),
            Known::Throttled(throttled) => return Ok(ChangedPassword::Throttled(throttled)),
        };
        let Some(turn) = self.passwords.turn().await else { return Ok(ChangedPassword::Busy) };
        let password = turn.hash(new, &*self.entropy).await;
        let (user_id, now) = (user.id, self.clock.now());
        let change = PasswordChange {
            user: user_id,
            proof: Proof::Old(old),
            password: password.clone(),
            disconnect: wish.disconnect,
            now,
        };
        let set = self.store.set_password(change).await?;
        match self.once_let_go(set).await {
            PasswordSet::Refused => Ok(ChangedPassword::Wrong),
            PasswordSet::Done => {
                tracing::info!(user = %user.id, disconnect = wish.disconnect, "changed the password");
                Ok(ChangedPassword::Done(self.welcome(user, &password, &at).await?))
            }
        }
    }

    /// Whose password this link sets, if it is alive. Uses nothing up.
    pub async fn link_user(&self, link: &Plain<PasswordLink>) -> Result<Option<User>> {
        self.store.link_user(&link.hash(), self.clock.now()).await
    }

    /// Sets a password by a link, and uses that up. Nobody is signed in by it: a link lies in a mailbox, and who takes it
    /// from there has yet to show a password. But the browser is known from then on: whoever guesses at the account elsewhere
    /// cannot keep its owner, who can have a link at any time, from signing in.
    pub async fn set_password(&self, link: &Plain<PasswordLink>, new: &str, device: &Device) -> Result<SetPassword> {
        let Some(user) = self.link_user(link).await? else { return Ok(SetPassword::Dead) };
        let new = match NewPassword::parse(new, &user.email) {
            Ok(new) => new,
            Err(invalid) => return Ok(SetPassword::Invalid(user, invalid)),
        };
        let Some(turn) = self.passwords.turn().await else { return Ok(SetPassword::Busy) };
        let password = turn.hash(new, &*self.entropy).await;
        let (proof, now) = (Proof::Link(link.hash()), self.clock.now());
        let device = device.marked(user.id, &password, &self.keys, &*self.entropy);
        let change = PasswordChange { user: user.id, proof, password, disconnect: false, now };
        let set = self.store.set_password(change).await?;
        match self.once_let_go(set).await {
            PasswordSet::Refused => Ok(SetPassword::Dead),
            PasswordSet::Done => {
                tracing::info!(user = %user.id, "set the password by a link");
                Ok(SetPassword::Done(device))
            }
        }
    }
}
