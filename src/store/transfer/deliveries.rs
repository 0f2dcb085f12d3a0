//! The tables of the delivery queue and its log, and the operator's key, which is moved last.

use super::tables::{Parent, Table, counted, table};

/// Belongs to a delivery, and so to its site.
const fn of_delivery(name: &'static str, key: &'static [&'static str], columns: &'static [&'static str]) -> Table {
    let delivery = Parent { table: "deliveries", key: "seq", column: "delivery_seq" };
    Table { parent: Some(delivery), ..table(name, key, columns) }
}

pub(super) const DELIVERIES: [Table; 4] = [
    counted(
        "deliveries",
        &[
            "seq", "id", "site_uuid", "subscription_id", "partner_id", "lead_id", "action", "changed_at", "state",
            "position", "attempts", "due_at", "lease", "finished_at",
        ],
    ),
    of_delivery("delivery_bodies", &["delivery_seq"], &["delivery_seq", "body"]),
    of_delivery(
        "attempts",
        &["delivery_seq", "number"],
        &["delivery_seq", "number", "started_at", "duration_us", "status", "error", "response"],
    ),
    table("key_check", &["only_row"], &["only_row", "sealed"]),
];
