//! Carrying out a group of lead commands, all of it in one transaction, the deliveries that they cause included: look,
//! take the leads, decide, write. Two round trips, three if there are leads to take, however many commands there are.

use tokio::join;

use super::look::{self, Named, Seen};
use super::rows::{self, Key, Written};
use super::take::{self, Taken};
use crate::model::lead::{Activity, Idempotency, Known, LeadChange, LeadCommand, LeadOutcome, LeadReceipt, LeadRow};
use crate::model::{LeadId, SiteId};
use crate::store::Result;
use crate::store::postgres::deliveries::outbox::{self, Ends, Outbox};
use crate::store::postgres::locks::Patience;
use crate::store::postgres::transaction::Tx;

/// Carries out commands, each whole or not at all; see [`crate::store::Leads::apply_lead_change`]. No two of them may make or
/// change a lead of the same key, e-mail or id. `None`: not now, because somebody else is at the same lead. What is done is
/// committed.
pub(super) async fn apply(tx: &Tx, commands: &[&LeadCommand], patience: Patience) -> Result<Vec<Option<LeadOutcome>>> {
    let seen = look::begin_and_look(tx, commands, patience).await?;
    let cases: Vec<_> = commands.iter().zip(&seen).map(|(command, seen)| Case { command, seen }).collect();
    let mut taken = take::take_leads(tx, &cases, patience).await?;
    let decided: Vec<_> = cases.iter().map(|case| case.decide(&mut taken)).collect();
    let mut writing = Writing::default();
    for (case, decided) in cases.iter().zip(&decided) {
        if let Decided::Change(change) = decided {
            writing.add(tx, case, change, &taken.ends)?;
        }
    }
    tx.finish(writing.write(tx)).await?;
    Ok(decided.into_iter().map(Decided::outcome).collect())
}

/// A command, and what is known of it.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) command: &'a LeadCommand,
    pub(super) seen: &'a Seen,
}

enum Decided {
    NotNow,
    Outcome(LeadOutcome),
    Change(Box<LeadChange>),
}

impl Decided {
    /// What the caller is told.
    fn outcome(self) -> Option<LeadOutcome> {
        match self {
            Self::NotNow => None,
            Self::Outcome(outcome) => Some(outcome),
            Self::Change(change) => Some(LeadOutcome::Done(change.receipt)),
        }
    }
}

/// Somebody else has the lead.
struct NotOurs;

impl Case<'_> {
    fn decide(&self, taken: &mut Taken) -> Decided {
        if !self.seen.taken {
            return Decided::NotNow;
        }
        if !self.seen.as_presumed {
            return Decided::Outcome(LeadOutcome::NotAsPresumed);
        }
        let Some(site) = &self.seen.site else { return Decided::Outcome(LeadOutcome::NoSuchSite) };
        if let (Some(key), Some((request, receipt))) = (&self.command.idempotency, self.seen.kept) {
            return Decided::Outcome(key.answer(request, receipt));
        }
        let Ok(known) = self.known(taken) else { return Decided::NotNow };
        match self.command.decide(site, known) {
            Ok(change) => Decided::Change(Box::new(change)),
            Err(refusal) => Decided::Outcome(refusal),
        }
    }

    /// The lead that the command names, as it is now that it is ours.
    fn known(&self, taken: &mut Taken) -> std::result::Result<Option<Known>, NotOurs> {
        let Some(id) = self.seen.named.lead() else { return Ok(None) };
        let known = taken.give((self.command.site, id)).ok_or(NotOurs)?;
        // It may have been given another address before it was ours: then another lead is meant, or none.
        let by_email = matches!(self.seen.named, Named::ByEmail(_));
        match by_email && known.lead.fields.email_key() != self.command.action.email_key() {
            true => Err(NotOurs),
            false => Ok(Some(known)),
        }
    }
}

/// What is to be written, kind by kind.
#[derive(Default)]
struct Writing<'a> {
    new: Vec<Written<'a>>,
    changed: Vec<Written<'a>>,
    aliases: Vec<(Key, LeadId)>,
    activities: Vec<(Key, &'a Activity)>,
    keys: Vec<(SiteId, &'a Idempotency, LeadReceipt)>,
    outbox: Outbox,
}

impl<'a> Writing<'a> {
    fn add(&mut self, tx: &Tx, case: &Case<'a>, change: &'a LeadChange, ends: &Ends) -> Result<()> {
        let command = case.command;
        let lead = &change.lead;
        let key = (lead.site, lead.id);
        match &change.row {
            LeadRow::New(fields) => self.new.push((lead, fields, command.now)),
            LeadRow::Changed(fields) => self.changed.push((lead, fields, command.now)),
            LeadRow::Same => {}
        }
        self.aliases.extend(change.alias.map(|alias| (key, alias)));
        self.activities.extend(change.activities.iter().map(|activity| (key, activity)));
        self.keys.extend(command.idempotency.as_ref().map(|idempotency| (lead.site, idempotency, change.receipt)));
        let mut receivers = case.seen.receivers_of(command).peekable();
        if receivers.peek().is_some()
            && let Some(message) = case.seen.site.as_ref().and_then(|site| command.message(site, change))
        {
            self.outbox.add(tx, command, lead, &message, receivers, ends)?;
        }
        Ok(())
    }

    /// Writes it, in one go.
    async fn write(self, tx: &Tx) -> Result<()> {
        tx.make_ready(&rows::WRITES).await?;
        tx.make_ready(&outbox::WRITES).await?;
        let (new, changed, aliases, activities, keys, sent) = join!(
            biased;
            rows::insert(tx, &self.new),
            rows::update(tx, &self.changed),
            rows::add_aliases(tx, &self.aliases),
            rows::add_activities(tx, &self.activities),
            rows::keep_keys(tx, &self.keys),
            outbox::send(tx, self.outbox),
        );
        new.and(changed).and(aliases).and(activities).and(keys).and(sent)
    }
}
