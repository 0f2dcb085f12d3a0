//! Taking the leads that commands name: from then on, nobody else changes them or their lanes.

use std::collections::{HashMap, HashSet};

use tokio::join;

use super::apply::Case;
use super::rows::{self, Key};
use crate::model::LeadId;
use crate::model::lead::{Known, Lead};
use crate::store::Result;
use crate::store::postgres::deliveries::outbox::{self, Ends};
use crate::store::postgres::locks::{self, Patience};
use crate::store::postgres::transaction::Tx;

/// Leads that are ours to change until the transaction ends.
#[derive(Default)]
pub(super) struct Taken {
    leads: HashMap<Key, Lead>,
    activities: HashMap<LeadId, usize>,
    repeated: HashMap<LeadId, HashSet<[u8; 32]>>,
    /// Where their lanes end.
    pub(super) ends: Ends,
}

impl Taken {
    /// Gives a lead to a command; once, since two commands that reach it by different names cannot both have it.
    pub(super) fn give(&mut self, key: Key) -> Option<Known> {
        let lead = self.leads.remove(&key)?;
        let activities = self.activities.get(&key.1).copied().unwrap_or(0);
        Some(Known { lead, activities, repeated: self.repeated.remove(&key.1).unwrap_or_default() })
    }
}

/// Takes the leads that the commands name, and reads them and what belongs to them.
pub(super) async fn take_leads(tx: &Tx, cases: &[Case<'_>], patience: Patience) -> Result<Taken> {
    let wanted = Wanted::by(cases);
    if wanted.leads.is_empty() {
        return Ok(Taken::default());
    }
    let statements = [rows::THESE, rows::COUNT_ACTIVITIES, rows::REPEATED, outbox::ENDS];
    tx.make_ready(&statements).await?;
    tx.make_ready(&[locks::take_all_statement(patience)]).await?;
    let leads: Vec<_> = wanted.leads.into_iter().collect();
    // Each statement sees what was committed before it began: here, before the leads were ours.
    let (locked, found, activities, repeated, ends) = join!(
        biased;
        locks::take_all(tx, patience, [], leads.iter().map(locks::of_lead)),
        rows::these(tx, &leads),
        rows::count_activities(tx, &wanted.counted),
        rows::repeated(tx, &wanted.digests),
        outbox::ends(tx, &wanted.lanes, &wanted.merging),
    );
    let (locked, mut leads) = (locked?, found?);
    leads.retain(|key, _| locked.contains(&locks::of_lead(key)));
    Ok(Taken { leads, activities: activities?, repeated: repeated?, ends: ends? })
}

/// What is to be read.
#[derive(Default)]
struct Wanted {
    leads: HashSet<Key>,
    /// Leads of which the activities are to be counted …
    counted: Vec<Key>,
    /// … and to be looked for.
    digests: Vec<(Key, [u8; 32])>,
    lanes: Vec<outbox::Lane>,
    /// Those of them whose receivers want updates merged.
    merging: Vec<outbox::Lane>,
}

impl Wanted {
    fn by(cases: &[Case<'_>]) -> Self {
        let mut wanted = Self::default();
        for Case { command, seen } in cases.iter().filter(|case| case.seen.taken) {
            let Some(lead) = seen.named.lead() else { continue };
            let key = (command.site, lead);
            wanted.leads.insert(key);
            if !command.action.activities().is_empty() {
                wanted.counted.push(key);
                wanted.digests.extend(command.action.activities().iter().map(|activity| (key, activity.digest())));
            }
            for receiver in seen.receivers_of(command) {
                let lane = (receiver.subscription, lead);
                wanted.lanes.push(lane);
                wanted.merging.extend(receiver.merges.then_some(lane));
            }
        }
        wanted
    }
}
