//! Who is signed in where.

use async_trait::async_trait;

use super::Result;
use crate::model::session::{LiveSession, NewSession, SignedIn};
use crate::model::token::{Hashed, Session};
use crate::model::{SessionId, Timestamp, UserId};

/// Sessions. One that has expired is as good as gone, whether or not its row is still there.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Starts a session; not for a person who was removed meanwhile.
    async fn start_session(&self, session: NewSession) -> Result<()>;

    /// The live session with this cookie, and whose it is.
    async fn session(&self, cookie: &Hashed<Session>, now: Timestamp) -> Result<Option<SignedIn>>;

    /// Notes that the session was used at `now`, and so lives until `expires`. Wakes none that is dead.
    async fn use_session(&self, cookie: &Hashed<Session>, now: Timestamp, expires: Timestamp) -> Result<()>;

    /// The person's live sessions; those that were used last come first.
    async fn sessions_of(&self, user: UserId, now: Timestamp) -> Result<Vec<LiveSession>>;

    /// Ends the session with this cookie.
    async fn end_session(&self, cookie: &Hashed<Session>) -> Result<()>;

    /// Ends one of the person's sessions; nobody else's.
    async fn end_session_of(&self, user: UserId, session: SessionId) -> Result<()>;

    /// Ends all of the person's sessions, except this one. Returns how many were alive at `now`.
    async fn end_sessions(&self, user: UserId, except: Option<SessionId>, now: Timestamp) -> Result<usize>;
}
