//! What the gateway costs and how fast it is, in one run: `cargo bench`. It writes `docs/benchmarks.md`.
//!
//! The gateway is the real binary in a process of its own; callers and receiver live in this process, on a thread each, and
//! do as little as can be. It is measured on SQLite and on a private PostgreSQL; both with fsync on, on the same disk. Beside
//! the deliveries, in the same run, stands the *raw loop*: the same signed bodies, sent by the same HTTP client, without any
//! store. It is the limit that no gateway on this machine could pass.
//!
//! To run a part: `cargo bench --bench gateway -- intake backlog --engine postgres --rounds 1`. `--help` names the parts.
//! What was measured goes to standard output, progress to standard error. Some parts are measured only when they are named:
//! GET subscription beside a handler that returns a constant, and tokens beside node `oidc-provider`, if it is there:
//! `mkdir peer && npm install --prefix peer oidc-provider`, then `--oidc-provider peer`.

mod backlog;
mod cast;
mod client;
mod conduct;
mod constant;
mod crowd;
mod data;
mod gateway;
mod latency;
mod lead;
mod ledger;
mod letter;
mod line;
mod load;
mod logins;
mod machine;
mod options;
mod pace;
mod parts;
mod peer;
mod plans;
mod plot;
mod postgres;
mod raw_loop;
mod receiver;
mod report;
mod rounds;
mod scene;
mod setup;
mod spent;
mod thread;
mod tokens;

use std::sync::OnceLock;
use std::time::Instant;

use clap::Parser;

use options::{Options, Part};
use report::Report;
use rounds::Rounds;

/// The gateway's own, so that what it is compared with has no worse one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if constant::is_ordered(&arguments) {
        return runtime.block_on(constant::run());
    }
    match raw_loop::Order::parse(&arguments) {
        Some(order) => runtime.block_on(raw_loop::run(order)),
        None => runtime.block_on(measure(&Options::parse())),
    }
}

async fn measure(options: &Options) {
    rustls::crypto::ring::default_provider().install_default().expect("nobody else has installed one");
    let rounds = Rounds { setups: options.setups(), count: options.rounds(), full: options.full };
    let mut report = Report::new(&rounds.setups);
    parts::measure(options, &rounds, &mut report).await;
    if !report.is_empty() {
        let machine = machine::describe();
        println!("{machine}. PostgreSQL with {}.\n\n{}", postgres::SETTINGS.join(", "), report.details());
        println!("The targets:\n\n{}", report.targets());
        if let Some(rows) = report.headlines() {
            println!("For the README:\n\n{rows}");
        }
        if options.writes() {
            report::write(&report, &machine, rounds.count);
        }
    }
    progress("done");
    if options.wants(Part::Plans) {
        plans::check().await;
    }
}

/// Tells what is being done, and how long the run takes so far.
fn progress(what: &str) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    eprintln!("{:>4.0} s … {what}", BEGUN.get_or_init(Instant::now).elapsed().as_secs_f64());
}
