//! Who is signed in where.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::statements::{RowResult, params};
use super::transaction::Durability::{Full, Relaxed};
use super::transaction::{Tx, write};
use super::values::{At, at};
use super::{PostgresStore, users};
use crate::model::session::{LiveSession, NewSession, SignedIn};
use crate::model::token::{Hashed, Session};
use crate::model::{SessionId, Timestamp, UserId};
use crate::store::{Result, Sessions};

/// A session's own columns are told from its user's by their names.
pub(super) const SESSION: &str =
    "SELECT u.*, s.id AS session_id, s.agent, s.created_at AS began_at, s.used_at, s.expires_at
     FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.hash = $1 AND s.expires_at > $2";

const OF_USER: &str = "SELECT id AS session_id, agent, created_at AS began_at, used_at, expires_at
     FROM sessions WHERE user_id = $1 AND expires_at > $2 ORDER BY used_at DESC, created_at DESC, id";

#[async_trait]
impl Sessions for PostgresStore {
    async fn start_session(&self, session: NewSession) -> Result<()> {
        write!(self, Full, tx => start(&tx, &session))
    }

    async fn session(&self, cookie: &Hashed<Session>, now: Timestamp) -> Result<Option<SignedIn>> {
        let signed_in = |row: &Row| Ok(SignedIn { user: users::user(row)?, session: session(row)? });
        self.database.short_read().await?.one(SESSION, params![cookie, At(now)], signed_in).await
    }

    async fn use_session(&self, cookie: &Hashed<Session>, now: Timestamp, expires: Timestamp) -> Result<()> {
        let sql =
            "UPDATE sessions SET used_at = greatest(used_at, $2), expires_at = $3 WHERE hash = $1 AND expires_at > $2";
        write!(self, Relaxed, tx => tx.run(sql, params![cookie, At(now), At(expires)])).map(drop)
    }

    async fn sessions_of(&self, user: UserId, now: Timestamp) -> Result<Vec<LiveSession>> {
        self.database.read().await?.all(OF_USER, params![user, At(now)], session).await
    }

    async fn end_session(&self, cookie: &Hashed<Session>) -> Result<()> {
        write!(self, Full, tx => tx.run("DELETE FROM sessions WHERE hash = $1", params![cookie])).map(drop)
    }

    async fn end_session_of(&self, user: UserId, session: SessionId) -> Result<()> {
        let sql = "DELETE FROM sessions WHERE user_id = $1 AND id = $2";
        write!(self, Full, tx => tx.run(sql, params![user, session])).map(drop)
    }

    async fn end_sessions(&self, user: UserId, except: Option<SessionId>, now: Timestamp) -> Result<usize> {
        write!(self, Full, tx => end_all(&tx, user, except, now))
    }
}

fn session(row: &Row) -> RowResult<LiveSession> {
    Ok(LiveSession {
        id: row.try_get("session_id")?,
        agent: row.try_get("agent")?,
        created: at(row, "began_at")?,
        used: at(row, "used_at")?,
        expires: at(row, "expires_at")?,
    })
}

async fn start(tx: &Tx, session: &NewSession) -> Result<()> {
    let sql = "SELECT 1 FROM users WHERE id = $1 FOR SHARE";
    if tx.any(sql, params![session.user]).await? {
        tx.run(
            "INSERT INTO sessions (hash, id, user_id, agent, created_at, used_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $5, $6)",
            params![session.hash, session.id, session.user, session.agent, At(session.created), At(session.expires)],
        )
        .await?;
    }
    Ok(())
}

async fn end_all(tx: &Tx, user: UserId, except: Option<SessionId>, now: Timestamp) -> Result<usize> {
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2 AND expires_at <= $3";
    tx.run(sql, params![user, except, At(now)]).await?;
    tx.run("DELETE FROM sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2", params![user, except]).await
}
