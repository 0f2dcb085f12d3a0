//! Lead commands of every kind, on few leads, with few addresses and keys.

use std::fmt;

use leadgate::model::lead::{Activity, Idempotency, LeadAction, LeadCommand, LeadOutcome, Origin, Patch};
use leadgate::model::source::Presumption;
use leadgate::model::{ChangeId, LeadId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{DOMAINS, SLUGS, Same, World, often_the_first, pick_late};
use super::{guesses, leasing};
use crate::store::fixture::activity;

/// How long a key lives, in seconds.
const KEY_LIFE: u64 = 60;

/// A lead command.
#[derive(Debug, Clone)]
pub struct Step {
    site: usize,
    /// A partner's; or the console's.
    origin: Option<usize>,
    action: Action,
    fields: Vec<Field>,
    activities: Vec<u8>,
    key: Option<Key>,
    presumes: Option<Presumes>,
    rooms: Option<Rooms>,
}

#[derive(Debug, Clone)]
enum Action {
    Upsert { given: Option<usize> },
    Patch { lead: usize },
    AddActivities { lead: usize },
}

/// What is to become of a field.
#[derive(Clone)]
struct Field {
    name: &'static str,
    value: Value,
    if_absent: bool,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joint = if self.if_absent { " unless set " } else { " " };
        write!(f, "{}{joint}= {}", self.name, self.value)
    }
}

/// An `Idempotency-Key`, and the request that came with it.
#[derive(Debug, Clone)]
struct Key {
    key: u8,
    request: u8,
}

/// A source, and buckets.
#[derive(Debug, Clone)]
struct Presumes {
    source: usize,
    full: Vec<usize>,
}

/// What the driver has room for meanwhile, and how long its lease lasts.
#[derive(Debug, Clone)]
struct Rooms {
    count: usize,
    seconds: u64,
}

pub fn steps() -> impl Strategy<Value = Step> {
    let site = often_the_first(DOMAINS.len());
    let lead = || prop_oneof![3 => 0..2_usize, 1 => 0..8_usize];
    let action = prop_oneof![
        4 => prop::option::weighted(0.4, lead()).prop_map(|given| Action::Upsert { given }),
        3 => lead().prop_map(|lead| Action::Patch { lead }),
        1 => lead().prop_map(|lead| Action::AddActivities { lead }),
    ];
    let key = (0..2_u8, 0..2_u8).prop_map(|(key, request)| Key { key, request });
    let presumes = (0..3_usize, guesses::some()).prop_map(|(source, full)| Presumes { source, full });
    let seconds = prop::sample::select(vec![1, 60, 600]);
    let rooms = (1..3_usize, seconds).prop_map(|(count, seconds)| Rooms { count, seconds });
    (
        site,
        prop::option::weighted(0.3, often_the_first(SLUGS.len())),
        action,
        prop::collection::vec(fields(), 0..4),
        prop::collection::vec(0..3_u8, 0..3),
        prop::option::weighted(0.2, key),
        prop::option::weighted(0.3, presumes),
        prop::option::weighted(0.5, rooms),
    )
        .prop_map(|(site, origin, action, fields, activities, key, presumes, rooms)| Step {
            site,
            origin,
            action,
            fields,
            activities,
            key,
            presumes,
            rooms,
        })
}

fn fields() -> impl Strategy<Value = Field> {
    let emails =
        [json!("a@b.com"), json!(" A@B.com"), json!("é@b.com"), json!("É@B.COM"), json!("a\0@b.com"), Value::Null];
    let email = prop::sample::select(emails.to_vec()).prop_map(|value| ("email", value));
    let number = || serde_json::from_str::<Value>("1.50e2").unwrap();
    let cities = [json!("Hilo"), json!("Kona \0 \u{1f3dd}"), number(), json!({"b": [1, null], "a": ""}), Value::Null];
    let other = (prop::sample::select(vec!["city", "zip"]), prop::sample::select(cities.to_vec()));
    (prop_oneof![email, other], prop::bool::weighted(0.2)).prop_map(|((name, value), if_absent)| Field {
        name,
        value,
        if_absent,
    })
}

impl Step {
    pub async fn take(&self, world: &mut World) -> Same {
        let fresh = LeadId::random(&world.entropy);
        let command = self.command(world, fresh);
        if let Some(rooms) = &self.rooms {
            leasing::offer(world, rooms.count, rooms.seconds);
        }
        let outcome = world.both(async |store| store.apply_lead_change(command.clone()).await).await?;
        leasing::take_what_was_given(world)?;
        if let LeadOutcome::Done(receipt) = outcome {
            world.leads.retain(|lead| *lead != receipt.lead);
            world.leads.push(receipt.lead);
        }
        Ok(())
    }

    fn command(&self, world: &World, fresh: LeadId) -> LeadCommand {
        let (patch, activities) = (self.patch(), self.activities());
        let lead = |number| pick_late(&world.leads, number).expect("there are always some");
        let action = match self.action {
            Action::Upsert { given } => LeadAction::Upsert { given: given.map(lead), fresh, patch, activities },
            Action::Patch { lead: number } => LeadAction::Patch { lead: lead(number), patch, activities },
            Action::AddActivities { lead: number } => LeadAction::AddActivities { lead: lead(number), activities },
        };
        let origin = match self.origin {
            Some(partner) => Origin { system: SLUGS[partner].into(), partner: Some(world.partners[partner].id) },
            None => Origin { system: "console".into(), partner: None },
        };
        let idempotency = self.key.as_ref().map(|key| Idempotency {
            key: format!("key {}", key.key),
            request: [key.request; 32],
            expires: world.after(KEY_LIFE),
        });
        let presumes = self.presumes.as_ref().and_then(|presumes| {
            let source = pick_late(&world.sources, presumes.source)?;
            Some(Presumption { source, full: guesses::keys(&presumes.full) })
        });
        let (site, now) = (world.sites[self.site].id, world.now);
        LeadCommand { site, origin, change: ChangeId::at(now, &world.entropy), now, action, idempotency, presumes }
    }

    fn patch(&self) -> Patch {
        let mut patch = Patch::default();
        for Field { name, value, if_absent } in &self.fields {
            match *if_absent && !value.is_null() {
                true => patch.if_absent.push(((*name).into(), value.clone())),
                false => patch.fields.push(((*name).into(), Some(value.clone()).filter(|value| !value.is_null()))),
            }
        }
        patch
    }

    fn activities(&self) -> Vec<Activity> {
        self.activities.iter().map(|number| activity(&format!("activity {number}"))).collect()
    }
}
