//! Backlogs, made by SQL: what waits when a gateway has been away, as the outbox would have written it, only faster.
//!
//! A backlog lies still until it is released: then the subscription takes its place in the line, at a moment that all
//! gateways have heard of before, so that they begin together.

use std::time::Duration;

use leadgate::model::{Timestamp, time};

use crate::cast::{self, Cast};
use crate::data::Data;
use crate::lead::lead;

/// Between a release and its moment: gateways ask the store each second what comes next.
pub const NOTICE: Duration = Duration::from_millis(1200);

/// How many leads came in each millisecond: their ids and those of their deliveries begin with their time.
const PER_MILLISECOND: usize = 5;

/// Adds leads, each with a delivery due from now on: `count` for each subscription whose URL begins with `url`.
pub fn add(cast: &Cast, url: &str, count: usize) {
    let insert = match cast.data {
        Data::Sqlite(_) => on_sqlite(url, count),
        Data::Postgres(_) => on_postgres(url, count),
    };
    cast.data.run(&insert);
    if let Data::Postgres(_) = cast.data {
        // As autovacuum would have left it, had it grown slowly. SQLite has nothing of the kind.
        cast.data.run("VACUUM (ANALYZE) leads, deliveries, delivery_bodies");
    }
}

/// Lets the gateways begin with what waits for URLs that begin with `url`, all at the same moment.
pub fn release(cast: &Cast, url: &str) {
    let at = millis(time::after(cast::now(), NOTICE));
    cast.data.run(&format!("UPDATE subscriptions SET next_due_at = {at} WHERE url LIKE '{url}%'"));
}

fn on_postgres(url: &str, count: usize) -> String {
    let (now, lead) = (millis(cast::now()), lead(0).to_string());
    let id = format!(
        "(lpad(to_hex({now} - ({count} - n) / {PER_MILLISECOND}), 12, '0') || right(md5(random()::TEXT), 20))::UUID"
    );
    format!(
        "WITH made AS (
             INSERT INTO deliveries
                 (site_uuid, id, subscription_id, partner_id, lead_id, action, changed_at, position, due_at)
             SELECT site_uuid, {id}, id, partner_id, {id}, 'created', {now}, 0, {now}
             FROM subscriptions, generate_series(1::BIGINT, {count}) n WHERE url LIKE '{url}%'
             RETURNING site_uuid, seq, lead_id
         ), leads AS (
             INSERT INTO leads (site_uuid, id, email_key, fields, created_at, updated_at)
             SELECT site_uuid, lead_id, convert_to(lead_id::TEXT, 'UTF8'), '{lead}', {now}, {now} FROM made
         )
         INSERT INTO delivery_bodies (site_uuid, delivery_seq, body)
         SELECT site_uuid, seq, convert_to('{lead}', 'UTF8') FROM made"
    )
}

fn on_sqlite(url: &str, count: usize) -> String {
    let (now, lead) = (millis(cast::now()), lead(0).to_string());
    let id =
        format!("CAST(unhex(printf('%012x', {now} - ({count} - n) / {PER_MILLISECOND})) || randomblob(10) AS BLOB)");
    format!(
        "BEGIN IMMEDIATE;
         CREATE TEMP TABLE made AS
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
             SELECT row_number() OVER () + (SELECT coalesce(max(seq), 0) FROM deliveries) AS seq, {id} AS id,
                 {id} AS lead_id, site_uuid, id AS subscription_id, partner_id
             FROM subscriptions, numbers WHERE url LIKE '{url}%';
         INSERT INTO leads (site_uuid, id, email_key, fields, created_at, updated_at)
             SELECT site_uuid, lead_id, hex(lead_id), '{lead}', {now}, {now} FROM made;
         INSERT INTO deliveries
             (seq, id, site_uuid, subscription_id, partner_id, lead_id, action, changed_at, state, position, due_at)
             SELECT seq, id, site_uuid, subscription_id, partner_id, lead_id, 'created', {now}, 'waiting', 0, {now}
             FROM made;
         INSERT INTO delivery_bodies (delivery_seq, body) SELECT seq, CAST('{lead}' AS BLOB) FROM made;
         DROP TABLE made;
         COMMIT;"
    )
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}
