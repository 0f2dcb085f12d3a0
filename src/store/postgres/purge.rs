//! Deleting what is over, a little at a time, one node at a time.
//!
//! Each statement says twice what may go: once to find rows, and once for rows that were changed in the meantime.

use std::time::Duration;

use super::deliveries::lane;
use super::statements::params;
use super::transaction::Tx;
use super::values::{At, at, rows};
use super::{locks, partitions};
use crate::model::{SiteId, SubscriptionId, Timestamp};
use crate::store::Result;

/// How long a grant of which nothing is alive is kept: it remembers that its authorization request was approved, for
/// longer than any such request lives.
const GRANT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The last delivery of a removed subscription finishes at most this much later: no lease lasts so long.
const LAST_LEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is deleted when its own time is over, at most `$2` rows of each.
pub(super) const EXPIRED: [&str; 5] = [
    "DELETE FROM sessions WHERE expires_at <= $1
         AND ctid = ANY(ARRAY(SELECT ctid FROM sessions WHERE expires_at <= $1 LIMIT $2))",
    "DELETE FROM password_links WHERE expires_at <= $1
         AND ctid = ANY(ARRAY(SELECT ctid FROM password_links WHERE expires_at <= $1 LIMIT $2))",
    "DELETE FROM idempotency_keys WHERE expires_at <= $1
         AND ctid = ANY(ARRAY(SELECT ctid FROM idempotency_keys WHERE expires_at <= $1 LIMIT $2))",
    "DELETE FROM refresh_tokens WHERE expires_at <= $1
         AND ctid = ANY(ARRAY(SELECT ctid FROM refresh_tokens WHERE expires_at <= $1 LIMIT $2))",
    "DELETE FROM guess_buckets WHERE full_at <= $1
         AND ctid = ANY(ARRAY(SELECT ctid FROM guess_buckets WHERE full_at <= $1 LIMIT $2))",
];

/// Grants that ended before `$1`; their codes and access tokens go with them.
pub(super) const ENDED_GRANTS: &str = "DELETE FROM grants WHERE ends_at < $1
     AND ctid = ANY(ARRAY(SELECT ctid FROM grants WHERE ends_at < $1 LIMIT $2))";

/// Deliveries that finished before `$1` on days without a partition; the others go with their day (see `partitions`).
pub(super) const FINISHED: &str = "DELETE FROM delivery_log_default WHERE finished_at < $1
     AND ctid = ANY(ARRAY(SELECT ctid FROM delivery_log_default WHERE finished_at < $1 LIMIT $2))";

/// Subscriptions that were removed before `$1` and for which nothing waits.
pub(super) const SWEPT: &str = "DELETE FROM subscriptions WHERE removed_at < $1 AND swept
     AND ctid = ANY(ARRAY(SELECT ctid FROM subscriptions WHERE removed_at < $1 AND swept LIMIT $2))";

/// What a removed site (`$1`) left, at most `$2` rows of each.
pub(super) const LEFT_BY_SITE: [&str; 8] = [
    "WITH gone AS (
         DELETE FROM deliveries WHERE site_uuid = $1
             AND ctid = ANY(ARRAY(SELECT ctid FROM deliveries WHERE site_uuid = $1 LIMIT $2))
         RETURNING seq
     ), bodies AS (
         DELETE FROM delivery_bodies WHERE site_uuid = $1 AND delivery_seq = ANY(ARRAY(SELECT seq FROM gone))
     )
     SELECT 1 FROM gone",
    "DELETE FROM delivery_log WHERE site_uuid = $1
         AND seq <= (SELECT max(seq) FROM (SELECT seq FROM delivery_log WHERE site_uuid = $1 ORDER BY seq LIMIT $2) oldest)",
    "DELETE FROM activities WHERE site_uuid = $1
         AND ctid = ANY(ARRAY(SELECT ctid FROM activities WHERE site_uuid = $1 LIMIT $2))",
    "DELETE FROM lead_aliases WHERE site_uuid = $1
         AND ctid = ANY(ARRAY(SELECT ctid FROM lead_aliases WHERE site_uuid = $1 LIMIT $2))",
    "DELETE FROM leads WHERE site_uuid = $1
         AND ctid = ANY(ARRAY(SELECT ctid FROM leads WHERE site_uuid = $1 LIMIT $2))",
    "DELETE FROM idempotency_keys WHERE site_uuid = $1
         AND ctid = ANY(ARRAY(SELECT ctid FROM idempotency_keys WHERE site_uuid = $1 LIMIT $2))",
    "DELETE FROM grants WHERE site_uuid = $1
         AND ctid = ANY(ARRAY(SELECT ctid FROM grants WHERE site_uuid = $1 LIMIT $2))",
    "DELETE FROM subscriptions WHERE site_uuid = $1 AND removed_at IS NOT NULL
         AND ctid = ANY(ARRAY(SELECT ctid FROM subscriptions WHERE site_uuid = $1 AND removed_at IS NOT NULL LIMIT $2))",
];

/// Deletes at most `limit` rows, not counting those that belong to them; see [`crate::store::Store::purge`]. Nothing, if
/// another node is at it.
pub(super) async fn purge(tx: &Tx, now: Timestamp, finished_before: Timestamp, limit: usize) -> Result<usize> {
    if !locks::try_purge(tx).await? {
        return Ok(0);
    }
    let mut purge = Purge { tx, now, left: limit };
    purge.sweep_removed_subscriptions().await?;
    purge.delete_expired(finished_before).await?;
    purge.delete_removed_sites().await?;
    Ok(limit - purge.left)
}

struct Purge<'a> {
    tx: &'a Tx,
    now: Timestamp,
    /// How many rows may still be deleted.
    left: usize,
}

impl Purge<'_> {
    /// Writes down that what waited for removed subscriptions is cancelled, in the order of their removal.
    async fn sweep_removed_subscriptions(&mut self) -> Result<()> {
        let sql = "SELECT id, removed_at FROM subscriptions WHERE removed_at IS NOT NULL AND NOT swept
             ORDER BY removed_at LIMIT $1";
        let unswept: Vec<(SubscriptionId, Timestamp)> =
            self.tx.all(sql, params![rows(self.left)], |row| Ok((row.try_get("id")?, at(row, "removed_at")?))).await?;
        for (subscription, removed) in unswept {
            self.left -= lane::cancel_waiting(self.tx, subscription, removed, self.now, self.left).await?;
            if self.left == 0 {
                break;
            }
            // Something may still be under a lease; then it is looked at again.
            let sql = "UPDATE subscriptions SET swept = TRUE WHERE id = $1 AND NOT EXISTS
                 (SELECT 1 FROM deliveries WHERE subscription_id = $1)";
            self.tx.run(sql, params![subscription]).await?;
        }
        Ok(())
    }

    async fn delete_expired(&mut self, finished_before: Timestamp) -> Result<()> {
        for sql in EXPIRED {
            self.delete(sql, self.now).await?;
        }
        self.delete(ENDED_GRANTS, self.now.checked_sub(GRANT_KEPT).unwrap_or(Timestamp::MIN)).await?;
        self.delete(FINISHED, finished_before).await?;
        self.delete_swept_subscriptions(finished_before).await
    }

    /// The delivery log names removed subscriptions, and there is no index of who names one. But when everything that
    /// finished before a time is gone, so is everything of those that were removed well before it.
    async fn delete_swept_subscriptions(&mut self, finished_before: Timestamp) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        let kept_from = partitions::kept_from(self.tx, finished_before).await?;
        self.delete(SWEPT, kept_from.checked_sub(LAST_LEASE).unwrap_or(Timestamp::MIN)).await
    }

    /// Runs a statement that deletes rows whose time is before `cutoff`.
    async fn delete(&mut self, sql: &str, cutoff: Timestamp) -> Result<()> {
        self.left -= self.tx.run(sql, params![At(cutoff), rows(self.left)]).await?;
        Ok(())
    }

    /// The site's own row goes last, once nothing of it is left: until then its UUID stays taken.
    async fn delete_removed_sites(&mut self) -> Result<()> {
        let sql = "SELECT site_uuid FROM sites WHERE removed_at IS NOT NULL ORDER BY removed_at LIMIT $1";
        let removed: Vec<SiteId> = self.tx.all(sql, params![rows(self.left)], |row| row.try_get("site_uuid")).await?;
        for site in removed {
            for sql in LEFT_BY_SITE {
                self.left -= self.tx.run(sql, params![site, rows(self.left)]).await?;
            }
            if self.left == 0 {
                break;
            }
            self.left -= self.tx.run("DELETE FROM sites WHERE site_uuid = $1", params![site]).await?;
        }
        Ok(())
    }
}
