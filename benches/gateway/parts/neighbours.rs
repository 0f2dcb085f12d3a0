//! What others notice of a receiver that behaves badly.

use std::time::Duration;

use crate::backlog;
use crate::conduct::Manner;
use crate::latency;
use crate::letter::Letter;
use crate::pace::{ONE_SITE, Pace};
use crate::plot::{Bar, Bars, Colour, Plot};
use crate::receiver::Receiver;
use crate::report::{Figure, Goal, Report};
use crate::rounds::Rounds;
use crate::scene::Scene;
use crate::setup::Setup;

/// A neighbour: how it behaves, and how many deliveries wait for it already.
struct Neighbour {
    name: &'static str,
    manner: Manner,
    waiting: usize,
}

/// Waiting for one that has been away for long; and for the others.
const MANY: usize = 30_000;
const ALL: usize = 1_000_000;
const SOME: usize = 1_000;

/// What the others get, and what the neighbour gets meanwhile.
const DURATION: Duration = Duration::from_millis(2000);
const OTHERS: Pace = Pace { per_second: 500, duration: DURATION, first: 0, sites: ONE_SITE, uneven: false };
const ITS_OWN: Pace = Pace { per_second: 50, duration: DURATION, first: 1_000_000, sites: ONE_SITE, uneven: true };

const PROSE: &str = "500 leads per second go to one receiver, and 50 per second, of another site, to its neighbour. The neighbour is as \
                     good as the other; or it hangs (reads and never answers), fails (503 to everything), is slow (each answer takes \
                     a second), always with 1,000 deliveries waiting for it besides; or it takes 20 ms for each answer and has 30,000 \
                     waiting (with `--full`, a million). The times are those of the others, from request to receiver. This machine has \
                     slower and faster times, so a good neighbour is measured first, last, and in the middle, and each other one is \
                     compared with the mean of the good ones before and after it. How much the figures differ by themselves is \
                     in the last line: the good one in the middle against the mean of the other two.";

/// The others' times beside a neighbour, of each setup.
struct Measured {
    name: &'static str,
    p50: Vec<Figure>,
    p99: Vec<Figure>,
    /// By how much the p99 is higher than beside the good neighbours before and after it, the mean of both, in percent.
    moved: Vec<Figure>,
}

pub async fn measure(rounds: &Rounds, report: &mut Report) {
    let mut section = report.section("One bad receiver among others", PROSE);
    let neighbours = neighbours(if rounds.full { ALL } else { MANY });
    let taken = rounds
        .each("the others' times", async |setup| {
            let mut times = Vec::new();
            for neighbour in &neighbours {
                times.push(beside(setup, neighbour).await);
            }
            times
        })
        .await;
    let figures = |place: usize, which: usize| -> Vec<Figure> {
        taken.iter().map(|rounds| Figure::new(rounds.iter().map(|times| times[place][which]).collect())).collect()
    };
    let goods: Vec<_> =
        (0..neighbours.len()).filter(|place| matches!(neighbours[*place].manner, Manner::Good)).collect();
    let measured = neighbours.iter().enumerate().map(|(place, neighbour)| {
        // What else goes on meanwhile is in them, too.
        let before = goods.iter().rfind(|good| **good < place).unwrap_or(&goods[0]);
        let after = goods.iter().find(|good| **good > place).unwrap_or(before);
        let good = figures(*before, 1).into_iter().zip(figures(*after, 1));
        let good = good.map(|(before, after)| before.with(&after, f64::midpoint));
        let p99 = figures(place, 1);
        let moved = p99.iter().zip(good).map(|(p99, good)| p99.with(&good, |bad, good| 100.0 * (bad / good - 1.0)));
        Measured { name: neighbour.name, p50: figures(place, 0), moved: moved.collect(), p99 }
    });
    let measured: Vec<_> = measured.collect();
    for Measured { name, p50, p99, .. } in &measured {
        section.row(&format!("beside a neighbour that {name}, p50, ms"), 2, p50);
        section.row(&format!("beside a neighbour that {name}, p99, ms"), 2, p99);
    }
    let (good, bad): (Vec<_>, Vec<_>) = measured.iter().enumerate().partition(|(place, _)| goods.contains(place));
    for (_, Measured { name, moved, .. }) in bad.iter().chain(&good[1..good.len() - 1]) {
        section.row(&format!("a neighbour that {name} moves the p99 by, %"), 0, moved);
    }
    let bad: Vec<_> = bad.into_iter().map(|(_, measured)| measured).collect();
    report.reached(Goal::Neighbours, &[&worst(&bad)]);
    section.plot(draw(rounds, &measured));
    report.add(section);
}

/// What the worst of them does to each setup.
fn worst(bad: &[&Measured]) -> Vec<Figure> {
    let of_setup = |setup: usize| {
        let all = bad.iter().map(|measured| &measured.moved[setup]);
        all.max_by(|one, other| one.median().total_cmp(&other.median())).expect("some are bad").clone()
    };
    (0..bad[0].moved.len()).map(of_setup).collect()
}

fn draw(rounds: &Rounds, measured: &[Measured]) -> Plot {
    let bars = rounds.setups.iter().enumerate().flat_map(|(place, setup)| {
        measured.iter().enumerate().map(move |(n, measured)| Bar {
            name: measured.name.to_owned(),
            parts: vec![(Colour::of(*setup), measured.p99[place].median())],
            text: measured.p99[place].text(1),
            apart: n == 0,
        })
    });
    Bars {
        name: "neighbours",
        title: "The others' p99 from request to receiver, beside a neighbour that …".to_owned(),
        label: "milliseconds",
        legend: rounds.setups.iter().map(|setup| (Colour::of(*setup), setup.to_string())).collect(),
        bars: bars.collect(),
    }
    .draw()
}

/// The first and the last are good, and one between.
fn neighbours(many: usize) -> [Neighbour; 7] {
    let slow = |millis| Manner::Slow(Duration::from_millis(millis));
    [
        Neighbour { name: "is good", manner: Manner::Good, waiting: 0 },
        Neighbour { name: "hangs", manner: Manner::Hanging, waiting: SOME },
        Neighbour { name: "fails", manner: Manner::Failing, waiting: SOME },
        Neighbour { name: "is good (in the middle)", manner: Manner::Good, waiting: 0 },
        Neighbour { name: "is slow", manner: slow(1000), waiting: SOME },
        Neighbour { name: "has very many waiting", manner: slow(20), waiting: many },
        Neighbour { name: "is good (at the end)", manner: Manner::Good, waiting: 0 },
    ]
}

/// The others' p50 and p99, in milliseconds.
async fn beside(setup: Setup, neighbour: &Neighbour) -> [f64; 2] {
    let (mut scene, bad) = (Scene::new(setup).await, Receiver::start().await);
    bad.behave(neighbour.manner);
    let site = scene.cast.another_site().await;
    scene.cast.subscribe_to(site, &bad.url()).await;
    if neighbour.waiting > 0 {
        backlog::add(&scene.cast, &bad.url(), neighbour.waiting);
    }
    // What it took to make all this is not to be written to the disk while times are taken.
    scene.cast.data.checkpoint();
    let nodes = scene.start().await;
    if neighbour.waiting > 0 {
        backlog::release(&scene.cast, &bad.url());
        tokio::time::sleep(backlog::NOTICE).await;
    }
    let create = Letter::creates_lead_on(&site.to_string(), &scene.cast);
    let its_own = ITS_OWN.send(create, nodes.addresses());
    let others = latency::at_pace(Letter::creates_lead(&scene.cast), &nodes, &mut scene.receiver, OTHERS);
    let (_, times) = tokio::join!(its_own, others);
    [times.since_sent.p50, times.since_sent.p99]
}
