//! Whether deliveries are as fast with a million waiting as with a thousand.
//!
//! A thousand are gone in a fraction of a second. So at each depth the same thing is measured: the rate of windows of a
//! thousand deliveries, of which the median counts. With a thousand waiting each window is a backlog of its own, added
//! and released when the last one is delivered; with more, windows follow each other. The first and the last hundred of
//! a window do not count, since only a backlog of its own begins there from rest, and runs dry.
//!
//! Before that, as many deliveries as a deep backlog needs to come to its steady state are made and not counted. On
//! PostgreSQL the first change of a page after a checkpoint puts the whole page into the log. With a million waiting,
//! almost each change meets such a page at first, and hardly any does later; a checkpoint comes each five minutes.

use std::ops::Range;
use std::time::Instant;

use leadgate::model::SubscriptionId;

use crate::backlog;
use crate::cast::Cast;
use crate::gateway::Nodes;
use crate::progress;
use crate::receiver::{Receiver, per_second};
use crate::rounds::median;
use crate::setup::{Engine, Setup};
use crate::table::Table;

/// Deliveries that wait, at most, while the rate is measured.
const SHALLOW: [usize; 2] = [1_000, 20_000];
const DEEP: usize = 1_000_000;

/// Delivered before anything counts.
const WARM_UP: usize = 20_000;

const WINDOWS: usize = 5;
const WINDOW: usize = 1_000;
/// What counts of a window.
const COUNTED: Range<usize> = 100..900;

/// Adds a row for each depth.
pub async fn measure(setups: &[Setup], table: &mut Table) {
    progress("deliveries per second at each depth");
    let mut rates = SHALLOW.map(|_| Vec::new());
    for setup in setups {
        let mut scene = Scene::new(setup.engine()).await;
        let _nodes = scene.start(*setup, WARM_UP).await;
        for (depth, rates) in SHALLOW.into_iter().zip(&mut rates) {
            rates.push(scene.rate(*setup, depth).await);
        }
    }
    let mut deep = Vec::new();
    for setups in setups.chunk_by(|one, next| one.engine() == next.engine()) {
        // One for all setups of the engine, because it takes long to make.
        let mut scene = Scene::new(setups[0].engine()).await;
        for setup in setups {
            let _nodes = scene.start(*setup, DEEP).await;
            deep.push(scene.rate(*setup, DEEP).await);
        }
    }
    for (depth, rates) in SHALLOW.into_iter().zip(&rates).chain([(DEEP, &deep)]) {
        table.compared(&format!("deliveries per second, {depth} waiting"), 0, rates);
    }
    let shares: Vec<_> = deep.iter().zip(&rates[0]).map(|(deep, shallow)| 100.0 * deep / shallow).collect();
    table.row("the last against the first of these, %", 0, &shares);
}

/// A backlog, and who receives it.
struct Scene {
    cast: Cast,
    receiver: Receiver,
    subscription: SubscriptionId,
    /// Added and not delivered yet.
    waiting: usize,
}

impl Scene {
    async fn new(engine: Engine) -> Self {
        let (cast, receiver) = (Cast::new(engine).await, Receiver::start().await);
        let subscription = cast.subscribe(&receiver.url()).await;
        Self { cast, receiver, subscription, waiting: 0 }
    }

    /// Starts gateways on a backlog of this depth, and lets them come to their steady state.
    async fn start(&mut self, setup: Setup, depth: usize) -> Nodes {
        if self.waiting < WARM_UP {
            self.refill(depth);
            self.cast.data.checkpoint();
        }
        let nodes = Nodes::start(&self.cast, setup).await;
        backlog::release(&self.cast, self.subscription);
        self.deliver(WARM_UP).await;
        nodes
    }

    /// The rate at this depth.
    async fn rate(&mut self, setup: Setup, depth: usize) -> f64 {
        let mut rates = Vec::new();
        while rates.len() < WINDOWS {
            if self.waiting < WINDOW {
                self.refill(depth);
                backlog::release(&self.cast, self.subscription);
            }
            rates.push(per_second(&self.deliver(WINDOW).await[COUNTED]));
        }
        progress(&format!("  {depth} waiting, {setup}: {rates:.0?}"));
        median(rates)
    }

    /// Adds so many that `depth` wait.
    fn refill(&mut self, depth: usize) {
        backlog::add(&self.cast, self.subscription, depth - self.waiting);
        self.waiting = depth;
    }

    /// Waits for `count` deliveries. Returns when each came.
    async fn deliver(&mut self, count: usize) -> Vec<Instant> {
        self.waiting -= count;
        self.receiver.times_of(count).await
    }
}
