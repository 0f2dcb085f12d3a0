//! Leads accepted per second.

use crate::cast::Cast;
use crate::gateway::Nodes;
use crate::load;
use crate::plot::{Lines, Scale, Series};
use crate::report::{Figure, Report};
use crate::rounds::Rounds;

/// 64 that wait for their answers leave PostgreSQL's cores idle for a third of the time.
const CALLERS: [usize; 4] = [1, 8, 64, 256];

const PROSE: &str = "So many callers post new leads to one site, each one lead after the other on a connection of its own. Nobody has \
                     subscribed. A lead counts when its 201 is there: then it is on the disk.";

/// By a site that nobody has subscribed to.
pub async fn measure(rounds: &Rounds, report: &mut Report) {
    let mut section = report.section("Intake", PROSE);
    let mut measured: Vec<Vec<Figure>> = Vec::new();
    for callers in CALLERS {
        let name = format!("leads accepted per second, {callers} {}", if callers == 1 { "caller" } else { "callers" });
        let [rates] = rounds
            .measure(&name, async |setup| {
                let cast = Cast::new(setup.engine()).await;
                let nodes = Nodes::start(&cast, setup).await;
                [load::post_leads(&cast, &nodes, callers).await]
            })
            .await;
        section.row(&name, 0, &rates);
        if [1, 64, 256].contains(&callers) {
            section.headline();
        }
        measured.push(rates);
    }
    let measured = CALLERS.iter().zip(&measured).map(|(callers, rates)| (*callers as f64, rates));
    let series = Series::of_each(&rounds.setups, measured);
    section.plot(
        Lines {
            name: "intake",
            title: "Leads accepted per second, by number of callers".to_owned(),
            x: Scale::log("callers", &CALLERS.map(|callers| callers as f64)),
            y: Scale::from_zero("leads per second", series.iter().map(Series::most)),
            series,
        }
        .draw(),
    );
    report.add(section);
}
