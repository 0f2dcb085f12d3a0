//! The delivery queue and its log. The source keeps both in one table, beside one for bodies and one for attempts; the target
//! keeps what waits apart from what is over, and the attempts of a delivery as one text, its story.

use super::tables::Table;

/// The attempts of `t`, oldest first, as the target writes them (`postgres/deliveries/story.rs` reads this); NULL if there
/// are none.
macro_rules! story {
    () => {
        "(SELECT group_concat(json_object('started', a.started_at, 'duration', a.duration_us, 'status', a.status,
                                          'error', a.error, 'response', a.response) || char(10), '' ORDER BY a.number)
          FROM attempts a WHERE a.delivery_seq = t.seq)"
    };
}

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
    others: &[],
    counted_by: Some("deliveries"),
};

pub(super) const QUEUE_BODIES: Table = Table {
    name: "delivery_bodies",
    from: waiting!("LEFT JOIN delivery_bodies b ON b.delivery_seq = t.seq "),
    key: "t.seq",
    same: &["site_uuid"],
    others: &[("delivery_seq", "t.seq"), ("body", "b.body"), ("story", story!())],
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
    ],
    others: &[("body", "b.body"), ("story", story!())],
    counted_by: Some("deliveries"),
};
