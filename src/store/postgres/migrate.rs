//! The schema's history: SQL files, compiled in, each applied once and in one transaction.
//!
//! The table `leadgate_schema` says which were applied. One program migrates at a time, under an advisory lock; a
//! migration that cannot get its locks soon gives up, so that it never blocks a running node for long.

use tokio_postgres::{Client, Error};

use super::locks::MIGRATION;
use super::server::Server;
use crate::store::OpenError;

/// One step of the schema's history.
struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// All steps, oldest first. Never change one that was released: add another.
const MIGRATIONS: &[Migration] =
    &[Migration { name: "0001_initial", sql: include_str!("migrations/0001_initial.sql") }];

/// The schema version that this program needs.
const KNOWN: u32 = MIGRATIONS.len() as u32;

/// Applies what is missing. Returns the names of the migrations that were applied, in order.
pub(super) async fn apply(server: &Server) -> Result<Vec<String>, OpenError> {
    let mut client = server.connect().await?;
    let failed = |error| server.failed(&error);
    // Waits for another program that is migrating, however long that takes. Ends with the connection.
    client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await.map_err(failed)?;
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION]).await.map_err(failed)?;
    client.batch_execute("SET lock_timeout = '5s'").await.map_err(failed)?;
    let found = version(&client).await.map_err(failed)?;
    refuse_newer(server, found)?;
    let mut applied = Vec::new();
    for (version, migration) in (1..).zip(MIGRATIONS).skip(found as usize) {
        step(&mut client, version, migration).await.map_err(failed)?;
        applied.push(migration.name.to_owned());
    }
    Ok(applied)
}

async fn step(client: &mut Client, version: i32, migration: &Migration) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction
        .batch_execute("CREATE TABLE IF NOT EXISTS leadgate_schema (version INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        .await?;
    transaction.batch_execute(migration.sql).await?;
    let sql = "INSERT INTO leadgate_schema (version, name) VALUES ($1, $2)";
    transaction.execute(sql, &[&version, &migration.name]).await?;
    transaction.commit().await
}

/// Refuses a database of another version than this program's.
pub(super) async fn require_current(server: &Server, client: &Client) -> Result<(), OpenError> {
    let found = version(client).await.map_err(|error| server.failed(&error))?;
    refuse_newer(server, found)?;
    match found {
        KNOWN => Ok(()),
        found => Err(OpenError::Older { path: server.to_string(), found, known: KNOWN }),
    }
}

fn refuse_newer(server: &Server, found: u32) -> Result<(), OpenError> {
    match found {
        0..=KNOWN => Ok(()),
        found => Err(OpenError::Newer { path: server.to_string(), found, known: KNOWN }),
    }
}

/// How many migrations have been applied.
async fn version(client: &Client) -> Result<u32, Error> {
    let known: bool = client.query_one("SELECT to_regclass('leadgate_schema') IS NOT NULL", &[]).await?.try_get(0)?;
    if !known {
        return Ok(0);
    }
    let newest: i32 =
        client.query_one("SELECT coalesce(max(version), 0) FROM leadgate_schema", &[]).await?.try_get(0)?;
    Ok(newest.unsigned_abs())
}
