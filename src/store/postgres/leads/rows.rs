//! Leads, their aliases and activities, and `Idempotency-Key`s, as rows.

use tokio_postgres::Row;

use crate::model::lead::{Activity, Effect, Fields, Idempotency, Lead, LeadReceipt};
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

/// Old data, and later changes of addresses, can leave several leads with one e-mail: the oldest is meant. It asks for the
/// hash, because that is what the index holds.
pub(in crate::store::postgres) const BY_EMAIL: &str = "SELECT * FROM leads
     WHERE site_uuid = $1 AND email_key IS NOT NULL AND sha256(email_key) = sha256($2::BYTEA) AND email_key = $2
     ORDER BY seq LIMIT 1";

pub(in crate::store::postgres) const ACTIVITIES: &str =
    "SELECT activity FROM activities WHERE site_uuid = $1 AND lead_id = $2 ORDER BY seq";

fn lead(row: &Row) -> RowResult<Lead> {
    let Json(fields) = row.try_get("fields")?;
    Ok(Lead { site: row.try_get("site_uuid")?, id: row.try_get("id")?, fields: Fields::from_json(fields) })
}

/// The lead with this id or, if there is none, this alias.
pub(super) async fn by_id(db: &Db, site: SiteId, id: LeadId) -> Result<Option<Lead>> {
    match db.one(BY_ID, params![site, id], lead).await? {
        Some(found) => Ok(Some(found)),
        None => db.one(BY_ALIAS, params![site, id], lead).await,
    }
}

/// The oldest lead with this e-mail.
pub(super) async fn by_email(db: &Db, site: SiteId, email_key: &str) -> Result<Option<Lead>> {
    db.one(BY_EMAIL, params![site, email_key.as_bytes()], lead).await
}

/// The lead and its activities, oldest first.
pub(super) async fn with_activities(db: &Db, site: SiteId, id: LeadId) -> Result<Option<(Lead, Vec<Activity>)>> {
    if sites::find(db, site).await?.is_none() {
        return Ok(None);
    }
    let Some(lead) = by_id(db, site, id).await? else { return Ok(None) };
    let read = |row: &Row| {
        let Json(activity) = row.try_get("activity")?;
        Ok(Activity(activity))
    };
    let activities = db.all(ACTIVITIES, params![site, lead.id], read).await?;
    Ok(Some((lead, activities)))
}

/// Adds a lead; `fields` are its fields as text.
pub(super) async fn insert(tx: &Tx, lead: &Lead, fields: &str, now: Timestamp) -> Result<()> {
    tx.run(
        "INSERT INTO leads (site_uuid, id, email_key, fields, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)",
        params![lead.site, lead.id, email_bytes(lead), fields, At(now)],
    )
    .await?;
    Ok(())
}

/// Rewrites a lead; `fields` are its fields as text.
pub(super) async fn update(tx: &Tx, lead: &Lead, fields: &str, now: Timestamp) -> Result<()> {
    tx.run(
        "UPDATE leads SET email_key = $3, fields = $4, updated_at = $5 WHERE site_uuid = $1 AND id = $2",
        params![lead.site, lead.id, email_bytes(lead), fields, At(now)],
    )
    .await?;
    Ok(())
}

fn email_bytes(lead: &Lead) -> Option<Vec<u8>> {
    lead.fields.email_key().map(String::into_bytes)
}

/// Makes `alias` a further id of the lead.
pub(super) async fn add_alias(tx: &Tx, site: SiteId, lead: LeadId, alias: LeadId) -> Result<()> {
    let sql = "INSERT INTO lead_aliases (site_uuid, alias, lead_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    tx.run(sql, params![site, alias, lead]).await?;
    Ok(())
}

/// How many activities the lead has.
pub(super) async fn count_activities(db: &Db, lead: &Lead) -> Result<usize> {
    let sql = "SELECT count(*) FROM activities WHERE site_uuid = $1 AND lead_id = $2";
    Ok(db.one(sql, params![lead.site, lead.id], |row| count(row, "count")).await?.unwrap_or(0))
}

/// Adds activities; those that the lead has already are left out. Returns the new ones.
pub(super) async fn add_activities(tx: &Tx, lead: &Lead, activities: &[Activity]) -> Result<Vec<Activity>> {
    let mut added = Vec::with_capacity(activities.len());
    for activity in activities {
        let sql = "INSERT INTO activities (site_uuid, lead_id, digest, activity) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING";
        let (digest, text) = (activity.digest(), json_text(&activity.0));
        if tx.run(sql, params![lead.site, lead.id, &digest[..], text]).await? > 0 {
            added.push(activity.clone());
        }
    }
    Ok(added)
}

/// What a live key stands for: the digest of its request, and what became of that.
pub(super) async fn key(db: &Db, site: SiteId, key: &str, now: Timestamp) -> Result<Option<(Vec<u8>, LeadReceipt)>> {
    let sql = "SELECT * FROM idempotency_keys WHERE site_uuid = $1 AND key = $2 AND expires_at > $3";
    let read = |row: &Row| Ok((row.try_get("request")?, row.try_get("lead_id")?, row.try_get::<_, String>("effect")?));
    let Some((request, lead, effect)) = db.one(sql, params![site, key, At(now)], read).await? else { return Ok(None) };
    let effect: Effect = effect.parse().map_err(|()| StoreError::Corrupt(format!("unknown effect {effect:?}")))?;
    Ok(Some((request, LeadReceipt { lead, effect })))
}

/// Keeps a key; an expired one makes way.
pub(super) async fn keep_key(tx: &Tx, site: SiteId, key: &Idempotency, receipt: &LeadReceipt) -> Result<()> {
    tx.run(
        "INSERT INTO idempotency_keys (site_uuid, key, request, lead_id, effect, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (site_uuid, key) DO UPDATE SET request = excluded.request, lead_id = excluded.lead_id,
             effect = excluded.effect, expires_at = excluded.expires_at",
        params![site, key.key, &key.request[..], receipt.lead, receipt.effect.as_str(), At(key.expires)],
    )
    .await?;
    Ok(())
}
