//! Advisory locks: who waits for whom, when several nodes write at once. All are held until their transaction ends.
//!
//! They are always taken in this order, and several of one kind in the order of their keys:
//!
//! 1. the partner's row, by what needs the partner to stay;
//! 2. the site. Shared by all that adds to its deliveries or makes them due; alone by what changes who receives them. So a
//!    change reaches either all or none of the subscriptions that are set or removed beside it;
//! 3. an `Idempotency-Key`, an e-mail, an id that a caller gave: alone, by whoever may make or change a lead of it;
//! 4. the lead, alone, by all that adds to its lanes or takes from them: so a lane has one order and one head;
//! 5. rows.
//!
//! Buckets of guesses are taken alone, in transactions of their own that take nothing else.
//!
//! A group of lead commands takes what it can have at once, and waits for nothing; so it is out of this order without harm.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use super::statements::{Db, params};
use super::transaction::Tx;
use crate::model::lead::LeadCommand;
use crate::model::throttle::Bucket;
use crate::model::{FlowId, LeadId, SiteId};
use crate::store::Result;

/// Held by whoever migrates.
pub(super) const MIGRATION: i64 = 0x4C45_4144_0000_0001;

/// Held by whoever purges.
const PURGE: i64 = 0x4C45_4144_0000_0002;

/// Held for as long as a connection lasts: shared by each node, alone by whoever copies a gateway into this database.
pub(super) const IN_USE: i64 = 0x4C45_4144_0000_0003;

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
    take_all(tx, Patience::Enough, sites.iter().copied().map(of_site), []).await.map(|_| ())
}

/// Waits for all that adds to these sites' deliveries, and keeps it waiting.
pub(super) async fn take_sites(tx: &Tx, sites: &[SiteId]) -> Result<()> {
    take_all(tx, Patience::Enough, [], sites.iter().copied().map(of_site)).await.map(|_| ())
}

/// Makes sure that nobody else makes anything of these sites due, if that can be had without waiting. Returns the sites'
/// keys for which it can.
pub(super) async fn try_sites(tx: &Tx, sites: &[SiteId]) -> Result<HashSet<i64>> {
    take_all(tx, Patience::None, [], sites.iter().copied().map(of_site)).await
}

/// Whether to wait for locks that others hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Go without those.
    None,
    /// Wait, as long as the server lets us.
    Enough,
}

const TRY_ALL: &str = "SELECT key, CASE WHEN shared THEN pg_try_advisory_xact_lock_shared(key)
                                  ELSE pg_try_advisory_xact_lock(key) END AS taken
     FROM unnest($1::BIGINT[], $2::BOOLEAN[]) AS wanted (key, shared)";

/// One row, because there is nothing to tell: a batch of outcomes takes hundreds.
const TAKE_ALL: &str = "SELECT count(CASE WHEN shared THEN pg_advisory_xact_lock_shared(key)
                                     ELSE pg_advisory_xact_lock(key) END IS NOT NULL) AS taken
     FROM unnest($1::BIGINT[], $2::BOOLEAN[]) AS wanted (key, shared)";

/// The statement that [`take_all`] runs.
pub(super) const fn take_all_statement(patience: Patience) -> &'static str {
    match patience {
        Patience::None => TRY_ALL,
        Patience::Enough => TAKE_ALL,
    }
}

/// Takes keys that are shared and then keys that are not, each kind in its order. Returns those that it got.
pub(super) async fn take_all(
    tx: &Tx,
    patience: Patience,
    shared: impl IntoIterator<Item = i64>,
    alone: impl IntoIterator<Item = i64>,
) -> Result<HashSet<i64>> {
    let (shared, alone) = (in_order(shared), in_order(alone));
    let kinds: Vec<_> = shared.iter().map(|_| true).chain(alone.iter().map(|_| false)).collect();
    let keys: Vec<_> = shared.into_iter().chain(alone).collect();
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    match patience {
        Patience::None => {
            let read = |row: &Row| Ok((row.try_get::<_, i64>("key")?, row.try_get::<_, bool>("taken")?));
            let taken = tx.all(TRY_ALL, params![keys, kinds], read).await?;
            Ok(taken.into_iter().filter(|(_, taken)| *taken).map(|(key, _)| key).collect())
        }
        Patience::Enough => {
            tx.run(TAKE_ALL, params![keys, kinds]).await?;
            Ok(keys.into_iter().collect())
        }
    }
}

/// The keys of what a command may make or change a lead of.
pub(super) fn of_origins(command: &LeadCommand) -> Vec<i64> {
    let site = command.site.as_bytes();
    let idempotency = command.idempotency.as_ref().map(|idempotency| key("key", &[site, idempotency.key.as_bytes()]));
    let email = command.action.email_key().map(|email| key("email", &[site, email.as_bytes()]));
    let given = command.action.id().map(|id| key("given", &[site, id.as_bytes()]));
    idempotency.into_iter().chain(email).chain(given).collect()
}

/// The key of a lead.
pub(super) fn of_lead((site, lead): &(SiteId, LeadId)) -> i64 {
    key("lead", &[site.as_bytes(), lead.as_bytes()])
}

/// Shares the sites of these leads, and takes the leads, and with them their lanes.
pub(super) async fn take_lanes(tx: &Tx, leads: &[(SiteId, LeadId)]) -> Result<()> {
    let sites = leads.iter().map(|(site, _)| of_site(*site));
    take_all(tx, Patience::Enough, sites, leads.iter().map(of_lead)).await.map(|_| ())
}

/// Takes an authorization request: it can be approved once.
pub(super) async fn take_flow(tx: &Tx, flow: FlowId) -> Result<()> {
    take_all(tx, Patience::Enough, [], [key("flow", &[flow.as_bytes()])]).await.map(|_| ())
}

/// Takes buckets of guesses.
pub(super) async fn take_buckets(tx: &Tx, buckets: &[Bucket]) -> Result<()> {
    let keys = buckets.iter().map(|bucket| key("guesses", &[bucket.key.as_bytes()]));
    take_all(tx, Patience::Enough, [], keys).await.map(|_| ())
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

fn in_order(keys: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
