//! What the many notice of a few among them: in a large crowd some are dead, some are slow, and one has very much waiting.

use std::time::Duration;

use crate::backlog;
use crate::cast::Cast;
use crate::conduct::Manner;
use crate::crowd;
use crate::gateway::Nodes;
use crate::latency::{self, Percentiles};
use crate::letter::Letter;
use crate::pace::Pace;
use crate::receiver::Receiver;
use crate::report::{Figure, Goal, Report, number};
use crate::rounds::Rounds;
use crate::setup::Setup;

/// All subscriptions, each of a site of its own.
const CROWD: usize = 10_000;
const WHOLE_CROWD: usize = 100_000;

/// Of so many one refuses and one hangs; of so many one is slow.
const DEAD: usize = 200;
const SLOW: usize = 1_000;

/// Waiting for each of these; and for the one that has very many waiting.
const FEW: usize = 5;
const MANY: usize = 30_000;
const A_MILLION: usize = 1_000_000;

/// New leads per second for all others, and for the unruly.
const OTHERS: u32 = 400;
const THEIR_OWN: u32 = 50;
const DURATION: Duration = Duration::from_millis(4000);

/// Until it shows who is dead.
const SETTLED: Duration = Duration::from_secs(2);

/// Some of the crowd, and how they behave.
struct Group {
    manner: Manner,
    sites: usize,
    waiting: usize,
}

pub async fn measure(rounds: &Rounds, report: &mut Report) {
    let crowd = if rounds.full { WHOLE_CROWD } else { CROWD };
    let prose = format!(
        "{OTHERS} leads per second go to a crowd of {} subscriptions, each lead to another one; and {THEIR_OWN} per second to those among \
         them that are unruly, if any are: one in {DEAD} refuses (503 to everything), one in {DEAD} hangs, one in {} takes a second for \
         each answer, all of them with {FEW} deliveries waiting besides, and one takes 20 ms and has {} waiting. The times are \
         those of the others, from request to receiver, in a crowd that is well and in an unruly one.",
        number(crowd as f64, 0),
        number(SLOW as f64, 0),
        number(many(rounds.full) as f64, 0),
    );
    let mut section = report.section("Some bad receivers in a crowd", &prose);
    let [well_p50, well_p99, p50, p99, moved] = rounds
        .measure("the others' times in a crowd", async |setup| {
            let well = Scene::new(setup, crowd, false, rounds.full).await.times().await;
            let unruly = Scene::new(setup, crowd, true, rounds.full).await.times().await;
            [well.p50, well.p99, unruly.p50, unruly.p99, 100.0 * (unruly.p99 / well.p99 - 1.0)]
        })
        .await;
    let mut row = |name: &str, digits, figures: &[Figure]| section.row(name, digits, figures);
    row("in a crowd that is well, p50, ms", 2, &well_p50);
    row("in a crowd that is well, p99, ms", 2, &well_p99);
    row("in an unruly crowd, p50, ms", 2, &p50);
    row("in an unruly crowd, p99, ms", 2, &p99);
    row("the unruly move the p99 by, %", 0, &moved);
    report.reached(Goal::Unruly, &[&moved]);
    report.add(section);
}

fn many(full: bool) -> usize {
    if full { A_MILLION } else { MANY }
}

/// A crowd, and gateways that know it.
struct Scene {
    cast: Cast,
    nodes: Nodes,
    others: Receiver,
    /// They go on for as long as the scene.
    _unruly: Vec<Receiver>,
    /// The number of the first site that is not unruly, and of all.
    first: usize,
    crowd: usize,
}

impl Scene {
    async fn new(setup: Setup, crowd: usize, is_unruly: bool, full: bool) -> Self {
        let (cast, others) = (Cast::new(setup.engine()).await, Receiver::start().await);
        let (mut unruly, mut first) = (Vec::new(), 0);
        for group in groups(crowd, many(full)) {
            let receiver = Receiver::start().await;
            // Else they would share the pace of one receiver, and be sent less.
            crowd::add(&cast, first..first + group.sites, &|site| format!("{}{site}", receiver.url()));
            first += group.sites;
            if is_unruly {
                receiver.behave(group.manner);
                backlog::add(&cast, &receiver.url(), group.waiting);
            }
            unruly.push(receiver);
        }
        crowd::add(&cast, first..crowd, &|_| others.url());
        cast.data.checkpoint();
        let nodes = Nodes::start(&cast, setup).await;
        if is_unruly {
            unruly.iter().for_each(|receiver| backlog::release(&cast, &receiver.url()));
            tokio::time::sleep(backlog::NOTICE + SETTLED).await;
        }
        Self { cast, nodes, others, _unruly: unruly, first, crowd }
    }

    /// Those of the others.
    async fn times(mut self) -> Percentiles {
        let create = Letter::creates_lead_on(&crowd::site_pattern(), &self.cast);
        let pace =
            Pace { per_second: OTHERS, duration: DURATION, first: 0, sites: (self.first, self.crowd), uneven: false };
        let others = latency::at_pace(create.clone(), &self.nodes, &mut self.others, pace);
        let pace = Pace { per_second: THEIR_OWN, first: 1_000_000, sites: (0, self.first), uneven: true, ..pace };
        let (times, _) = tokio::join!(others, pace.send(create, self.nodes.addresses()));
        times.since_sent
    }
}

/// The unruly of a crowd.
fn groups(crowd: usize, many: usize) -> [Group; 4] {
    let slow = |millis| Manner::Slow(Duration::from_millis(millis));
    [
        Group { manner: slow(20), sites: 1, waiting: many },
        Group { manner: Manner::Failing, sites: crowd / DEAD, waiting: FEW },
        Group { manner: Manner::Hanging, sites: crowd / DEAD, waiting: FEW },
        Group { manner: slow(1000), sites: crowd / SLOW, waiting: FEW },
    ]
}
