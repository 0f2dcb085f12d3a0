//! What is moved: every table with its columns, written down once. The source is read by it, the target written and read
//! back, and both checksums taken; so a column cannot be forgotten in one place only. A test compares it with both schemas.

use super::deliveries::DELIVERIES;

/// A table that is moved.
pub(in crate::store) struct Table {
    /// Its name, on both sides.
    pub(in crate::store) name: &'static str,
    /// Its columns in the source; the target has columns of the same names.
    pub(super) columns: &'static [&'static str],
    /// The columns by which the source's rows have one order.
    pub(super) key: &'static [&'static str],
    /// Where a row's site stands, if only the target's rows name it themselves.
    pub(super) parent: Option<Parent>,
    /// Whether `seq` counts the rows: the target's next row has to come behind those that were copied.
    pub(in crate::store) counted: bool,
}

/// The row that a row belongs to.
pub(super) struct Parent {
    pub(super) table: &'static str,
    /// Its key, there.
    pub(super) key: &'static str,
    /// The same, in the row that belongs to it.
    pub(super) column: &'static str,
}

/// The site of a row that a table of the target names in its first column.
const SITE: &str = "site_uuid";

impl Table {
    /// Reads rows of the source in the order of their key, leaving out the first `?1`. What belongs to nothing is read, too,
    /// with no site: the target refuses that, and so nothing vanishes in silence.
    pub(in crate::store) fn read_source(&self) -> String {
        let own = self.columns.iter().map(|column| format!("t.{column}"));
        let columns: Vec<_> = self.parent.iter().map(|_| format!("p.{SITE}")).chain(own).collect();
        let key: Vec<_> = self.key.iter().map(|column| format!("t.{column}")).collect();
        let join = self.parent.as_ref().map(|parent| {
            format!(" LEFT JOIN {} p ON p.{} = t.{}", parent.table, parent.key, parent.column)
        });
        format!(
            "SELECT {} FROM {} t{} ORDER BY {} LIMIT -1 OFFSET ?1",
            columns.join(", "),
            self.name,
            join.unwrap_or_default(),
            key.join(", "),
        )
    }

    /// The target's columns, in the order in which the source's values come.
    pub(in crate::store) fn target_columns(&self) -> String {
        let site = self.parent.iter().map(|_| SITE);
        site.chain(self.columns.iter().copied()).collect::<Vec<_>>().join(", ")
    }
}

/// All tables, in the order in which they are written: what others refer to comes first.
pub(in crate::store) fn all() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().chain(&DELIVERIES)
}

/// A table whose columns are the same on both sides.
pub(super) const fn table(
    name: &'static str,
    key: &'static [&'static str],
    columns: &'static [&'static str],
) -> Table {
    Table { name, columns, key, parent: None, counted: false }
}

/// Belongs to a grant, and so to its site.
const fn of_grant(name: &'static str, columns: &'static [&'static str]) -> Table {
    let grant = Parent { table: "grants", key: "id", column: "grant_id" };
    Table { parent: Some(grant), ..table(name, &["hash"], columns) }
}

/// Counted by `seq`.
pub(super) const fn counted(name: &'static str, columns: &'static [&'static str]) -> Table {
    Table { counted: true, ..table(name, &["seq"], columns) }
}

const TABLES: [Table; 17] = [
    table("users", &["id"], &["id", "email", "name", "operator", "password", "created_at"]),
    table("sessions", &["hash"], &["hash", "user_id", "created_at", "expires_at"]),
    table("sites", &["site_uuid"], &["site_uuid", "domain", "created_at", "removed_at"]),
    table("site_owners", &["site_uuid", "user_id"], &["site_uuid", "user_id"]),
    table("partners", &["id"], &["id", "slug", "name", "client_id", "secret", "echo", "created_at", "removed_at"]),
    table("redirect_uris", &["partner_id", "position"], &["partner_id", "position", "uri"]),
    table("sources", &["id"], &["id", "username", "password", "all_sites", "created_at"]),
    table("source_sites", &["source_id", "site_uuid"], &["source_id", "site_uuid"]),
    table(
        "grants",
        &["id"],
        &[
            "id", "flow", "site_uuid", "partner_id", "user_id", "scopes", "generation", "rotated_at", "created_at",
            "ends_at", "revoked_at",
        ],
    ),
    of_grant("authorization_codes", &["hash", "grant_id", "redirect_uri", "challenge", "expires_at", "used_at"]),
    of_grant("access_tokens", &["hash", "grant_id", "scopes", "expires_at"]),
    of_grant("refresh_tokens", &["hash", "grant_id", "generation", "expires_at"]),
    counted(
        "subscriptions",
        &[
            "seq", "id", "site_uuid", "partner_id", "url", "secret", "created_at", "updated_at", "paused_at",
            "removed_at", "swept", "next_due_at",
        ],
    ),
    counted("leads", &["seq", "site_uuid", "id", "email_key", "fields", "created_at", "updated_at"]),
    table("lead_aliases", &["site_uuid", "alias"], &["site_uuid", "alias", "lead_id"]),
    counted("activities", &["seq", "site_uuid", "lead_id", "digest", "activity"]),
    table(
        "idempotency_keys",
        &["site_uuid", "key"],
        &["site_uuid", "key", "request", "lead_id", "effect", "expires_at"],
    ),
];
