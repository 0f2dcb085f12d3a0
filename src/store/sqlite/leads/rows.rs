//! Leads, their aliases and activities, and `Idempotency-Key`s, as rows.

use std::collections::HashSet;

use rusqlite::{Connection, Row, params};

use crate::model::lead::{Activity, Fields, Idempotency, Lead, LeadReceipt};
use crate::model::{LeadId, SiteId, Timestamp};
use crate::store::sqlite::sites;
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::{At, Json, json_text};
use crate::store::sqlite::writer::Tx;
use crate::store::{Result, StoreError};

pub(in crate::store::sqlite) const BY_ID: &str = "SELECT * FROM leads WHERE site_uuid = ?1 AND id = ?2";

pub(in crate::store::sqlite) const BY_ALIAS: &str = "SELECT l.* FROM lead_aliases a
     JOIN leads l ON l.site_uuid = a.site_uuid AND l.id = a.lead_id
     WHERE a.site_uuid = ?1 AND a.alias = ?2";

/// Old data, and later changes of addresses, can leave several leads with one e-mail: the oldest is meant.
pub(in crate::store::sqlite) const BY_EMAIL: &str =
    "SELECT * FROM leads WHERE site_uuid = ?1 AND email_key = ?2 ORDER BY seq LIMIT 1";

pub(in crate::store::sqlite) const ACTIVITIES: &str =
    "SELECT activity FROM activities WHERE site_uuid = ?1 AND lead_id = ?2 ORDER BY seq";

fn lead(row: &Row) -> rusqlite::Result<Lead> {
    let Json(fields) = row.get("fields")?;
    Ok(Lead { site: row.get("site_uuid")?, id: row.get("id")?, fields: Fields::from_json(fields) })
}

/// The lead with this id or, if there is none, this alias.
pub(super) fn by_id(db: &Connection, site: SiteId, id: LeadId) -> Result<Option<Lead>> {
    match db.one(BY_ID, params![site, id], lead)? {
        Some(found) => Ok(Some(found)),
        None => Ok(db.one(BY_ALIAS, params![site, id], lead)?),
    }
}

/// The oldest lead with this e-mail.
pub(super) fn by_email(db: &Connection, site: SiteId, email_key: &str) -> Result<Option<Lead>> {
    Ok(db.one(BY_EMAIL, params![site, email_key], lead)?)
}

/// The lead and its activities, oldest first; both as of one moment.
pub(super) fn with_activities(db: &Connection, site: SiteId, id: LeadId) -> Result<Option<(Lead, Vec<Activity>)>> {
    let snapshot = db.unchecked_transaction()?;
    if sites::find(&snapshot, site)?.is_none() {
        return Ok(None);
    }
    let Some(lead) = by_id(&snapshot, site, id)? else { return Ok(None) };
    let activities = snapshot.all(ACTIVITIES, params![site, lead.id], |row| {
        let Json(activity) = row.get("activity")?;
        Ok(Activity(activity))
    })?;
    Ok(Some((lead, activities)))
}

/// Adds a lead; `fields` are its fields as text.
pub(super) fn insert(tx: &Tx, lead: &Lead, fields: &str, now: Timestamp) -> Result<()> {
    tx.run(
        "INSERT INTO leads (site_uuid, id, email_key, fields, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        params![lead.site, lead.id, lead.fields.email_key(), fields, At(now)],
    )?;
    Ok(())
}

/// Rewrites a lead; `fields` are its fields as text.
pub(super) fn update(tx: &Tx, lead: &Lead, fields: &str, now: Timestamp) -> Result<()> {
    tx.run(
        "UPDATE leads SET email_key = ?3, fields = ?4, updated_at = ?5 WHERE site_uuid = ?1 AND id = ?2",
        params![lead.site, lead.id, lead.fields.email_key(), fields, At(now)],
    )?;
    Ok(())
}

/// Makes `alias` a further id of the lead.
pub(super) fn add_alias(tx: &Tx, site: SiteId, lead: LeadId, alias: LeadId) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO lead_aliases (site_uuid, alias, lead_id) VALUES (?1, ?2, ?3)";
    tx.run(sql, params![site, alias, lead])?;
    Ok(())
}

/// How many activities the lead has.
pub(super) fn count_activities(db: &Connection, lead: &Lead) -> Result<usize> {
    let sql = "SELECT count(*) FROM activities WHERE site_uuid = ?1 AND lead_id = ?2";
    let count = db.one(sql, params![lead.site, lead.id], |row| row.get::<_, i64>(0))?;
    Ok(count.and_then(|count| count.try_into().ok()).unwrap_or(0))
}

/// Digests of those of these activities that the lead has already.
pub(super) fn repeated(db: &Connection, lead: &Lead, activities: &[Activity]) -> Result<HashSet<[u8; 32]>> {
    let mut repeated = HashSet::new();
    for digest in activities.iter().map(Activity::digest) {
        let sql = "SELECT 1 FROM activities WHERE site_uuid = ?1 AND lead_id = ?2 AND digest = ?3";
        if db.any(sql, params![lead.site, lead.id, digest])? {
            repeated.insert(digest);
        }
    }
    Ok(repeated)
}

/// Adds activities that the lead does not have.
pub(super) fn add_activities(tx: &Tx, lead: &Lead, activities: &[Activity]) -> Result<()> {
    for activity in activities {
        let sql = "INSERT INTO activities (site_uuid, lead_id, digest, activity) VALUES (?1, ?2, ?3, ?4)";
        tx.run(sql, params![lead.site, lead.id, activity.digest(), json_text(&activity.0)])?;
    }
    Ok(())
}

/// What a live key stands for: the digest of its request, and what became of that.
pub(super) fn key(db: &Connection, site: SiteId, key: &str, now: Timestamp) -> Result<Option<([u8; 32], LeadReceipt)>> {
    let sql = "SELECT * FROM idempotency_keys WHERE site_uuid = ?1 AND key = ?2 AND expires_at > ?3";
    let found = db.one(sql, params![site, key, At(now)], |row| {
        Ok((row.get("request")?, row.get("lead_id")?, row.get::<_, String>("effect")?))
    })?;
    let Some((request, lead, effect)) = found else { return Ok(None) };
    let effect = effect.parse().map_err(|()| StoreError::Corrupt(format!("unknown effect {effect:?}")))?;
    Ok(Some((request, LeadReceipt { lead, effect })))
}

/// Keeps a key; an expired one makes way.
pub(super) fn keep_key(tx: &Tx, site: SiteId, key: &Idempotency, receipt: &LeadReceipt) -> Result<()> {
    tx.run(
        "INSERT OR REPLACE INTO idempotency_keys (site_uuid, key, request, lead_id, effect, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![site, key.key, key.request, receipt.lead, receipt.effect.as_str(), At(key.expires)],
    )?;
    Ok(())
}
