//! What the receiver sees of several nodes: who sends what, what is under way at once, what comes twice and why.

use std::collections::HashMap;

use nix::unistd::Pid;

use crate::crash::crm::{Crm, Delivered, lead, message};
use crate::harness::receiver::{Arrival, Connection, Receiver, Reply};
use crate::harness::sockets;

/// The receiver and its record.
pub struct Record {
    receiver: Receiver,
    pub all: Delivered,
    /// Who sent each message.
    senders: HashMap<String, Senders>,
    /// The nodes that nothing happens to.
    others: Vec<Pid>,
    /// Whether a connection is the victim's.
    owners: HashMap<Connection, bool>,
    /// Whether the victim's requests get no answer: one at first, and all when there were `hold_from` deliveries.
    holds: bool,
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
        let (all, senders, owners, held) = (Delivered::default(), HashMap::new(), HashMap::new(), Vec::new());
        Self { receiver, all, senders, others, owners, holds: true, hold_from, held }
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

    /// Whether enough has arrived, and a request of the victim is held.
    pub fn holds_one(&self) -> bool {
        self.all.count() >= self.hold_from && !self.held.is_empty()
    }

    /// Whether one more may be held: one from the start, since lanes tend to stay with the node that has them, and the others may
    /// soon have all; and any, once enough has arrived.
    fn may_hold(&self) -> bool {
        self.holds && (self.held.is_empty() || self.all.count() >= self.hold_from)
    }

    /// Whether another node has sent what the victim was sending.
    pub fn is_taken_over(&self) -> bool {
        self.held.first().is_some_and(|held| self.senders[&held.message].others > 0)
    }

    /// Answers what was held; from now on all are answered.
    pub fn let_go(&mut self) {
        self.holds = false;
        std::mem::take(&mut self.held).into_iter().for_each(Came::answer);
    }

    /// Fails unless everything that came twice was sent by the victim, and by another once; or more often, if the log has
    /// that it failed, which is for a busy machine to say. How much that was.
    pub fn explain_repeats(&self, crm: &Crm) -> String {
        let repeated: Vec<_> = self.senders.iter().filter(|(_, by)| by.victim + by.others > 1).collect();
        let mut failed = 0;
        for (message, by) in &repeated {
            let again = crm.failed_attempts(message);
            assert!(by.others <= 1 + again && (by.victim > 0 || again > 0), "{message}: {by:?}, {again} failed");
            failed += again;
        }
        let (repeats, deliveries) = (self.all.repeats, repeated.len());
        format!("{repeats} repeats of {deliveries} deliveries that the victim had sent, {failed} of failed attempts")
    }

    /// Takes this request and all that are at the receiver besides, so that what is under way at once is seen at once.
    fn take_with(&mut self, first: Arrival) {
        let waiting = std::iter::from_fn(|| self.receiver.waiting());
        let at_once: Vec<_> = std::iter::once(first).chain(waiting).collect();
        self.learn_owners(&at_once);
        let mut to_answer = Vec::new();
        for arrival in at_once {
            let came = self.take(arrival);
            for other in to_answer.iter().chain(&self.held) {
                let late = [&came, other].iter().any(|one| self.is_late(one));
                came.assert_may_meet(other, self.holds_one(), late);
            }
            let hold = came.by_victim && self.may_hold();
            if hold { self.held.push(came) } else { to_answer.push(came) }
        }
        to_answer.into_iter().for_each(Came::answer);
    }

    /// Whether the victim sends what another node has taken over from it.
    fn is_late(&self, came: &Came) -> bool {
        came.by_victim && self.senders[&came.message].others > 0
    }

    /// Finds out whose connections these are. Those of a dead node belong to nobody.
    fn learn_owners(&mut self, arrivals: &[Arrival]) {
        let is_new = |arrival: &&Arrival| !self.owners.contains_key(&arrival.connection);
        let new: Vec<_> = arrivals.iter().filter(is_new).map(|arrival| arrival.connection).collect();
        if !new.is_empty() {
            let of_others = sockets::held_to(self.receiver.address(), &self.others);
            self.owners.extend(new.into_iter().map(|connection| (connection, !of_others.contains(&connection.peer))));
        }
    }

    fn take(&mut self, arrival: Arrival) -> Came {
        let (message, lead) = (message(&arrival.request), lead(&arrival.request));
        let by_victim = self.owners[&arrival.connection];
        self.all.take(&arrival.request);
        let senders = self.senders.entry(message.clone()).or_default();
        *(if by_victim { &mut senders.victim } else { &mut senders.others }) += 1;
        Came { arrival, message, lead, by_victim }
    }
}

impl Came {
    /// Two requests for one lead are never under way at once, unless one is the victim's, which has lost its lease: while it is
    /// struck, or because it goes on with what it was about to send when it was.
    fn assert_may_meet(&self, other: &Self, struck: bool, late: bool) {
        let victims = late || (struck && (self.by_victim || other.by_victim));
        assert!(self.lead != other.lead || victims, "{} and {} at once", self.message, other.message);
    }

    fn answer(self) {
        self.arrival.answer(Reply::status(204));
    }
}
