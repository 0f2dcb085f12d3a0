//! What the gateway costs and how fast it is, in one run: `cargo bench`.
//!
//! The gateway is the real binary in a process of its own; callers and receiver live in this process. It is measured on
//! SQLite, and on a private PostgreSQL with 1, 2 and 3 gateways on it; both with fsync on, on the same disk. Beside the
//! deliveries, in the same run, stands the *raw loop*: the same signed bodies, sent by the same HTTP client, without any
//! store. It is the limit that no gateway on this machine could pass.
//!
//! GET subscription stands beside a handler that returns a constant, and tokens beside node `oidc-provider`, if it is
//! there: `mkdir peer && npm install --prefix peer oidc-provider`, then `--oidc-provider peer`.
//!
//! To run a part: `cargo bench --bench gateway -- intake backlog --engine postgres --nodes 1 --rounds 1`.
//! `--help` names the parts. The table goes to standard output, progress to standard error.

mod backlog;
mod cast;
mod client;
mod constant;
mod data;
mod depth;
mod door;
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
mod postgres;
mod raw_loop;
mod receiver;
mod rounds;
mod setup;
mod spent;
mod table;
mod thread;
mod tokens;

use clap::Parser;

use options::{Options, Part};
use rounds::Rounds;
use table::Table;

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
    let rounds = Rounds { setups: options.setups(), count: options.rounds() };
    let mut table = Table::new(&rounds.setups);
    if options.wants(Part::Intake) {
        parts::intake(&rounds, &mut table).await;
    }
    if options.wants(Part::Through) {
        parts::through(&rounds, &mut table).await;
    }
    if options.wants(Part::Order) {
        parts::order(&rounds, &mut table).await;
    }
    if options.wants(Part::Subscription) {
        parts::subscription(&rounds, &mut table).await;
        door::constant(&rounds, &mut table).await;
    }
    if options.wants(Part::Tokens) {
        door::tokens(&rounds, options.oidc_provider.as_deref(), &mut table).await;
    }
    if options.wants(Part::Logins) {
        door::logins(&rounds, &mut table).await;
    }
    if options.wants(Part::Backlog) {
        parts::backlog(&rounds, &mut table).await;
    }
    if options.wants(Part::Depth) {
        depth::measure(&rounds.setups, &mut table).await;
    }
    if options.wants(Part::Latency) {
        parts::latency(&rounds, &mut table).await;
    }
    if !table.is_empty() {
        println!("{}. PostgreSQL with {}.\n\n{table}", machine::describe(), postgres::SETTINGS.join(", "));
    }
    if options.wants(Part::Plans) {
        plans::check().await;
    }
}

fn progress(what: &str) {
    eprintln!("… {what}");
}
