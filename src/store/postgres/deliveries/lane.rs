//! Lanes: the deliveries of one lead to one subscription, one at a time and in order.
//!
//! The head of a lane has a due time, the others have none; so an index of due times finds what can be sent, however
//! much waits behind. A subscription's `next_due_at` does the same one floor up: it says when to look into that index. It is
//! not later than the first due time, unless a node has it stand aside, for a few seconds (see `lease`). So whoever makes
//! something due shares the site, and brings `next_due_at` forward if need be; only who has the site alone may put it off for
//! longer (see `locks`).

use super::finish::into_log;
use crate::model::{SiteId, SubscriptionId, Timestamp};
use crate::store::Result;
use crate::store::postgres::statements::params;
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{At, rows};

/// What subscriptions are to be looked at for, noted in one order, so that nobody waits for whom it keeps waiting. Those
/// that would be looked at by then anyway, and those that are paused already, are left alone.
pub(super) const LOOK_AT: &str = "UPDATE subscriptions s
     SET next_due_at = least(s.next_due_at, look.due_at),
         paused_at = coalesce(s.paused_at, look.paused_at)
     FROM (
         SELECT t.site_uuid, t.id, l.due_at, l.paused_at
         FROM unnest($1::UUID[], $2::UUID[], $3::BIGINT[], $4::BIGINT[]) AS l (site_uuid, id, due_at, paused_at)
         JOIN subscriptions t ON t.site_uuid = l.site_uuid AND t.id = l.id
         WHERE l.due_at < coalesce(t.next_due_at, 9223372036854775807) OR (l.paused_at IS NOT NULL AND t.paused_at IS NULL)
         ORDER BY t.site_uuid, t.seq FOR UPDATE OF t
     ) look
     WHERE s.site_uuid = look.site_uuid AND s.id = look.id";

const CANCEL: &str = into_log!(
    "done AS (
         DELETE FROM deliveries WHERE seq = ANY(ARRAY(
             SELECT seq FROM deliveries
             WHERE subscription_id = $1 AND (lease IS NULL OR greatest(due_at, leased_until) <= $3) LIMIT $4 FOR UPDATE
         ))
         RETURNING *, 'cancelled' AS state, $2::BIGINT AS finished_at, NULL AS told
     )",
    " SELECT 1 FROM done"
);

/// Where a delivery that enters a lane stands.
pub(super) struct Place {
    /// Behind everything that waits there.
    pub(super) position: i64,
    /// Now, if it is the head.
    pub(super) due: Option<Timestamp>,
}

impl Place {
    /// The place of a delivery that enters a lane at `now`, behind the one with the position `last`.
    pub(super) fn behind(last: Option<i64>, now: Timestamp) -> Self {
        match last {
            Some(last) => Self { position: last + 1, due: None },
            None => Self { position: 0, due: Some(now) },
        }
    }
}

/// What is to be noted of a subscription.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) site: SiteId,
    pub(super) subscription: SubscriptionId,
    /// When something of it falls due.
    pub(super) due: Option<Timestamp>,
    /// When its receiver turned out to be gone.
    pub(super) paused: Option<Timestamp>,
}

impl Look {
    /// Nothing is to be noted yet.
    pub(super) fn of(site: SiteId, subscription: SubscriptionId) -> Self {
        Self { site, subscription, due: None, paused: None }
    }
}

/// Notes when subscriptions are to be looked at, and pauses those whose receivers are gone.
pub(super) async fn look_at(tx: &Tx, looks: &[Look]) -> Result<()> {
    if looks.is_empty() {
        return Ok(());
    }
    let sites: Vec<_> = looks.iter().map(|look| look.site).collect();
    let subscriptions: Vec<_> = looks.iter().map(|look| look.subscription).collect();
    let due: Vec<_> = looks.iter().map(|look| look.due.map(At)).collect();
    let paused: Vec<_> = looks.iter().map(|look| look.paused.map(At)).collect();
    tx.run(LOOK_AT, params![sites, subscriptions, due, paused]).await?;
    Ok(())
}

/// Notes that something of the subscription falls due at `at`. Writes nothing when it would be looked at by then anyway.
pub(super) async fn due_at(tx: &Tx, site: SiteId, subscription: SubscriptionId, at: Timestamp) -> Result<()> {
    look_at(tx, &[Look { due: Some(at), ..Look::of(site, subscription) }]).await
}

/// Cancels, as of `removed`, at most `limit` of what waits for a removed subscription. What is under a lease at `now` is
/// left to its holder: it may have been delivered already. Returns how many.
pub(in crate::store::postgres) async fn cancel_waiting(
    tx: &Tx,
    subscription: SubscriptionId,
    removed: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<usize> {
    tx.run(CANCEL, params![subscription, At(removed), At(now), rows(limit)]).await
}
