//! How the model's types are written into columns and read back. Text that does not parse is corrupt data.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Result, Row};
use serde_json::{Map, Value};

use crate::model::delivery::{Action, State};
use crate::model::oauth::PkceChallenge;
use crate::model::partner::{ClientId, RedirectUri, Slug};
use crate::model::person::{Email, PasswordHash};
use crate::model::seal::Sealed;
use crate::model::session::UserAgent;
use crate::model::site::SiteDomain;
use crate::model::source::Username;
use crate::model::subscription::DestinationUrl;
use crate::model::throttle::BucketKey;
use crate::model::time;
use crate::model::token::Hashed;
use crate::model::{
    DeliveryId, FlowId, GrantId, LeadId, LeaseToken, PartnerId, Scopes, SessionId, SiteId, SourceId, SubscriptionId,
    Timestamp, UserId,
};

/// Ids are their 16 bytes.
macro_rules! as_uuid {
    ($($id:ty),* $(,)?) => {$(
        impl ToSql for $id {
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
            }
        }

        impl FromSql for $id {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <[u8; 16]>::column_result(value).map(Self::from_bytes)
            }
        }
    )*};
}

/// Types with one spelling are that text.
macro_rules! as_text {
    ($($name:ty),* $(,)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(FromSqlError::other)
            }
        }
    )*};
}

as_uuid!(
    DeliveryId,
    FlowId,
    GrantId,
    LeadId,
    LeaseToken,
    PartnerId,
    SessionId,
    SiteId,
    SourceId,
    SubscriptionId,
    UserId,
);
as_text!(Action, DestinationUrl, Email, PkceChallenge, RedirectUri, SiteDomain, Slug, State, Username);

impl ToSql for ClientId {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.as_str()))
    }
}

impl FromSql for ClientId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::received)
    }
}

impl ToSql for UserAgent {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.as_str()))
    }
}

impl FromSql for UserAgent {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::received)
    }
}

impl ToSql for Scopes {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.to_string()))
    }
}

impl FromSql for Scopes {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

impl ToSql for PasswordHash {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_str()))
    }
}

impl FromSql for PasswordHash {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        String::column_result(value).map(Self)
    }
}

impl<K> ToSql for Hashed<K> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
    }
}

impl<K> FromSql for Hashed<K> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(Self::from_bytes)
    }
}

impl ToSql for BucketKey {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
    }
}

impl ToSql for Sealed {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
    }
}

impl FromSql for Sealed {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Vec::column_result(value).map(Self::from_bytes)
    }
}

/// A time, in milliseconds since 1970. The wrapper is needed because `Timestamp` is another crate's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(pub(super) Timestamp);

impl ToSql for At {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_millisecond()))
    }
}

impl FromSql for At {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(time::from_millis).map(At)
    }
}

/// A JSON object.
pub(super) struct Json(pub(super) Map<String, Value>);

impl FromSql for Json {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Json).map_err(FromSqlError::other)
    }
}

/// An object as the text of a column.
pub(super) fn json_text(map: &Map<String, Value>) -> String {
    serde_json::to_string(map).expect("a JSON map is always JSON")
}

/// The time in a column.
pub(super) fn at(row: &Row, column: &str) -> Result<Timestamp> {
    row.get(column).map(|At(at)| at)
}

/// The time in a column, if there is one.
pub(super) fn maybe_at(row: &Row, column: &str) -> Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<At>>(column)?.map(|At(at)| at))
}

/// A bound on the number of rows. SQLite counts in `i64`, which holds every number of rows that there can be.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
