//! The parts of the benchmark: what is done, and which figures are taken.

mod crowd;
mod deliveries;
mod depth;
mod door;
mod intake;
mod latency;
mod memory;
mod neighbours;
mod order;
mod recovery;
mod through;
mod unruly;

use crate::options::{Options, Part};
use crate::report::Report;
use crate::rounds::Rounds;

/// Measures what is wanted.
pub async fn measure(options: &Options, rounds: &Rounds, report: &mut Report) {
    if options.wants(Part::Intake) {
        intake::measure(rounds, report).await;
    }
    if options.wants(Part::Through) {
        through::measure(rounds, report).await;
    }
    if options.wants(Part::Order) {
        order::measure(rounds, report).await;
    }
    if options.wants(Part::Backlog) {
        deliveries::measure(rounds, report).await;
    }
    if options.wants(Part::Latency) {
        latency::measure(rounds, report).await;
    }
    if options.wants(Part::Depth) {
        depth::measure(rounds, report).await;
    }
    if options.wants(Part::Subscriptions) {
        crowd::measure(rounds, report).await;
    }
    if options.wants(Part::Neighbours) {
        neighbours::measure(rounds, report).await;
    }
    if options.wants(Part::Unruly) {
        unruly::measure(rounds, report).await;
    }
    if options.wants(Part::Recovery) {
        recovery::measure(rounds, report).await;
    }
    memory::gather(report);
    if options.wants(Part::Subscription) {
        door::subscription(rounds, report).await;
    }
    if options.wants(Part::Tokens) {
        door::tokens(rounds, options.oidc_provider.as_deref(), report).await;
    }
    if options.wants(Part::Logins) {
        door::logins(rounds, report).await;
    }
}
