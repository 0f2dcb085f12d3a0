//! Subscriptions that lead to one receiver.

use proptest::prelude::*;

use super::*;
use crate::delivery::board::receivers::Key;

/// A delivery of a subscription to the receiver with this number.
fn to(receiver: u8, number: u8, subscription: SubscriptionId) -> Leased {
    Leased { url: format!("http://receiver.example/{receiver}").parse().unwrap(), ..leased(number, subscription) }
}

/// A board with room for many, on which subscriptions 1 to `count` lead to one receiver, and each has one under way.
fn sharing(count: u8) -> (Board, Vec<Start>, UnboundedReceiver<Job>) {
    let (mut board, jobs) = board(512);
    let request = plan(&mut board);
    let deliveries = (1..=count).map(|number| to(1, number, subscription(number))).collect();
    let starts = board.accept(batch(deliveries), &request, request.now).starts;
    (board, starts, jobs)
}

/// Everything under way fails, and the store has as much again.
fn fail_all(board: &mut Board, starts: Vec<Start>) -> Vec<Start> {
    end_all(board, starts, |start| outcome(start, Verdict::Retry(Timestamp::MAX)))
}

/// Everything under way ends so, and the store has as much again.
fn end_all(board: &mut Board, starts: Vec<Start>, how: fn(&Start) -> Settled) -> Vec<Start> {
    for start in &starts {
        board.settle(&start.seat, Some(how(start)), now());
        board.recorded(1);
    }
    let request = plan(board);
    let again = starts.iter().map(|start| start.delivery.clone()).collect();
    board.accept(batch(again), &request, request.now).starts
}

#[test]
fn a_receiver_of_many_that_fails_every_time_is_tried_with_one_request_at_a_time() {
    let (mut board, starts, _jobs) = sharing(8);
    assert_eq!(starts.len(), 8, "two of each may be under way");
    assert_eq!(fail_all(&mut board, starts).len(), 1);
}

#[test]
fn what_another_partner_sends_there_is_its_own_business() {
    let (mut board, starts, _jobs) = sharing(8);
    fail_all(&mut board, starts);
    let request = plan(&mut board);
    let other = |number| Leased { partner: PartnerId::from_bytes([1; 16]), ..to(1, number, subscription(number)) };
    assert_eq!(board.accept(batch((11..=14).map(other).collect()), &request, request.now).starts.len(), 4);
}

#[test]
fn those_who_share_a_receiver_are_not_listed_but_asked_when_they_are_met() {
    let (mut board, starts, _jobs) = sharing(4);
    let request = plan(&mut board);
    assert!(request.busy.is_empty());
    assert_eq!(board.space_of_unlisted(subscription(1), now()), Some(Space::For(1)), "it may have two under way");
    board.accept(batch(vec![]), &request, request.now);

    assert_eq!(fail_all(&mut board, starts).len(), 1);
    plan(&mut board);
    assert_eq!(board.space_of_unlisted(subscription(2), now()), Some(Space::Down));
}

#[test]
fn while_their_receiver_takes_no_more_nobody_is_told_of_what_falls_due() {
    let (mut board, starts, _jobs) = sharing(8);
    let under_way = fail_all(&mut board, starts).remove(0);
    let others = (1..=8).map(subscription).filter(|id| *id != under_way.delivery.subscription);
    for id in others.collect::<Vec<_>>() {
        assert_eq!(board.space_for(id, now()), Space::Down);
    }
    let next = board.settle(&under_way.seat, Some(outcome(&under_way, Verdict::Delivered)), now());
    assert!(!next.starts.is_empty(), "those that are ready go on");
}

/// Subscription 1 has as many under way as it may, subscription 2 one, and they share a receiver.
fn one_is_full() -> (Board, Vec<Start>, Start, UnboundedReceiver<Job>) {
    let (mut board, jobs) = board(512);
    let request = plan(&mut board);
    let deliveries = vec![to(1, 1, subscription(1)), to(1, 2, subscription(1)), to(1, 3, subscription(2))];
    let starts = board.accept(batch(deliveries), &request, request.now).starts;
    assert_eq!(starts.len(), 3);
    let (full, mut other): (Vec<_>, Vec<_>) =
        starts.into_iter().partition(|start| start.delivery.subscription == subscription(1));
    (board, full, other.remove(0), jobs)
}

#[test]
fn one_that_is_full_by_itself_is_not_called_before_it_has_room() {
    let (mut board, starts, _other, _jobs) = one_is_full();
    let request = plan(&mut board);
    assert_eq!(board.space_of_unlisted(subscription(1), now()), Some(Space::Full));
    let passed_over = vec![subscription(1)];
    // There may be more of the other one, so it is asked once more.
    assert!(board.accept(LeaseBatch { passed_over, ..LeaseBatch::default() }, &request, request.now).lease);
    let request = plan(&mut board);
    assert_eq!(request.again, []);
    assert!(!board.accept(batch(vec![]), &request, request.now).lease);
    assert!(asks_again(&mut board, &starts[0], outcome(&starts[0], Verdict::Delivered)));
    assert_eq!(plan(&mut board).again, [subscription(1)]);
}

/// On PostgreSQL it may keep its place in line instead of being passed over.
#[test]
fn one_that_was_told_to_be_full_is_leased_for_when_it_has_room() {
    let (mut board, starts, other, _jobs) = one_is_full();
    board.settle(&other.seat, Some(outcome(&other, Verdict::Delivered)), now());
    board.recorded(1);
    let request = plan(&mut board);
    assert_eq!(board.space_of_unlisted(subscription(1), now()), Some(Space::Full));
    assert!(!board.accept(batch(vec![]), &request, request.now).lease);
    let leases = starts.iter().map(|start| asks_again(&mut board, start, outcome(start, Verdict::Delivered)));
    assert!(leases.collect::<Vec<_>>().contains(&true));
}

#[test]
fn those_that_wait_for_their_receiver_are_not_looked_at_for_a_lease() {
    let (mut board, starts, _jobs) = sharing(8);
    let under_way = fail_all(&mut board, starts);
    let request = plan(&mut board);
    let passed_over = (9..=100).map(subscription).collect();
    let deliveries = (9..=100).map(|number| to(1, number, subscription(number))).collect();
    board.accept(LeaseBatch { passed_over, ..batch(deliveries) }, &request, request.now);
    for _ in 0..3 {
        let request = plan(&mut board);
        board.accept(batch(vec![]), &request, request.now);
    }
    assert!(board.entries.len() >= 100 && board.awake.len() < 20, "{} are awake", board.awake.len());
    check(&board);
    drop(under_way);
}

#[test]
fn when_little_is_left_more_is_leased() {
    let (mut board, mut starts, _jobs) = sharing(4);
    let last = starts.pop().unwrap();
    for start in &starts {
        board.settle(&start.seat, Some(outcome(start, Verdict::Delivered)), now());
        board.recorded(1);
    }
    let request = plan(&mut board);
    board.accept(batch(vec![]), &request, request.now);
    assert!(!board.settle(&last.seat, Some(outcome(&last, Verdict::Delivered)), now()).lease, "there is nothing more");

    let (mut board, starts, _jobs) = sharing(4);
    let leases = starts.iter().map(|start| asks_again(&mut board, start, outcome(start, Verdict::Delivered)));
    assert!(leases.collect::<Vec<_>>().contains(&true), "the store may have more of each");
}

#[test]
fn whoever_is_recalled_holds_up_none_of_those_who_waited_for_it() {
    let (mut board, starts, _jobs) = sharing(8);
    let under_way = fail_all(&mut board, starts).remove(0);
    assert!(board.round(now()).is_empty());
    board.recall(under_way.delivery.subscription);
    assert_eq!(board.round(now()).len(), 1, "the next one");
    board.settle(&under_way.seat, Some(outcome(&under_way, Verdict::Release)), now());
    check(&board);
}

#[test]
fn one_that_leads_elsewhere_from_now_on_is_free_of_the_others() {
    let (mut board, starts, _jobs) = sharing(8);
    fail_all(&mut board, starts);
    board.recall(subscription(8));
    let request = plan(&mut board);
    assert_eq!(board.accept(batch(vec![to(2, 9, subscription(8))]), &request, request.now).starts.len(), 1);
    check(&board);
}

#[test]
fn what_was_learned_of_a_shared_receiver_is_forgotten_in_time() {
    let (mut board, starts, _jobs) = sharing(8);
    let mut starts = end_all(&mut board, starts, |start| refused(start, Duration::ZERO));
    let mut time = now();
    // It is well again.
    while board.sums.under_way > 0 || board.next_turn().is_some() {
        for start in std::mem::take(&mut starts) {
            starts.extend(board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), time).starts);
            board.recorded(1);
        }
        time = board.next_turn().unwrap_or(time);
        starts.extend(board.go_on(time).starts);
        let request = board.plan(time, lease(), after(time, 2 * TIMEOUT)).unwrap();
        starts.extend(board.accept(batch(vec![]), &request, request.now).starts);
    }
    assert_eq!(board.entries.len(), 8);
    let later = after(time, Duration::from_secs(601));
    let request = board.plan(later, lease(), after(later, 2 * TIMEOUT)).unwrap();
    board.accept(batch(vec![]), &request, request.now);
    assert_eq!((board.entries.len(), board.receivers.is_empty()), (0, true));
}

/// That all sums are right, and that everybody waits where it is looked for.
fn check(board: &Board) {
    let mut all = Sums::default();
    let mut receivers = HashMap::<Key, (usize, Sums)>::new();
    for (id, entry) in &board.entries {
        all += entry.sums();
        if let Some(key) = entry.receiver {
            let (subscriptions, sums) = receivers.entry(key).or_default();
            *subscriptions += 1;
            *sums += entry.sums();
        }
        assert_eq!(entry.held_until.is_some(), board.paced.iter().any(|(_, held)| *held == Held::Subscription(*id)));
        assert!(!entry.in_line || entry.receiver.is_some_and(|key| board.receivers.get(key).line.has(*id)));
        assert!(!entry.takes_turns() || entry.queued, "it would wait for ever");
    }
    assert_eq!(board.sums, all);
    assert_eq!(board.receivers.len(), receivers.len());
    for (key, (subscriptions, sums)) in receivers {
        let receiver = board.receivers.get(key);
        assert_eq!((receiver.subscriptions, receiver.sums), (subscriptions, sums));
        let is_held = board.paced.iter().any(|(_, held)| *held == Held::Receiver(key));
        assert_eq!(receiver.held_until.is_some(), is_held);
        assert!(receiver.line.is_empty() || is_held || sums.under_way > 0, "they would wait for ever");
    }
}

/// What can happen to a board.
#[derive(Debug, Clone)]
enum Event {
    /// The store brings so many deliveries of a subscription, which lead to a receiver.
    Lease {
        subscription: u8,
        receiver: u8,
        count: u8,
    },
    /// The store passes a subscription over.
    PassOver(u8),
    /// One of those under way ends.
    End {
        which: usize,
        sign: u8,
    },
    /// A delivery is made, and committed or not.
    Make {
        subscription: u8,
        receiver: u8,
        commits: bool,
    },
    Recall(u8),
    /// So many milliseconds pass.
    Pass(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let (subscription, receiver) = (|| 1..8_u8, || 1..3_u8);
    prop_oneof![
        4 => (subscription(), receiver(), 1..4_u8)
            .prop_map(|(subscription, receiver, count)| Event::Lease { subscription, receiver, count }),
        1 => subscription().prop_map(Event::PassOver),
        8 => (any::<usize>(), 0..4_u8).prop_map(|(which, sign)| Event::End { which, sign }),
        2 => (subscription(), receiver(), any::<bool>())
            .prop_map(|(subscription, receiver, commits)| Event::Make { subscription, receiver, commits }),
        1 => subscription().prop_map(Event::Recall),
        3 => (0..3000_u16).prop_map(Event::Pass),
    ]
}

/// A board, and what is under way.
struct World {
    board: Board,
    _jobs: UnboundedReceiver<Job>,
    under_way: Vec<Start>,
    time: Timestamp,
    numbers: u8,
}

impl World {
    fn until(&self) -> Timestamp {
        after(self.time, 2 * TIMEOUT)
    }

    fn delivery(&mut self, subscription_number: u8, receiver: u8) -> Leased {
        self.numbers = self.numbers.wrapping_add(1);
        Leased { until: self.until(), ..to(receiver, self.numbers, subscription(subscription_number)) }
    }

    fn lease(&mut self, deliveries: Vec<Leased>, passed_over: Vec<SubscriptionId>) {
        let Some(request) = self.board.plan(self.time, lease(), self.until()) else { return };
        for delivery in &deliveries {
            self.board.space_of_unlisted(delivery.subscription, self.time);
        }
        let next =
            self.board.accept(LeaseBatch { deliveries, passed_over, ..LeaseBatch::default() }, &request, request.now);
        self.under_way.extend(next.starts);
    }

    fn end(&mut self, which: usize, sign: u8) {
        let Some(start) = take_any(&mut self.under_way, which) else { return };
        let settled = any_end(&start, sign);
        let next = self.board.settle(&start.seat, Some(settled), self.time);
        self.board.recorded(1);
        self.under_way.extend(next.starts);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Lease { subscription, receiver, count } => {
                let deliveries = (0..count).map(|_| self.delivery(subscription, receiver)).collect();
                self.lease(deliveries, vec![]);
            }
            Event::PassOver(number) => self.lease(vec![], vec![subscription(number)]),
            Event::End { which, sign } => self.end(which, sign),
            Event::Make { subscription: number, receiver, commits } => {
                let Some(promise) = self.board.promise(subscription(number), 0, self.time) else { return };
                if commits {
                    let delivery = self.delivery(number, receiver);
                    self.under_way.extend(self.board.keep(promise, delivery, self.time));
                } else {
                    self.board.withdraw(subscription(number), promise);
                }
            }
            Event::Recall(number) => self.board.recall(subscription(number)),
            Event::Pass(millis) => self.time = after(self.time, Duration::from_millis(millis.into())),
        }
        let next = self.board.go_on(self.time);
        self.under_way.extend(next.starts);
        self.under_way.extend(self.board.round(self.time));
    }
}

proptest! {
    /// Whatever has happened: once everything succeeds, everything that is held is sent, or put back when its lease ends, and
    /// nobody who was passed over is forgotten.
    #[test]
    fn nothing_waits_for_ever(events in prop::collection::vec(event(), 1..120)) {
        let (board, jobs) = board(64);
        let mut world = World { board, _jobs: jobs, under_way: vec![], time: now(), numbers: 0 };
        for event in events {
            world.happen(event);
            check(&world.board);
        }
        for _ in 0..600 {
            world.happen(Event::Pass(50));
            while !world.under_way.is_empty() {
                world.end(0, 2);
            }
            check(&world.board);
            let request = world.board.plan(world.time, lease(), world.until());
            if let Some(request) = request {
                let next = world.board.accept(batch(vec![]), &request, request.now);
                world.under_way.extend(next.starts);
            }
        }
        prop_assert_eq!(world.board.sums.ready, 0);
        prop_assert_eq!(world.board.sums.under_way, 0);
        let waits = world.board.entries.values().filter(|entry| entry.passed_over.is_some()).count();
        prop_assert_eq!(waits, 0);
    }
}
