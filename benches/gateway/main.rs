//! What the gateway costs and how fast it is, in one run: `cargo bench`.
//!
//! The gateway is the real binary in a process of its own, on SQLite with fsync on; callers and receiver live in this
//! process. Beside the deliveries, in the same run, stands the *raw loop*: the same signed bodies, sent by the same HTTP
//! client, without any store. It is the limit that no gateway on this machine could pass.

mod cast;
mod gateway;
mod latency;
mod load;
mod machine;
mod raw_loop;
mod receiver;
mod table;

use std::time::Duration;

use cast::Cast;
use gateway::Process;
use receiver::Receiver;
use table::Table;

/// Deliveries that wait when the gateway starts.
const BACKLOG: usize = 20_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match raw_loop::Order::parse(&arguments) {
        Some(order) => runtime.block_on(raw_loop::run(order)),
        None => runtime.block_on(measure()),
    }
}

async fn measure() {
    rustls::crypto::ring::default_provider().install_default().expect("nobody else has installed one");
    let mut table = Table::new(&machine::describe());
    intake(&mut table).await;
    subscriptions(&mut table).await;
    backlog(&mut table).await;
    latencies(&mut table).await;
    println!("{table}");
}

/// Leads accepted per second, by a site that nobody has subscribed to.
async fn intake(table: &mut Table) {
    for (callers, leads) in [(1, 1_000), (8, 4_000), (64, 16_000)] {
        progress(&format!("intake with {callers} callers"));
        let cast = Cast::new().await;
        let gateway = Process::start(&cast).await;
        let rate = load::post_leads(&cast, &gateway, callers, leads).await;
        table.row(&format!("leads accepted per second, {callers} callers, fsync on"), format!("{rate:.0}"));
    }
}

async fn subscriptions(table: &mut Table) {
    progress("GET subscription");
    let cast = Cast::new().await;
    cast.subscribe("http://127.0.0.1:9/").await;
    let gateway = Process::start(&cast).await;
    let rate = load::get_subscription(&cast, &gateway, 16, 20_000).await;
    table.row("GET subscription per second, 16 callers", format!("{rate:.0}"));
}

/// Deliveries from a backlog, and beside them the raw loop.
async fn backlog(table: &mut Table) {
    progress(&format!("making a backlog of {BACKLOG}"));
    let mut receiver = Receiver::start().await;
    let cast = Cast::new().await;
    cast.subscribe(&receiver.url()).await;
    cast.backlog(BACKLOG).await;

    progress("delivering it");
    let gateway = Process::start(&cast).await;
    let delivered = receiver.rate_of(BACKLOG).await;
    let cpu = gateway.cpu().as_secs_f64() * 1000.0 / BACKLOG as f64;
    let loaded = gateway.peak_memory();
    drop(gateway);

    progress("the raw loop");
    let raw = raw_loop::in_a_process_of_its_own(&receiver.url(), BACKLOG);
    let limit = receiver.rate_of(BACKLOG).await;
    let raw_cpu = raw.finish().as_secs_f64() * 1000.0 / BACKLOG as f64;

    let share = 100.0 * delivered / limit;
    table.row(&format!("deliveries per second, backlog of {BACKLOG}"), format!("{delivered:.0}"));
    table.row("raw loop per second: same bodies and client, no store", format!("{limit:.0}"));
    table.row("deliveries against the raw loop", format!("{share:.0} %"));
    table.row("CPU seconds per 1,000 deliveries", format!("{cpu:.2}"));
    table.row("CPU seconds per 1,000 of the raw loop", format!("{raw_cpu:.2}"));
    table.row("peak memory while delivering", format!("{loaded:.0} MiB"));
}

/// From request to receiver at a calm pace.
async fn latencies(table: &mut Table) {
    progress("latency at 100 leads per second");
    let mut receiver = Receiver::start().await;
    let cast = Cast::new().await;
    cast.subscribe(&receiver.url()).await;
    let gateway = Process::start(&cast).await;
    let rest = gateway.memory();
    let times = latency::at_pace(&cast, &gateway, &mut receiver, 100, Duration::from_secs(10)).await;
    table.row("accepted (2xx) to receiver's first byte at 100 leads/s, p50 / p99", times.since_accepted);
    table.row("request sent to receiver's first byte at 100 leads/s, p50 / p99", times.since_sent);
    table.row("memory at rest", format!("{rest:.0} MiB"));
}

fn progress(what: &str) {
    eprintln!("… {what}");
}
