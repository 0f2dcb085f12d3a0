//! Leads created and delivered, and what they cost.

use crate::load::Posts;
use crate::plot::{Bar, Bars, Colour};
use crate::receiver::per_second;
use crate::report::{Goal, Report, number};
use crate::rounds::Rounds;
use crate::scene::Scene;
use crate::spent::Spent;

const LEADS: usize = 20_000;
const CALLERS: usize = 32;

const PROSE: &str = "20,000 new leads are posted by 32 callers, as fast as they are accepted, and delivered to one receiver. The rate is \
                     that at which they arrive. CPU seconds are those of whole processes.";

/// The main figure: all that the gateway is for.
pub async fn measure(rounds: &Rounds, report: &mut Report) {
    let mut section = report.section("Created and delivered", PROSE);
    let what = format!("{LEADS} leads created and delivered, {CALLERS} callers");
    let [rates, gateway, database, load, memory] = rounds
        .measure(&what, async |setup| {
            let mut scene = Scene::new(setup).await;
            let nodes = scene.start().await;
            let before = Spent::by_now(setup, &nodes);
            let posting = Posts::new(&scene.cast, LEADS).post(&nodes, CALLERS);
            let ((), times) = tokio::join!(posting, scene.receiver.times_of(LEADS));
            let spent = Spent::by_now(setup, &nodes).since(before).per_thousand(LEADS);
            [per_second(&times), spent.gateways, spent.database, spent.load, nodes.peak_memory()]
        })
        .await;
    section.row("leads created and delivered per second, 32 callers", 0, &rates);
    section.headline();
    section.row("CPU seconds per 1,000, gateway", 3, &gateway);
    section.row("CPU seconds per 1,000, database", 3, &database);
    let together: Vec<_> = gateway.iter().zip(&database).map(|(one, other)| one.with(other, |a, b| a + b)).collect();
    section.row("CPU seconds per 1,000 created and delivered, gateway and database together", 3, &together);
    section.headline();
    section.row("CPU seconds per 1,000, load and receiver", 3, &load);
    section.row("peak memory of the gateway, MiB", 0, &memory);
    report.reached(Goal::Rate, &[&rates]);
    report.reached(Goal::Cpu, &[&together]);
    report.reached(Goal::MemoryUnderLoad, &[&memory]);

    let parts = [&gateway, &database, &load];
    let colours = [(Colour::Blue, "gateway"), (Colour::Orange, "database"), (Colour::Green, "load and receiver")];
    let bars = rounds.setups.iter().enumerate().map(|(place, setup)| {
        let parts: Vec<_> = colours.iter().zip(parts).map(|((c, _), figures)| (*c, figures[place].median())).collect();
        let whole = parts.iter().map(|(_, part)| part).sum();
        Bar { name: setup.to_string(), parts, text: number(whole, 3), apart: false }
    });
    section.plot(
        Bars {
            name: "cpu",
            title: "CPU seconds for 1,000 leads created and delivered, by who spends them".to_owned(),
            label: "CPU seconds per 1,000",
            legend: colours.map(|(colour, name)| (colour, name.to_owned())).to_vec(),
            bars: bars.collect(),
        }
        .draw(),
    );
    report.add(section);
}
