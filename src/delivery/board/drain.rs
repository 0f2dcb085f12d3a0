//! How a backlog drains: the board, with a model of the store, of the receiver and of the time between them, millisecond by
//! millisecond. The receivers take 500 requests per second, each in its own way.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::delivery::Policy;
use crate::delivery::schedule::after_failure;
use crate::model::delivery::{Action, Attempt};
use crate::model::seal::Sealed;
use crate::model::subscription::DestinationUrl;
use crate::model::{DeliveryId, Entropy, LeadId, PartnerId, SiteId};

const TIMEOUT: Duration = Duration::from_secs(15);
const LEASE: Duration = Duration::from_secs(30);
const PLACES: usize = 16;

/// What the receivers take each second.
const CAPACITY: f64 = 500.0;

/// What a receiver does with a request.
enum Answer {
    /// Takes it; the answer comes after so many milliseconds.
    Took(u64),
    /// 503, after so many milliseconds.
    Refused(u64),
    /// The connection is refused.
    Down,
    /// Nothing, until the time is up.
    Silence,
}

trait Receiver {
    fn answer(&mut self, now: u64) -> Answer;
}

impl<F: FnMut(u64) -> Answer> Receiver for F {
    fn answer(&mut self, now: u64) -> Answer {
        self(now)
    }
}

/// 500 in each second of the clock, and the others are refused.
fn by_the_second(latency: u64) -> impl FnMut(u64) -> Answer {
    let (mut second, mut taken) = (0, 0);
    move |now| {
        if now / 1000 != second {
            (second, taken) = (now / 1000, 0);
        }
        taken += 1;
        if taken <= 500 { Answer::Took(latency) } else { Answer::Refused(1) }
    }
}

/// A token bucket of this depth that fills with 500 a second.
fn by_tokens(depth: f64, latency: u64) -> impl FnMut(u64) -> Answer {
    let (mut tokens, mut filled) = (depth, 0);
    move |now| {
        tokens = (tokens + (now - filled) as f64 * CAPACITY / 1000.0).min(depth);
        filled = now;
        if tokens < 1.0 {
            return Answer::Refused(1);
        }
        tokens -= 1.0;
        Answer::Took(latency)
    }
}

/// Workers that each take one request at a time, so long that all of them together do 500 a second; nobody waits.
fn by_workers(workers: u64) -> impl FnMut(u64) -> Answer {
    let mut busy: Vec<u64> = Vec::new();
    let latency = workers * 2;
    move |now| {
        busy.retain(|end| *end > now);
        if busy.len() as u64 >= workers {
            return Answer::Refused(1);
        }
        busy.push(now + latency);
        Answer::Took(latency)
    }
}

/// One after the other, each as long as `each`; up to `queue` wait, and the others are refused.
fn by_queue(each: u64, queue: u64) -> impl FnMut(u64) -> Answer {
    let mut free_at = 0_u64;
    move |now| {
        let waits = free_at.saturating_sub(now);
        if waits > queue * each {
            return Answer::Refused(1);
        }
        free_at = now + waits + each;
        Answer::Took(waits + each)
    }
}

/// Draws from a seed.
struct Seeded(std::sync::Mutex<u64>);

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock().unwrap();
        for byte in buffer {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (*state >> 56) as u8;
        }
    }
}

/// What became of a backlog.
#[derive(Debug, Default)]
struct Drained {
    /// When all was delivered, in milliseconds.
    millis: u64,
    /// Requests that were refused, failed or timed out, by the second.
    in_vain: Vec<(u64, u32)>,
    /// Those that were taken, by the second.
    taken: Vec<u32>,
    /// Most that were under way at once.
    crowd: usize,
    /// Deliveries that were put back untried.
    released: usize,
}

impl Drained {
    fn all_in_vain(&self) -> u32 {
        self.in_vain.iter().map(|(_, count)| count).sum()
    }
}

/// The world around a board. Times are milliseconds.
struct Simulation<R> {
    board: Board,
    jobs: UnboundedReceiver<Job>,
    receiver: R,
    now: u64,
    /// Due, in order: number and attempts made.
    due: VecDeque<(u32, u32)>,
    /// Put off: when it is due, number and attempts made.
    put_off: BinaryHeap<Reverse<(u64, u32, u32)>>,
    /// When an attempt ends, its number, and how.
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    under_way: HashMap<u64, (Start, Sign)>,
    attempts: HashMap<u32, u32>,
    left: u32,
    entropy: Box<dyn Entropy>,
    url: DestinationUrl,
    policy: Policy,
    drained: Drained,
}

fn beginning() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

impl<R: Receiver> Simulation<R> {
    fn new(backlog: u32, receiver: R) -> Self {
        let (sender, jobs) = unbounded_channel();
        let limits = Limits { places: 512, per_subscription: PLACES, memory: 1 << 26 };
        Self {
            board: Board::new(limits, TIMEOUT, sender, Arc::default()),
            jobs,
            receiver,
            now: 0,
            due: (0..backlog).map(|number| (number, 0)).collect(),
            put_off: BinaryHeap::new(),
            ends: BinaryHeap::new(),
            under_way: HashMap::new(),
            attempts: HashMap::new(),
            left: backlog,
            entropy: Box::new(Seeded(7.into())),
            url: "http://receiver.example/".parse().unwrap(),
            policy: Policy::default(),
            drained: Drained::default(),
        }
    }

    /// Goes on until everything is delivered.
    fn run(mut self) -> Drained {
        let mut lease = true;
        while self.left > 0 {
            assert!(self.now < 100_000_000, "it never ends: {:?}", self.drained.all_in_vain());
            while self.put_off.peek().is_some_and(|Reverse((due, ..))| *due <= self.now) {
                let Some(Reverse((_, number, made))) = self.put_off.pop() else { break };
                self.due.push_back((number, made));
                lease = true;
            }
            lease |= self.end_some();
            let next = self.board.go_on(self.time());
            lease |= next.lease;
            self.begin(next.starts);
            if lease || self.now.is_multiple_of(1000) {
                lease = self.lease();
            }
            self.record();
            self.now += 1;
        }
        self.drained.millis = self.now;
        self.drained
    }

    fn time(&self) -> Timestamp {
        after(beginning(), Duration::from_millis(self.now))
    }

    /// What has come to its end now.
    fn end_some(&mut self) -> bool {
        let mut lease = false;
        while self.ends.peek().is_some_and(|Reverse((end, _))| *end <= self.now) {
            let Some(Reverse((_, number))) = self.ends.pop() else { break };
            let (start, sign) = self.under_way.remove(&number).unwrap();
            let settled = self.judge(&start, sign);
            let next = self.board.settle(&start.seat, Some(settled), self.time());
            lease |= next.lease;
            self.begin(next.starts);
        }
        lease
    }

    fn judge(&mut self, start: &Start, sign: Sign) -> Settled {
        let made = start.delivery.attempts + 1;
        let second = usize::try_from(self.now / 1000).unwrap();
        let verdict = if matches!(sign, Sign::Took(_)) {
            self.drained.taken.resize(second + 1, 0);
            self.drained.taken[second] += 1;
            self.left -= 1;
            Verdict::Delivered
        } else {
            match self.drained.in_vain.last_mut().filter(|(at, _)| *at == second as u64) {
                Some((_, count)) => *count += 1,
                None => self.drained.in_vain.push((second as u64, 1)),
            }
            after_failure(&self.policy.retry_schedule, made, Duration::ZERO, self.time(), &*self.entropy)
        };
        self.attempts.insert(number_of(start.delivery.id), made);
        let attempt = Attempt {
            started: beginning(),
            duration: Duration::ZERO,
            status: None,
            error: None,
            response: String::new(),
        };
        Settled { outcome: Outcome::of(&start.delivery, Some(attempt), verdict), sign }
    }

    fn begin(&mut self, starts: Vec<Start>) {
        for start in starts {
            assert!(after(self.time(), TIMEOUT) <= start.delivery.until, "it could outlast its lease");
            let (takes, sign) = match self.receiver.answer(self.now) {
                Answer::Took(millis) => (millis, Sign::Took(Duration::from_millis(millis))),
                Answer::Refused(millis) => (millis, Sign::Refused(Duration::ZERO)),
                Answer::Down => (1, Sign::Failed),
                Answer::Silence => (15_000, Sign::Refused(Duration::ZERO)),
            };
            let (takes, sign) = if takes > 15_000 { (15_000, Sign::Refused(Duration::ZERO)) } else { (takes, sign) };
            self.ends.push(Reverse((self.now + takes, start.seat.number)));
            self.under_way.insert(start.seat.number, (start, sign));
        }
        self.drained.crowd = self.drained.crowd.max(self.under_way.len());
    }

    /// A round of the driver's.
    fn lease(&mut self) -> bool {
        let starts = self.board.round(self.time());
        self.begin(starts);
        let token = LeaseToken::from_bytes([9; 16]);
        let Some(request) = self.board.plan(self.time(), token, after(self.time(), LEASE)) else { return false };
        let room = request.busy.get(&subscription()).copied().unwrap_or(request.per_subscription);
        let count = room.min(request.limit).min(self.due.len());
        let deliveries = (0..count).map(|_| self.leased()).collect();
        let passed_over = if room == 0 && !self.due.is_empty() { vec![subscription()] } else { vec![] };
        let next = self.board.accept(LeaseBatch { deliveries, passed_over, ..LeaseBatch::default() }, &request);
        self.begin(next.starts);
        next.lease
    }

    fn leased(&mut self) -> Leased {
        let (number, attempts) = self.due.pop_front().unwrap();
        self.attempts.insert(number, attempts);
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        Leased {
            id: DeliveryId::from_bytes(id),
            lease: LeaseToken::from_bytes([9; 16]),
            until: after(self.time(), LEASE),
            site: SiteId::from_bytes([0; 16]),
            partner: PartnerId::from_bytes([0; 16]),
            subscription: subscription(),
            lead: LeadId::from_bytes(id),
            action: Action::Created,
            changed: beginning(),
            body: Bytes::new(),
            attempts,
            url: self.url.clone(),
            secret: Sealed::from_bytes(vec![]),
        }
    }

    /// What the recorder does.
    fn record(&mut self) {
        while let Ok(job) = self.jobs.try_recv() {
            let Job::Record(outcome) = job else { continue };
            self.board.recorded(1);
            let number = number_of(outcome.delivery);
            let made = self.attempts[&number];
            match outcome.verdict {
                Verdict::Retry(due) => {
                    let due = u64::try_from(due.as_millisecond() - beginning().as_millisecond()).unwrap();
                    self.put_off.push(Reverse((due, number, made)));
                }
                Verdict::Release => {
                    self.due.push_front((number, made));
                    self.drained.released += 1;
                }
                Verdict::Delivered => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn subscription() -> SubscriptionId {
    SubscriptionId::from_bytes([1; 16])
}

fn number_of(id: DeliveryId) -> u32 {
    u32::from_be_bytes(id.as_bytes()[..4].try_into().unwrap())
}

/// Drains a backlog; it must not take more than 1.2 times as long as the receiver needs for it, with less than 1 % in vain.
fn drain(what: &str, backlog: u32, seconds: f64, receiver: impl Receiver) -> Drained {
    drain_within(1.2, what, backlog, seconds, receiver)
}

/// The same with another bound.
fn drain_within(bound: f64, what: &str, backlog: u32, seconds: f64, receiver: impl Receiver) -> Drained {
    let drained = Simulation::new(backlog, receiver).run();
    let took = drained.millis as f64 / 1000.0;
    let in_vain = f64::from(drained.all_in_vain()) / f64::from(backlog);
    println!(
        "{what}: {took:.1} s, {:.3} of what it needs; {:.3} % in vain; {} put back; {:?}",
        took / seconds,
        100.0 * in_vain,
        drained.released,
        drained.in_vain
    );
    assert!(took <= bound * seconds, "{what}: {took} s instead of {seconds}");
    assert!(in_vain < 0.01, "{what}: {in_vain}");
    assert!(drained.crowd <= PLACES);
    drained
}

#[test]
fn a_receiver_that_refuses_what_is_beyond_500_a_second() {
    drain("by the second, 1 ms", 100_000, 200.0, by_the_second(1));
    for depth in [10.0, 50.0, 500.0] {
        drain(&format!("token bucket of {depth}, 1 ms"), 100_000, 200.0, by_tokens(depth, 1));
    }
    drain("token bucket of 50, 20 ms", 100_000, 200.0, by_tokens(50.0, 20));
}

/// Sixteen places and 20 ms come to 800 a second, so that of a second's 500 the last are refused while others are under way:
/// it is not clear which of the two was too much, and a few more refusals wait for their retries. A third longer is what it comes to.
#[test]
fn a_receiver_whose_rate_and_window_are_met_together() {
    drain_within(1.4, "by the second, 20 ms", 100_000, 200.0, by_the_second(20));
}

#[test]
fn a_receiver_that_works_on_so_many_at_once_and_refuses_the_others() {
    for workers in [1, 2, 5, 10] {
        drain(&format!("{workers} workers"), 100_000, 200.0, by_workers(workers));
    }
}

#[test]
fn a_receiver_that_gets_slow_instead_of_refusing() {
    let drained = drain("queue, 500/s", 100_000, 200.0, by_queue(2, 1000));
    assert_eq!(drained.all_in_vain(), 0);
    drain("queue, 2/s", 2000, 1000.0, by_queue(500, 1000));
}

#[test]
fn a_receiver_that_is_slow_and_far_from_its_limit_has_all_places() {
    for latency in [50, 500] {
        let (backlog, each) = (10_000, 16.0 / latency as f64 * 1000.0);
        let drained = drain(&format!("{latency} ms"), backlog, f64::from(backlog) / each, by_the_second(latency));
        assert_eq!(drained.all_in_vain(), 0);
    }
}

#[test]
fn no_more_is_held_of_a_slow_receiver_than_it_takes_before_the_leases_end() {
    for latency in [1000, 5000] {
        let (backlog, each) = (2000, 16.0 / latency as f64 * 1000.0);
        let drained = drain(&format!("{latency} ms"), backlog, f64::from(backlog) / each, |_| Answer::Took(latency));
        assert_eq!(drained.released, 0, "put back, and leased again");
    }
}

#[test]
fn a_receiver_that_goes_down_in_the_middle_and_comes_back() {
    type Outage = fn() -> Answer;
    let outages: [(&str, Outage); 3] =
        [("refuses connections", || Answer::Down), ("is silent", || Answer::Silence), ("503", || Answer::Refused(1))];
    for (what, outage) in outages {
        let mut healthy = by_tokens(50.0, 5);
        let receiver = move |now: u64| if (60_000..180_000).contains(&now) { outage() } else { healthy(now) };
        let drained = Simulation::new(100_000, receiver).run();
        let in_vain = |seconds: std::ops::Range<u64>| -> u32 {
            drained.in_vain.iter().filter(|(at, _)| seconds.contains(at)).map(|(_, count)| count).sum()
        };
        println!("{what}: {} ms, {:?}", drained.millis, drained.in_vain);
        // Two minutes in which it is tried now and then: nearly everything is still due when it comes back. Those that were
        // tried wait for their retries; the last of them, tried just before the end or refused at that, for two minutes.
        assert!(in_vain(60..195) < 100, "{what}: {:?}", drained.in_vain);
        assert!(drained.all_in_vain() < 1000, "{what}");
        assert!(drained.millis < 384_000, "{what}: {} ms", drained.millis);
        // It comes back to a few requests, then more.
        let after_outage: Vec<_> = drained.taken[180..].iter().copied().skip_while(|taken| *taken < 10).collect();
        assert!(after_outage[0] < 150 && after_outage[8] > 300, "{what}: {:?}", &after_outage[..10]);
    }
}
