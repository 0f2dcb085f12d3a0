//! How the model's types are written into columns and read back. Text that does not parse is corrupt data.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

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

type Fault = Box<dyn Error + Sync + Send>;
type Written = Result<IsNull, Fault>;
type Result<T, E = tokio_postgres::Error> = std::result::Result<T, E>;

/// What a column holds makes no sense to this program.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Senseless(String);

fn senseless(error: impl std::fmt::Display) -> Fault {
    Box::new(Senseless(error.to_string()))
}

/// Bytes in a column of a type that is sent as it is: BYTEA, UUID, TEXT.
fn put(bytes: &[u8], out: &mut BytesMut) -> Written {
    out.put_slice(bytes);
    Ok(IsNull::No)
}

/// Ids are their 16 bytes.
macro_rules! as_uuid {
    ($($id:ty),* $(,)?) => {$(
        impl ToSql for $id {
            fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Written {
                put(self.as_bytes(), out)
            }

            fn accepts(ty: &Type) -> bool {
                *ty == Type::UUID
            }

            to_sql_checked!();
        }

        impl<'a> FromSql<'a> for $id {
            fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
                raw.try_into().map(Self::from_bytes).map_err(senseless)
            }

            fn accepts(ty: &Type) -> bool {
                *ty == Type::UUID
            }
        }
    )*};
}

/// Types that are some text: how it is written, and how it is read.
macro_rules! as_text {
    ($($name:ty: $text:expr, $parse:expr);* $(;)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Written {
                let text: fn(&Self) -> _ = $text;
                put(AsRef::<str>::as_ref(&text(self)).as_bytes(), out)
            }

            fn accepts(ty: &Type) -> bool {
                *ty == Type::TEXT
            }

            to_sql_checked!();
        }

        impl<'a> FromSql<'a> for $name {
            fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
                let parse: fn(&str) -> Result<Self, Fault> = $parse;
                parse(std::str::from_utf8(raw).map_err(senseless)?)
            }

            fn accepts(ty: &Type) -> bool {
                *ty == Type::TEXT
            }
        }
    )*};
}

/// Types with one spelling are that text.
macro_rules! as_spelt {
    ($($name:ty),* $(,)?) => { as_text!($($name: |value| value.as_str().to_owned(), |text| text.parse().map_err(senseless));*); };
}

/// Bytes of a length that the type knows.
macro_rules! as_bytes {
    ($name:ty $(, $kind:ident)?) => {
        impl$(<$kind>)? ToSql for $name {
            fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Written {
                put(&self.as_bytes()[..], out)
            }

            fn accepts(ty: &Type) -> bool {
                *ty == Type::BYTEA
            }

            to_sql_checked!();
        }

        impl<'a $(, $kind)?> FromSql<'a> for $name {
            fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
                raw.try_into().map(Self::from_bytes).map_err(senseless)
            }

            fn accepts(ty: &Type) -> bool {
                *ty == Type::BYTEA
            }
        }
    };
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
as_spelt!(Action, DestinationUrl, Email, PkceChallenge, RedirectUri, SiteDomain, Slug, State, Username);
as_text!(
    ClientId: |id| id.as_str().to_owned(), |text| Ok(Self::received(text));
    Scopes: |scopes| scopes.to_string(), |text| text.parse().map_err(senseless);
    UserAgent: |agent| agent.as_str().to_owned(), |text| Ok(Self::received(text));
    PasswordHash: |hash| hash.0.clone(), |text| Ok(Self(text.to_owned()));
);
as_bytes!(Hashed<K>, K);
as_bytes!(Sealed);
as_bytes!(BucketKey);

/// A time, in milliseconds since 1970. The wrapper is needed because `Timestamp` is another crate's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(pub(super) Timestamp);

impl ToSql for At {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Written {
        self.0.as_millisecond().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <i64 as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for At {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        i64::from_sql(ty, raw).map(time::from_millis).map(At)
    }

    fn accepts(ty: &Type) -> bool {
        <i64 as FromSql>::accepts(ty)
    }
}

/// A JSON object.
pub(super) struct Json(pub(super) Map<String, Value>);

impl<'a> FromSql<'a> for Json {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        serde_json::from_slice(raw).map(Json).map_err(senseless)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TEXT
    }
}

/// A number that is never negative and never large. PostgreSQL has no unsigned ones.
pub(super) struct Count<T>(pub(super) T);

impl<'a, T: TryFrom<i64>> FromSql<'a> for Count<T> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        let number = if *ty == Type::INT4 { i32::from_sql(ty, raw)?.into() } else { i64::from_sql(ty, raw)? };
        T::try_from(number).map(Count).map_err(|_| senseless(format!("{number} is no count")))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT4 | Type::INT8)
    }
}

/// An object as the text of a column.
pub(super) fn json_text(map: &Map<String, Value>) -> String {
    serde_json::to_string(map).expect("a JSON map is always JSON")
}

/// The time in a column.
pub(super) fn at(row: &Row, column: &str) -> Result<Timestamp> {
    row.try_get(column).map(|At(at)| at)
}

/// The time in a column, if there is one.
pub(super) fn maybe_at(row: &Row, column: &str) -> Result<Option<Timestamp>> {
    Ok(row.try_get::<_, Option<At>>(column)?.map(|At(at)| at))
}

/// The count in a column.
pub(super) fn count<T: TryFrom<i64>>(row: &Row, column: &str) -> Result<T> {
    row.try_get(column).map(|Count(count)| count)
}

/// A bound on the number of rows. PostgreSQL counts in `i64`, which holds every number of rows that there can be.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
