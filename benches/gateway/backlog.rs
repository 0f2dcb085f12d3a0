//! Backlogs, made by SQL: what waits when a gateway has been away, as the outbox would have written it, only faster.
//!
//! A backlog lies still until it is released: then the subscription takes its place in the line, at a moment that all
//! gateways have heard of before, so that they begin together.

use std::time::Duration;

use leadgate::model::{Timestamp, time};

use crate::cast::{self, Cast, Subscribed};
use crate::data::Data;
use crate::lead::lead;

/// Between a release and its moment: gateways ask the store each second what comes next.
pub const NOTICE: Duration = Duration::from_millis(1200);

/// How many leads came in each millisecond: their ids and those of their deliveries begin with their time.
const PER_MILLISECOND: usize = 5;

/// Adds `count` leads, each with a delivery that waits for the subscription, due from now on.
pub fn add(cast: &Cast, to: Subscribed, count: usize) {
    let insert = match cast.data {
        Data::Sqlite(_) => on_sqlite(cast, to, count),
        Data::Postgres(_) => on_postgres(cast, to, count),
    };
    cast.data.run(&insert);
    if let Data::Postgres(_) = cast.data {
        // As autovacuum would have left it, had it grown slowly. SQLite has nothing of the kind.
        cast.data.run("VACUUM (ANALYZE) leads, deliveries, delivery_bodies");
    }
}

/// Lets the gateways begin, all at the same moment.
pub fn release(cast: &Cast, to: Subscribed) {
    let at = millis(time::after(cast::now(), NOTICE));
    let id = match cast.data {
        Data::Sqlite(_) => format!("x'{}'", hex::encode(to.id.as_bytes())),
        Data::Postgres(_) => format!("'{}'", to.id),
    };
    cast.data.run(&format!("UPDATE subscriptions SET next_due_at = {at} WHERE id = {id}"));
}

fn on_postgres(cast: &Cast, to: Subscribed, count: usize) -> String {
    let (Subscribed { site, id: subscription }, partner) = (to, cast.partner);
    let (now, lead) = (millis(cast::now()), lead(0).to_string());
    let id = format!(
        "(lpad(to_hex({now} - ({count} - n) / {PER_MILLISECOND}), 12, '0') || right(md5(random()::TEXT), 20))::UUID"
    );
    format!(
        "WITH made AS (
             INSERT INTO deliveries
                 (site_uuid, id, subscription_id, partner_id, lead_id, action, changed_at, position, due_at)
             SELECT '{site}', {id}, '{subscription}', '{partner}', {id}, 'created', {now}, 0, {now}
             FROM generate_series(1::BIGINT, {count}) n
             RETURNING site_uuid, seq, lead_id
         ), leads AS (
             INSERT INTO leads (site_uuid, id, email_key, fields, created_at, updated_at)
             SELECT site_uuid, lead_id, convert_to(lead_id::TEXT, 'UTF8'), '{lead}', {now}, {now} FROM made
         )
         INSERT INTO delivery_bodies (site_uuid, delivery_seq, body)
         SELECT site_uuid, seq, convert_to('{lead}', 'UTF8') FROM made"
    )
}

fn on_sqlite(cast: &Cast, to: Subscribed, count: usize) -> String {
    let [site, partner, subscription] =
        [to.site.as_bytes(), cast.partner.as_bytes(), to.id.as_bytes()].map(hex::encode);
    let (now, lead) = (millis(cast::now()), lead(0).to_string());
    let id =
        format!("CAST(unhex(printf('%012x', {now} - ({count} - n) / {PER_MILLISECOND})) || randomblob(10) AS BLOB)");
    format!(
        "BEGIN IMMEDIATE;
         CREATE TEMP TABLE made AS
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
             SELECT n + (SELECT coalesce(max(seq), 0) FROM deliveries) AS seq, {id} AS id, {id} AS lead_id FROM numbers;
         INSERT INTO leads (site_uuid, id, email_key, fields, created_at, updated_at)
             SELECT x'{site}', lead_id, hex(lead_id), '{lead}', {now}, {now} FROM made;
         INSERT INTO deliveries
             (seq, id, site_uuid, subscription_id, partner_id, lead_id, action, changed_at, state, position, due_at)
             SELECT seq, id, x'{site}', x'{subscription}', x'{partner}', lead_id, 'created', {now}, 'waiting', 0, {now}
             FROM made;
         INSERT INTO delivery_bodies (delivery_seq, body) SELECT seq, CAST('{lead}' AS BLOB) FROM made;
         DROP TABLE made;
         COMMIT;"
    )
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}
