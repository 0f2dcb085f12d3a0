//! The parts of the benchmark: what is done, and which figures are taken.

use std::time::Duration;

use crate::backlog;
use crate::cast::Cast;
use crate::gateway::Nodes;
use crate::ledger::Faults;
use crate::pace::Pace;
use crate::receiver::{Receiver, per_second};
use crate::rounds::Rounds;
use crate::setup::Setup;
use crate::spent::Spent;
use crate::table::Table;
use crate::{latency, load, progress, raw_loop};

/// Deliveries that wait when the gateways begin.
const BACKLOG: usize = 20_000;

/// Leads accepted per second, by a site that nobody has subscribed to.
pub async fn intake(rounds: &Rounds, table: &mut Table) {
    for callers in [1, 8, 64] {
        let name = format!("leads accepted per second, {callers} callers");
        let [rates] = rounds
            .medians(&name, async |setup| {
                let cast = Cast::new(setup.engine()).await;
                let nodes = Nodes::start(&cast, setup).await;
                [load::post_leads(&cast, &nodes, callers).await]
            })
            .await;
        table.compared(&name, 0, &rates);
    }
}

pub async fn subscription(rounds: &Rounds, table: &mut Table) {
    let name = "GET subscription per second, 16 callers";
    let [rates] = rounds
        .medians(name, async |setup| {
            let cast = Cast::new(setup.engine()).await;
            cast.subscribe("http://127.0.0.1:9/").await;
            let nodes = Nodes::start(&cast, setup).await;
            [load::get_subscription(&cast, &nodes, 16).await]
        })
        .await;
    table.compared(name, 0, &rates);
}

/// Leads that are posted and delivered.
const THROUGH: usize = 10_000;

/// Leads created and delivered per second, and what they cost.
pub async fn through(rounds: &Rounds, table: &mut Table) {
    let what = format!("{THROUGH} leads created and delivered, 32 callers");
    let [rates, cpu, database_cpu, own_cpu] = rounds
        .medians(&what, async |setup| {
            let mut receiver = Receiver::start().await;
            let cast = Cast::new(setup.engine()).await;
            cast.subscribe(&receiver.url()).await;
            let nodes = Nodes::start(&cast, setup).await;
            let before = Spent::by_now(setup, &nodes);
            let posting = load::post_so_many(&cast, &nodes, 32, THROUGH, 0);
            let ((), times) = tokio::join!(posting, receiver.times_of(THROUGH));
            let spent = Spent::by_now(setup, &nodes).since(before).per_thousand(THROUGH);
            [per_second(&times), spent.gateways, spent.database, spent.load]
        })
        .await;
    table.compared("leads created and delivered per second, 32 callers", 0, &rates);
    table.compared("CPU seconds per 1,000 created and delivered, gateways", 3, &cpu);
    table.row("CPU seconds per 1,000 created and delivered, PostgreSQL", 3, &database_cpu);
    table.row("CPU seconds per 1,000 created and delivered, load and receiver", 3, &own_cpu);
}

/// How many leads are posted, and how often each of them is then updated.
const CHANGED: usize = 2_500;
const UPDATES: u8 = 3;

/// Leads that are created and at once updated, so that each has to wait for its turn: nothing is lost, or overtakes.
pub async fn order(rounds: &Rounds, table: &mut Table) {
    let changes = CHANGED * (1 + usize::from(UPDATES));
    let what = format!("{CHANGED} leads, each created and then updated {UPDATES} times");
    let [rates, out_of_order, lost, repeated] = rounds
        .medians(&what, async |setup| {
            let mut receiver = Receiver::start().await;
            let cast = Cast::new(setup.engine()).await;
            cast.subscribe(&receiver.url()).await;
            let nodes = Nodes::start(&cast, setup).await;
            let posting = load::post_so_many(&cast, &nodes, 32, CHANGED, UPDATES);
            let ((), arrivals) = tokio::join!(posting, receiver.take(changes));
            let faults = Faults::of(&arrivals, CHANGED, UPDATES);
            let times: Vec<_> = arrivals.iter().map(|arrival| arrival.at).collect();
            let counts = [faults.out_of_order, faults.lost, faults.repeated].map(|count| count as f64);
            [per_second(&times), counts[0], counts[1], counts[2]]
        })
        .await;
    let name =
        format!("changes made and delivered per second, 32 callers, each lead created and updated {UPDATES} times");
    table.compared(&name, 0, &rates);
    table.row("of these out of order within a lead", 0, &out_of_order);
    table.row("lost", 0, &lost);
    table.row("repeated", 0, &repeated);
}

/// Deliveries from a backlog, and beside them the raw loop.
pub async fn backlog(rounds: &Rounds, table: &mut Table) {
    let what = format!("deliveries from a backlog of {BACKLOG}");
    let [rates, cpu, database_cpu, own_cpu, memory] = rounds.medians(&what, deliver).await;
    table.compared(&format!("deliveries per second, backlog of {BACKLOG}"), 0, &rates);
    table.compared("CPU seconds per 1,000 deliveries, gateways", 3, &cpu);
    table.row("CPU seconds per 1,000 deliveries, PostgreSQL", 3, &database_cpu);
    table.row("CPU seconds per 1,000 deliveries, receiver", 3, &own_cpu);
    table.row("peak memory of a gateway while delivering, MiB", 0, &memory);

    progress("the raw loop");
    let mut receiver = Receiver::start().await;
    let raw = raw_loop::in_a_process_of_its_own(&receiver.url(), BACKLOG);
    let limit = per_second(&receiver.times_of(BACKLOG).await);
    let raw_cpu = raw.finish().as_secs_f64() * 1000.0 / BACKLOG as f64;
    table.note(format!(
        "The raw loop, the same signed bodies sent by the same HTTP client without a store: {limit:.0} per second, \
         {raw_cpu:.3} CPU seconds per 1,000."
    ));
}

/// Per second; CPU seconds per 1,000 of the gateways, of the database, and of this process; peak memory.
async fn deliver(setup: Setup) -> [f64; 5] {
    let mut receiver = Receiver::start().await;
    let cast = Cast::new(setup.engine()).await;
    let subscription = cast.subscribe(&receiver.url()).await;
    backlog::add(&cast, subscription, BACKLOG);
    let nodes = Nodes::start(&cast, setup).await;
    backlog::release(&cast, subscription);

    let before = Spent::by_now(setup, &nodes);
    let rate = per_second(&receiver.times_of(BACKLOG).await);
    let spent = Spent::by_now(setup, &nodes).since(before).per_thousand(BACKLOG);
    [rate, spent.gateways, spent.database, spent.load, nodes.peak_memory()]
}

/// A calm pace.
const CALM: Pace = Pace { per_second: 200, duration: Duration::from_secs(5) };

/// From request to receiver at a calm pace, and memory at rest.
pub async fn latency(rounds: &Rounds, table: &mut Table) {
    let [accepted_50, accepted_99, sent_50, sent_99, rest] = rounds
        .once("latency at 200 leads per second", async |setup| {
            let mut receiver = Receiver::start().await;
            let cast = Cast::new(setup.engine()).await;
            cast.subscribe(&receiver.url()).await;
            let nodes = Nodes::start(&cast, setup).await;
            let rest = nodes.memory();
            let times = latency::at_pace(&cast, &nodes, &mut receiver, CALM).await;
            let (accepted, sent) = (times.since_accepted, times.since_sent);
            [accepted.p50, accepted.p99, sent.p50, sent.p99, rest]
        })
        .await;
    table.row("accepted (2xx) to receiver's first byte at 200 leads/s, p50, ms", 1, &accepted_50);
    table.row("the same, p99, ms", 1, &accepted_99);
    table.row("request sent to receiver's first byte at 200 leads/s, p50, ms", 1, &sent_50);
    table.row("the same, p99, ms", 1, &sent_99);
    table.row("memory of a gateway at rest, MiB", 0, &rest);
}
