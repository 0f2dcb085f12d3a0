//! Users.

use rusqlite::{Connection, Row, params};

use super::statements::Statements;
use super::values::{At, at};
use super::writer::Tx;
use crate::model::UserId;
use crate::model::person::{Email, PasswordHash, User};
use crate::store::{AddUser, Removed, Result};

pub(super) fn user(row: &Row) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get("id")?,
        email: row.get("email")?,
        name: row.get("name")?,
        operator: row.get("operator")?,
        created: at(row, "created_at")?,
    })
}

pub(super) fn add(tx: &Tx, user: &User, password: Option<&PasswordHash>) -> Result<AddUser> {
    if id_of(tx, &user.email)?.is_some() {
        return Ok(AddUser::EmailTaken);
    }
    tx.run(
        "INSERT INTO users (id, email, name, operator, password, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![user.id, user.email, user.name, user.operator, password, At(user.created)],
    )?;
    Ok(AddUser::Added)
}

pub(super) fn id_of(db: &Connection, email: &Email) -> Result<Option<UserId>> {
    Ok(db.one("SELECT id FROM users WHERE email = ?1", [email], |row| row.get("id"))?)
}

pub(super) fn all(db: &Connection) -> Result<Vec<User>> {
    Ok(db.all("SELECT * FROM users ORDER BY email", [], user)?)
}

/// Sessions and ownerships go with the row. The grants are deleted and not marked as revoked: there is nobody left to
/// show them to, and their tokens go with them.
pub(super) fn remove(tx: &Tx, email: &Email) -> Result<Removed> {
    let Some(user) = id_of(tx, email)? else { return Ok(Removed::NotFound) };
    tx.run("DELETE FROM grants WHERE user_id = ?1", [user])?;
    tx.run("DELETE FROM users WHERE id = ?1", [user])?;
    Ok(Removed::Yes)
}

pub(super) fn by_email(db: &Connection, email: &Email) -> Result<Option<(User, Option<PasswordHash>)>> {
    let found = db.one("SELECT * FROM users WHERE email = ?1", [email], |row| Ok((user(row)?, row.get("password")?)));
    Ok(found?)
}
