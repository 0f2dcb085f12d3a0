//! Subscriptions: at most one per partner and site, except in old data.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use super::deliveries::lane;
use super::statements::Statements;
use super::values::{At, at, maybe_at};
use super::writer::Durability::Full;
use super::writer::Tx;
use super::{SqliteStore, oauth, partners, recalls, sites};
use crate::model::seal::Sealed;
use crate::model::subscription::Subscription;
use crate::model::token::{Access, Hashed};
use crate::model::{PartnerId, SiteId, SubscriptionId, Timestamp, UserId};
use crate::store::{
    Found, Held, NewSubscription, Outstanding, Recalling, Replaced, Result, Signal, Subscriptions, Target,
};

/// The live ones of a partner and a site, the oldest first.
pub(super) const LIVE: &str = "SELECT * FROM subscriptions
     WHERE site_uuid = ?1 AND partner_id = ?2 AND removed_at IS NULL ORDER BY created_at, seq";

/// What an access token is good for, with each live subscription of its partner to its site.
pub(super) const HELD: &str = oauth::of_live_token!(
    "t.scopes, g.partner_id, p.slug, g.site_uuid, u.url, u.secret",
    "LEFT JOIN subscriptions u
       ON u.site_uuid = g.site_uuid AND u.partner_id = g.partner_id AND u.removed_at IS NULL"
);

/// The live ones that were set with a person's permission.
pub(super) const OF_USER: &str = "SELECT id FROM subscriptions WHERE user_id = ?1 AND removed_at IS NULL";

/// How many waiting deliveries are cancelled together with their subscription. The rest is as good as cancelled, since
/// nothing is sent for a removed subscription, and purge sweeps it up; so a large backlog does not stop the writer.
const CANCELLED_AT_ONCE: usize = 2000;

#[async_trait]
impl Subscriptions for SqliteStore {
    async fn subscription(&self, partner: PartnerId, site: SiteId) -> Result<Found> {
        self.look_up(|db| {
            let mut live = live(db, partner, site)?;
            Ok(match (live.pop(), live.is_empty()) {
                (None, _) => Found::None,
                (Some(one), true) => Found::One(Box::new(one)),
                (Some(_), false) => Found::Several,
            })
        })
    }

    async fn held_subscription(&self, token: &Hashed<Access>, now: Timestamp) -> Result<Option<Held>> {
        self.look_up(|db| {
            let found = db.all(HELD, params![token, At(now)], held)?;
            Ok(found.into_iter().reduce(Held::and_another))
        })
    }

    async fn replace_subscription(&self, subscription: NewSubscription) -> Result<Recalling<Replaced>> {
        self.write(Full, move |tx| replace(tx, &subscription)).await
    }

    async fn remove_subscription(&self, partner: PartnerId, site: SiteId, now: Timestamp) -> Result<Recalling<bool>> {
        self.write(Full, move |tx| {
            let live: Vec<_> = live(tx, partner, site)?.iter().map(|subscription| subscription.id).collect();
            let outstanding = remove_all(tx, &live, now)?;
            Ok(Recalling { outcome: !live.is_empty(), outstanding })
        })
        .await
    }

    async fn import_subscription(&self, subscription: NewSubscription) -> Result<Replaced> {
        self.write(Full, move |tx| import(tx, &subscription)).await
    }
}

fn live(db: &Connection, partner: PartnerId, site: SiteId) -> Result<Vec<Subscription>> {
    Ok(db.all(LIVE, params![site, partner], subscription)?)
}

fn subscription(row: &Row) -> rusqlite::Result<Subscription> {
    Ok(Subscription {
        id: row.get("id")?,
        site: row.get("site_uuid")?,
        partner: row.get("partner_id")?,
        url: row.get("url")?,
        secret: row.get("secret")?,
        paused: maybe_at(row, "paused_at")?,
        created: at(row, "created_at")?,
        updated: at(row, "updated_at")?,
    })
}

/// By position: finding the columns by their names would take as long as finding the row.
fn held(row: &Row) -> rusqlite::Result<Held> {
    let found = match row.get(4)? {
        None => Found::None,
        Some(url) => Found::One(Target { url, secret: row.get(5)? }),
    };
    Ok(Held { scopes: row.get(0)?, partner: row.get(1)?, slug: row.get(2)?, site: row.get(3)?, found })
}

fn replace(tx: &Tx, new: &NewSubscription) -> Result<Recalling<Replaced>> {
    let user = match admit(tx, new)? {
        Ok(user) => user,
        Err(refused) => return Ok(Recalling::nothing(refused)),
    };
    let live = live(tx, new.partner, new.site)?;
    let outstanding = match live.split_first() {
        None => insert(tx, new, user).map(|()| Outstanding::default())?,
        Some((oldest, others)) => {
            let others: Vec<_> = others.iter().map(|other| other.id).collect();
            let of_others = remove_all(tx, &others, new.now)?;
            let of_oldest = update(tx, oldest, new, user)?;
            of_others.iter().chain(of_oldest.iter()).collect()
        }
    };
    Ok(Recalling { outcome: Replaced::Done, outstanding })
}

fn import(tx: &Tx, new: &NewSubscription) -> Result<Replaced> {
    match admit(tx, new)? {
        Ok(user) => insert(tx, new, user).map(|()| Replaced::Done),
        Err(refused) => Ok(refused),
    }
}

/// With whose permission it is set, if with anybody's; refused unless site, partner and permission are there. A partner
/// that was removed a moment ago learns what one without a site learns.
fn admit(tx: &Tx, new: &NewSubscription) -> Result<std::result::Result<Option<UserId>, Replaced>> {
    if sites::find(tx, new.site)?.is_none() || !partners::exists(tx, new.partner)? {
        return Ok(Err(Replaced::NoSuchSite));
    }
    let Some(grant) = new.by else { return Ok(Ok(None)) };
    let sql = "SELECT user_id FROM grants WHERE id = ?1 AND revoked_at IS NULL";
    let user = tx.one(sql, [grant], |row| row.get("user_id"))?;
    Ok(user.map(Some).ok_or(Replaced::Revoked))
}

fn insert(tx: &Tx, new: &NewSubscription, user: Option<UserId>) -> Result<()> {
    tx.run(
        "INSERT INTO subscriptions (id, site_uuid, partner_id, url, secret, user_id, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        params![new.id, new.site, new.partner, new.url, new.secret, user, At(new.now)],
    )?;
    Ok(())
}

/// Returns what other processes hold of it, if that is out of date now.
fn update(tx: &Tx, old: &Subscription, new: &NewSubscription, user: Option<UserId>) -> Result<Outstanding> {
    tx.run(
        "UPDATE subscriptions SET url = ?2, secret = ?3, user_id = ?4, updated_at = ?5, paused_at = NULL WHERE id = ?1",
        params![old.id, new.url, new.secret, user, At(new.now)],
    )?;
    let outstanding = match old.url == new.url && old.secret == new.secret {
        true => Outstanding::default(),
        false => recalls::recall(tx, &[old.id], new.now)?,
    };
    if old.paused.is_some() {
        tx.signal(Signal::Work);
    }
    Ok(outstanding)
}

/// Removes the subscriptions that were set with this person's permission.
pub(super) fn remove_of_user(tx: &Tx, user: UserId, now: Timestamp) -> Result<Outstanding> {
    let live = tx.all(OF_USER, [user], |row| row.get("id"))?;
    remove_all(tx, &live, now)
}

/// Removes subscriptions, and cancels what waits for them; see [`CANCELLED_AT_ONCE`]. The rows stay, because the delivery
/// log names them; their secrets do not. Returns what other processes hold of them.
pub(super) fn remove_all(tx: &Tx, subscriptions: &[SubscriptionId], now: Timestamp) -> Result<Outstanding> {
    let mut budget = CANCELLED_AT_ONCE;
    for id in subscriptions {
        tx.run(
            "UPDATE subscriptions SET removed_at = ?2, secret = ?3, next_due_at = NULL WHERE id = ?1",
            params![id, At(now), Sealed::from_bytes(Vec::new())],
        )?;
        budget -= lane::cancel_waiting(tx, *id, now, now, budget)?;
    }
    recalls::recall(tx, subscriptions, now)
}
