//! The two stores, and what a sequence knows of what it has done to them.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use leadgate::model::oauth::NewCode;
use leadgate::model::partner::Partner;
use leadgate::model::person::{Email, User};
use leadgate::model::session::NewSession;
use leadgate::model::site::Site;
use leadgate::model::token::{Access, Hashed, PasswordLink, Refresh};
use leadgate::model::{DeliveryId, LeadId, LeaseToken, PartnerId, SiteId, SourceId, SubscriptionId, Timestamp, time};
use leadgate::store::{self, Signal, Store};
use proptest::prelude::*;

use super::{directory, subscriptions};
use crate::harness::entropy::SeededEntropy;
use crate::harness::make;
use crate::store::courier::TestCourier;
use crate::store::fixture::Fixture;

/// Login names; listings are in the order of their bytes, whatever the language.
pub const EMAILS: [&str; 3] = ["a.b@x.com", "a-c@x.com", "é@x.com"];

/// Domains of the sites.
pub const DOMAINS: [&str; 3] = ["ab.com", "a-c.com", "é.com"];

/// Slugs of the partners.
pub const SLUGS: [&str; 3] = ["ab", "a-c", "b"];

/// Ids that callers give to leads.
const GIVEN: u8 = 4;

/// Both gave the same answer; or they did not.
pub type Same<T = ()> = Result<T, Difference>;

/// How the engines differ.
pub struct Difference(String);

impl Difference {
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One of the two stores.
pub struct Engine {
    pub name: &'static str,
    pub fixture: Fixture,
    /// What stands for its driver when leads come in.
    pub courier: Arc<TestCourier>,
    /// Subscriptions that it lets stand aside, as far as its driver remembers.
    pub passed_over: Vec<SubscriptionId>,
}

/// A lease that was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub delivery: DeliveryId,
    pub site: SiteId,
    pub lead: LeadId,
    pub subscription: SubscriptionId,
    pub lease: LeaseToken,
    pub since: Timestamp,
}

/// Tokens that were issued together.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub access: Hashed<Access>,
    pub refresh: Hashed<Refresh>,
    pub partner: PartnerId,
}

/// Both stores, and everything by which they can be asked.
pub struct World {
    pub engines: [Engine; 2],
    pub now: Timestamp,
    pub entropy: SeededEntropy,
    /// By e-mail, domain and slug: as they were last added, whether they are still there or not.
    pub users: Vec<User>,
    pub sites: Vec<Site>,
    pub partners: Vec<Partner>,
    /// All that were ever added.
    pub sources: Vec<SourceId>,
    pub sessions: Vec<NewSession>,
    /// Links with which passwords are set.
    pub links: Vec<Hashed<PasswordLink>>,
    pub codes: Vec<NewCode>,
    pub tokens: Vec<Pair>,
    pub subscriptions: Vec<SubscriptionId>,
    pub leads: Vec<LeadId>,
    pub held: Vec<Held>,
    pub deliveries: Vec<DeliveryId>,
}

impl World {
    /// Two fresh stores, each with a small town in it.
    pub async fn new() -> Self {
        let (sqlite, postgres) = tokio::join!(Fixture::sqlite(), Fixture::postgres());
        let engine = |name, fixture: Fixture| {
            let courier = TestCourier::of(&*fixture.store);
            Engine { name, fixture, courier, passed_over: Vec::new() }
        };
        let (now, entropy) = (sqlite.now(), SeededEntropy::new(1));
        let site = |(domain, n): (&&str, u8)| Site {
            id: SiteId::from_bytes([n; 16]),
            domain: domain.parse().unwrap(),
            created: now,
        };
        let mut world = Self {
            engines: [engine("SQLite", sqlite), engine("PostgreSQL", postgres)],
            now,
            users: EMAILS.iter().map(|email| make::user(&entropy, now, email)).collect(),
            sites: DOMAINS.iter().zip(1..).map(site).collect(),
            partners: SLUGS.iter().map(|slug| make::partner(&entropy, now, slug)).collect(),
            entropy,
            sources: Vec::new(),
            sessions: Vec::new(),
            links: Vec::new(),
            codes: Vec::new(),
            tokens: Vec::new(),
            subscriptions: Vec::new(),
            leads: (1..=GIVEN).map(|n| LeadId::from_bytes([n; 16])).collect(),
            held: Vec::new(),
            deliveries: Vec::new(),
        };
        world.settle().await.unwrap_or_else(|difference| panic!("in the beginning, {difference}"));
        world
    }

    async fn settle(&mut self) -> Same {
        directory::Step::AddUser { email: 0 }.take(self).await?;
        for site in [0, 1] {
            directory::Step::AddSite { site, owners: vec![0] }.take(self).await?;
        }
        for (slug, echo, merge) in [(0, true, false), (1, false, true)] {
            directory::Step::AddPartner { slug, echo, merge }.take(self).await?;
            subscriptions::Step::Set { partner: slug, site: 0, url: 0 }.take(self).await?;
        }
        Ok(())
    }

    /// Asks both. They must answer the same, and tell their processes the same.
    pub async fn both<T, O>(&self, operation: O) -> Same<T>
    where
        T: PartialEq + Debug,
        O: AsyncFn(&dyn Store) -> store::Result<T>,
    {
        let [sqlite, postgres] = &self.engines;
        let answers = tokio::join!(operation(&*sqlite.fixture.store), operation(&*postgres.fixture.store));
        let heard = [sqlite.heard(), postgres.heard()];
        match answers {
            (Ok(one), Ok(other)) if one == other && heard[0] == heard[1] => Ok(one),
            (one, other) => Err(Difference(format!(
                "{} says {one:#?}, and signals {:?}\n{} says {other:#?}, and signals {:?}",
                sqlite.name, heard[0], postgres.name, heard[1]
            ))),
        }
    }

    pub fn email(&self, email: usize) -> Email {
        EMAILS[email].parse().unwrap()
    }

    pub fn after(&self, seconds: u64) -> Timestamp {
        time::after(self.now, Duration::from_secs(seconds))
    }

    /// Closes both.
    pub async fn close(self) {
        for engine in &self.engines {
            engine.fixture.store.close().await;
        }
    }
}

impl Engine {
    /// What it has told the process since it was last asked: each once, in one order.
    fn heard(&self) -> Vec<String> {
        let mut heard: Vec<_> = self.fixture.heard().iter().map(|signal: &Signal| format!("{signal:?}")).collect();
        heard.sort();
        heard.dedup();
        heard
    }
}

/// A place in a pool; more often than any other the first, which is there from the beginning.
pub fn often_the_first(pool: usize) -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 2 => 0..pool - 1, 1 => 0..pool]
}

/// The one that the number picks, counted from the newest, if there is any.
pub fn pick_late<T: Clone>(from: &[T], number: usize) -> Option<T> {
    from.iter().rev().nth(number % from.len().max(1)).cloned()
}

/// The one that the number picks, if there is any.
pub fn pick<T: Clone>(from: &[T], number: usize) -> Option<T> {
    from.get(number % from.len().max(1)).cloned()
}
