//! What the receiver sees of several nodes: who sends what, what is under way at once, what comes twice and why.

use std::collections::HashMap;

use nix::unistd::Pid;

use crate::crash::crm::{Delivered, lead, message};
use crate::harness::receiver::{Arrival, Receiver, Reply};
use crate::harness::sockets;

/// The receiver and its record.
pub struct Record {
    receiver: Receiver,
    pub all: Delivered,
    /// Who sent each message.
    senders: HashMap<String, Senders>,
    /// The nodes that nothing happens to.
    others: Vec<Pid>,
    /// From so many deliveries on, the victim's requests get no answer, until they are let go.
    hold_from: usize,
    /// Requests of the victim that have no answer.
    held: Vec<Came>,
}

/// How many requests carried a message.
#[derive(Debug, Default)]
struct Senders {
    victim: usize,
    others: usize,
}

/// A request at the receiver.
struct Came {
    arrival: Arrival,
    message: String,
    lead: String,
    by_victim: bool,
}

impl Record {
    pub fn new(receiver: Receiver, others: Vec<Pid>, hold_from: usize) -> Self {
        let (all, senders, held) = (Delivered::default(), HashMap::new(), Vec::new());
        Self { receiver, all, senders, others, hold_from, held }
    }

    /// Takes requests and answers them, until the record is as it should be.
    pub async fn run(&mut self, reached: impl Fn(&Self) -> bool) {
        while !reached(self) {
            let first = self.receiver.next().await;
            self.take_with(first);
        }
    }

    /// Takes requests and answers them while something else goes on.
    pub async fn run_while(&mut self, other: impl Future<Output = ()>) {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                biased;
                () = &mut other => break,
                first = self.receiver.next() => self.take_with(first),
            }
        }
        while let Some(first) = self.receiver.waiting() {
            self.take_with(first);
        }
    }

    /// Whether a request of the victim is held.
    pub fn holds_one(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether another node has sent what the victim was sending.
    pub fn is_taken_over(&self) -> bool {
        self.held.first().is_some_and(|held| self.senders[&held.message].others > 0)
    }

    /// Answers what was held; from now on all are answered.
    pub fn let_go(&mut self) {
        self.hold_from = usize::MAX;
        std::mem::take(&mut self.held).into_iter().for_each(Came::answer);
    }

    /// Fails unless everything that came twice was sent by the victim, and at most once by another. How much that was.
    pub fn explain_repeats(&self) -> String {
        let repeated: Vec<_> = self.senders.iter().filter(|(_, by)| by.victim + by.others > 1).collect();
        for (message, by) in &repeated {
            assert!(by.victim > 0 && by.others <= 1, "{message}: {by:?}");
        }
        let (repeats, deliveries) = (self.all.repeats, repeated.len());
        format!("{repeats} repeats of {deliveries} deliveries, each of them one that the victim had sent")
    }

    /// Takes this request and all that are at the receiver besides, so that what is under way at once is seen at once.
    fn take_with(&mut self, first: Arrival) {
        let waiting = std::iter::from_fn(|| self.receiver.waiting());
        let at_once: Vec<_> = std::iter::once(first).chain(waiting).collect();
        let mut to_answer = Vec::new();
        for arrival in at_once {
            let came = self.take(arrival);
            for other in to_answer.iter().chain(&self.held) {
                came.assert_may_meet(other, self.holds_one());
            }
            let hold = came.by_victim && self.all.count() >= self.hold_from;
            if hold { self.held.push(came) } else { to_answer.push(came) }
        }
        to_answer.into_iter().for_each(Came::answer);
    }

    fn take(&mut self, arrival: Arrival) -> Came {
        let (message, lead) = (message(&arrival.request), lead(&arrival.request));
        // The connection of a dead node belongs to nobody.
        let by_victim = !self.others.iter().any(|other| sockets::is_held_by(arrival.peer, *other));
        self.all.take(&arrival.request);
        let senders = self.senders.entry(message.clone()).or_default();
        *(if by_victim { &mut senders.victim } else { &mut senders.others }) += 1;
        Came { arrival, message, lead, by_victim }
    }
}

impl Came {
    /// Two requests for one lead are never under way at once, unless one is the victim's, which has lost its lease.
    fn assert_may_meet(&self, other: &Self, struck: bool) {
        let victims = struck && (self.by_victim || other.by_victim);
        assert!(self.lead != other.lead || victims, "{} and {} at once", self.message, other.message);
    }

    fn answer(self) {
        self.arrival.answer(Reply::status(204));
    }
}
