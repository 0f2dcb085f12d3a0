//! What must hold of any sequence of changes, leases and outcomes: a receiver that applies what it is sent, in its order and each
//! message once, knows in the end what the lead is; whether updates that wait for it are merged or not. And what has been
//! sent once never changes.

use std::collections::HashMap;
use std::time::Duration;

use leadgate::model::delivery::{Leased, State, Verdict};
use leadgate::model::lead::{LeadCommand, Origin};
use leadgate::model::{Entropy, LeadId, LeaseToken, SiteId, SubscriptionId, time};
use serde_json::{Value, json};

use super::courier::TestCourier;
use super::fixture::{Fixture, engines};
use super::receiver::Receiver;
use crate::harness::entropy::SeededEntropy;

engines!(a_receiver_knows_in_the_end_what_the_lead_is);

/// Sequences, each about a lead of its own.
const SEQUENCES: u64 = 30;

/// How many steps each has.
const STEPS: usize = 50;

const FIELDS: [&str; 5] = ["city", "zip", "source", "phone", "extra"];

/// Everything around the deliveries of one lead.
struct World<'a> {
    f: &'a Fixture,
    site: SiteId,
    lead: LeadId,
    courier: &'a TestCourier,
    dice: SeededEntropy,
    /// What is in the hands of a driver; and whether it has arrived.
    held: Vec<(Leased, bool)>,
    receivers: HashMap<SubscriptionId, Receiver>,
}

async fn a_receiver_knows_in_the_end_what_the_lead_is(f: &Fixture) {
    let (site, _, merging) = f.merging_site().await;
    let plain = f.subscribe(&f.partner("plain").await, &site).await;
    let courier = TestCourier::of(&*f.store);
    let mut messages = HashMap::new();
    for seed in 0..SEQUENCES {
        let lead = f.lead(&site, &format!("{seed}@b.com")).await;
        let (held, receivers) = (Vec::new(), HashMap::new());
        let dice = SeededEntropy::new(seed);
        let mut world = World { f, site: site.id, lead, courier: &courier, dice, held, receivers };
        for _ in 0..STEPS {
            world.step().await;
        }
        world.drain().await;
        let (lead, _) = f.store.lead(site.id, lead).await.unwrap().unwrap();
        for (subscription, receiver) in &world.receivers {
            receiver.assert_knows(&lead);
            *messages.entry(*subscription).or_default() += receiver.messages();
        }
    }
    let (merged, each): (usize, usize) = (messages[&merging], messages[&plain]);
    assert!(merged * 4 < each * 3, "{merged} messages instead of {each}");
    assert!(f.deliveries().await.iter().all(|delivery| delivery.state == State::Delivered));
}

impl World<'_> {
    fn roll(&self, sides: usize) -> usize {
        let dice: &dyn Entropy = &self.dice;
        let [die] = dice.bytes::<1>();
        usize::from(die) % sides
    }

    async fn step(&mut self) {
        match self.roll(10) {
            0..=4 => self.change().await,
            5 => {
                let leased = self.f.lease().await;
                self.hold(leased);
            }
            6..=8 => self.settle().await,
            _ => self.die(),
        }
    }

    /// Some fields change, for whoever it was; at times, the driver has room for what comes of it.
    async fn change(&mut self) {
        let fields: Vec<_> = (0..=self.roll(2)).map(|_| (FIELDS[self.roll(5)], self.roll(4))).collect();
        let value = |(name, n): (&str, usize)| match (name, n) {
            (_, 0) if name != "source" => (name.to_owned(), Value::Null),
            _ => (name.to_owned(), json!(format!("{n}"))),
        };
        let command = self.f.patch(self.site, self.lead, fields.into_iter().map(value).collect());
        let origin = match self.roll(3) {
            0 => Origin { system: "piesync".into(), partner: None },
            _ => command.origin.clone(),
        };
        let until = time::after(self.f.now(), Duration::from_secs(60));
        self.courier.offer(self.roll(2), LeaseToken::random(&self.dice), until);
        self.f.apply(LeadCommand { origin, ..command }).await;
        self.courier.close();
        self.hold(self.courier.given());
    }

    /// These are in a driver's hands from now on, and sent at once or a little later.
    fn hold(&mut self, leased: Vec<Leased>) {
        for leased in leased {
            self.held.push((leased, false));
            if self.roll(2) == 0 {
                self.arrive(self.held.len() - 1);
            }
        }
    }

    fn arrive(&mut self, held: usize) {
        let (leased, arrived) = &mut self.held[held];
        if !*arrived {
            self.receivers.entry(leased.subscription).or_default().take(leased);
            *arrived = true;
        }
    }

    /// An attempt ends, or is broken off.
    async fn settle(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let held = self.roll(self.held.len());
        let verdict = match self.roll(4) {
            0 => Verdict::Release,
            1 => Verdict::Retry(self.f.now()),
            _ => {
                self.arrive(held);
                Verdict::Delivered
            }
        };
        let (leased, _) = self.held.remove(held);
        assert!(self.f.record(&leased, verdict).await);
    }

    /// The driver dies, and its leases run out.
    fn die(&mut self) {
        self.held.clear();
        self.f.pass(60);
    }

    /// Everything that is left is delivered.
    async fn drain(&mut self) {
        self.die();
        loop {
            let leased = self.f.lease().await;
            if leased.is_empty() {
                return;
            }
            self.hold(leased);
            while let Some(last) = self.held.len().checked_sub(1) {
                self.arrive(last);
                let (leased, _) = self.held.remove(last);
                assert!(self.f.record(&leased, Verdict::Delivered).await);
            }
        }
    }
}
