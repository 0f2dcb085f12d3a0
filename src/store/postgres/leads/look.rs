//! What the commands of a group name: read once their locks are taken, in one round trip.

use std::collections::{HashMap, HashSet};

use tokio::join;
use tokio_postgres::Row;

use super::rows;
use crate::model::lead::{LeadCommand, LeadReceipt};
use crate::model::site::Site;
use crate::model::{LeadId, SiteId};
use crate::store::Result;
use crate::store::postgres::deliveries::outbox::{self, Receiver};
use crate::store::postgres::locks::{self, Patience};
use crate::store::postgres::sites;
use crate::store::postgres::statements::{RowResult, params};
use crate::store::postgres::transaction::{Durability, Tx};
use crate::store::postgres::values::{At, count, rows as row_count};

/// The lead that each of these names, by its id or an alias of it, or else by its e-mail. Old data, and later changes of
/// addresses, can leave several leads with one e-mail: the oldest is meant. It asks for the hash, because that is what the
/// index holds.
pub(in crate::store::postgres) const NAMED: &str = "SELECT known.id, CASE WHEN known.id IS NULL THEN (
         SELECT l.id FROM leads l
         WHERE l.site_uuid = named.site_uuid AND l.email_key IS NOT NULL
           AND sha256(l.email_key) = sha256(named.email) AND l.email_key = named.email
         ORDER BY l.seq LIMIT 1
     ) END AS by_email
     FROM unnest($1::UUID[], $2::UUID[], $3::BYTEA[]) WITH ORDINALITY AS named (site_uuid, id, email, place)
     CROSS JOIN LATERAL (
         SELECT coalesce(
             (SELECT l.id FROM leads l WHERE l.site_uuid = named.site_uuid AND l.id = named.id),
             (SELECT a.lead_id FROM lead_aliases a WHERE a.site_uuid = named.site_uuid AND a.alias = named.id)
         ) AS id OFFSET 0
     ) known
     ORDER BY named.place";

/// What live keys stand for.
const KEPT: &str = "SELECT asked.place, kept.request, kept.lead_id, kept.effect
     FROM unnest($1::BIGINT[], $2::UUID[], $3::TEXT[], $4::BIGINT[]) AS asked (place, site_uuid, key, now)
     JOIN LATERAL (
         SELECT * FROM idempotency_keys k WHERE k.site_uuid = asked.site_uuid AND k.key = asked.key LIMIT 1
     ) kept ON kept.expires_at > asked.now";

const SITES: &str = "SELECT * FROM sites WHERE site_uuid = ANY($1) AND removed_at IS NULL";

/// How a command names its lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// There is none.
    Nobody,
    /// By its id, or an alias.
    ById(LeadId),
    /// By its e-mail.
    ByEmail(LeadId),
}

impl Named {
    pub(super) fn lead(self) -> Option<LeadId> {
        match self {
            Self::Nobody => None,
            Self::ById(lead) | Self::ByEmail(lead) => Some(lead),
        }
    }
}

/// What is known of a group of commands.
pub(super) struct Seen {
    /// Command by command: whether its locks are ours. What is known of the others can change at any time.
    pub(super) taken: Vec<bool>,
    /// Command by command: its lead.
    pub(super) named: Vec<Named>,
    /// What `Idempotency-Key`s stand for: the digest of their request, and what became of that; by the place of the command.
    pub(super) kept: HashMap<usize, ([u8; 32], LeadReceipt)>,
    pub(super) sites: HashMap<SiteId, Site>,
    pub(super) receivers: HashMap<SiteId, Vec<Receiver>>,
}

impl Seen {
    /// Who is to hear of what the command does: not its origin, if that does not want its echo.
    pub(super) fn receivers_of(&self, command: &LeadCommand) -> impl Iterator<Item = &Receiver> {
        let origin = command.origin.partner;
        let all = self.receivers.get(&command.site).into_iter().flatten();
        all.filter(move |receiver| receiver.echo || Some(receiver.partner) != origin)
    }
}

/// Begins the transaction, takes the commands' locks, and looks.
pub(super) async fn begin_and_look(tx: &Tx, commands: &[&LeadCommand], patience: Patience) -> Result<Seen> {
    tx.make_ready(&[locks::take_all_statement(patience), SITES, KEPT, NAMED, outbox::RECEIVERS]).await?;
    let ids: HashSet<_> = commands.iter().map(|command| command.site).collect();
    let ids: Vec<_> = ids.into_iter().collect();
    let shared = ids.iter().copied().map(locks::of_site);
    let alone = commands.iter().flat_map(|command| locks::of_origins(command));
    // Each statement sees what was committed before it began: here, before the locks were ours.
    let (open, taken, sites, kept, named, receivers) = join!(
        biased;
        tx.open(Durability::Full),
        locks::take_all(tx, patience, shared, alone),
        sites(tx, &ids),
        kept(tx, commands),
        named(tx, commands),
        outbox::receivers(tx, &ids),
    );
    open?;
    let taken = taken?;
    let is_ours = |command: &&LeadCommand| {
        let mut keys = locks::of_origins(command).into_iter().chain([locks::of_site(command.site)]);
        keys.all(|key| taken.contains(&key))
    };
    Ok(Seen {
        taken: commands.iter().map(is_ours).collect(),
        sites: sites?.into_iter().map(|site| (site.id, site)).collect(),
        kept: kept?,
        named: named?,
        receivers: receivers?,
    })
}

async fn sites(tx: &Tx, ids: &[SiteId]) -> Result<Vec<Site>> {
    tx.all(SITES, params![ids], sites::site).await
}

async fn named(tx: &Tx, commands: &[&LeadCommand]) -> Result<Vec<Named>> {
    let sites: Vec<_> = commands.iter().map(|command| command.site).collect();
    let ids: Vec<_> = commands.iter().map(|command| command.action.id()).collect();
    let emails: Vec<_> = commands.iter().map(|command| command.action.email_key().map(String::into_bytes)).collect();
    if ids.iter().all(Option::is_none) && emails.iter().all(Option::is_none) {
        return Ok(vec![Named::Nobody; commands.len()]);
    }
    let read = |row: &Row| match (row.try_get("id")?, row.try_get("by_email")?) {
        (Some(id), _) => RowResult::Ok(Named::ById(id)),
        (None, Some(id)) => Ok(Named::ByEmail(id)),
        (None, None) => Ok(Named::Nobody),
    };
    tx.all(NAMED, params![sites, ids, emails], read).await
}

async fn kept(tx: &Tx, commands: &[&LeadCommand]) -> Result<HashMap<usize, ([u8; 32], LeadReceipt)>> {
    let asked = commands
        .iter()
        .enumerate()
        .filter_map(|(place, command)| Some((place, command, command.idempotency.as_ref()?)));
    let (mut places, mut sites, mut keys, mut times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, command, idempotency) in asked {
        places.push(row_count(place));
        sites.push(command.site);
        keys.push(idempotency.key.as_str());
        times.push(At(command.now));
    }
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let read = |row: &Row| {
        let effect: String = row.try_get("effect")?;
        Ok((count(row, "place")?, row.try_get::<_, Vec<u8>>("request")?, row.try_get("lead_id")?, effect))
    };
    let kept = tx.all(KEPT, params![places, sites, keys, times], read).await?;
    kept.into_iter().map(|(place, request, lead, effect)| Ok((place, rows::receipt(request, lead, &effect)?))).collect()
}
