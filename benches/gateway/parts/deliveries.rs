//! Deliveries from a backlog, and beside them the raw loop.

use crate::plot::{Bar, Bars, Colour};
use crate::receiver::per_second;
use crate::report::{Figure, Goal, Report};
use crate::rounds::Rounds;
use crate::scene::Scene;
use crate::setup::Setup;
use crate::spent::Spent;
use crate::{backlog, raw_loop};

/// Deliveries that wait when the gateways begin.
const BACKLOG: usize = 30_000;

const PROSE: &str = "30,000 deliveries of 30,000 leads wait for one receiver, as after a gateway was away. Beside each run, right after it, \
                     the *raw loop*: the same signed bodies, sent by the same HTTP client, 16 at a time, without any store. It is the \
                     limit that no gateway with this client could pass on this machine.";

pub async fn measure(rounds: &Rounds, report: &mut Report) {
    let mut section = report.section("Deliveries", PROSE);
    let [rates, gateway, database, load, memory, raw_rates, raw_cpu] =
        rounds.measure("deliveries from a backlog", deliver).await;
    let shares: Vec<_> = rates.iter().zip(&raw_rates).map(|(rate, raw)| rate.percent_of(raw)).collect();
    section.row("deliveries per second, backlog of 30,000", 0, &rates);
    section.headline();
    section.row("the raw loop, per second", 0, &raw_rates);
    section.row("deliveries against the raw loop, %", 0, &shares);
    section.headline();
    section.row("CPU seconds per 1,000 deliveries, gateway", 3, &gateway);
    section.headline();
    section.row("CPU seconds per 1,000 deliveries, database", 3, &database);
    section.headline();
    section.row("CPU seconds per 1,000 deliveries, raw loop", 3, &raw_cpu);
    section.headline();
    section.row("CPU seconds per 1,000 deliveries, receiver", 3, &load);
    section.row("peak memory of the gateway, MiB", 0, &memory);
    report.reached(Goal::AgainstRawLoop, &[&shares]);

    let bars = rounds.setups.iter().enumerate().flat_map(|(place, setup)| {
        let bar = |name: String, colour, figure: &Figure, apart| Bar {
            name,
            parts: vec![(colour, figure.median())],
            text: figure.text(0),
            apart,
        };
        [
            bar(setup.to_string(), Colour::of(*setup), &rates[place], true),
            bar("the raw loop beside it".to_owned(), Colour::Grey, &raw_rates[place], false),
        ]
    });
    section.plot(
        Bars {
            name: "deliveries",
            title: "Deliveries per second from a backlog of 30,000, and the limit".to_owned(),
            label: "per second",
            legend: Vec::new(),
            bars: bars.collect(),
        }
        .draw(),
    );
    report.add(section);
}

/// Per second; CPU seconds per 1,000 of the gateways, of the database, and of this process; peak memory; rate and CPU
/// seconds of the raw loop.
async fn deliver(setup: Setup) -> [f64; 7] {
    let mut scene = Scene::new(setup).await;
    backlog::add(&scene.cast, &scene.receiver.url(), BACKLOG);
    let nodes = scene.start().await;
    backlog::release(&scene.cast, &scene.receiver.url());

    let before = Spent::by_now(setup, &nodes);
    let rate = per_second(&scene.receiver.times_of(BACKLOG).await);
    let spent = Spent::by_now(setup, &nodes).since(before).per_thousand(BACKLOG);
    let memory = nodes.peak_memory();
    drop(nodes);
    let [raw_rate, raw_cpu] = raw_loop::measure(BACKLOG).await;
    [rate, spent.gateways, spent.database, spent.load, memory, raw_rate, raw_cpu]
}
