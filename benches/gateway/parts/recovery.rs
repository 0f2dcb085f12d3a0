//! A receiver that was away and comes back: how fast its backlog drains, and whether it is knocked over again.

use std::time::{Duration, Instant};

use crate::backlog;
use crate::conduct::Manner;
use crate::gateway::Nodes;
use crate::plot::{Colour, Lines, Scale, Series};
use crate::report::{Figure, Goal, Report};
use crate::rounds::Rounds;
use crate::scene::Scene;
use crate::setup::Setup;

/// What the receiver can take per second.
const CAPACITY: u32 = 500;

/// How many wait for it; and with `--full`.
const WAITING: usize = 8_000;
const MANY: usize = 100_000;

/// How long it is away while the gateway tries.
const AWAY: Duration = Duration::from_secs(3);

/// Seconds of a point of the plot.
const BIN: f64 = 0.5;

const PROSE: &str = "8,000 deliveries (with `--full` 100,000) wait for a receiver that answers 503 to everything. After three seconds it comes \
                     back, and takes 500 requests per second, evenly but for a tenth of a second's worth; what is more, it refuses with \
                     503. Retries come a second after each failure, because the wait in a real schedule is longer than this whole part. \
                     The optimum is to keep it busy from its first 2xx until nothing waits. Measured once for each setup.";

/// How it went.
struct Recovery {
    /// Seconds after its return, of each request that it accepted.
    accepted: Vec<f64>,
    /// The same of those that it refused.
    refused: Vec<f64>,
}

pub async fn measure(rounds: &Rounds, report: &mut Report) {
    let waiting = if rounds.full { MANY } else { WAITING };
    let mut section = report.section("A receiver comes back", PROSE);
    let once = Rounds { setups: rounds.setups.clone(), count: 1, full: rounds.full };
    let measured = once.each("a receiver comes back", async |setup| recover(setup, waiting).await).await;
    let figures = |part: &dyn Fn(&Recovery) -> f64| -> Vec<Figure> {
        measured.iter().map(|rounds| Figure::new(rounds.iter().map(part).collect())).collect()
    };
    let optimum = waiting as f64 / f64::from(CAPACITY);
    let share = figures(&|recovery| recovery.seconds() / optimum);
    let refused = figures(&|recovery| 100.0 * recovery.refused.len() as f64 / recovery.requests() as f64);
    section.row(
        "delivered, of those that waited, %",
        0,
        &figures(&|r| 100.0 * r.accepted.len() as f64 / waiting as f64),
    );
    section.row("seconds from its first 2xx to the last", 1, &figures(&Recovery::seconds));
    section.row("the same against the optimum", 2, &share);
    section.row("refused, of all requests since it is back, %", 2, &refused);
    report.reached(Goal::Recovery, &[&share, &refused]);
    let end = measured.iter().flatten().map(|recovery| recovery.accepted[recovery.accepted.len() - 1]);
    let end = end.fold(optimum, f64::max);
    let mut series = Vec::new();
    for (setup, recoveries) in rounds.setups.iter().zip(&measured) {
        let (colour, recovery) = (Colour::of(*setup), &recoveries[0]);
        series.push(Series { name: format!("{setup}: accepted"), ..Series::of(*setup, bins(&recovery.accepted, end)) });
        series.push(Series { name: "refused".to_owned(), colour, dashed: true, points: bins(&recovery.refused, end) });
    }
    section.plot(
        Lines {
            name: "recovery",
            title: "A receiver that takes 500 per second comes back to its backlog".to_owned(),
            x: Scale::from_zero("seconds since it is back", [end]),
            y: Scale::from_zero("requests per second", series.iter().map(Series::most)),
            series,
        }
        .draw(),
    );
    report.add(section);
}

/// How many there were per second, over time.
fn bins(seconds: &[f64], end: f64) -> Vec<(f64, Figure)> {
    let mut counts = vec![0.0; (end / BIN).ceil() as usize];
    let last = counts.len() - 1;
    seconds.iter().for_each(|second| counts[((second / BIN) as usize).min(last)] += 1.0 / BIN);
    counts.into_iter().enumerate().map(|(n, count)| ((n as f64 + 0.5) * BIN, Figure::new(vec![count]))).collect()
}

impl Recovery {
    fn seconds(&self) -> f64 {
        self.accepted[self.accepted.len() - 1] - self.accepted[0]
    }

    fn requests(&self) -> usize {
        self.accepted.len() + self.refused.len()
    }
}

async fn recover(setup: Setup, waiting: usize) -> Recovery {
    let mut scene = Scene::new(setup).await;
    scene.receiver.behave(Manner::Failing);
    backlog::add(&scene.cast, &scene.receiver.url(), waiting);
    let schedule = ["1s"; 50].join(",");
    let settings = [("LEADGATE_DELIVERY_RETRY_SCHEDULE", schedule.as_str())];
    let _nodes = Nodes::start_with(&scene.cast, setup, &settings).await;
    backlog::release(&scene.cast, &scene.receiver.url());
    tokio::time::sleep(AWAY).await;
    scene.receiver.behave(Manner::Limited(CAPACITY));
    let back = Instant::now();
    let arrivals = scene.receiver.take(waiting).await;
    let since = |at: Instant| at.saturating_duration_since(back).as_secs_f64();
    let accepted = arrivals.iter().map(|arrival| since(arrival.at)).collect();
    let refused = scene.receiver.refusals().into_iter().filter(|at| *at > back).map(since).collect();
    Recovery { accepted, refused }
}
