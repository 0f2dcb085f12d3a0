//! What is moved: every table with its columns, written down once. The source is read by it, the target written and read
//! back, and both checksums taken; so a column cannot be forgotten in one place only. Tests compare it with both schemas.

use super::deliveries::{LOG, QUEUE, QUEUE_BODIES};

/// A table of the target, and where its rows are found in the source.
pub(in crate::store) struct Table {
    /// Its name in the target.
    pub(in crate::store) name: &'static str,
    /// The rows of the source, `t`, and what belongs to each.
    pub(super) from: &'static str,
    /// What gives them one order.
    pub(super) key: &'static str,
    /// Columns of `t` that have the same names in the target.
    pub(super) same: &'static [&'static str],
    /// The target's further columns, each with what the source says of it.
    pub(super) others: &'static [(&'static str, &'static str)],
    /// The table of the target that counts the `seq` of these rows: its next one has to come behind them.
    pub(in crate::store) counted_by: Option<&'static str>,
}

impl Table {
    /// Reads rows of the source in their order, leaving out the first `?1`.
    pub(in crate::store) fn read_source(&self) -> String {
        let same = self.same.iter().map(|column| format!("t.{column}"));
        let others = self.others.iter().map(|(_, told)| (*told).to_owned());
        let columns = same.chain(others).collect::<Vec<_>>().join(", ");
        format!("SELECT {columns} FROM {} ORDER BY {} LIMIT -1 OFFSET ?1", self.from, self.key)
    }

    /// Counts the rows of the source.
    pub(in crate::store) fn count_source(&self) -> String {
        format!("SELECT count(*) FROM {}", self.from)
    }

    /// The target's columns, in the order in which the source's values come.
    pub(in crate::store) fn columns(&self) -> Vec<&'static str> {
        self.same.iter().copied().chain(self.others.iter().map(|(column, _)| *column)).collect()
    }
}

/// All tables that are copied, in the order in which they are written: what others refer to comes first. `guess_buckets` are
/// left out: what strangers guessed before the move is forgotten.
pub(in crate::store) fn all() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().chain([&QUEUE, &QUEUE_BODIES, &LOG])
}

/// The tables of the target into which a gateway is copied, each with the columns that are written.
pub fn copied_columns() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    all().map(|table| (table.name, table.columns()))
}

/// A table that is the same on both sides.
macro_rules! table {
    ($name:literal by $key:literal: $($column:literal),* $(,)?) => {
        Table {
            name: $name,
            from: concat!($name, " t"),
            key: $key,
            same: &[$($column),*],
            others: &[],
            counted_by: None,
        }
    };
}

/// A table whose rows belong to a grant. The target names their site, too. What belongs to no grant is read all the same,
/// and refused by the target: nothing vanishes in silence.
macro_rules! of_grant {
    ($name:literal: $($column:literal),* $(,)?) => {
        Table {
            from: concat!($name, " t LEFT JOIN grants g ON g.id = t.grant_id"),
            others: &[("site_uuid", "g.site_uuid")],
            ..table!($name by "t.hash": "hash", "grant_id", $($column),*)
        }
    };
}

/// A table whose rows are counted by `seq`.
macro_rules! counted {
    ($name:literal: $($column:literal),* $(,)?) => {
        Table { counted_by: Some($name), ..table!($name by "t.seq": "seq", $($column),*) }
    };
}

const TABLES: [Table; 19] = [
    table!("key_check" by "t.only_row": "only_row", "sealed"),
    table!("users" by "t.id": "id", "email", "name", "operator", "password", "created_at"),
    table!("sessions" by "t.hash": "hash", "id", "user_id", "agent", "created_at", "used_at", "expires_at"),
    table!("password_links" by "t.user_id, t.kind": "user_id", "kind", "hash", "created_at", "expires_at"),
    table!("sites" by "t.site_uuid": "site_uuid", "domain", "created_at", "removed_at"),
    table!("site_owners" by "t.site_uuid, t.user_id": "site_uuid", "user_id"),
    table!(
        "partners" by "t.id": "id", "slug", "name", "client_id", "secret", "echo", "merge_updates", "require_pkce", "created_at",
        "removed_at",
    ),
    table!("redirect_uris" by "t.partner_id, t.position": "partner_id", "position", "uri"),
    table!("sources" by "t.id": "id", "username", "password", "all_sites", "created_at"),
    table!("source_sites" by "t.source_id, t.site_uuid": "source_id", "site_uuid"),
    table!(
        "grants" by "t.id": "id", "flow", "site_uuid", "partner_id", "user_id", "scopes", "generation", "rotated_at",
        "created_at", "ends_at", "revoked_at",
    ),
    of_grant!("authorization_codes": "redirect_uri", "challenge", "expires_at", "used_at"),
    of_grant!("access_tokens": "scopes", "issued_at", "expires_at"),
    of_grant!("refresh_tokens": "generation", "issued_at", "expires_at"),
    counted!(
        "subscriptions": "id", "site_uuid", "partner_id", "url", "secret", "user_id", "created_at", "updated_at",
        "paused_at", "removed_at", "swept", "next_due_at",
    ),
    counted!("leads": "site_uuid", "id", "email_key", "fields", "created_at", "updated_at"),
    table!("lead_aliases" by "t.site_uuid, t.alias": "site_uuid", "alias", "lead_id"),
    counted!("activities": "site_uuid", "lead_id", "digest", "activity"),
    table!("idempotency_keys" by "t.site_uuid, t.key": "site_uuid", "key", "request", "lead_id", "effect", "expires_at"),
];
