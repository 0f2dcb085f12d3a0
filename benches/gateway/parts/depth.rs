//! Whether deliveries are as fast with a million waiting as with a thousand, and as cheap. What else the machine does moves the
//! rate more than the cost: CPU time of gateway and database together.
//!
//! A thousand are gone in a fraction of a second. So at each depth the same thing is measured: the rate of windows of a
//! thousand deliveries, of which the median counts. With a thousand waiting each window is a backlog of its own, added
//! and released when the last one is delivered; with more, windows follow each other. A window counts from its first delivery to
//! its last: half of a thousand are in the gateway's memory at once, so that with any part of it the leases would be left out,
//! which a deep backlog pays all the time.
//!
//! Before that, as many deliveries as a deep backlog needs to come to its steady state are made and not counted. On
//! PostgreSQL the first change of a page after a checkpoint puts the whole page into the log. With a million waiting,
//! almost each change meets such a page at first, and hardly any does later; a checkpoint comes each five minutes.

use std::time::Instant;

use crate::gateway::Nodes;
use crate::plot::{Colour, Lines, Plot, Scale, Series};
use crate::receiver::per_second;
use crate::report::{Figure, Goal, Report, Section, number};
use crate::rounds::Rounds;
use crate::scene::Scene;
use crate::spent::Spent;
use crate::{backlog, progress, raw_loop};

/// Deliveries that wait, at most, while the rate is measured.
const DEPTHS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Delivered before anything counts.
const WARM_UP: usize = 20_000;

const WINDOWS: usize = 7;
const WINDOW: usize = 1_000;

const PROSE: &str = "Deliveries to one receiver, while so many wait. Each depth is measured once, in seven windows of 1,000 deliveries, after \
                     20,000 that do not count; the lowest and the highest window stand behind the median. With a thousand waiting, each \
                     window is a backlog of its own.";

/// What was measured at a depth.
struct Measured {
    /// Deliveries per second.
    rate: Figure,
    /// CPU seconds per 1,000 of them.
    cpu: Figure,
    /// The most that a gateway took, in MiB.
    memory: Figure,
}

pub async fn measure(rounds: &Rounds, report: &mut Report) {
    progress("deliveries at each depth");
    let (mut measured, mut limits) = (Vec::new(), Vec::new());
    for setup in &rounds.setups {
        limits.push(raw_loop::measure(WARM_UP).await[0]);
        let mut depths = Vec::new();
        for depth in DEPTHS {
            let mut backlog = Depth { scene: Scene::new(*setup).await, waiting: 0 };
            depths.push(backlog.measure(depth).await);
        }
        measured.push(depths);
    }
    let mut section = section(&measured, report);
    section.plot(draw(rounds, &measured, &Figure::new(limits).of_median()));
    report.add(section);
}

/// A section of it; `measured` has a list of depths for each setup.
fn section(measured: &[Vec<Measured>], report: &mut Report) -> Section {
    let mut section = report.section("Backlog", PROSE);
    let figures = |place: usize, part: fn(&Measured) -> &Figure| -> Vec<Figure> {
        measured.iter().map(|depths| part(&depths[place]).clone()).collect()
    };
    let last = DEPTHS.len() - 1;
    for (place, depth) in DEPTHS.into_iter().enumerate() {
        let name = format!("deliveries per second, {} waiting", number(depth as f64, 0));
        section.row(&name, 0, &figures(place, |measured| &measured.rate));
    }
    section.headline();
    let medians = |place| figures(place, |measured| &measured.rate).into_iter().map(|rate| rate.of_median());
    let shares: Vec<_> = medians(last).zip(medians(0)).map(|(deep, shallow)| deep.percent_of(&shallow)).collect();
    section.row("a million against a thousand, %", 0, &shares);
    report.reached(Goal::Depth, &[&shares]);
    for (place, depth) in DEPTHS.into_iter().enumerate() {
        let name = format!("CPU seconds per 1,000, gateway and database, {} waiting", number(depth as f64, 0));
        section.row(&name, 3, &figures(place, |measured| &measured.cpu));
    }
    let memory = figures(last, |measured| &measured.memory);
    section.row("peak memory of the gateway, a million waiting, MiB", 0, &memory);
    report.reached(Goal::MemoryWithAMillion, &[&memory]);
    section
}

fn draw(rounds: &Rounds, measured: &[Vec<Measured>], limit: &Figure) -> Plot {
    let setups = rounds.setups.iter().zip(measured).map(|(setup, depths)| {
        Series::of(*setup, DEPTHS.iter().zip(depths).map(|(depth, measured)| (*depth as f64, measured.rate.clone())))
    });
    let ends = [DEPTHS[0], DEPTHS[DEPTHS.len() - 1]].map(|depth| (depth as f64, limit.clone()));
    let raw = Series { name: "the raw loop".to_owned(), colour: Colour::Grey, dashed: true, points: ends.to_vec() };
    let series: Vec<_> = setups.chain([raw]).collect();
    Lines {
        name: "backlog",
        title: "Deliveries per second, by how many are waiting".to_owned(),
        x: Scale::log("waiting deliveries", &DEPTHS.map(|depth| depth as f64)),
        y: Scale::from_zero("deliveries per second", series.iter().map(Series::most)),
        series,
    }
    .draw()
}

/// A backlog, and who receives it.
struct Depth {
    scene: Scene,
    /// Added and not delivered yet.
    waiting: usize,
}

impl Depth {
    /// Rate and cost at this depth, with gateways that have come to their steady state.
    async fn measure(&mut self, depth: usize) -> Measured {
        self.refill(depth.max(WARM_UP));
        self.scene.cast.data.checkpoint();
        let nodes = self.scene.start().await;
        backlog::release(&self.scene.cast, &self.scene.receiver.url());
        self.deliver(WARM_UP).await;
        let (mut rates, mut costs) = (Vec::new(), Vec::new());
        while rates.len() < WINDOWS {
            let (rate, cost) = self.window(&nodes, depth).await;
            rates.push(rate);
            costs.push(cost);
        }
        progress(&format!("  {depth} waiting, {}: {rates:.0?}", self.scene.setup));
        // A window is too short for the clock that CPU time is counted by: only all of them together tell.
        let cost = costs.iter().sum::<f64>() / WINDOWS as f64;
        Measured {
            rate: Figure::new(rates),
            cpu: Figure::new(vec![cost]),
            memory: Figure::new(vec![nodes.peak_memory()]),
        }
    }

    /// Deliveries per second in one window, and CPU seconds per 1,000 of them.
    async fn window(&mut self, nodes: &Nodes, depth: usize) -> (f64, f64) {
        if self.waiting < WINDOW {
            self.refill(depth);
            backlog::release(&self.scene.cast, &self.scene.receiver.url());
        }
        let before = Spent::by_now(self.scene.setup, nodes);
        let rate = per_second(&self.deliver(WINDOW).await);
        let spent = Spent::by_now(self.scene.setup, nodes).since(before).per_thousand(WINDOW);
        (rate, spent.gateways + spent.database)
    }

    /// Adds so many that `depth` wait.
    fn refill(&mut self, depth: usize) {
        backlog::add(&self.scene.cast, &self.scene.receiver.url(), depth - self.waiting);
        self.waiting = depth;
    }

    /// Waits for `count` deliveries. Returns when each came.
    async fn deliver(&mut self, count: usize) -> Vec<Instant> {
        self.waiting -= count;
        self.scene.receiver.times_of(count).await
    }
}
