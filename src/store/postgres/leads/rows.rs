//! Leads, their aliases and activities, and `Idempotency-Key`s, as rows: those of a whole group of commands at a time.
//!
//! Rows are looked for one by one, in subqueries, and not joined: a plan that is made while a table is small would join by
//! reading all of it, and be kept when it is large.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;

use crate::model::lead::{Activity, Fields, Idempotency, Lead, LeadReceipt};
use crate::model::{LeadId, SiteId, Timestamp};
use crate::store::postgres::sites;
use crate::store::postgres::statements::{Db, RowResult, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{At, Json, count, json_text};
use crate::store::{Result, StoreError};

pub(in crate::store::postgres) const BY_ID: &str = "SELECT * FROM leads WHERE site_uuid = $1 AND id = $2";

pub(in crate::store::postgres) const BY_ALIAS: &str = "SELECT l.* FROM lead_aliases a
     JOIN leads l ON l.site_uuid = a.site_uuid AND l.id = a.lead_id
     WHERE a.site_uuid = $1 AND a.alias = $2";

pub(in crate::store::postgres) const ACTIVITIES: &str =
    "SELECT activity FROM activities WHERE site_uuid = $1 AND lead_id = $2 ORDER BY seq";

pub(in crate::store::postgres) const THESE: &str = "SELECT l.*
     FROM unnest($1::UUID[], $2::UUID[]) AS asked (site_uuid, id)
     CROSS JOIN LATERAL (SELECT * FROM leads l WHERE l.site_uuid = asked.site_uuid AND l.id = asked.id LIMIT 1) l";

pub(in crate::store::postgres) const COUNT_ACTIVITIES: &str = "SELECT asked.id,
            (SELECT count(*) FROM activities a WHERE a.site_uuid = asked.site_uuid AND a.lead_id = asked.id) AS count
     FROM unnest($1::UUID[], $2::UUID[]) AS asked (site_uuid, id)";

pub(in crate::store::postgres) const REPEATED: &str = "SELECT asked.id, asked.digest
     FROM unnest($1::UUID[], $2::UUID[], $3::BYTEA[]) AS asked (site_uuid, id, digest)
     WHERE (SELECT TRUE FROM activities a
            WHERE a.site_uuid = asked.site_uuid AND a.lead_id = asked.id AND a.digest = asked.digest)";

const INSERT: &str = "INSERT INTO leads (site_uuid, id, email_key, fields, created_at, updated_at)
     SELECT site_uuid, id, email_key, fields, now, now
     FROM unnest($1::UUID[], $2::UUID[], $3::BYTEA[], $4::TEXT[], $5::BIGINT[])
         WITH ORDINALITY AS new (site_uuid, id, email_key, fields, now, place)
     ORDER BY place";

const UPDATE: &str =
    "UPDATE leads l SET email_key = changed.email_key, fields = changed.fields, updated_at = changed.now
     FROM unnest($1::UUID[], $2::UUID[], $3::BYTEA[], $4::TEXT[], $5::BIGINT[])
         AS changed (site_uuid, id, email_key, fields, now)
     WHERE l.site_uuid = changed.site_uuid AND l.id = changed.id";

const ADD_ALIASES: &str = "INSERT INTO lead_aliases (site_uuid, lead_id, alias)
     SELECT * FROM unnest($1::UUID[], $2::UUID[], $3::UUID[]) ON CONFLICT DO NOTHING";

const ADD_ACTIVITIES: &str = "INSERT INTO activities (site_uuid, lead_id, digest, activity)
     SELECT site_uuid, lead_id, digest, activity
     FROM unnest($1::UUID[], $2::UUID[], $3::BYTEA[], $4::TEXT[])
         WITH ORDINALITY AS new (site_uuid, lead_id, digest, activity, place)
     ORDER BY place";

const KEEP_KEYS: &str = "INSERT INTO idempotency_keys (site_uuid, key, request, lead_id, effect, expires_at)
     SELECT * FROM unnest($1::UUID[], $2::TEXT[], $3::BYTEA[], $4::UUID[], $5::TEXT[], $6::BIGINT[])
     ON CONFLICT (site_uuid, key) DO UPDATE SET request = excluded.request, lead_id = excluded.lead_id,
         effect = excluded.effect, expires_at = excluded.expires_at";

/// The statements that a group writes with.
pub(super) const WRITES: [&str; 5] = [INSERT, UPDATE, ADD_ALIASES, ADD_ACTIVITIES, KEEP_KEYS];

fn lead(row: &Row) -> RowResult<Lead> {
    let Json(fields) = row.try_get("fields")?;
    Ok(Lead { site: row.try_get("site_uuid")?, id: row.try_get("id")?, fields: Fields::from_json(fields) })
}

/// The lead with this id or alias and its activities, oldest first.
pub(super) async fn with_activities(db: &Db, site: SiteId, id: LeadId) -> Result<Option<(Lead, Vec<Activity>)>> {
    if sites::find(db, site).await?.is_none() {
        return Ok(None);
    }
    let mut found = db.one(BY_ID, params![site, id], lead).await?;
    if found.is_none() {
        found = db.one(BY_ALIAS, params![site, id], lead).await?;
    }
    let Some(lead) = found else { return Ok(None) };
    let read = |row: &Row| {
        let Json(activity) = row.try_get("activity")?;
        Ok(Activity(activity))
    };
    let activities = db.all(ACTIVITIES, params![site, lead.id], read).await?;
    Ok(Some((lead, activities)))
}

/// A lead of a site.
pub(super) type Key = (SiteId, LeadId);

/// Those of these leads that there are.
pub(super) async fn these(db: &Db, leads: &[Key]) -> Result<HashMap<Key, Lead>> {
    let (sites, ids): (Vec<_>, Vec<_>) = leads.iter().copied().unzip();
    let found = db.all(THESE, params![sites, ids], lead).await?;
    Ok(found.into_iter().map(|lead| ((lead.site, lead.id), lead)).collect())
}

/// How many activities these leads have.
pub(super) async fn count_activities(db: &Db, leads: &[Key]) -> Result<HashMap<LeadId, usize>> {
    if leads.is_empty() {
        return Ok(HashMap::new());
    }
    let (sites, ids): (Vec<_>, Vec<_>) = leads.iter().copied().unzip();
    let read = |row: &Row| Ok((row.try_get("id")?, count(row, "count")?));
    Ok(db.all(COUNT_ACTIVITIES, params![sites, ids], read).await?.into_iter().collect())
}

/// Digests of those of these activities that their lead has already.
pub(super) async fn repeated(db: &Db, activities: &[(Key, [u8; 32])]) -> Result<HashMap<LeadId, HashSet<[u8; 32]>>> {
    let mut repeated: HashMap<_, HashSet<_>> = HashMap::new();
    if activities.is_empty() {
        return Ok(repeated);
    }
    let sites: Vec<_> = activities.iter().map(|((site, _), _)| *site).collect();
    let ids: Vec<_> = activities.iter().map(|((_, lead), _)| *lead).collect();
    let digests: Vec<_> = activities.iter().map(|(_, digest)| &digest[..]).collect();
    let read = |row: &Row| Ok((row.try_get::<_, LeadId>("id")?, row.try_get::<_, Vec<u8>>("digest")?));
    for (lead, bytes) in db.all(REPEATED, params![sites, ids, digests], read).await? {
        repeated.entry(lead).or_default().insert(digest(bytes)?);
    }
    Ok(repeated)
}

/// A lead, its fields as text, and when it was written.
pub(super) type Written<'a> = (&'a Lead, &'a str, Timestamp);

/// Adds leads, the oldest first.
pub(super) async fn insert(tx: &Tx, leads: &[Written<'_>]) -> Result<()> {
    write(tx, INSERT, leads).await
}

/// Rewrites leads.
pub(super) async fn update(tx: &Tx, leads: &[Written<'_>]) -> Result<()> {
    write(tx, UPDATE, leads).await
}

async fn write(tx: &Tx, sql: &str, leads: &[Written<'_>]) -> Result<()> {
    if leads.is_empty() {
        return Ok(());
    }
    let sites: Vec<_> = leads.iter().map(|(lead, _, _)| lead.site).collect();
    let ids: Vec<_> = leads.iter().map(|(lead, _, _)| lead.id).collect();
    let emails: Vec<_> = leads.iter().map(|(lead, _, _)| lead.fields.email_key().map(String::into_bytes)).collect();
    let fields: Vec<_> = leads.iter().map(|(_, fields, _)| *fields).collect();
    let times: Vec<_> = leads.iter().map(|(_, _, now)| At(*now)).collect();
    tx.run(sql, params![sites, ids, emails, fields, times]).await.map(|_| ())
}

/// Gives leads further ids.
pub(super) async fn add_aliases(tx: &Tx, aliases: &[(Key, LeadId)]) -> Result<()> {
    if aliases.is_empty() {
        return Ok(());
    }
    let sites: Vec<_> = aliases.iter().map(|((site, _), _)| *site).collect();
    let leads: Vec<_> = aliases.iter().map(|((_, lead), _)| *lead).collect();
    let ids: Vec<_> = aliases.iter().map(|(_, alias)| *alias).collect();
    tx.run(ADD_ALIASES, params![sites, leads, ids]).await.map(|_| ())
}

/// Adds activities that their leads do not have.
pub(super) async fn add_activities(tx: &Tx, activities: &[(Key, &Activity)]) -> Result<()> {
    if activities.is_empty() {
        return Ok(());
    }
    let sites: Vec<_> = activities.iter().map(|((site, _), _)| *site).collect();
    let leads: Vec<_> = activities.iter().map(|((_, lead), _)| *lead).collect();
    let digests: Vec<_> = activities.iter().map(|(_, activity)| activity.digest().to_vec()).collect();
    let texts: Vec<_> = activities.iter().map(|(_, activity)| json_text(&activity.0)).collect();
    tx.run(ADD_ACTIVITIES, params![sites, leads, digests, texts]).await.map(|_| ())
}

/// Keeps keys; expired ones make way.
pub(super) async fn keep_keys(tx: &Tx, keys: &[(SiteId, &Idempotency, LeadReceipt)]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let sites: Vec<_> = keys.iter().map(|(site, _, _)| *site).collect();
    let texts: Vec<_> = keys.iter().map(|(_, key, _)| key.key.as_str()).collect();
    let requests: Vec<_> = keys.iter().map(|(_, key, _)| &key.request[..]).collect();
    let leads: Vec<_> = keys.iter().map(|(_, _, receipt)| receipt.lead).collect();
    let effects: Vec<_> = keys.iter().map(|(_, _, receipt)| receipt.effect.as_str()).collect();
    let expiries: Vec<_> = keys.iter().map(|(_, key, _)| At(key.expires)).collect();
    tx.run(KEEP_KEYS, params![sites, texts, requests, leads, effects, expiries]).await.map(|_| ())
}

fn digest(bytes: Vec<u8>) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a digest is not 32 bytes".into()))
}
