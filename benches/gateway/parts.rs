//! The parts of the benchmark: what is done, and which figures are taken.

use std::time::Duration;

use crate::backlog;
use crate::cast::Cast;
use crate::gateway::Nodes;
use crate::postgres;
use crate::receiver::{Receiver, per_second};
use crate::rounds::Rounds;
use crate::setup::Setup;
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
    let [rates, cpu, database_cpu] = rounds
        .medians(&what, async |setup| {
            let mut receiver = Receiver::start().await;
            let cast = Cast::new(setup.engine()).await;
            cast.subscribe(&receiver.url()).await;
            let nodes = Nodes::start(&cast, setup).await;
            let before = (nodes.cpu(), database_cpu(setup));
            let posting = load::post_so_many(&cast, &nodes, 32, THROUGH);
            let ((), times) = tokio::join!(posting, receiver.times_of(THROUGH));
            let after = (nodes.cpu(), database_cpu(setup));
            let each = |before: Duration, after: Duration| (after - before).as_secs_f64() * 1000.0 / THROUGH as f64;
            [per_second(&times), each(before.0, after.0), each(before.1, after.1)]
        })
        .await;
    table.compared("leads created and delivered per second, 32 callers", 0, &rates);
    table.compared("CPU seconds per 1,000 created and delivered, gateways", 3, &cpu);
    table.row("CPU seconds per 1,000 created and delivered, PostgreSQL", 3, &database_cpu);
}

/// Deliveries from a backlog, and beside them the raw loop.
pub async fn backlog(rounds: &Rounds, table: &mut Table) {
    let what = format!("deliveries from a backlog of {BACKLOG}");
    let [rates, cpu, database_cpu, memory] = rounds.medians(&what, deliver).await;
    table.compared(&format!("deliveries per second, backlog of {BACKLOG}"), 0, &rates);
    table.compared("CPU seconds per 1,000 deliveries, gateways", 3, &cpu);
    table.row("CPU seconds per 1,000 deliveries, PostgreSQL", 3, &database_cpu);
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

/// Per second; CPU seconds per 1,000 of the gateways and of the database; peak memory.
async fn deliver(setup: Setup) -> [f64; 4] {
    let mut receiver = Receiver::start().await;
    let cast = Cast::new(setup.engine()).await;
    let subscription = cast.subscribe(&receiver.url()).await;
    backlog::add(&cast, subscription, BACKLOG);
    let nodes = Nodes::start(&cast, setup).await;
    backlog::release(&cast, subscription);

    let before = (nodes.cpu(), database_cpu(setup));
    let rate = per_second(&receiver.times_of(BACKLOG).await);
    let after = (nodes.cpu(), database_cpu(setup));
    let per_thousand = |before: Duration, after: Duration| (after - before).as_secs_f64() * 1000.0 / BACKLOG as f64;
    [rate, per_thousand(before.0, after.0), per_thousand(before.1, after.1), nodes.peak_memory()]
}

/// SQLite has no process of its own: what it uses is the gateway's.
pub fn database_cpu(setup: Setup) -> Duration {
    match setup {
        Setup::Sqlite => Duration::ZERO,
        Setup::Postgres { .. } => postgres::cpu(),
    }
}

/// From request to receiver at a calm pace, and memory at rest.
pub async fn latency(rounds: &Rounds, table: &mut Table) {
    let [accepted_50, accepted_99, sent_50, sent_99, rest] = rounds
        .once("latency at 100 leads per second", async |setup| {
            let mut receiver = Receiver::start().await;
            let cast = Cast::new(setup.engine()).await;
            cast.subscribe(&receiver.url()).await;
            let nodes = Nodes::start(&cast, setup).await;
            let rest = nodes.memory();
            let times = latency::at_pace(&cast, &nodes, &mut receiver, 100, Duration::from_secs(8)).await;
            let (accepted, sent) = (times.since_accepted, times.since_sent);
            [accepted.p50, accepted.p99, sent.p50, sent.p99, rest]
        })
        .await;
    table.row("accepted (2xx) to receiver's first byte at 100 leads/s, p50, ms", 1, &accepted_50);
    table.row("the same, p99, ms", 1, &accepted_99);
    table.row("request sent to receiver's first byte at 100 leads/s, p50, ms", 1, &sent_50);
    table.row("the same, p99, ms", 1, &sent_99);
    table.row("memory of a gateway at rest, MiB", 0, &rest);
}
