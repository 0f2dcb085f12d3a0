//! Users.

use tokio_postgres::Row;

use super::statements::{Db, RowResult, params};
use super::transaction::Tx;
use super::values::{At, at};
use crate::model::UserId;
use crate::model::person::{Email, PasswordHash, User};
use crate::store::{AddUser, Removed, Result};

pub(super) fn user(row: &Row) -> RowResult<User> {
    Ok(User {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        operator: row.try_get("operator")?,
        created: at(row, "created_at")?,
    })
}

pub(super) async fn add(tx: &Tx, user: &User, password: Option<&PasswordHash>) -> Result<AddUser> {
    let added = tx
        .run(
            "INSERT INTO users (id, email, name, operator, password, created_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (email) DO NOTHING",
            params![user.id, user.email, user.name, user.operator, password, At(user.created)],
        )
        .await?;
    Ok(if added == 0 { AddUser::EmailTaken } else { AddUser::Added })
}

/// The person with this e-mail, who stays until the transaction ends.
pub(super) async fn keep(tx: &Tx, email: &Email) -> Result<Option<UserId>> {
    tx.one("SELECT id FROM users WHERE email = $1 FOR SHARE", params![email], |row| row.try_get("id")).await
}

/// The person with this e-mail, whom nobody else keeps or changes.
async fn take(tx: &Tx, email: &Email) -> Result<Option<UserId>> {
    tx.one("SELECT id FROM users WHERE email = $1 FOR UPDATE", params![email], |row| row.try_get("id")).await
}

pub(super) async fn all(db: &Db) -> Result<Vec<User>> {
    db.all("SELECT * FROM users ORDER BY email", params![], user).await
}

/// Sessions and ownerships go with the row. The grants are deleted and not marked as revoked: there is nobody left to
/// show them to, and their tokens go with them.
pub(super) async fn remove(tx: &Tx, email: &Email) -> Result<Removed> {
    let Some(user) = take(tx, email).await? else { return Ok(Removed::NotFound) };
    tx.run("DELETE FROM grants WHERE user_id = $1", params![user]).await?;
    tx.run("DELETE FROM users WHERE id = $1", params![user]).await?;
    Ok(Removed::Yes)
}

pub(super) async fn by_email(db: &Db, email: &Email) -> Result<Option<(User, Option<PasswordHash>)>> {
    let sql = "SELECT * FROM users WHERE email = $1";
    db.one(sql, params![email], |row| Ok((user(row)?, row.try_get("password")?))).await
}
