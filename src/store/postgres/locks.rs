//! Advisory locks: who waits for whom, when several nodes write at once. All are held until their transaction ends.
//!
//! They are always taken in this order, and several of one kind in the order of their keys:
//!
//! 1. the partner's row, by what needs the partner to stay;
//! 2. the site. Shared by all that adds to its deliveries or makes them due; alone by what changes who receives them. So a
//!    change reaches either all or none of the subscriptions that are set or removed beside it;
//! 3. an `Idempotency-Key`, an e-mail, an id that a caller gave: alone, by whoever may create a lead of it;
//! 4. the lead, alone, by all that adds to its lanes or takes from them: so a lane has one order and one head;
//! 5. rows.

use sha2::{Digest, Sha256};

use super::statements::{Db, params};
use super::transaction::Tx;
use crate::model::{FlowId, LeadId, SiteId};
use crate::store::Result;

/// Held by whoever migrates.
pub(super) const MIGRATION: i64 = 0x4C45_4144_0000_0001;

/// Held by whoever purges.
const PURGE: i64 = 0x4C45_4144_0000_0002;

/// A key: a hash of what is locked. Two things with one key would wait for each other without need, no more.
fn key(kind: &str, parts: &[&[u8]]) -> i64 {
    let mut digest = Sha256::new_with_prefix(kind);
    for part in parts {
        digest.update(part);
    }
    let digest = digest.finalize();
    i64::from_be_bytes(*digest.first_chunk().expect("a SHA-256 is longer"))
}

/// The key of a site.
pub(super) fn of_site(site: SiteId) -> i64 {
    key("site", &[site.as_bytes()])
}

/// Keeps who receives a site's deliveries as it is.
pub(super) async fn share_sites(tx: &Tx, sites: &[SiteId]) -> Result<()> {
    let sql = "SELECT pg_advisory_xact_lock_shared(key) FROM unnest($1::BIGINT[]) AS key";
    lock_all(tx, sql, in_order(sites.iter().copied().map(of_site))).await
}

/// Waits for all that adds to these sites' deliveries, and keeps it waiting.
pub(super) async fn take_sites(tx: &Tx, sites: &[SiteId]) -> Result<()> {
    lock_all(tx, TAKE, in_order(sites.iter().copied().map(of_site))).await
}

/// Makes sure that nobody else makes anything of these sites due, if that can be had without waiting. Returns the sites'
/// keys for which it can.
pub(super) async fn try_sites(tx: &Tx, sites: &[SiteId]) -> Result<Vec<i64>> {
    let sql = "SELECT key FROM unnest($1::BIGINT[]) AS key WHERE pg_try_advisory_xact_lock(key)";
    let keys = in_order(sites.iter().copied().map(of_site));
    tx.all(sql, params![keys], |row| row.try_get("key")).await
}

const TAKE: &str = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::BIGINT[]) AS key";

/// Takes what a lead could be created of.
pub(super) async fn take_origins(
    tx: &Tx,
    site: SiteId,
    idempotency: Option<&str>,
    email: Option<&str>,
    given: Option<LeadId>,
) -> Result<()> {
    let idempotency = idempotency.map(|text| key("key", &[site.as_bytes(), text.as_bytes()]));
    let email = email.map(|text| key("email", &[site.as_bytes(), text.as_bytes()]));
    let given = given.map(|id| key("given", &[site.as_bytes(), id.as_bytes()]));
    lock_all(tx, TAKE, in_order(idempotency.into_iter().chain(email).chain(given))).await
}

/// Takes leads, and with them their lanes. Their sites are shared already.
pub(super) async fn take_leads(tx: &Tx, leads: &[(SiteId, LeadId)]) -> Result<()> {
    lock_all(tx, TAKE, in_order(leads.iter().map(of_lead))).await
}

/// Shares the sites of these leads, and takes the leads, and with them their lanes.
pub(super) async fn take_lanes(tx: &Tx, leads: &[(SiteId, LeadId)]) -> Result<()> {
    if leads.is_empty() {
        return Ok(());
    }
    let sites = in_order(leads.iter().map(|(site, _)| of_site(*site)));
    let alone = in_order(leads.iter().map(of_lead));
    // In the order in which the arrays are: of two sets that stand one behind the other.
    let sql = "SELECT pg_advisory_xact_lock_shared(key) FROM unnest($1::BIGINT[]) AS key
         UNION ALL SELECT pg_advisory_xact_lock(key) FROM unnest($2::BIGINT[]) AS key";
    tx.run(sql, params![sites, alone]).await?;
    Ok(())
}

fn of_lead((site, lead): &(SiteId, LeadId)) -> i64 {
    key("lead", &[site.as_bytes(), lead.as_bytes()])
}

/// Takes an authorization request: it can be approved once.
pub(super) async fn take_flow(tx: &Tx, flow: FlowId) -> Result<()> {
    lock_all(tx, TAKE, vec![key("flow", &[flow.as_bytes()])]).await
}

/// Whether nobody else is purging.
pub(super) async fn try_purge(db: &Db) -> Result<bool> {
    let taken = db.one("SELECT pg_try_advisory_xact_lock($1) AS taken", params![PURGE], |row| row.try_get("taken"));
    Ok(taken.await?.unwrap_or(false))
}

/// Waits until nobody else is purging.
pub(super) async fn take_purge(db: &Db) -> Result<()> {
    db.run("SELECT pg_advisory_xact_lock($1)", params![PURGE]).await.map(|_| ())
}

async fn lock_all(tx: &Tx, sql: &str, keys: Vec<i64>) -> Result<()> {
    if !keys.is_empty() {
        tx.run(sql, params![keys]).await?;
    }
    Ok(())
}

fn in_order(keys: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
