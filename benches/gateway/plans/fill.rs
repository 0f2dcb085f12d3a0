//! Ten million deliveries: mostly over, a tenth of them waiting, spread over thousands of sites and a million leads.
//!
//! One site has a tenth of everything, since it is the uneven ones on which a planner that knows only averages errs.

use leadgate::model::{PartnerId, SiteId, SubscriptionId, Timestamp};
use uuid::Uuid;

/// Deliveries in all.
pub const DELIVERIES: u64 = 10_000_000;

const WAITING: u64 = 1_000_000;
const LEADS: u64 = 1_000_000;
const SITES: u64 = 20_000;

/// Days over which deliveries have finished.
const DAYS: i64 = 14;
const DAY: i64 = 24 * 60 * 60 * 1000;

/// The site with this number, and who has subscribed to it. The one with the number 0 is large.
pub fn place(site: usize) -> (SiteId, PartnerId, SubscriptionId) {
    let [site, partner, subscription] = [id(1, site as u64), id(2, 0), id(3, site as u64)].map(Uuid::into_bytes);
    (SiteId::from_bytes(site), PartnerId::from_bytes(partner), SubscriptionId::from_bytes(subscription))
}

/// What to do, and the SQL that does it.
pub fn steps(now: Timestamp) -> Vec<(&'static str, String)> {
    let now = now.as_millisecond();
    let (finished, starts) = (DELIVERIES - WAITING, now - DAYS * DAY);
    vec![
        ("putting the indexes aside", SET_INDEXES_ASIDE.to_owned()),
        ("making sites, subscriptions and leads", parties(now)),
        ("making the log's partitions", partitions(now)),
        ("making what is over", log(finished, starts)),
        ("making what waits", queue(now)),
        ("making the indexes", MAKE_INDEXES.to_owned()),
        ("looking at it as autovacuum does", "VACUUM (ANALYZE)".to_owned()),
    ]
}

/// Indexes are made faster when everything is there.
const SET_INDEXES_ASIDE: &str = "
    CREATE TABLE set_aside AS
        SELECT i.indexrelid::REGCLASS::TEXT AS name,
               replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS definition
        FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
        WHERE c.oid IS NULL AND i.indrelid IN ('deliveries'::REGCLASS, 'delivery_log'::REGCLASS, 'leads'::REGCLASS);
    DO 'DECLARE name TEXT;
        BEGIN FOR name IN SELECT s.name FROM set_aside s LOOP EXECUTE ''DROP INDEX '' || name; END LOOP; END';";

const MAKE_INDEXES: &str = "
    SET maintenance_work_mem = '256MB';
    DO 'DECLARE definition TEXT;
        BEGIN FOR definition IN SELECT s.definition FROM set_aside s LOOP EXECUTE definition; END LOOP; END';";

fn parties(now: i64) -> String {
    // Ids are spread like random ones, and yet known here: see `id`.
    format!(
        "CREATE FUNCTION id(kind BIGINT, n BIGINT) RETURNS UUID LANGUAGE SQL IMMUTABLE AS
             'SELECT (lpad(to_hex((n * {SPREAD}) % 4294967296), 8, ''0'') || ''-0000-4000-8000-''
                      || lpad(to_hex((kind << 40) | n), 12, ''0''))::UUID';
         CREATE FUNCTION site_of(lead BIGINT) RETURNS BIGINT LANGUAGE SQL IMMUTABLE AS
             'SELECT CASE WHEN lead % 10 = 0 THEN 0 ELSE lead % {SITES} END';
         INSERT INTO partners (id, slug, name, client_id, secret, echo, merge_updates, require_pkce, created_at)
             VALUES (id(2, 0), 'piesync', 'PieSync', 'piesync', '', TRUE, TRUE, FALSE, {now});
         INSERT INTO sites (site_uuid, domain, created_at)
             SELECT id(1, n), 'www.site.com', {now} FROM generate_series(0::BIGINT, {SITES} - 1) n;
         INSERT INTO subscriptions (site_uuid, id, partner_id, url, secret, created_at, updated_at, next_due_at)
             SELECT id(1, n), id(3, n), id(2, 0), 'http://127.0.0.1:9/', '', {now}, {now}, {now} - n
             FROM generate_series(0::BIGINT, {SITES} - 1) n;
         INSERT INTO leads (site_uuid, id, email_key, fields, created_at, updated_at)
             SELECT id(1, site_of(n)), id(4, n), convert_to('lead' || n || '@example.com', 'UTF8'), '{{}}', {now}, {now}
             FROM generate_series(0::BIGINT, {LEADS} - 1) n;"
    )
}

/// One for each past day; the engine makes those of today and after.
fn partitions(now: i64) -> String {
    let today = now.div_euclid(DAY) * DAY;
    (1..=DAYS)
        .map(|back| {
            let (starts, ends) = (today - back * DAY, today - (back - 1) * DAY);
            format!(
                "CREATE TABLE delivery_log_{back}_ago PARTITION OF delivery_log FOR VALUES FROM ({starts}) TO ({ends});"
            )
        })
        .collect()
}

/// Of a hundred, one has failed, one was refused and one cancelled.
fn log(count: u64, starts: i64) -> String {
    let length = DAYS * DAY;
    format!(
        "INSERT INTO delivery_log (site_uuid, seq, id, subscription_id, partner_id, lead_id, action, changed_at, state,
                                   attempts, finished_at, body)
         SELECT id(1, site), n + 1, id(5, n), id(3, site), id(2, 0), id(4, n % {LEADS}), 'updated', at, state,
                1, at, body
         FROM generate_series(0::BIGINT, {count} - 1) n, site_of(n % {LEADS}) site,
              LATERAL (SELECT {starts} + {length} * n / {count} AS at, convert_to(repeat('x', 100), 'UTF8') AS body,
                       CASE n / 10 % 100 WHEN 17 THEN 'failed' WHEN 34 THEN 'refused' WHEN 51 THEN 'cancelled'
                       ELSE 'delivered' END AS state) AS what"
    )
}

/// Each lane holds two. Half of the heads are due, the others are retries of the next day.
fn queue(now: i64) -> String {
    let (first, lanes) = (DELIVERIES - WAITING, WAITING / 2);
    format!(
        "INSERT INTO deliveries (site_uuid, seq, id, subscription_id, partner_id, lead_id, action, changed_at, position,
                                 due_at)
         OVERRIDING SYSTEM VALUE
         SELECT id(1, site), {first} + n + 1, id(5, {first} + n), id(3, site), id(2, 0), id(4, n % {lanes}), 'updated',
                {now}, n / {lanes},
                CASE WHEN n < {lanes} AND n % 3 = 0 THEN {now} - n % 1000 WHEN n < {lanes} THEN {now} + n % {DAY} END
         FROM generate_series(0::BIGINT, {WAITING} - 1) n, site_of(n % {lanes}) site;
         INSERT INTO delivery_bodies (site_uuid, delivery_seq, body)
         SELECT site_uuid, seq, convert_to(repeat('x', 100), 'UTF8') FROM deliveries;
         SELECT setval(pg_get_serial_sequence('deliveries', 'seq'), {DELIVERIES});"
    )
}

/// Makes neighbours lie far apart.
const SPREAD: u64 = 2_654_435_761;

/// What the SQL function `id` makes.
fn id(kind: u64, n: u64) -> Uuid {
    let spread = (n * SPREAD) % (1 << 32);
    Uuid::from_u64_pair(spread << 32 | 0x4000, 0x8000 << 48 | kind << 40 | n)
}
