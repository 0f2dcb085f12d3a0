//! How long a lead takes to its receiver, from a calm pace up to more than the gateway can.

use std::time::Duration;

use crate::latency::{self, Percentiles, Times};
use crate::letter::Letter;
use crate::pace::{ONE_SITE, Pace};
use crate::plot::{Lines, Plot, Scale, Series};
use crate::report::{Figure, Goal, Report, number};
use crate::rounds::Rounds;
use crate::scene::Scene;
use crate::setup::Setup;

const PACES: [u32; 7] = [200, 500, 1000, 2000, 4000, 8000, 16_000];

/// The pace of the target.
const CALM: u32 = 200;

/// It cannot keep up when it accepts and delivers less than this share.
const KEEPS_UP: f64 = 0.95;

const PROSE: &str = "New leads are posted at a steady pace that waits for no answer. Two times are taken to the receiver's first byte: from \
                     the sender's 2xx, and from the moment when the request was sent, or should have been. A delivery that comes \
                     before the sender has read its 2xx counts as 0. A setup's curve ends where less than 95 % of what is \
                     to be sent is accepted and delivered in that time.";

/// The times at each pace, as far as it was kept up with.
type Curve = Vec<Times>;

/// One of the two times.
type Which = fn(&Times) -> Percentiles;

const SINCE: [(&str, Which); 2] =
    [("accepted (2xx)", |times| times.since_accepted), ("request sent", |times| times.since_sent)];

/// One of the two percentiles.
type Part = fn(Percentiles) -> f64;

const P50: Part = |times| times.p50;
const P99: Part = |times| times.p99;

pub async fn measure(rounds: &Rounds, report: &mut Report) {
    let mut section = report.section("Latency by load", PROSE);
    let measured = rounds.each("latency by load", async |setup| curve(setup).await).await;
    let memory = measured.iter().map(|rounds| Figure::new(rounds.iter().map(|(memory, _)| *memory).collect()));
    report.reached(Goal::MemoryAtRest, &[&memory.collect::<Vec<_>>()]);

    let curves: Vec<Vec<Curve>> =
        measured.into_iter().map(|rounds| rounds.into_iter().map(|(_, curve)| curve).collect()).collect();
    for (place, pace) in PACES.into_iter().enumerate() {
        for (since, which) in SINCE {
            let texts: Vec<_> = curves.iter().map(|rounds| text(rounds, place, which)).collect();
            if texts.iter().any(Option::is_some) {
                let name = format!("{since} to receiver's first byte at {pace} leads/s, p50 / p99, ms");
                section.texts(&name, texts.into_iter().map(|text| text.unwrap_or("–".to_owned())).collect());
                if pace == CALM {
                    section.headline();
                }
            }
        }
    }
    let calm = PACES.iter().position(|pace| *pace == CALM).expect("it is one of them");
    let [p50, p99] = [P50, P99].map(|part| -> Vec<_> {
        let of_all = curves.iter().map(|rounds| figure(rounds, calm, SINCE[0].1, part));
        of_all.map(|figure| figure.expect("each setup can do that")).collect()
    });
    report.reached(Goal::Latency, &[&p50, &p99]);
    section.plot(draw(rounds, &curves, "latency-accepted", "From the sender's 2xx to the receiver", SINCE[0].1));
    section.plot(draw(rounds, &curves, "latency-sent", "From the sender's request to the receiver", SINCE[1].1));
    report.add(section);
}

/// Memory at rest, and then the times at each pace that it keeps up with.
async fn curve(setup: Setup) -> (f64, Curve) {
    let mut scene = Scene::new(setup).await;
    let nodes = scene.start().await;
    let (memory, mut curve, mut first) = (nodes.memory(), Vec::new(), 0);
    for per_second in PACES {
        let duration = Duration::from_millis(if per_second <= CALM { 2000 } else { 1000 });
        let pace = Pace { per_second, duration, first, sites: ONE_SITE, uneven: false };
        first += pace.requests();
        let create = Letter::creates_lead(&scene.cast);
        let times = latency::at_pace(create, &nodes, &mut scene.receiver, pace).await;
        if times.per_second < KEEPS_UP * f64::from(per_second) {
            break;
        }
        curve.push(times);
    }
    (memory, curve)
}

/// A figure at a pace, if it was kept up with in every round.
fn figure(rounds: &[Curve], place: usize, which: Which, part: Part) -> Option<Figure> {
    let all: Option<Vec<_>> = rounds.iter().map(|curve| Some(part(which(curve.get(place)?)))).collect();
    all.map(Figure::new)
}

/// Both percentiles, and how far the second one's rounds lie apart.
fn text(rounds: &[Curve], place: usize, which: Which) -> Option<String> {
    let (p50, p99) = (figure(rounds, place, which, P50)?, figure(rounds, place, which, P99)?);
    Some(format!("{} / {}", number(p50.median(), 2), p99.text(2)))
}

fn draw(rounds: &Rounds, curves: &[Vec<Curve>], name: &'static str, title: &str, which: Which) -> Plot {
    let mut series = Vec::new();
    for (setup, curves) in rounds.setups.iter().zip(curves) {
        for (percentile, part, dashed) in [("p99", P99, false), ("p50", P50, true)] {
            let at = |(place, pace): (usize, &u32)| Some((f64::from(*pace), figure(curves, place, which, part)?));
            let of_setup = Series::of(*setup, PACES.iter().enumerate().filter_map(at));
            series.push(Series { name: format!("{setup}, {percentile}"), dashed, ..of_setup });
        }
    }
    let most: Vec<_> = series.iter().map(Series::most).collect();
    Lines {
        name,
        title: format!("{title}, by load"),
        x: Scale::log("leads per second", &PACES.map(f64::from)),
        y: Scale::decades("milliseconds (0.1 and less are on the axis)", 0.1, most),
        series,
    }
    .draw()
}
