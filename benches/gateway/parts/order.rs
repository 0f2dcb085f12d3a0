//! Whether each lead's changes arrive, and in order, under load.

use std::time::Instant;

use crate::ledger::Faults;
use crate::load::Posts;
use crate::receiver::per_second;
use crate::report::{Goal, Report};
use crate::rounds::Rounds;
use crate::scene::Scene;

/// How many leads are posted, and how often each of them is then updated.
const LEADS: usize = 2_500;
const UPDATES: u8 = 3;

const PROSE: &str = "2,500 leads are posted by 32 callers. Each lead is updated three times by the same caller, one update right after the \
                     other, so that most changes find another one of their lead still on its way. The receiver compares what came with \
                     what was accepted. A change that comes again under the same message id is no fault; it is counted all the same.";

/// Leads that are created and at once updated: each change has to wait for its turn.
pub async fn measure(rounds: &Rounds, report: &mut Report) {
    let mut section = report.section("Order", PROSE);
    let what = format!("{LEADS} leads, each created and then updated {UPDATES} times");
    let changes = LEADS * (1 + usize::from(UPDATES));
    let [rates, out_of_order, lost, repeated] = rounds
        .measure(&what, async |setup| {
            let mut scene = Scene::new(setup).await;
            let nodes = scene.start().await;
            let posts = Posts { updates: UPDATES, ..Posts::new(&scene.cast, LEADS) };
            let ((), arrivals) = tokio::join!(posts.post(&nodes, 32), scene.receiver.take(changes));
            let faults = Faults::of(&arrivals, LEADS, UPDATES);
            let times: Vec<Instant> = arrivals.iter().map(|arrival| arrival.at).collect();
            let counts = [faults.out_of_order, faults.lost, faults.repeated].map(|count| count as f64);
            [per_second(&times), counts[0], counts[1], counts[2]]
        })
        .await;
    section.row("changes made and delivered per second", 0, &rates);
    section.row("out of order within a lead", 0, &out_of_order);
    section.row("lost", 0, &lost);
    section.row("repeated", 0, &repeated);
    report.reached(Goal::Order, &[&out_of_order, &lost]);
    report.add(section);
}
