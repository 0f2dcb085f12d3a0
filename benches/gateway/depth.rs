//! Whether deliveries are as fast with a million waiting as with a thousand, and as cheap. What else the machine does moves the
//! rate more than the cost: CPU time of gateway and database together.
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
use crate::spent::Spent;
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
    let mut shallow = SHALLOW.map(|_| Vec::new());
    for setup in setups {
        let mut scene = Scene::new(setup.engine()).await;
        let nodes = scene.start(*setup, WARM_UP).await;
        for (depth, measured) in SHALLOW.into_iter().zip(&mut shallow) {
            measured.push(scene.measure(*setup, &nodes, depth).await);
        }
    }
    let mut deep = Vec::new();
    for setups in setups.chunk_by(|one, next| one.engine() == next.engine()) {
        // One for all setups of the engine, because it takes long to make.
        let mut scene = Scene::new(setups[0].engine()).await;
        for setup in setups {
            let nodes = scene.start(*setup, DEEP).await;
            deep.push(scene.measure(*setup, &nodes, DEEP).await);
        }
    }
    let depths: Vec<_> = SHALLOW.into_iter().zip(shallow).chain([(DEEP, deep)]).collect();
    rows(table, &depths, "deliveries per second", 0, |measured| measured.rate);
    rows(table, &depths, "CPU seconds per 1,000 deliveries, gateways and database", 3, |measured| measured.cpu);
}

/// A row for each depth, and one that compares the deepest with the shallowest.
fn rows(table: &mut Table, depths: &[(usize, Vec<Measured>)], what: &str, places: usize, figure: fn(&Measured) -> f64) {
    let figures: Vec<Vec<f64>> = depths.iter().map(|(_, measured)| measured.iter().map(figure).collect()).collect();
    for ((depth, _), figures) in depths.iter().zip(&figures) {
        table.compared(&format!("{what}, {depth} waiting"), places, figures);
    }
    let [shallow, .., deep] = &figures[..] else { return };
    let shares: Vec<_> = deep.iter().zip(shallow).map(|(deep, shallow)| 100.0 * deep / shallow).collect();
    table.row("the last against the first of these, %", 0, &shares);
}

/// What was measured at a depth.
struct Measured {
    /// Deliveries per second.
    rate: f64,
    /// CPU seconds per 1,000 of them.
    cpu: f64,
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

    /// Rate and cost at this depth.
    async fn measure(&mut self, setup: Setup, nodes: &Nodes, depth: usize) -> Measured {
        let (mut rates, mut used) = (Vec::new(), 0.0);
        while rates.len() < WINDOWS {
            if self.waiting < WINDOW {
                self.refill(depth);
                backlog::release(&self.cast, self.subscription);
            }
            let before = Spent::by_now(setup, nodes);
            rates.push(per_second(&self.deliver(WINDOW).await[COUNTED]));
            let spent = Spent::by_now(setup, nodes).since(before);
            used += spent.gateways + spent.database;
        }
        let cpu = used * 1000.0 / (WINDOWS * WINDOW) as f64;
        progress(&format!("  {depth} waiting, {setup}: {rates:.0?}, CPU {cpu:.3}"));
        Measured { rate: median(rates), cpu }
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
