//! What the commands of a group name: looked up once their locks are taken, in one round trip.

use std::collections::HashSet;

use tokio::join;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::model::lead::{LeadCommand, LeadReceipt};
use crate::model::seal::Sealed;
use crate::model::site::Site;
use crate::model::throttle::BucketKey;
use crate::model::{LeadId, PartnerId, SiteId, SourceId, SubscriptionId};
use crate::store::postgres::deliveries::outbox::Receiver;
use crate::store::postgres::locks::{self, Patience};
use crate::store::postgres::sites;
use crate::store::postgres::statements::{RowResult, params};
use crate::store::postgres::transaction::{Durability, Tx};
use crate::store::postgres::values::At;
use crate::store::{Result, StoreError};

/// What is known of each command (`$2` to `$6`): its site, with those who are to hear of its leads; the lead that it names, by
/// its id or an alias of it, or else by its e-mail; and what its `Idempotency-Key` stands for. `$1` are the sites, each
/// once, and `$7` is the latest of the times: one is free that may be sent something and has nothing else due. And what is
/// left of what they presume: which of the sources `$8` may send to which of the sites `$9`, by their places; and those of the
/// buckets `$10` that lack a guess.
/// One statement, because each costs the server and the gateway a system call or two.
///
/// Old data, and later changes of addresses, can leave several leads with one e-mail: the oldest is meant. It is asked for
/// by its hash, because that is what the index holds.
pub(in crate::store::postgres) const LOOK: &str = "WITH known_site AS MATERIALIZED (
         SELECT t.site_uuid, t.domain, t.created_at, receivers.*
         FROM unnest($1::UUID[]) AS asked (site_uuid)
         CROSS JOIN LATERAL (
             SELECT * FROM sites WHERE site_uuid = asked.site_uuid AND removed_at IS NULL LIMIT 1
         ) t
         CROSS JOIN LATERAL (
             SELECT array_agg(s.id ORDER BY s.seq) AS subscriptions, array_agg(s.partner_id ORDER BY s.seq) AS partners,
                    array_agg(p.echo ORDER BY s.seq) AS echoes, array_agg(p.merge_updates ORDER BY s.seq) AS merging,
                    array_agg(s.next_due_at ORDER BY s.seq) AS next_dues,
                    array_agg(s.url ORDER BY s.seq) AS urls, array_agg(s.secret ORDER BY s.seq) AS secrets,
                    array_agg(s.paused_at IS NULL AND (
                        SELECT TRUE FROM deliveries d
                        WHERE d.subscription_id = s.id AND d.due_at <= $7 AND coalesce(d.leased_until, 0) <= $7
                        ORDER BY d.due_at LIMIT 1
                    ) IS NULL ORDER BY s.seq) AS frees
             FROM subscriptions s JOIN partners p ON p.id = s.partner_id
             WHERE s.site_uuid = asked.site_uuid AND s.removed_at IS NULL
         ) receivers
     ), presumed AS MATERIALIZED (
         SELECT ARRAY(
                    SELECT pair.place FROM unnest($8::UUID[], $9::UUID[]) WITH ORDINALITY AS pair (source, site, place)
                    WHERE (SELECT s.all_sites OR EXISTS (
                               SELECT FROM source_sites o WHERE o.source_id = s.id AND o.site_uuid = pair.site
                           ) FROM sources s WHERE s.id = pair.source)
                ) AS may_send,
                ARRAY(SELECT key FROM guess_buckets WHERE key = ANY($10) AND full_at > $7) AS wanting
     )
     SELECT presumed.*, site.*, named.id AS by_id, CASE WHEN named.id IS NULL THEN (
                SELECT l.id FROM leads l
                WHERE l.site_uuid = command.site_uuid AND l.email_key IS NOT NULL
                  AND sha256(l.email_key) = sha256(command.email) AND l.email_key = command.email
                ORDER BY l.seq LIMIT 1
            ) END AS by_email, kept.request, kept.lead_id, kept.effect
     FROM unnest($2::UUID[], $3::UUID[], $4::BYTEA[], $5::TEXT[], $6::BIGINT[])
         WITH ORDINALITY AS command (site_uuid, id, email, key, now, place)
     CROSS JOIN presumed
     LEFT JOIN known_site site USING (site_uuid)
     CROSS JOIN LATERAL (
         SELECT coalesce(
             (SELECT l.id FROM leads l WHERE l.site_uuid = command.site_uuid AND l.id = command.id),
             (SELECT a.lead_id FROM lead_aliases a WHERE a.site_uuid = command.site_uuid AND a.alias = command.id)
         ) AS id OFFSET 0
     ) named
     LEFT JOIN LATERAL (
         SELECT request, lead_id, effect FROM idempotency_keys k
         WHERE k.site_uuid = command.site_uuid AND k.key = command.key AND k.expires_at > command.now LIMIT 1
     ) kept ON TRUE
     ORDER BY command.place";

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

/// What is known of a command.
pub(super) struct Seen {
    /// Whether its locks are ours. What is known of the others can change at any time.
    pub(super) taken: bool,
    /// Whether what it presumes holds.
    pub(super) as_presumed: bool,
    /// Its site, if that is there.
    pub(super) site: Option<Site>,
    /// Who hears of the site's leads, in the order of their subscriptions.
    receivers: Vec<Receiver>,
    /// Its lead.
    pub(super) named: Named,
    /// What its `Idempotency-Key` stands for: the digest of the request, and what became of that.
    pub(super) kept: Option<([u8; 32], LeadReceipt)>,
}

impl Seen {
    /// Who is to hear of what the command does: not its origin, if that does not want its echo.
    pub(super) fn receivers_of(&self, command: &LeadCommand) -> impl Iterator<Item = &Receiver> {
        let origin = command.origin.partner;
        self.receivers.iter().filter(move |receiver| receiver.echo || Some(receiver.partner) != origin)
    }
}

/// Begins the transaction, takes the commands' locks, and looks: command by command.
pub(super) async fn begin_and_look(tx: &Tx, commands: &[&LeadCommand], patience: Patience) -> Result<Vec<Seen>> {
    tx.make_ready(&[locks::take_all_statement(patience), LOOK]).await?;
    let sites: HashSet<_> = commands.iter().map(|command| command.site).collect();
    let sites: Vec<_> = sites.into_iter().collect();
    let shared = sites.iter().copied().map(locks::of_site);
    let alone = commands.iter().flat_map(|command| locks::of_origins(command));
    // The last statement sees what was committed before it began: here, before the locks were ours.
    let (open, taken, seen) = join!(
        biased;
        tx.open(Durability::Full),
        locks::take_all(tx, patience, shared, alone),
        look(tx, &sites, commands),
    );
    open?;
    let (taken, mut seen) = (taken?, seen?);
    for (command, seen) in commands.iter().zip(&mut seen) {
        let mut keys = locks::of_origins(command).into_iter().chain([locks::of_site(command.site)]);
        seen.taken = keys.all(|key| taken.contains(&key));
    }
    Ok(seen)
}

async fn look(tx: &Tx, sites: &[SiteId], commands: &[&LeadCommand]) -> Result<Vec<Seen>> {
    let site_of: Vec<_> = commands.iter().map(|command| command.site).collect();
    let ids: Vec<_> = commands.iter().map(|command| command.action.id()).collect();
    let emails: Vec<_> = commands.iter().map(|command| command.action.email_key().map(String::into_bytes)).collect();
    let keys: Vec<_> = commands.iter().map(|command| Some(command.idempotency.as_ref()?.key.as_str())).collect();
    let times: Vec<_> = commands.iter().map(|command| At(command.now)).collect();
    let latest = commands.iter().map(|command| At(command.now)).max();
    let presumed = Presumed::of(commands);
    let (sources, sent_to): (Vec<_>, Vec<_>) = presumed.pairs.iter().copied().unzip();
    let mut upheld = None;
    let mut each = commands.iter();
    let read = |row: &Row| {
        if upheld.is_none() {
            upheld = Some(presumed.upheld(row)?);
        }
        let as_presumed = each.next().zip(upheld.as_ref()).is_some_and(|(command, upheld)| upheld.holds(command));
        seen(row, as_presumed)
    };
    let params = params![sites, site_of, ids, emails, keys, times, latest, sources, sent_to, presumed.buckets];
    let seen = tx.all(LOOK, params, read).await?;
    seen.into_iter().map(|(seen, kept)| Ok(Seen { kept: kept.map(Kept::receipt).transpose()?, ..seen })).collect()
}

/// What commands presume, each thing once.
struct Presumed<'a> {
    pairs: Vec<(SourceId, SiteId)>,
    buckets: Vec<&'a BucketKey>,
}

/// What of it holds.
struct Upheld {
    may_send: Vec<(SourceId, SiteId)>,
    wanting: Vec<BucketKey>,
}

impl<'a> Presumed<'a> {
    fn of(commands: &[&'a LeadCommand]) -> Self {
        let presumed = || commands.iter().filter_map(|command| Some((command.presumes.as_ref()?, command.site)));
        let pairs: HashSet<_> = presumed().map(|(presumed, site)| (presumed.source, site)).collect();
        let buckets: HashSet<_> = presumed().flat_map(|(presumed, _)| &presumed.full).collect();
        Self { pairs: pairs.into_iter().collect(), buckets: buckets.into_iter().collect() }
    }

    fn upheld(&self, row: &Row) -> RowResult<Upheld> {
        let places = row.try_get::<_, Vec<i64>>("may_send")?.into_iter();
        let pair = |place: i64| self.pairs.get(usize::try_from(place).ok()?.checked_sub(1)?).copied();
        Ok(Upheld { may_send: places.filter_map(pair).collect(), wanting: row.try_get("wanting")? })
    }
}

impl Upheld {
    fn holds(&self, command: &LeadCommand) -> bool {
        command.presumes.as_ref().is_none_or(|presumed| {
            let is_full = |bucket| !self.wanting.contains(bucket);
            self.may_send.contains(&(presumed.source, command.site)) && presumed.full.iter().all(is_full)
        })
    }
}

/// An `Idempotency-Key`'s row, as it is.
struct Kept {
    request: Vec<u8>,
    lead: LeadId,
    effect: String,
}

impl Kept {
    fn receipt(self) -> Result<([u8; 32], LeadReceipt)> {
        let corrupt = || StoreError::Corrupt(format!("an Idempotency-Key of effect {:?}", self.effect));
        let effect = self.effect.parse().map_err(|()| corrupt())?;
        let request = self.request[..].try_into().map_err(|_| corrupt())?;
        Ok((request, LeadReceipt { lead: self.lead, effect }))
    }
}

fn seen(row: &Row, as_presumed: bool) -> RowResult<(Seen, Option<Kept>)> {
    let site = match row.try_get::<_, Option<SiteId>>("site_uuid")? {
        Some(_) => Some(sites::site(row)?),
        None => None,
    };
    let named = match (row.try_get("by_id")?, row.try_get("by_email")?) {
        (Some(id), _) => Named::ById(id),
        (None, Some(id)) => Named::ByEmail(id),
        (None, None) => Named::Nobody,
    };
    let kept = match row.try_get("request")? {
        Some(request) => Some(Kept { request, lead: row.try_get("lead_id")?, effect: row.try_get("effect")? }),
        None => None,
    };
    Ok((Seen { taken: false, as_presumed, site, receivers: receivers(row)?, named, kept: None }, kept))
}

fn receivers(row: &Row) -> RowResult<Vec<Receiver>> {
    // There are no arrays if there are no subscriptions.
    let subscriptions: Vec<SubscriptionId> = row.try_get::<_, Option<_>>("subscriptions")?.unwrap_or_default();
    let mut partners = column::<PartnerId>(row, "partners")?;
    let mut echoes = column::<bool>(row, "echoes")?;
    let mut merging = column::<bool>(row, "merging")?;
    let mut next_dues = column::<Option<At>>(row, "next_dues")?;
    let mut urls = column::<String>(row, "urls")?;
    let mut secrets = column::<Sealed>(row, "secrets")?;
    let mut frees = column::<bool>(row, "frees")?;
    let receiver = |subscription| {
        Some(Receiver {
            subscription,
            partner: partners.next()?,
            echo: echoes.next()?,
            merges: merging.next()?,
            next_due: next_dues.next()?,
            url: urls.next()?,
            secret: secrets.next()?,
            free: frees.next()?,
        })
    };
    Ok(subscriptions.into_iter().map_while(receiver).collect())
}

fn column<'r, T: FromSql<'r>>(row: &'r Row, name: &str) -> RowResult<std::vec::IntoIter<T>> {
    Ok(row.try_get::<_, Option<Vec<T>>>(name)?.unwrap_or_default().into_iter())
}
