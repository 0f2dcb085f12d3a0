//! Subscriptions: at most one per partner and site, except in old data.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::deliveries::{lane, recall};
use super::statements::{Db, RowResult, params};
use super::transaction::Durability::Full;
use super::transaction::{Tx, write};
use super::values::{At, at, maybe_at};
use super::{PostgresStore, locks, oauth, partners, sites};
use crate::model::seal::Sealed;
use crate::model::subscription::Subscription;
use crate::model::token::{Access, Hashed};
use crate::model::{PartnerId, SiteId, SubscriptionId, Timestamp, UserId};
use crate::store::{
    Found, Held, NewSubscription, Outstanding, Recalling, Replaced, Result, Signal, Subscriptions, Target,
};

/// The live ones of a partner and a site, the oldest first.
pub(super) const LIVE: &str = "SELECT * FROM subscriptions
     WHERE site_uuid = $1 AND partner_id = $2 AND removed_at IS NULL ORDER BY created_at, seq";

/// What an access token is good for, with each live subscription of its partner to its site.
const HELD: &str = oauth::of_live_token!(
    "t.scopes, g.partner_id, p.slug, g.site_uuid, u.url, u.secret",
    "LEFT JOIN subscriptions u
       ON u.site_uuid = g.site_uuid AND u.partner_id = g.partner_id AND u.removed_at IS NULL"
);

/// The live ones that were set with a person's permission.
const OF_USER: &str = "SELECT site_uuid, id FROM subscriptions WHERE user_id = $1 AND removed_at IS NULL";

/// How many waiting deliveries are cancelled together with their subscription. The rest is as good as cancelled, since
/// nothing is sent for a removed subscription, and purge sweeps it up; so a large backlog does not hold the site for long.
const CANCELLED_AT_ONCE: usize = 2000;

#[async_trait]
impl Subscriptions for PostgresStore {
    async fn subscription(&self, partner: PartnerId, site: SiteId) -> Result<Found> {
        let mut live = live(&*self.database.short_read().await?, partner, site).await?;
        Ok(match (live.pop(), live.is_empty()) {
            (None, _) => Found::None,
            (Some(one), true) => Found::One(Box::new(one)),
            (Some(_), false) => Found::Several,
        })
    }

    async fn held_subscription(&self, token: &Hashed<Access>, now: Timestamp) -> Result<Option<Held>> {
        let found = self.database.short_read().await?.all(HELD, params![token, At(now)], held).await?;
        Ok(found.into_iter().reduce(Held::and_another))
    }

    async fn replace_subscription(&self, subscription: NewSubscription) -> Result<Recalling<Replaced>> {
        write!(self, Full, tx => replace(&tx, &subscription))
    }

    async fn remove_subscription(&self, partner: PartnerId, site: SiteId, now: Timestamp) -> Result<Recalling<bool>> {
        write!(self, Full, tx => remove(&tx, partner, site, now))
    }

    async fn import_subscription(&self, subscription: NewSubscription) -> Result<Replaced> {
        write!(self, Full, tx => import(&tx, &subscription))
    }
}

async fn live(db: &Db, partner: PartnerId, site: SiteId) -> Result<Vec<Subscription>> {
    db.all(LIVE, params![site, partner], subscription).await
}

fn subscription(row: &Row) -> RowResult<Subscription> {
    Ok(Subscription {
        id: row.try_get("id")?,
        site: row.try_get("site_uuid")?,
        partner: row.try_get("partner_id")?,
        url: row.try_get("url")?,
        secret: row.try_get("secret")?,
        paused: maybe_at(row, "paused_at")?,
        created: at(row, "created_at")?,
        updated: at(row, "updated_at")?,
    })
}

fn held(row: &Row) -> RowResult<Held> {
    let found = match row.try_get("url")? {
        None => Found::None,
        Some(url) => Found::One(Target { url, secret: row.try_get("secret")? }),
    };
    let (scopes, slug) = (row.try_get("scopes")?, row.try_get("slug")?);
    Ok(Held { partner: row.try_get("partner_id")?, slug, site: row.try_get("site_uuid")?, scopes, found })
}

async fn replace(tx: &Tx, new: &NewSubscription) -> Result<Recalling<Replaced>> {
    let user = match admit(tx, new).await? {
        Ok(user) => user,
        Err(refused) => return Ok(Recalling::nothing(refused)),
    };
    let live = live(tx, new.partner, new.site).await?;
    let outstanding = match live.split_first() {
        None => insert(tx, new, user).await.map(|()| Outstanding::default())?,
        Some((oldest, others)) => {
            let others: Vec<_> = others.iter().map(|other| (other.site, other.id)).collect();
            let of_others = remove_all(tx, &others, new.now).await?;
            let of_oldest = update(tx, oldest, new, user).await?;
            of_others.iter().chain(of_oldest.iter()).collect()
        }
    };
    Ok(Recalling { outcome: Replaced::Done, outstanding })
}

async fn remove(tx: &Tx, partner: PartnerId, site: SiteId, now: Timestamp) -> Result<Recalling<bool>> {
    locks::take_sites(tx, &[site]).await?;
    let live: Vec<_> = live(tx, partner, site).await?.iter().map(|live| (live.site, live.id)).collect();
    let outstanding = remove_all(tx, &live, now).await?;
    Ok(Recalling { outcome: !live.is_empty(), outstanding })
}

async fn import(tx: &Tx, new: &NewSubscription) -> Result<Replaced> {
    match admit(tx, new).await? {
        Ok(user) => insert(tx, new, user).await.map(|()| Replaced::Done),
        Err(refused) => Ok(refused),
    }
}

/// With whose permission it is set, if with anybody's; refused unless site, partner and permission are there. A partner
/// that was removed a moment ago learns what one without a site learns. If admitted, all of them stay, and nobody else
/// changes who receives the site's leads.
async fn admit(tx: &Tx, new: &NewSubscription) -> Result<std::result::Result<Option<UserId>, Replaced>> {
    let partner = partners::keep(tx, new.partner).await?;
    locks::take_sites(tx, &[new.site]).await?;
    if !partner || sites::find(tx, new.site).await?.is_none() {
        return Ok(Err(Replaced::NoSuchSite));
    }
    let Some(grant) = new.by else { return Ok(Ok(None)) };
    let sql = "SELECT user_id FROM grants WHERE site_uuid = $1 AND id = $2 AND revoked_at IS NULL FOR SHARE";
    let user = tx.one(sql, params![new.site, grant], |row| row.try_get("user_id")).await?;
    Ok(user.map(Some).ok_or(Replaced::Revoked))
}

async fn insert(tx: &Tx, new: &NewSubscription, user: Option<UserId>) -> Result<()> {
    tx.run(
        "INSERT INTO subscriptions (id, site_uuid, partner_id, url, secret, user_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        params![new.id, new.site, new.partner, new.url, new.secret, user, At(new.now)],
    )
    .await?;
    Ok(())
}

/// Returns what others hold of it, if that is out of date now.
async fn update(tx: &Tx, old: &Subscription, new: &NewSubscription, user: Option<UserId>) -> Result<Outstanding> {
    tx.run(
        "UPDATE subscriptions SET url = $3, secret = $4, user_id = $5, updated_at = $6, paused_at = NULL
         WHERE site_uuid = $1 AND id = $2",
        params![old.site, old.id, new.url, new.secret, user, At(new.now)],
    )
    .await?;
    let outstanding = match old.url == new.url && old.secret == new.secret {
        true => Outstanding::default(),
        false => recall::recall(tx, &[old.id], new.now).await?,
    };
    if old.paused.is_some() {
        tx.signal(Signal::Work);
    }
    Ok(outstanding)
}

/// Ends the grants that a person gave, and removes the subscriptions that were set with them. The caller has taken the
/// person, who so gives no further ones; and the sites are taken before anything is set there with one of these.
pub(super) async fn disconnect(tx: &Tx, user: UserId, now: Timestamp) -> Result<Outstanding> {
    let sql = "SELECT site_uuid FROM grants WHERE user_id = $1 AND revoked_at IS NULL
         UNION SELECT site_uuid FROM subscriptions WHERE user_id = $1 AND removed_at IS NULL";
    let sites: Vec<SiteId> = tx.all(sql, params![user], |row| row.try_get("site_uuid")).await?;
    locks::take_sites(tx, &sites).await?;
    oauth::revoke_of_user(tx, user, now).await?;
    let live = tx.all(OF_USER, params![user], |row| Ok((row.try_get("site_uuid")?, row.try_get("id")?))).await?;
    remove_all(tx, &live, now).await
}

/// Removes subscriptions, and cancels what waits for them; see [`CANCELLED_AT_ONCE`]. The rows stay, because the delivery
/// log names them; their secrets do not. The caller has taken their sites. Returns what others hold of them.
pub(super) async fn remove_all(
    tx: &Tx,
    subscriptions: &[(SiteId, SubscriptionId)],
    now: Timestamp,
) -> Result<Outstanding> {
    let mut budget = CANCELLED_AT_ONCE;
    for (site, id) in subscriptions {
        tx.run(
            "UPDATE subscriptions SET removed_at = $3, secret = $4, next_due_at = NULL
             WHERE site_uuid = $1 AND id = $2",
            params![site, id, At(now), Sealed::from_bytes(Vec::new())],
        )
        .await?;
        budget -= lane::cancel_waiting(tx, *id, now, now, budget).await?;
    }
    let ids: Vec<_> = subscriptions.iter().map(|(_, id)| *id).collect();
    recall::recall(tx, &ids, now).await
}
