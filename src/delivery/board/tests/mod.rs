//! What end-to-end tests cannot time exactly. Here is what all of them share, and what becomes of single attempts.

mod asking;
mod promises;
mod sharing;
mod sleeping;
mod waking;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::delivery::board::leasing::NOW_AND_THEN;
use crate::model::delivery::{Action, Attempt, LeaseBatch, LeaseRequest, Space};
use crate::model::seal::Sealed;
use crate::model::time::after;
use crate::model::{DeliveryId, LeadId, LeaseToken, PartnerId, SiteId};

const TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes of bodies that a board may hold.
const MEMORY: usize = 1000;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn lease() -> LeaseToken {
    LeaseToken::from_bytes([9; 16])
}

fn subscription(number: u8) -> SubscriptionId {
    SubscriptionId::from_bytes([number; 16])
}

fn leased(number: u8, subscription: SubscriptionId) -> Leased {
    Leased {
        id: DeliveryId::from_bytes([number; 16]),
        lease: lease(),
        until: after(now(), 2 * TIMEOUT),
        site: SiteId::from_bytes([0; 16]),
        partner: PartnerId::from_bytes([0; 16]),
        subscription,
        lead: LeadId::from_bytes([number; 16]),
        action: Action::Created,
        changed: now(),
        body: Bytes::new(),
        attempts: 0,
        url: format!("http://receiver.example/{}", subscription.as_bytes()[0]).parse().unwrap(),
        secret: Sealed::from_bytes(vec![]),
    }
}

fn board(places: usize) -> (Board, UnboundedReceiver<Job>) {
    let (sender, jobs) = unbounded_channel();
    let limits = Limits { places, per_subscription: 2, memory: MEMORY };
    (Board::new(limits, TIMEOUT, sender, Arc::default()), jobs)
}

fn plan(board: &mut Board) -> LeaseRequest {
    board.plan(now(), lease(), after(now(), 2 * TIMEOUT)).expect("there is room")
}

fn batch(deliveries: Vec<Leased>) -> LeaseBatch {
    LeaseBatch { deliveries, ..LeaseBatch::default() }
}

/// The same, and the store has more of each of their subscriptions.
fn batch_of_more(deliveries: Vec<Leased>) -> LeaseBatch {
    let have_more = deliveries.iter().map(|delivery| delivery.subscription).collect();
    LeaseBatch { have_more, ..batch(deliveries) }
}

fn outcome(start: &Start, verdict: Verdict) -> Settled {
    let attempt =
        Attempt { started: now(), duration: Duration::ZERO, status: None, error: None, response: String::new() };
    let sign = match verdict {
        Verdict::Delivered | Verdict::Refused | Verdict::Pause => Sign::Took(Duration::ZERO),
        Verdict::Retry(_) | Verdict::Failed => Sign::Failed,
        Verdict::Release => Sign::Nothing,
    };
    Settled { outcome: Outcome::of(&start.delivery, Some(attempt), verdict), sign }
}

/// The jobs so far: verdicts of outcomes, by the first byte of the delivery's id.
fn recorded(jobs: &mut UnboundedReceiver<Job>) -> Vec<(u8, Verdict)> {
    let jobs = std::iter::from_fn(|| jobs.try_recv().ok());
    let outcomes = jobs.filter_map(|job| if let Job::Record(outcome) = job { Some(outcome) } else { None });
    outcomes.map(|outcome| (outcome.delivery.as_bytes()[0], outcome.verdict)).collect()
}

/// A board with two turns for failing ones, on which subscriptions 1 to `count` have failed.
fn board_with_failing(count: u8) -> Board {
    let (mut board, _) = board(8);
    for number in 1..=count {
        let request = plan(&mut board);
        let start =
            board.accept(batch(vec![leased(number, subscription(number))]), &request, request.now).starts.remove(0);
        board.settle(&start.seat, Some(outcome(&start, Verdict::Retry(now()))), now());
        board.recorded(1);
    }
    board
}

/// A delivery to subscription 1 with a body of so many bytes, as the store makes it.
fn born(number: u8, bytes: usize) -> Leased {
    Leased { body: Bytes::from(vec![b'x'; bytes]), ..leased(number, subscription(1)) }
}

/// How a receiver ends an attempt that has too much to do.
fn refused(start: &Start, wait: Duration) -> Settled {
    Settled { sign: Sign::Refused(wait), ..outcome(start, Verdict::Retry(Timestamp::MAX)) }
}

/// A delivery of the subscription with this number, to a host of its own.
fn to_its_host(number: u8) -> Leased {
    let url = format!("http://host-{number}.example/").parse().unwrap();
    Leased { url, ..leased(number, subscription(number)) }
}

/// Whether an attempt that ends so, and nothing else, has the driver ask the store again.
fn asks_again(board: &mut Board, start: &Start, settled: Settled) -> bool {
    board.settle(&start.seat, Some(settled), now()).lease
}

/// A board on which subscription 1 has an attempt under way that is its only place, and was passed over.
fn board_with_one_passed_over() -> (Board, Start) {
    let (sender, _) = unbounded_channel();
    let mut board =
        Board::new(Limits { places: 64, per_subscription: 1, memory: MEMORY }, TIMEOUT, sender, Arc::default());
    let request = plan(&mut board);
    let start = board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.remove(0);
    let request = plan(&mut board);
    assert_eq!((request.busy[&subscription(1)], request.again.len()), (0, 0));
    let next =
        board.accept(LeaseBatch { passed_over: vec![subscription(1)], ..LeaseBatch::default() }, &request, request.now);
    assert!(!next.lease);
    (board, start)
}

/// Takes out one of those under way, if there is any.
fn take_any(under_way: &mut Vec<Start>, which: usize) -> Option<Start> {
    which.checked_rem(under_way.len()).map(|which| under_way.swap_remove(which))
}

/// An attempt that failed, was refused, or was taken.
fn any_end(start: &Start, sign: u8) -> Settled {
    match sign {
        0 => outcome(start, Verdict::Retry(Timestamp::MAX)),
        1 => refused(start, Duration::from_secs(2)),
        _ => outcome(start, Verdict::Delivered),
    }
}

#[test]
fn what_is_leased_while_its_subscription_is_recalled_does_not_begin() {
    let (mut board, mut jobs) = board(64);
    let request = plan(&mut board);
    board.recall(subscription(1));
    let next = board.accept(batch(vec![leased(1, subscription(1)), leased(2, subscription(2))]), &request, request.now);
    assert_eq!(next.starts.iter().map(|start| start.delivery.subscription).collect::<Vec<_>>(), [subscription(2)]);
    assert_eq!(recorded(&mut jobs), [(1, Verdict::Release)]);

    // The next lease knows the new receiver.
    let request = plan(&mut board);
    assert_eq!(board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.len(), 1);
}

#[test]
fn what_the_old_receiver_answered_after_a_recall_counts_for_little() {
    for verdict in [Verdict::Retry(Timestamp::MAX), Verdict::Failed, Verdict::Pause] {
        let (mut board, mut jobs) = board(64);
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.remove(0);
        board.recall(subscription(1));
        board.settle(&start.seat, Some(outcome(&start, verdict)), now());
        assert_eq!(recorded(&mut jobs), [(1, Verdict::Retry(now()))]);
    }
}

#[test]
fn nothing_begins_that_could_outlast_its_lease() {
    let (mut board, mut jobs) = board(64);
    let request = plan(&mut board);
    let deliveries = (1..=3).map(|number| leased(number, subscription(1))).collect();
    let start = board.accept(batch(deliveries), &request, request.now).starts.remove(0);

    let late = after(now(), TIMEOUT + Duration::from_millis(1));
    let next = board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), late);

    assert!(next.starts.is_empty());
    assert_eq!(recorded(&mut jobs), [(1, Verdict::Delivered), (3, Verdict::Release)]);
}

#[test]
fn an_attempt_that_broke_down_gives_its_place_back() {
    let (mut board, mut jobs) = board(1);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.remove(0);
    assert!(board.plan(now(), lease(), now()).is_none());
    assert!(board.settle(&start.seat, None, now()).lease);
    assert!(recorded(&mut jobs).is_empty());
    assert!(board.plan(now(), lease(), now()).is_some());
}

#[test]
fn a_closed_board_puts_back_what_it_is_given() {
    let (mut board, mut jobs) = board(64);
    let request = plan(&mut board);
    board.close();
    assert!(board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.is_empty());
    assert_eq!(recorded(&mut jobs), [(1, Verdict::Release)]);
}

#[test]
fn what_waits_for_a_place_is_counted_until_it_is_put_back() {
    let (mut board, mut jobs) = board(64);
    for number in 1..=3 {
        let request = plan(&mut board);
        board.accept(batch(vec![born(number, 100)]), &request, request.now);
    }
    assert_eq!((board.sums.ready, board.bytes), (1, 300), "two are under way");
    board.close();
    assert_eq!((board.sums.ready, board.bytes), (0, 200));
    assert_eq!(recorded(&mut jobs), [(3, Verdict::Release)]);
}

#[test]
fn what_a_pace_holds_back_goes_on_by_itself_and_does_not_outlive_its_lease() {
    for late in [false, true] {
        let (mut board, mut jobs) = board(64);
        let request = plan(&mut board);
        let deliveries = (1..=3).map(|number| leased(number, subscription(1))).collect();
        let starts = board.accept(batch(deliveries), &request, request.now).starts;
        assert_eq!((starts.len(), board.next_turn()), (2, None));
        let wait = Duration::from_secs(if late { 60 } else { 10 });
        for start in &starts {
            assert!(board.settle(&start.seat, Some(refused(start, wait)), now()).starts.is_empty());
        }
        let time = after(now(), wait);
        assert_eq!(board.next_turn(), Some(time));
        assert!(board.promise(subscription(1), 1, now()).is_none());
        assert_eq!(plan(&mut board).busy[&subscription(1)], 0);
        recorded(&mut jobs);
        if late {
            // By then it could outlast its lease.
            assert!(board.round(after(now(), TIMEOUT + Duration::from_millis(1))).is_empty());
            assert_eq!(recorded(&mut jobs), [(3, Verdict::Release)]);
            assert!(board.go_on(time).starts.is_empty());
            assert_eq!(board.space_of_unlisted(subscription(1), time), Some(Space::For(1)));
        } else {
            assert!(board.go_on(after(now(), Duration::from_millis(9999))).starts.is_empty());
            assert_eq!(board.go_on(time).starts.len(), 1);
        }
        assert_eq!(board.next_turn(), None);
    }
}

#[test]
fn what_would_only_wait_for_a_crowded_host_is_put_back() {
    // Six of the places are for one host.
    let (mut board, mut jobs) = board(8);
    let request = plan(&mut board);
    let deliveries = (1..=14).map(|number| leased(number, subscription(number))).collect();
    let starts = board.accept(batch(deliveries), &request, request.now).starts;
    assert_eq!((starts.len(), board.sums.ready), (6, 8));
    assert!(board.plan(now(), lease(), now()).is_none(), "there is enough for that host");

    // Now and then it is looked past them.
    let later = after(now(), NOW_AND_THEN);
    let request = board.plan(later, lease(), after(later, 2 * TIMEOUT)).unwrap();
    assert_eq!(request.limit, 8);
    let elsewhere = Leased { url: "http://elsewhere.example/".parse().unwrap(), ..leased(16, subscription(16)) };
    let starts = board.accept(batch(vec![leased(15, subscription(15)), elsewhere]), &request, request.now).starts;
    assert_eq!(starts.iter().map(|start| start.delivery.subscription).collect::<Vec<_>>(), [subscription(16)]);
    assert_eq!(recorded(&mut jobs), [(15, Verdict::Release)]);
    assert_eq!(board.held_back(later).hosts, HashSet::from(["receiver.example".to_owned()]));
}

#[test]
fn those_that_answer_have_places_left_however_many_hang_that_nobody_had_heard_of() {
    let (mut board, _jobs) = board(64);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![to_its_host(1)]), &request, request.now).starts.remove(0);
    board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());

    let request = plan(&mut board);
    let hanging = board.accept(batch((2..=80).map(to_its_host).collect()), &request, request.now).starts;
    assert_eq!(hanging.len(), 56, "an eighth is left");
    let begins = |board: &mut Board, number| {
        let promise = board.promise(subscription(number), 0, now()).expect("there are places");
        board.keep(promise, to_its_host(number), now()).is_some()
    };
    assert!(begins(&mut board, 1));
    assert!(!begins(&mut board, 81));

    // One that has failed is not known to answer any more.
    let first = hanging.first().unwrap();
    board.settle(&first.seat, Some(outcome(first, Verdict::Retry(Timestamp::MAX))), now());
    assert!(!board.hosts.answers("host-2.example") && board.hosts.answers("host-1.example"));
}
