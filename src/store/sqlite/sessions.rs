//! Who is signed in where.

use async_trait::async_trait;
use rusqlite::{Row, params};

use super::statements::Statements;
use super::values::{At, at};
use super::writer::Durability::{Full, Relaxed};
use super::writer::Tx;
use super::{SqliteStore, users};
use crate::model::session::{LiveSession, NewSession, SignedIn};
use crate::model::token::{Hashed, Session};
use crate::model::{SessionId, Timestamp, UserId};
use crate::store::{Result, Sessions};

/// A session's own columns are told from its user's by their names.
pub(super) const SESSION: &str =
    "SELECT u.*, s.id AS session_id, s.agent, s.created_at AS began_at, s.used_at, s.expires_at
     FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.hash = ?1 AND s.expires_at > ?2";

const OF_USER: &str = "SELECT id AS session_id, agent, created_at AS began_at, used_at, expires_at
     FROM sessions WHERE user_id = ?1 AND expires_at > ?2 ORDER BY used_at DESC, created_at DESC, id";

#[async_trait]
impl Sessions for SqliteStore {
    async fn start_session(&self, session: NewSession) -> Result<()> {
        self.write(Full, move |tx| start(tx, &session)).await
    }

    async fn session(&self, cookie: &Hashed<Session>, now: Timestamp) -> Result<Option<SignedIn>> {
        let signed_in = |row: &Row| Ok(SignedIn { user: users::user(row)?, session: session(row)? });
        self.look_up(|db| Ok(db.one(SESSION, params![cookie, At(now)], signed_in)?))
    }

    async fn use_session(&self, cookie: &Hashed<Session>, now: Timestamp, expires: Timestamp) -> Result<()> {
        let cookie = *cookie;
        let sql = "UPDATE sessions SET used_at = max(used_at, ?2), expires_at = ?3 WHERE hash = ?1 AND expires_at > ?2";
        self.write(Relaxed, move |tx| Ok(tx.run(sql, params![cookie, At(now), At(expires)]).map(drop)?)).await
    }

    async fn sessions_of(&self, user: UserId, now: Timestamp) -> Result<Vec<LiveSession>> {
        self.look_up(|db| Ok(db.all(OF_USER, params![user, At(now)], session)?))
    }

    async fn end_session(&self, cookie: &Hashed<Session>) -> Result<()> {
        let cookie = *cookie;
        self.write(Full, move |tx| Ok(tx.run("DELETE FROM sessions WHERE hash = ?1", [cookie]).map(drop)?)).await
    }

    async fn end_session_of(&self, user: UserId, session: SessionId) -> Result<()> {
        let sql = "DELETE FROM sessions WHERE user_id = ?1 AND id = ?2";
        self.write(Full, move |tx| Ok(tx.run(sql, params![user, session]).map(drop)?)).await
    }

    async fn end_sessions(&self, user: UserId, except: Option<SessionId>, now: Timestamp) -> Result<usize> {
        self.write(Full, move |tx| end_all(tx, user, except, now)).await
    }
}

fn session(row: &Row) -> rusqlite::Result<LiveSession> {
    Ok(LiveSession {
        id: row.get("session_id")?,
        agent: row.get("agent")?,
        created: at(row, "began_at")?,
        used: at(row, "used_at")?,
        expires: at(row, "expires_at")?,
    })
}

fn start(tx: &Tx, session: &NewSession) -> Result<()> {
    tx.run(
        "INSERT INTO sessions (hash, id, user_id, agent, created_at, used_at, expires_at)
         SELECT ?1, ?2, id, ?4, ?5, ?5, ?6 FROM users WHERE id = ?3",
        params![session.hash, session.id, session.user, session.agent, At(session.created), At(session.expires)],
    )?;
    Ok(())
}

fn end_all(tx: &Tx, user: UserId, except: Option<SessionId>, now: Timestamp) -> Result<usize> {
    let sql = "DELETE FROM sessions WHERE user_id = ?1 AND id IS NOT ?2 AND expires_at <= ?3";
    tx.run(sql, params![user, except, At(now)])?;
    Ok(tx.run("DELETE FROM sessions WHERE user_id = ?1 AND id IS NOT ?2", params![user, except])?)
}
