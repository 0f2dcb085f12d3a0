//! The board, with a model of the store, of the receiver and of the time between them, millisecond by millisecond.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::receiver::{Answer, Receiver};
use crate::delivery::Policy;
use crate::delivery::board::{Board, Settled, Start};
use crate::delivery::limits::Limits;
use crate::delivery::outcome::Sign;
use crate::delivery::recorder::Job;
use crate::delivery::schedule::after_failure;
use crate::model::delivery::{Action, Attempt, LeaseBatch, LeaseRequest, Leased, Outcome, Space, Verdict};
use crate::model::seal::Sealed;
use crate::model::subscription::DestinationUrl;
use crate::model::time::after;
use crate::model::{DeliveryId, Entropy, LeadId, LeaseToken, PartnerId, SiteId, SubscriptionId, Timestamp};

/// Places of one subscription.
pub(super) const PLACES: usize = 16;

const TIMEOUT: Duration = Duration::from_secs(15);
const LEASE: Duration = Duration::from_secs(30);

/// Milliseconds for which the store does not meet whom it has passed over.
const ASIDE: u64 = 10_000;

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
pub(super) struct Drained {
    /// When all was delivered, in milliseconds.
    pub(super) millis: u64,
    /// When all but one in a hundred was.
    pub(super) nearly_all: u64,
    /// Requests that were refused, failed or timed out, by the second.
    pub(super) in_vain: Vec<(u64, u32)>,
    /// Those that were taken, by the second.
    pub(super) taken: Vec<u32>,
    /// The last second in which something of a subscription was taken, by its number.
    pub(super) ends: BTreeMap<u32, u64>,
    /// Most that were under way at once, by the second.
    pub(super) crowds: Vec<usize>,
    /// Deliveries that were put back untried.
    pub(super) released: usize,
    /// How often the store was asked.
    pub(super) leases: u64,
}

impl Drained {
    pub(super) fn all_in_vain(&self) -> u32 {
        self.in_vain_within(0..u64::MAX)
    }

    /// Requests that came to nothing in these seconds.
    pub(super) fn in_vain_within(&self, seconds: std::ops::Range<u64>) -> u32 {
        self.in_vain.iter().filter(|(at, _)| seconds.contains(at)).map(|(_, count)| count).sum()
    }

    /// Most that were ever under way at once.
    pub(super) fn crowd(&self) -> usize {
        self.crowds.iter().copied().max().unwrap_or_default()
    }
}

/// What waits in the store: deliveries' numbers, and how many attempts were made of each.
#[derive(Default)]
struct Waiting {
    /// Due, in order.
    due: VecDeque<(u32, u32)>,
    /// When the store meets it again.
    aside: u64,
}

/// The world around a board. Times are milliseconds.
pub(super) struct Simulation<R> {
    board: Board,
    jobs: UnboundedReceiver<Job>,
    receiver: R,
    now: u64,
    subscriptions: u32,
    /// By the subscription's number.
    waiting: BTreeMap<u32, Waiting>,
    /// Whom the store meets next, of those who wait.
    line: VecDeque<u32>,
    /// Put off: when it is due, number and attempts made.
    put_off: BinaryHeap<Reverse<(u64, u32, u32)>>,
    /// When an attempt ends, its number, and how.
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    under_way: HashMap<u64, (Start, Sign)>,
    attempts: HashMap<u32, u32>,
    backlog: u32,
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
    /// So many deliveries wait, for one subscription or as many of each of several.
    pub(super) fn new(backlog: u32, subscriptions: u32, receiver: R) -> Self {
        let (sender, jobs) = unbounded_channel();
        let limits = Limits { places: 512, per_subscription: PLACES, memory: 1 << 26 };
        let mut waiting = BTreeMap::<u32, Waiting>::new();
        for number in 0..backlog {
            waiting.entry(number % subscriptions).or_default().due.push_back((number, 0));
        }
        Self {
            board: Board::new(limits, TIMEOUT, sender, std::sync::Arc::default()),
            jobs,
            receiver,
            now: 0,
            subscriptions,
            waiting,
            line: (0..subscriptions).collect(),
            put_off: BinaryHeap::new(),
            ends: BinaryHeap::new(),
            under_way: HashMap::new(),
            attempts: HashMap::new(),
            backlog,
            left: backlog,
            entropy: Box::new(Seeded(7.into())),
            url: "http://receiver.example/".parse().unwrap(),
            policy: Policy::default(),
            drained: Drained::default(),
        }
    }

    /// Nothing of a subscription, by its number, is due before this time in milliseconds.
    pub(super) fn put_off_all_of(&mut self, subscription: u32, until: u64) {
        let waiting = self.waiting.get_mut(&subscription).map(|waiting| std::mem::take(&mut waiting.due));
        self.put_off.extend(waiting.into_iter().flatten().map(|(number, made)| Reverse((until, number, made))));
    }

    /// Goes on until everything is delivered.
    pub(super) fn run(self) -> Drained {
        self.run_until(|left, _| left == 0)
    }

    /// Goes on until it is enough, by what is left and the time in milliseconds.
    pub(super) fn run_until(mut self, is_enough: impl Fn(u32, u64) -> bool) -> Drained {
        let mut lease = true;
        while !is_enough(self.left, self.now) {
            assert!(self.now < 100_000_000, "it never ends: {:?}", self.drained.all_in_vain());
            lease |= self.fall_due();
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

    fn second(&self) -> usize {
        usize::try_from(self.now / 1000).unwrap()
    }

    /// What was put off until now. Returns whether there is any.
    fn fall_due(&mut self) -> bool {
        let mut any = false;
        while self.put_off.peek().is_some_and(|Reverse((due, ..))| *due <= self.now) {
            let Some(Reverse((_, number, made))) = self.put_off.pop() else { break };
            self.waiting.entry(number % self.subscriptions).or_default().due.push_back((number, made));
            any = true;
        }
        any
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
        let (number, second) = (number_of(start.delivery.id), self.second());
        let verdict = if matches!(sign, Sign::Took(_)) {
            self.drained.taken.resize(second + 1, 0);
            self.drained.taken[second] += 1;
            self.drained.ends.insert(number % self.subscriptions, second as u64);
            self.left -= 1;
            if self.left == self.backlog / 100 {
                self.drained.nearly_all = self.now;
            }
            Verdict::Delivered
        } else {
            match self.drained.in_vain.last_mut().filter(|(at, _)| *at == second as u64) {
                Some((_, count)) => *count += 1,
                None => self.drained.in_vain.push((second as u64, 1)),
            }
            after_failure(&self.policy.retry_schedule, made, Duration::ZERO, self.time(), &*self.entropy)
        };
        self.attempts.insert(number, made);
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
            let subscription = number_of(start.delivery.id) % self.subscriptions;
            let (takes, sign) = match self.receiver.answer(subscription, self.now) {
                Answer::Took(millis) => (millis, Sign::Took(Duration::from_millis(millis))),
                Answer::Refused(millis) => (millis, Sign::Refused(Duration::ZERO)),
                Answer::Down => (1, Sign::Failed),
                Answer::Silence => (15_000, Sign::Refused(Duration::ZERO)),
            };
            let (takes, sign) = if takes > 15_000 { (15_000, Sign::Refused(Duration::ZERO)) } else { (takes, sign) };
            self.ends.push(Reverse((self.now + takes, start.seat.number)));
            self.under_way.insert(start.seat.number, (start, sign));
        }
        let second = self.second();
        self.drained.crowds.resize(second + 1, 0);
        self.drained.crowds[second] = self.drained.crowds[second].max(self.under_way.len());
    }

    /// A round of the driver's.
    fn lease(&mut self) -> bool {
        self.drained.leases += 1;
        let starts = self.board.round(self.time());
        self.begin(starts);
        let token = LeaseToken::from_bytes([9; 16]);
        let Some(request) = self.board.plan(self.time(), token, after(self.time(), LEASE)) else { return false };
        let batch = self.lease_due(&request);
        let next = self.board.accept(batch, &request, self.time());
        self.begin(next.starts);
        next.lease
    }

    /// What the store does: it meets those that are called, then those who stand in line.
    fn lease_due(&mut self, request: &LeaseRequest) -> LeaseBatch {
        let mut batch = LeaseBatch::default();
        let called: Vec<_> = request.again.iter().map(|id| number_of_subscription(*id)).collect();
        let standing: Vec<_> = self.line.iter().copied().filter(|number| !called.contains(number)).collect();
        let aside = |waiting: &Waiting| waiting.aside > self.now;
        let standing = standing.into_iter().filter(|number| self.waiting.get(number).is_some_and(|it| !aside(it)));
        let met: Vec<_> = called.iter().copied().chain(standing).collect();
        for number in met {
            let left = request.limit - batch.deliveries.len();
            let waits = self.waiting.get(&number).is_some_and(|waiting| !waiting.due.is_empty());
            if left == 0 && called.contains(&number) {
                batch.passed_over.push(subscription(number));
            }
            if left > 0 && waits {
                self.meet(number, left, request, &mut batch);
            }
        }
        batch
    }

    fn meet(&mut self, number: u32, left: usize, request: &LeaseRequest, batch: &mut LeaseBatch) {
        let id = subscription(number);
        let (busy, time) = (request.busy.get(&id).copied(), self.time());
        let room = busy.unwrap_or_else(|| match self.board.space_of_unlisted(id, time) {
            None => request.per_subscription,
            Some(Space::For(room)) => room,
            Some(Space::Full | Space::Down) => 0,
        });
        let now = self.now;
        let Some(waiting) = self.waiting.get_mut(&number) else { return };
        if room == 0 {
            waiting.aside = now + ASIDE;
            batch.passed_over.push(id);
            batch.have_more.insert(id);
            return;
        }
        let count = room.min(left).min(waiting.due.len());
        let taken: Vec<_> = waiting.due.drain(..count).collect();
        batch.have_more.extend((!waiting.due.is_empty()).then_some(id));
        waiting.aside = 0;
        self.line.retain(|other| *other != number);
        self.line.push_back(number);
        batch.deliveries.extend(taken.into_iter().map(|(delivery, attempts)| self.leased(delivery, attempts)));
    }

    fn leased(&mut self, number: u32, attempts: u32) -> Leased {
        self.attempts.insert(number, attempts);
        let id = bytes_of(number);
        Leased {
            id: DeliveryId::from_bytes(id),
            lease: LeaseToken::from_bytes([9; 16]),
            until: after(self.time(), LEASE),
            site: SiteId::from_bytes([0; 16]),
            partner: PartnerId::from_bytes([0; 16]),
            subscription: subscription(number % self.subscriptions),
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
                    let waiting = self.waiting.entry(number % self.subscriptions).or_default();
                    waiting.due.push_front((number, made));
                    self.drained.released += 1;
                }
                Verdict::Delivered => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn subscription(number: u32) -> SubscriptionId {
    SubscriptionId::from_bytes(bytes_of(number))
}

fn number_of_subscription(id: SubscriptionId) -> u32 {
    u32::from_be_bytes(id.as_bytes()[..4].try_into().unwrap())
}

fn bytes_of(number: u32) -> [u8; 16] {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    id
}

fn number_of(id: DeliveryId) -> u32 {
    u32::from_be_bytes(id.as_bytes()[..4].try_into().unwrap())
}
