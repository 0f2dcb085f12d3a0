//! Leasing as a driver does it, until nothing more comes: in which turns it comes is an engine's own matter.

use std::collections::HashMap;

use leadgate::model::delivery::{Action, Delivery, DeliveryFilter, LeaseBatch, LeaseRequest, Leased, State};
use leadgate::model::seal::Sealed;
use leadgate::model::{DeliveryId, LeadId, LeaseToken, PartnerId, SiteId, SubscriptionId, Timestamp};
use leadgate::store::Found;
use proptest::prelude::*;

use super::world::{Difference, Engine, Held, Same, World, pick};

/// What a driver has room for.
#[derive(Debug, Clone)]
pub struct Terms {
    /// In each turn.
    limit: usize,
    /// Bytes of bodies, in each turn.
    memory: usize,
    per_subscription: usize,
    busy: Vec<(usize, usize)>,
    seconds: u64,
}

impl Terms {
    /// Everything.
    pub const AMPLE: Terms =
        Terms { limit: 1000, memory: usize::MAX, per_subscription: 1000, busy: Vec::new(), seconds: 60 };
}

pub fn terms() -> impl Strategy<Value = Terms> {
    let limit = prop_oneof![4 => Just(1000_usize), 1 => 0..4_usize];
    let per_subscription = prop_oneof![2 => Just(1000_usize), 1 => 0..4_usize];
    let busy = prop_oneof![1 => Just(Vec::new()), 2 => prop::collection::vec((0..4_usize, 0..3_usize), 1..4)];
    let seconds = prop::sample::select(vec![1, 60, 600]);
    let memory = prop_oneof![2 => Just(usize::MAX), 1 => 0..2000_usize];
    (limit, memory, per_subscription, busy, seconds).prop_map(|(limit, memory, per_subscription, busy, seconds)| {
        Terms { memory, limit, per_subscription, busy, seconds }
    })
}

/// A leased delivery, as far as it can be compared.
#[derive(Debug, PartialEq)]
struct Taken {
    subscription: SubscriptionId,
    id: DeliveryId,
    lease: LeaseToken,
    until: Timestamp,
    whose: (SiteId, PartnerId, LeadId),
    what: (Action, Timestamp, Vec<u8>, u32),
    to: (String, Sealed),
}

impl Taken {
    fn held(&self, since: Timestamp) -> Held {
        let (site, _, lead) = self.whose;
        Held { delivery: self.id, site, lead, subscription: self.subscription, lease: self.lease, since }
    }
}

impl From<Leased> for Taken {
    fn from(leased: Leased) -> Self {
        Self {
            subscription: leased.subscription,
            id: leased.id,
            lease: leased.lease,
            until: leased.until,
            whose: (leased.site, leased.partner, leased.lead),
            what: (leased.action, leased.changed, leased.body.to_vec(), leased.attempts),
            to: (leased.url.as_str().to_owned(), leased.secret),
        }
    }
}

/// Leases on both what is due and has room. It must be the same, of each subscription in the same order.
pub async fn lease(world: &mut World, terms: &Terms) -> Same {
    let busy = terms.busy.iter().filter_map(|(number, room)| Some((pick(&world.subscriptions, *number)?, *room)));
    let request = LeaseRequest {
        now: world.now,
        lease: LeaseToken::random(&world.entropy),
        until: world.after(terms.seconds),
        limit: terms.limit,
        memory: terms.memory,
        per_subscription: terms.per_subscription,
        busy: busy.collect(),
        unlisted: Default::default(),
        again: Vec::new(),
    };
    let [sqlite, postgres] = &mut world.engines;
    let (one, other) = (lease_all(sqlite, &request).await?, lease_all(postgres, &request).await?);
    if one != other {
        return Err(Difference::new(format!("SQLite leases {one:#?}\nPostgreSQL leases {other:#?}")));
    }
    world.held.extend(one.iter().map(|taken| taken.held(world.now)));
    // What they signalled counts for nothing here: each lease is the engine's own affair.
    for engine in &world.engines {
        engine.fixture.heard();
        // Who has no room at all is told nothing of use: no subscription was looked at.
        if terms.limit > 0 && terms.per_subscription > 0 {
            next_due_is_not_too_late(world, engine, &request).await?;
        }
    }
    Ok(())
}

/// Leases in turns, until nothing more comes. Sorted by subscription.
async fn lease_all(engine: &mut Engine, request: &LeaseRequest) -> Same<Vec<Taken>> {
    let mut room = request.busy.clone();
    let mut taken: Vec<Taken> = Vec::new();
    loop {
        let batch = lease_once(engine, LeaseRequest { busy: room.clone(), ..request.clone() }).await?;
        if batch.deliveries.is_empty() {
            break;
        }
        for leased in batch.deliveries {
            let left = room.entry(leased.subscription).or_insert(request.per_subscription);
            let less = left.checked_sub(1);
            *left = less.ok_or_else(|| Difference::new(format!("{} leases more than asked for", engine.name)))?;
            taken.push(leased.into());
        }
    }
    // Stable: within a subscription they stay as they came.
    taken.sort_by_key(|taken| taken.subscription);
    Ok(taken)
}

/// One turn: those that stood aside and have room are named, and those that now stand aside are remembered.
async fn lease_once(engine: &mut Engine, request: LeaseRequest) -> Same<LeaseBatch> {
    let has_room = |id: &SubscriptionId| *request.busy.get(id).unwrap_or(&request.per_subscription) > 0;
    let (again, aside) = std::mem::take(&mut engine.passed_over).into_iter().partition(has_room);
    engine.passed_over = aside;
    let (limit, memory) = (request.limit, request.memory);
    let answer = engine.fixture.store.lease_due(LeaseRequest { again, ..request }).await;
    let batch = answer.map_err(|error| Difference::new(format!("{} cannot lease: {error}", engine.name)))?;
    if batch.deliveries.len() > limit {
        return Err(Difference::new(format!("{} leases more than {limit}", engine.name)));
    }
    let bytes: usize = batch.deliveries.iter().map(|leased| leased.body.len()).sum();
    if batch.deliveries.len() > 1 && bytes > memory {
        return Err(Difference::new(format!("{} leases more than {memory} bytes", engine.name)));
    }
    for id in &batch.passed_over {
        if !engine.passed_over.contains(id) {
            engine.passed_over.push(*id);
        }
    }
    Ok(batch)
}

/// Asks once more, with room for nothing: so nothing changes, and the next due time is told.
async fn next_due_is_not_too_late(world: &World, engine: &Engine, request: &LeaseRequest) -> Same {
    let idle = LeaseRequest { limit: 0, ..request.clone() };
    let failed = |error| Difference::new(format!("{} fails: {error}", engine.name));
    let next_due = engine.fixture.store.lease_due(idle).await.map_err(failed)?.next_due;
    let filter = DeliveryFilter { site: None, state: Some(State::Waiting), limit: usize::MAX };
    let waiting = engine.fixture.store.deliveries(filter).await.map_err(failed)?;
    let (mut later, mut left_out) = (Vec::new(), request.busy.clone());
    left_out.retain(|_, room| *room == 0);
    left_out.extend(quiet(world, engine, &waiting).await?);
    for delivery in waiting.iter().filter(|delivery| !left_out.contains_key(&delivery.subscription)) {
        later.extend(delivery.due);
    }
    match (later.into_iter().min(), next_due) {
        (Some(expected), told) if told.is_none_or(|told| told > expected) => {
            let words = format!("{} says that the next is due at {told:?}, and it is {expected}", engine.name);
            Err(Difference::new(words))
        }
        _ => Ok(()),
    }
}

/// Subscriptions that have no next due time of interest: they may be paused, or have something due that found no room.
async fn quiet(world: &World, engine: &Engine, waiting: &[Delivery]) -> Same<HashMap<SubscriptionId, usize>> {
    let failed = |error| Difference::new(format!("{} fails: {error}", engine.name));
    let mut quiet = HashMap::new();
    for delivery in waiting {
        let found = engine.fixture.store.subscription(delivery.partner, delivery.site).await.map_err(failed)?;
        let awake = matches!(found, Found::One(subscription) if subscription.paused.is_none());
        if !awake || delivery.due.is_some_and(|due| due <= world.now) {
            quiet.insert(delivery.subscription, 0);
        }
    }
    Ok(quiet)
}

/// Has both couriers offer room for so many, until what was given is taken.
pub fn offer(world: &World, rooms: usize, seconds: u64) {
    let lease = LeaseToken::random(&world.entropy);
    world.engines.iter().for_each(|engine| engine.courier.offer(rooms, lease, world.after(seconds)));
}

/// Takes what the couriers were handed. It must be the same, after the same questions.
pub fn take_what_was_given(world: &mut World) -> Same {
    let [one, other] = &world.engines;
    let asked = [one.courier.asked(), other.courier.asked()];
    let given = [one, other].map(|engine| engine.courier.given().into_iter().map(Taken::from).collect::<Vec<_>>());
    world.engines.iter().for_each(|engine| engine.courier.close());
    let [one, other] = given;
    if one != other || asked[0] != asked[1] {
        let words =
            format!("SQLite hands over {one:#?} of {:?}\nPostgreSQL hands over {other:#?} of {:?}", asked[0], asked[1]);
        return Err(Difference::new(words));
    }
    world.held.extend(one.iter().map(|taken| taken.held(world.now)));
    Ok(())
}
