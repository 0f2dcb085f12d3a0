//! The delivery queue and its log. The source keeps both in one table, beside one for bodies; the target keeps what waits apart
//! from what is over.

use super::tables::Table;

/// What waits. No index leads there: all is read, in the order of its age.
macro_rules! waiting {
    ($join:literal) => {
        concat!("deliveries t NOT INDEXED ", $join, "WHERE t.state = 'waiting'")
    };
}

pub(super) const QUEUE: Table = Table {
    name: "deliveries",
    from: waiting!(""),
    key: "t.seq",
    same: &[
        "site_uuid",
        "seq",
        "id",
        "subscription_id",
        "partner_id",
        "lead_id",
        "action",
        "changed_at",
        "position",
        "attempts",
        "due_at",
        "lease",
    ],
    // The source has it in due_at, where it is as good.
    others: &[("leased_until", "NULL")],
    counted_by: Some("deliveries"),
};

pub(super) const QUEUE_BODIES: Table = Table {
    name: "delivery_bodies",
    from: waiting!("LEFT JOIN delivery_bodies b ON b.delivery_seq = t.seq "),
    key: "t.seq",
    same: &["site_uuid", "story"],
    others: &[("delivery_seq", "t.seq"), ("body", "b.body")],
    counted_by: None,
};

pub(super) const LOG: Table = Table {
    name: "delivery_log",
    from: "deliveries t NOT INDEXED LEFT JOIN delivery_bodies b ON b.delivery_seq = t.seq WHERE t.state <> 'waiting'",
    key: "t.seq",
    same: &[
        "site_uuid",
        "seq",
        "id",
        "subscription_id",
        "partner_id",
        "lead_id",
        "action",
        "changed_at",
        "state",
        "attempts",
        "finished_at",
        "story",
    ],
    others: &[("body", "b.body")],
    counted_by: Some("deliveries"),
};
