//! Whether a lead costs the same, however many subscriptions there are.

use crate::cast::Cast;
use crate::crowd;
use crate::gateway::Nodes;
use crate::letter::Letter;
use crate::load::Posts;
use crate::plot::{Lines, Scale, Series};
use crate::receiver::{Receiver, per_second};
use crate::report::{Goal, Report, number};
use crate::rounds::Rounds;
use crate::setup::Setup;
use crate::spent::Spent;

const SITES: [usize; 3] = [1, 1_000, 100_000];
const ALL_SITES: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

const LEADS: usize = 10_000;

const PROSE: &str = "10,000 leads are posted by 32 callers and delivered, spread evenly over so many sites, each with a subscription of its \
                     own. With 100,000, no two leads have the same subscription.";

pub async fn measure(rounds: &Rounds, report: &mut Report) {
    let mut section = report.section("Subscriptions", PROSE);
    let counts: &[usize] = if rounds.full { &ALL_SITES } else { &SITES };
    let mut measured = Vec::new();
    for &sites in counts {
        let what = format!("{LEADS} leads to {sites} subscriptions");
        let [rates, cpu] = rounds.measure(&what, async |setup| created_and_delivered(setup, sites).await).await;
        measured.push((sites, rates, cpu));
    }
    for (sites, rates, _) in &measured {
        section.row(&format!("created and delivered per second, {} subscriptions", number(*sites as f64, 0)), 0, rates);
    }
    for (sites, _, cpu) in &measured {
        let name = format!("CPU seconds per 1,000, gateway and database, {} subscriptions", number(*sites as f64, 0));
        section.row(&name, 3, cpu);
    }
    let (first, last) = (&measured[0].1, &measured[measured.len() - 1].1);
    let shares: Vec<_> = last.iter().zip(first).map(|(many, one)| many.percent_of(one)).collect();
    section.row("rate with 100,000 against one, %", 0, &shares);
    report.reached(Goal::Subscriptions, &[&shares]);
    let series = Series::of_each(&rounds.setups, measured.iter().map(|(sites, rates, _)| (*sites as f64, rates)));
    section.plot(
        Lines {
            name: "subscriptions",
            title: "Leads created and delivered per second, by number of subscriptions".to_owned(),
            x: Scale::log("subscriptions, each of a site of its own", &ALL_SITES.map(|sites| sites as f64)),
            y: Scale::from_zero("leads per second", series.iter().map(Series::most)),
            series,
        }
        .draw(),
    );
    report.add(section);
}

/// Per second; CPU seconds per 1,000.
async fn created_and_delivered(setup: Setup, sites: usize) -> [f64; 2] {
    let (cast, mut receiver) = (Cast::new(setup.engine()).await, Receiver::start().await);
    crowd::add(&cast, 0..sites, &|_| receiver.url());
    let nodes = Nodes::start(&cast, setup).await;
    let create = Letter::creates_lead_on(&crowd::site_pattern(), &cast);
    let posts = Posts { create, sites, ..Posts::new(&cast, LEADS) };
    let before = Spent::by_now(setup, &nodes);
    let ((), times) = tokio::join!(posts.post(&nodes, 32), receiver.times_of(LEADS));
    let spent = Spent::by_now(setup, &nodes).since(before).per_thousand(LEADS);
    [per_second(&times), spent.gateways + spent.database]
}
