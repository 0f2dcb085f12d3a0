//! The target of a copy from another engine: rows come in by `COPY`, each batch in one transaction with its place.

use std::pin::pin;

use bytes::{BufMut, BytesMut};
use futures_util::TryStreamExt;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, Transaction};

use super::locks::IN_USE;
use super::pool::Pool;
use super::server::{ANSWER, Server};
use super::statements::Params;
use super::{copy_mark, migrate, partitions};
use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::transfer::{self, Batch, Place, Row, Summary, Table, TransferError, Value};

/// Of rows that are read back, how often it is told how many there are.
const TOLD: u64 = 5000;

/// What a node does when it starts alone: what was under a lease is due again, under the lease of nobody
/// ([`crate::model::LeaseToken::NOBODYS`]), and who has something due stands in line for it.
const AS_AFTER_A_START: [&str; 2] = [
    "UPDATE deliveries SET due_at = changed_at, lease = '00000000-0000-0000-0000-000000000000'
     WHERE lease > '00000000-0000-0000-0000-000000000000'",
    "UPDATE subscriptions s SET next_due_at = 0
     WHERE paused_at IS NULL AND removed_at IS NULL AND EXISTS (
         SELECT 1 FROM deliveries d
         WHERE d.subscription_id = s.id AND d.due_at < coalesce(s.next_due_at, d.due_at + 1)
     )",
];

/// A database that nobody else uses until this is dropped.
pub(in crate::store) struct Target {
    client: Client,
    server: Server,
}

impl Target {
    /// Opens the database on `server`, which must be up to date and used by nobody.
    pub(in crate::store) async fn open(server: &Server) -> Result<Self, TransferError> {
        let client = server.connect().await?;
        server.in_time(ANSWER, Self::take(server, client)).await
    }

    /// Keeps everybody else out of the database.
    async fn take(server: &Server, client: Client) -> Result<Self, TransferError> {
        migrate::require_current(server, &client).await?;
        // Waits a moment, until the server's lock_timeout: whoever has just ended, or was killed, is soon gone.
        match client.execute("SELECT pg_advisory_lock($1)", &[&IN_USE]).await {
            Ok(_) => {}
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                return Err(TransferError::InUse(server.to_string()));
            }
            Err(error) => return Err(failed(error)),
        }
        // To read a table back takes as long as it takes. A batch that is lost in a power cut is lost with its place; the
        // last commit waits for all.
        client.batch_execute("SET statement_timeout = 0; SET synchronous_commit = off").await.map_err(failed)?;
        Ok(Self { client, server: server.clone() })
    }

    /// Marks the database as the copy of what has this `fingerprint`; or says how far such a copy is.
    /// `oldest` is when the first delivery of its log was finished.
    pub(in crate::store) async fn begin(
        &mut self,
        fingerprint: &[u8; 32],
        oldest: Option<Timestamp>,
    ) -> Result<Place, TransferError> {
        let name = self.server.to_string();
        match copy_mark::read(&self.client).await.map_err(failed)? {
            Some(mark) if mark.source != fingerprint && mark.finished => Err(TransferError::NotEmpty(name)),
            Some(mark) if mark.source != fingerprint => Err(TransferError::OtherSource(name)),
            Some(mark) if mark.finished => Ok(Place::Finished),
            Some(mark) => Ok(Place::At(mark.rows)),
            None if self.holds_anything().await.map_err(failed)? => Err(TransferError::NotEmpty(name)),
            None => {
                self.make_room(oldest).await?;
                self.mark(fingerprint).await.map_err(failed).map(|()| Place::At(0))
            }
        }
    }

    /// Gives the log that comes the partitions that it would have had here.
    async fn make_room(&self, oldest: Option<Timestamp>) -> Result<(), TransferError> {
        let Some(oldest) = oldest else { return Ok(()) };
        let pool = Pool::new(&self.server, &self.server.dial()?)?;
        let db = pool.get().await.map_err(TransferError::Target)?;
        partitions::begin_with(&db, oldest).await.map_err(TransferError::Target)?;
        drop(db);
        pool.close().await;
        Ok(())
    }

    /// A gateway that was started here and did nothing has left the proof of its key. That is nothing.
    async fn holds_anything(&self) -> Result<bool, Error> {
        for table in transfer::tables().filter(|table| table.name != "key_check") {
            if self.client.query_opt(&format!("SELECT 1 FROM {} LIMIT 1", table.name), &[]).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn mark(&mut self, fingerprint: &[u8; 32]) -> Result<(), Error> {
        let transaction = self.client.transaction().await?;
        transaction.execute("DELETE FROM key_check", &[]).await?;
        let sql = "INSERT INTO copy_mark (only_row, source, rows, finished) VALUES (TRUE, $1, 0, FALSE)";
        transaction.execute(sql, &[&fingerprint.as_slice()]).await?;
        transaction.commit().await
    }

    /// Writes rows, and that `done` rows of all tables are written now.
    pub(in crate::store) async fn write(
        &mut self,
        table: &Table,
        batch: &Batch,
        done: u64,
    ) -> Result<(), TransferError> {
        let work = async {
            let transaction = self.client.transaction().await?;
            write_rows(&transaction, table, batch.rows()).await?;
            let done = i64::try_from(done).unwrap_or(i64::MAX);
            transaction.execute("UPDATE copy_mark SET rows = $1", &[&done]).await?;
            transaction.commit().await
        };
        work.await.map_err(failed)
    }

    /// Reads a table back. Tells now and then how many rows have been read.
    pub(in crate::store) async fn summary(&self, table: &Table, told: impl Fn(u64)) -> Result<Summary, TransferError> {
        let work = async {
            let sql = format!("SELECT {} FROM {}", table.columns().join(", "), table.name);
            let none: Params<'_> = &[];
            let mut rows = pin!(self.client.query_raw(&sql, none.iter().copied()).await?);
            let mut summary = Summary::default();
            while let Some(row) = rows.try_next().await? {
                let values = (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>()?;
                summary.add(&Row(values));
                if summary.rows % TOLD == 0 {
                    told(summary.rows);
                }
            }
            told(summary.rows);
            Ok(summary)
        };
        work.await.map_err(failed)
    }

    /// Makes a gateway of what was copied: it may be served from now on.
    pub(in crate::store) async fn finish(&mut self) -> Result<(), TransferError> {
        let work = async {
            let transaction = self.client.transaction().await?;
            for table in transfer::tables() {
                go_on_counting(&transaction, table).await?;
            }
            for sql in AS_AFTER_A_START {
                transaction.execute(sql, &[]).await?;
            }
            // With this commit, those before it are on disk, too.
            let sql = "SET LOCAL synchronous_commit = on; UPDATE copy_mark SET finished = TRUE";
            transaction.batch_execute(sql).await?;
            transaction.commit().await?;
            // So many rows at once: what the planner knows of the tables is worth nothing until it has looked.
            self.client.batch_execute("ANALYZE").await
        };
        work.await.map_err(failed)
    }

    /// Lets others use the database. The server sees that a program has ended only a moment later: whoever comes next would be
    /// told that the copy is not finished.
    pub(in crate::store) async fn leave(self) {
        // If it fails, they are let in a moment later.
        let _ = self.client.execute("SELECT pg_advisory_unlock($1)", &[&IN_USE]).await;
    }
}

async fn write_rows(transaction: &Transaction<'_>, table: &Table, rows: &[Row]) -> Result<(), Error> {
    let (name, columns) = (table.name, table.columns().join(", "));
    let described = transaction.prepare(&format!("SELECT {columns} FROM {name}")).await?;
    let types: Vec<_> = described.columns().iter().map(|column| column.type_().clone()).collect();
    let sink = transaction.copy_in(&format!("COPY {name} ({columns}) FROM STDIN BINARY")).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for row in rows {
        writer.as_mut().write_raw(&row.0).await?;
    }
    writer.finish().await.map(|_| ())
}

/// Has what is counted next come behind all that are there.
async fn go_on_counting(transaction: &Transaction<'_>, table: &Table) -> Result<(), Error> {
    let Some(owner) = table.counted_by else { return Ok(()) };
    let sql = format!(
        "SELECT setval(counter, newest)
         FROM (SELECT max(seq) AS newest FROM {}) there, CAST(pg_get_serial_sequence('{owner}', 'seq') AS REGCLASS) counter
         WHERE newest > coalesce(pg_sequence_last_value(counter), 0)",
        table.name
    );
    transaction.execute(&sql, &[]).await.map(|_| ())
}

fn failed(error: Error) -> TransferError {
    TransferError::Target(StoreError::from(error))
}

type Fault = Box<dyn std::error::Error + Sync + Send>;

/// A value takes the form of the column that it goes to.
impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        match (self, ty) {
            (Value::Nothing, _) => return Ok(IsNull::Yes),
            (Value::Number(flag), &Type::BOOL) => out.put_u8(u8::from(*flag != 0)),
            (Value::Number(number), &Type::INT4) => out.put_i32(i32::try_from(*number)?),
            (Value::Number(number), &Type::INT8) => out.put_i64(*number),
            (Value::Bytes(bytes), &(Type::UUID | Type::BYTEA | Type::TEXT)) => out.put_slice(bytes),
            (Value::Number(_), ty) => return Err(format!("a number is no {ty}").into()),
            (Value::Bytes(_), ty) => return Err(format!("bytes are no {ty}").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        [Type::BOOL, Type::INT4, Type::INT8, Type::UUID, Type::BYTEA, Type::TEXT].contains(ty)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        match *ty {
            Type::BOOL => bool::from_sql(ty, raw).map(i64::from).map(Value::Number),
            Type::INT4 => i32::from_sql(ty, raw).map(i64::from).map(Value::Number),
            Type::INT8 => i64::from_sql(ty, raw).map(Value::Number),
            _ => Ok(Value::Bytes(raw.to_vec())),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Fault> {
        Ok(Value::Nothing)
    }

    fn accepts(ty: &Type) -> bool {
        <Self as ToSql>::accepts(ty)
    }
}
