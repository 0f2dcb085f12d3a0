//! Deleting what is over, a little at a time.

use std::time::Duration;

use rusqlite::params;

use super::deliveries::lane;
use super::statements::Statements;
use super::values::{At, at, rows};
use super::writer::Tx;
use crate::model::{SiteId, SubscriptionId, Timestamp};
use crate::store::Result;

/// How long a grant of which nothing is alive is kept: it remembers that its authorization request was approved, for
/// longer than any such request lives.
const GRANT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The last delivery of a removed subscription finishes at most this much later: no lease lasts so long.
const LAST_LEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is deleted when its own time is over, at most `?2` rows of each.
pub(super) const EXPIRED: [&str; 5] = [
    "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE expires_at <= ?1 LIMIT ?2)",
    "DELETE FROM password_links WHERE hash IN (SELECT hash FROM password_links WHERE expires_at <= ?1 LIMIT ?2)",
    "DELETE FROM idempotency_keys WHERE (site_uuid, key) IN
         (SELECT site_uuid, key FROM idempotency_keys WHERE expires_at <= ?1 LIMIT ?2)",
    "DELETE FROM refresh_tokens WHERE hash IN (SELECT hash FROM refresh_tokens WHERE expires_at <= ?1 LIMIT ?2)",
    "DELETE FROM guess_buckets WHERE key IN (SELECT key FROM guess_buckets WHERE full_at <= ?1 LIMIT ?2)",
];

/// Grants that ended before `?1`; their codes and access tokens go with them.
pub(super) const ENDED_GRANTS: &str =
    "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE ends_at < ?1 LIMIT ?2)";

/// Deliveries that finished before `?1`; their bodies go with them.
pub(super) const FINISHED: &str =
    "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries WHERE finished_at < ?1 LIMIT ?2)";

/// Subscriptions that were removed before `?1` and for which nothing waits.
pub(super) const SWEPT: &str = "DELETE FROM subscriptions WHERE seq IN
     (SELECT seq FROM subscriptions WHERE removed_at < ?1 AND removed_at IS NOT NULL AND swept = 1 LIMIT ?2)";

/// Recalls that every server has heard of long ago: all but the last thousand.
const HEEDED: &str = "DELETE FROM recalls WHERE seq IN
     (SELECT seq FROM recalls WHERE seq <= (SELECT max(seq) FROM recalls) - 1000 LIMIT ?1)";

/// What a removed site (`?1`) left, at most `?2` rows of each.
pub(super) const LEFT_BY_SITE: [&str; 7] = [
    "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries WHERE site_uuid = ?1 LIMIT ?2)",
    "DELETE FROM activities WHERE seq IN (SELECT seq FROM activities WHERE site_uuid = ?1 LIMIT ?2)",
    "DELETE FROM lead_aliases WHERE (site_uuid, alias) IN
         (SELECT site_uuid, alias FROM lead_aliases WHERE site_uuid = ?1 LIMIT ?2)",
    "DELETE FROM leads WHERE seq IN (SELECT seq FROM leads WHERE site_uuid = ?1 LIMIT ?2)",
    "DELETE FROM idempotency_keys WHERE (site_uuid, key) IN
         (SELECT site_uuid, key FROM idempotency_keys WHERE site_uuid = ?1 LIMIT ?2)",
    "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE site_uuid = ?1 LIMIT ?2)",
    "DELETE FROM subscriptions WHERE seq IN
         (SELECT seq FROM subscriptions WHERE site_uuid = ?1 AND removed_at IS NOT NULL LIMIT ?2)",
];

/// Deletes at most `limit` rows, not counting those that belong to them; see [`crate::store::Store::purge`].
pub(super) fn purge(tx: &Tx, now: Timestamp, finished_before: Timestamp, limit: usize) -> Result<usize> {
    let mut purge = Purge { tx, now, left: limit };
    purge.sweep_removed_subscriptions()?;
    purge.delete_expired(finished_before)?;
    purge.delete_removed_sites()?;
    Ok(limit - purge.left)
}

struct Purge<'a> {
    tx: &'a Tx<'a>,
    now: Timestamp,
    /// How many rows may still be deleted.
    left: usize,
}

impl Purge<'_> {
    /// Writes down that what waited for removed subscriptions is cancelled, in the order of their removal.
    fn sweep_removed_subscriptions(&mut self) -> Result<()> {
        let sql = "SELECT id, removed_at FROM subscriptions WHERE removed_at IS NOT NULL AND swept = 0
             ORDER BY removed_at LIMIT ?1";
        let unswept: Vec<(SubscriptionId, Timestamp)> =
            self.tx.all(sql, [rows(self.left)], |row| Ok((row.get("id")?, at(row, "removed_at")?)))?;
        for (subscription, removed) in unswept {
            self.left -= lane::cancel_waiting(self.tx, subscription, removed, self.now, self.left)?;
            if self.left == 0 {
                break;
            }
            // Something may still be under a lease; then it is looked at again.
            let sql = "UPDATE subscriptions SET swept = 1 WHERE id = ?1 AND NOT EXISTS
                 (SELECT 1 FROM deliveries WHERE subscription_id = ?1 AND state = 'waiting')";
            self.tx.run(sql, [subscription])?;
        }
        Ok(())
    }

    fn delete_expired(&mut self, finished_before: Timestamp) -> Result<()> {
        for sql in EXPIRED {
            self.delete(sql, self.now)?;
        }
        self.left -= self.tx.run(HEEDED, [rows(self.left)])?;
        self.delete(ENDED_GRANTS, self.now.checked_sub(GRANT_KEPT).unwrap_or(Timestamp::MIN))?;
        self.delete(FINISHED, finished_before)?;
        self.delete_swept_subscriptions(finished_before)
    }

    /// The delivery log names removed subscriptions, and there is no index of who names one. But when everything that
    /// finished before a time is gone, so is everything of those that were removed well before it.
    fn delete_swept_subscriptions(&mut self, finished_before: Timestamp) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        self.delete(SWEPT, finished_before.checked_sub(LAST_LEASE).unwrap_or(Timestamp::MIN))
    }

    /// Runs a statement that deletes rows whose time is before `cutoff`.
    fn delete(&mut self, sql: &str, cutoff: Timestamp) -> Result<()> {
        self.left -= self.tx.run(sql, params![At(cutoff), rows(self.left)])?;
        Ok(())
    }

    /// The site's own row goes last, once nothing of it is left: until then its UUID stays taken.
    fn delete_removed_sites(&mut self) -> Result<()> {
        let sql = "SELECT site_uuid FROM sites WHERE removed_at IS NOT NULL ORDER BY removed_at LIMIT ?1";
        let removed: Vec<SiteId> = self.tx.all(sql, [rows(self.left)], |row| row.get("site_uuid"))?;
        for site in removed {
            for sql in LEFT_BY_SITE {
                self.left -= self.tx.run(sql, params![site, rows(self.left)])?;
            }
            if self.left == 0 {
                break;
            }
            self.left -= self.tx.run("DELETE FROM sites WHERE site_uuid = ?1", [site])?;
        }
        Ok(())
    }
}
