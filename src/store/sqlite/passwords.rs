//! Passwords, and the links that set them.

use async_trait::async_trait;
use rusqlite::params;

use super::statements::Statements;
use super::values::At;
use super::writer::Durability::Full;
use super::writer::Tx;
use super::{SqliteStore, oauth, subscriptions, users};
use crate::model::password::{NewLink, PasswordChange, PasswordSet, Proof};
use crate::model::person::{PasswordHash, User};
use crate::model::token::{Hashed, PasswordLink};
use crate::model::{Timestamp, UserId};
use crate::store::{Outstanding, Passwords, Recalling, Result};

pub(super) const LINK_USER: &str =
    "SELECT u.* FROM password_links l JOIN users u ON u.id = l.user_id WHERE l.hash = ?1 AND l.expires_at > ?2";

#[async_trait]
impl Passwords for SqliteStore {
    async fn set_password(&self, change: PasswordChange) -> Result<Recalling<PasswordSet>> {
        self.write(Full, move |tx| set(tx, &change)).await
    }

    async fn rehash_password(&self, user: UserId, old: PasswordHash, new: PasswordHash) -> Result<()> {
        let sql = "UPDATE users SET password = ?3 WHERE id = ?1 AND password = ?2";
        self.write(Full, move |tx| Ok(tx.run(sql, params![user, old, new]).map(drop)?)).await
    }

    async fn offer_link(&self, link: NewLink, unless_after: Option<Timestamp>) -> Result<bool> {
        self.write(Full, move |tx| offer(tx, &link, unless_after)).await
    }

    async fn link_user(&self, link: &Hashed<PasswordLink>, now: Timestamp) -> Result<Option<User>> {
        self.look_up(|db| Ok(db.one(LINK_USER, params![link, At(now)], users::user)?))
    }
}

fn set(tx: &Tx, change: &PasswordChange) -> Result<Recalling<PasswordSet>> {
    if !is_allowed(tx, change)? {
        return Ok(Recalling::nothing(PasswordSet::Refused));
    }
    tx.run("UPDATE users SET password = ?2 WHERE id = ?1", params![change.user, change.password])?;
    tx.run("DELETE FROM sessions WHERE user_id = ?1", [change.user])?;
    tx.run("DELETE FROM password_links WHERE user_id = ?1", [change.user])?;
    let mut outstanding = Outstanding::default();
    if change.disconnect {
        oauth::revoke_of_user(tx, change.user, change.now)?;
        outstanding = subscriptions::remove_of_user(tx, change.user, change.now)?;
    }
    Ok(Recalling { outcome: PasswordSet::Done, outstanding })
}

fn is_allowed(tx: &Tx, change: &PasswordChange) -> Result<bool> {
    let user = change.user;
    Ok(match &change.proof {
        Proof::Operator => tx.any("SELECT 1 FROM users WHERE id = ?1", [user])?,
        Proof::Old(old) => tx.any("SELECT 1 FROM users WHERE id = ?1 AND password = ?2", params![user, old])?,
        Proof::Link(link) => {
            let sql = "SELECT 1 FROM password_links WHERE user_id = ?1 AND hash = ?2 AND expires_at > ?3";
            tx.any(sql, params![user, link, At(change.now)])?
        }
    })
}

fn offer(tx: &Tx, link: &NewLink, unless_after: Option<Timestamp>) -> Result<bool> {
    let kept = tx.run(
        "INSERT INTO password_links (user_id, kind, hash, created_at, expires_at)
         SELECT id, ?2, ?3, ?4, ?5 FROM users WHERE id = ?1
         ON CONFLICT (user_id, kind) DO UPDATE SET
             hash = excluded.hash, created_at = excluded.created_at, expires_at = excluded.expires_at
             WHERE ?6 IS NULL OR password_links.created_at <= ?6",
        params![link.user, link.kind.as_str(), link.hash, At(link.created), At(link.expires), unless_after.map(At)],
    )?;
    Ok(kept > 0)
}
