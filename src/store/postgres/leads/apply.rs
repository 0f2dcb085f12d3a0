//! Carrying out a group of lead commands, all of it in one transaction, the deliveries that they cause included: look,
//! take the leads, decide, write. Three or four round trips, however many commands there are.

use std::collections::{HashMap, HashSet};

use tokio::join;

use super::look::{self, Named, Seen};
use super::rows::{self, Key, Written};
use crate::model::lead::{
    Activity, Idempotency, Known, Lead, LeadAction, LeadChange, LeadCommand, LeadOutcome, LeadReceipt, LeadRow,
};
use crate::model::{LeadId, SiteId};
use crate::store::Result;
use crate::store::postgres::deliveries::outbox::{self, Ends, Outbox};
use crate::store::postgres::locks::{self, Patience};
use crate::store::postgres::transaction::Tx;

/// Carries out commands, each whole or not at all; see [`crate::store::Leads::apply_lead_change`]. No two of them may make or
/// change a lead of the same key, e-mail or id. `None`: not now, because somebody else is at the same lead.
pub(super) async fn apply(tx: &Tx, commands: &[&LeadCommand], patience: Patience) -> Result<Vec<Option<LeadOutcome>>> {
    let seen = look::begin_and_look(tx, commands, patience).await?;
    let group = Group { commands, seen };
    let mut taken = group.take_leads(tx, patience).await?;
    let (mut outcomes, mut changes) = (Vec::with_capacity(commands.len()), Vec::new());
    for (place, command) in commands.iter().enumerate() {
        let decided = group.decide(place, &mut taken);
        outcomes.push(match decided {
            Decided::NotNow => None,
            Decided::Outcome(outcome) => Some(outcome),
            Decided::Change(change) => {
                let receipt = change.receipt;
                changes.push((*command, change));
                Some(LeadOutcome::Done(receipt))
            }
        });
    }
    let mut writing = Writing::default();
    for (command, change) in &changes {
        writing.add(command, change, &group.seen, &taken.ends);
    }
    writing.write(tx).await?;
    Ok(outcomes)
}

struct Group<'a> {
    commands: &'a [&'a LeadCommand],
    seen: Seen,
}

/// Leads that are ours to change until the transaction ends.
#[derive(Default)]
struct Taken {
    /// Each is given out once: two commands that reach one lead by different names cannot both have it.
    leads: HashMap<Key, Lead>,
    activities: HashMap<LeadId, usize>,
    repeated: HashMap<LeadId, HashSet<[u8; 32]>>,
    /// Where their lanes end.
    ends: Ends,
}

enum Decided {
    NotNow,
    Outcome(LeadOutcome),
    Change(Box<LeadChange>),
}

impl<'a> Group<'a> {
    /// The leads that are named, by commands that may go on.
    fn named(&self) -> Vec<(Key, &'a LeadCommand)> {
        let mut named = Vec::new();
        for (place, command) in self.commands.iter().enumerate() {
            if let Some(lead) = self.seen.named[place].lead()
                && self.seen.taken[place]
            {
                named.push(((command.site, lead), *command));
            }
        }
        named
    }

    /// Takes the leads that the commands name, and reads them and what belongs to them.
    async fn take_leads(&self, tx: &Tx, patience: Patience) -> Result<Taken> {
        let named = self.named();
        if named.is_empty() {
            return Ok(Taken::default());
        }
        let keys: HashSet<_> = named.iter().map(|(key, _)| *key).collect();
        let keys: Vec<_> = keys.into_iter().collect();
        let with_activities: Vec<_> =
            named.iter().filter(|(_, c)| !c.action.activities().is_empty()).copied().collect();
        let counted: Vec<_> = with_activities.iter().map(|(key, _)| *key).collect();
        let digests = |(key, command): &(Key, &LeadCommand)| {
            let key = *key;
            command.action.activities().iter().map(move |activity| (key, activity.digest())).collect::<Vec<_>>()
        };
        let digests: Vec<_> = with_activities.iter().flat_map(digests).collect();
        let lanes: Vec<_> = named
            .iter()
            .flat_map(|(key, command)| self.seen.receivers_of(command).map(|receiver| (receiver.subscription, key.1)))
            .collect();
        let statements = [rows::THESE, rows::COUNT_ACTIVITIES, rows::REPEATED, outbox::ENDS];
        tx.make_ready(&statements).await?;
        tx.make_ready(&[locks::take_all_statement(patience)]).await?;
        // Each statement sees what was committed before it began: here, before the leads were ours.
        let alone = keys.iter().map(locks::of_lead);
        let (locked, leads, activities, repeated, ends) = join!(
            biased;
            locks::take_all(tx, patience, [], alone),
            rows::these(tx, &keys),
            rows::count_activities(tx, &counted),
            rows::repeated(tx, &digests),
            outbox::ends(tx, &lanes),
        );
        let locked = locked?;
        let mut leads = leads?;
        leads.retain(|key, _| locked.contains(&locks::of_lead(key)));
        Ok(Taken { leads, activities: activities?, repeated: repeated?, ends: ends? })
    }

    fn decide(&self, place: usize, taken: &mut Taken) -> Decided {
        let command = self.commands[place];
        if !self.seen.taken[place] {
            return Decided::NotNow;
        }
        let Some(site) = self.seen.sites.get(&command.site) else { return Decided::Outcome(LeadOutcome::NoSuchSite) };
        if let (Some(key), Some((request, receipt))) = (&command.idempotency, self.seen.kept.get(&place)) {
            return Decided::Outcome(key.answer(*request, *receipt));
        }
        let known = match self.known(place, &command.action, taken) {
            Ok(known) => known,
            Err(NotOurs) => return Decided::NotNow,
        };
        match command.decide(site, known) {
            Ok(change) => Decided::Change(Box::new(change)),
            Err(refusal) => Decided::Outcome(refusal),
        }
    }

    /// The lead that the command at `place` names, as it is now that it is ours.
    fn known(
        &self,
        place: usize,
        action: &LeadAction,
        taken: &mut Taken,
    ) -> std::result::Result<Option<Known>, NotOurs> {
        let named = self.seen.named[place];
        let Some(id) = named.lead() else { return Ok(None) };
        let lead = taken.leads.remove(&(self.commands[place].site, id)).ok_or(NotOurs)?;
        // It may have been given another address before it was ours: then another lead is meant, or none.
        if matches!(named, Named::ByEmail(_)) && lead.fields.email_key() != action.email_key() {
            return Err(NotOurs);
        }
        let activities = taken.activities.get(&id).copied().unwrap_or(0);
        Ok(Some(Known { lead, activities, repeated: taken.repeated.remove(&id).unwrap_or_default() }))
    }
}

/// Somebody else has the lead.
struct NotOurs;

/// What is to be written, kind by kind.
#[derive(Default)]
struct Writing<'a> {
    new: Vec<Written<'a>>,
    changed: Vec<Written<'a>>,
    aliases: Vec<(Key, LeadId)>,
    activities: Vec<(Key, &'a Activity)>,
    keys: Vec<(SiteId, &'a Idempotency, LeadReceipt)>,
    outbox: Outbox<'a>,
}

impl<'a> Writing<'a> {
    fn add(&mut self, command: &'a LeadCommand, change: &'a LeadChange, seen: &Seen, ends: &Ends) {
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
        if let Some(message) = &change.message {
            self.outbox.add(command, lead.id, message, seen.receivers_of(command), ends);
        }
    }

    /// Writes it, in one round trip.
    async fn write(&self, tx: &Tx) -> Result<()> {
        tx.make_ready(&rows::WRITES).await?;
        tx.make_ready(&outbox::WRITES).await?;
        let (new, changed, aliases, activities, keys, sent) = join!(
            biased;
            rows::insert(tx, &self.new),
            rows::update(tx, &self.changed),
            rows::add_aliases(tx, &self.aliases),
            rows::add_activities(tx, &self.activities),
            rows::keep_keys(tx, &self.keys),
            outbox::send(tx, &self.outbox),
        );
        new.and(changed).and(aliases).and(activities).and(keys).and(sent)
    }
}
