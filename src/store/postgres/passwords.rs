//! Passwords, and the links that set them.
//!
//! Whoever sets a password takes the person's row first: so two who follow one link are judged one after the other.

use async_trait::async_trait;

use super::statements::params;
use super::transaction::Durability::Full;
use super::transaction::{Tx, write};
use super::values::At;
use super::{PostgresStore, subscriptions, users};
use crate::model::password::{NewLink, PasswordChange, PasswordSet, Proof};
use crate::model::person::{PasswordHash, User};
use crate::model::token::{Hashed, PasswordLink};
use crate::model::{Timestamp, UserId};
use crate::store::{Outstanding, Passwords, Recalling, Result};

const LINK_USER: &str =
    "SELECT u.* FROM password_links l JOIN users u ON u.id = l.user_id WHERE l.hash = $1 AND l.expires_at > $2";

#[async_trait]
impl Passwords for PostgresStore {
    async fn set_password(&self, change: PasswordChange) -> Result<Recalling<PasswordSet>> {
        write!(self, Full, tx => set(&tx, &change))
    }

    async fn rehash_password(&self, user: UserId, old: PasswordHash, new: PasswordHash) -> Result<()> {
        let sql = "UPDATE users SET password = $3 WHERE id = $1 AND password = $2";
        write!(self, Full, tx => tx.run(sql, params![user, old, new])).map(drop)
    }

    async fn offer_link(&self, link: NewLink, unless_after: Option<Timestamp>) -> Result<bool> {
        write!(self, Full, tx => offer(&tx, &link, unless_after))
    }

    async fn link_user(&self, link: &Hashed<PasswordLink>, now: Timestamp) -> Result<Option<User>> {
        self.database.read().await?.one(LINK_USER, params![link, At(now)], users::user).await
    }
}

async fn set(tx: &Tx, change: &PasswordChange) -> Result<Recalling<PasswordSet>> {
    let taken = tx.any("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", params![change.user]).await?;
    if !taken || !is_allowed(tx, change).await? {
        return Ok(Recalling::nothing(PasswordSet::Refused));
    }
    tx.run("UPDATE users SET password = $2 WHERE id = $1", params![change.user, change.password]).await?;
    tx.run("DELETE FROM sessions WHERE user_id = $1", params![change.user]).await?;
    tx.run("DELETE FROM password_links WHERE user_id = $1", params![change.user]).await?;
    let outstanding = match change.disconnect {
        true => subscriptions::disconnect(tx, change.user, change.now).await?,
        false => Outstanding::default(),
    };
    Ok(Recalling { outcome: PasswordSet::Done, outstanding })
}

async fn is_allowed(tx: &Tx, change: &PasswordChange) -> Result<bool> {
    let user = change.user;
    match &change.proof {
        Proof::Operator => Ok(true),
        Proof::Old(old) => tx.any("SELECT 1 FROM users WHERE id = $1 AND password = $2", params![user, old]).await,
        Proof::Link(link) => {
            let sql = "SELECT 1 FROM password_links WHERE user_id = $1 AND hash = $2 AND expires_at > $3";
            tx.any(sql, params![user, link, At(change.now)]).await
        }
    }
}

async fn offer(tx: &Tx, link: &NewLink, unless_after: Option<Timestamp>) -> Result<bool> {
    if !tx.any("SELECT 1 FROM users WHERE id = $1 FOR SHARE", params![link.user]).await? {
        return Ok(false);
    }
    let sql = "INSERT INTO password_links (user_id, kind, hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (user_id, kind) DO UPDATE SET
             hash = excluded.hash, created_at = excluded.created_at, expires_at = excluded.expires_at
             WHERE $6::BIGINT IS NULL OR password_links.created_at <= $6";
    let (created, expires, unless_after) = (At(link.created), At(link.expires), unless_after.map(At));
    Ok(tx.run(sql, params![link.user, link.kind.as_str(), link.hash, created, expires, unless_after]).await? > 0)
}
