//! What end-to-end tests cannot time exactly.

mod sharing;

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

#[test]
fn what_is_leased_while_its_subscription_is_recalled_does_not_begin() {
    let (mut board, mut jobs) = board(64);
    let request = plan(&mut board);
    board.recall(subscription(1));
    let next = board.accept(batch(vec![leased(1, subscription(1)), leased(2, subscription(2))]), &request);
    assert_eq!(next.starts.iter().map(|start| start.delivery.subscription).collect::<Vec<_>>(), [subscription(2)]);
    assert_eq!(recorded(&mut jobs), [(1, Verdict::Release)]);

    // The next lease knows the new receiver.
    let request = plan(&mut board);
    assert_eq!(board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.len(), 1);
}

#[test]
fn what_the_old_receiver_answered_after_a_recall_counts_for_little() {
    for verdict in [Verdict::Retry(Timestamp::MAX), Verdict::Failed, Verdict::Pause] {
        let (mut board, mut jobs) = board(64);
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.remove(0);
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
    let start = board.accept(batch(deliveries), &request).starts.remove(0);

    let late = after(now(), TIMEOUT + Duration::from_millis(1));
    let next = board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), late);

    assert!(next.starts.is_empty());
    assert_eq!(recorded(&mut jobs), [(1, Verdict::Delivered), (3, Verdict::Release)]);
}

#[test]
fn an_attempt_that_broke_down_gives_its_place_back() {
    let (mut board, mut jobs) = board(1);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.remove(0);
    assert!(board.plan(now(), lease(), now()).is_none());
    assert!(board.settle(&start.seat, None, now()).lease);
    assert!(recorded(&mut jobs).is_empty());
    assert!(board.plan(now(), lease(), now()).is_some());
}

#[test]
fn nothing_is_leased_while_outcomes_pile_up() {
    let (mut board, _jobs) = board(1);
    for _ in 0..2 {
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.remove(0);
        board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
    }
    assert!(board.plan(now(), lease(), now()).is_none());
    assert!(board.recorded(1));
    assert!(board.plan(now(), lease(), now()).is_some());
}

/// A board on which subscription 1 has an attempt under way that is its only place, and was passed over.
fn board_with_one_passed_over() -> (Board, Start) {
    let (sender, _) = unbounded_channel();
    let mut board =
        Board::new(Limits { places: 64, per_subscription: 1, memory: MEMORY }, TIMEOUT, sender, Arc::default());
    let request = plan(&mut board);
    let start = board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.remove(0);
    let request = plan(&mut board);
    assert_eq!((request.busy[&subscription(1)], request.again.len()), (0, 0));
    let next = board.accept(LeaseBatch { passed_over: vec![subscription(1)], ..LeaseBatch::default() }, &request);
    assert!(!next.lease);
    (board, start)
}

#[test]
fn a_subscription_that_was_passed_over_is_called_as_soon_as_it_has_room() {
    let (mut board, start) = board_with_one_passed_over();
    assert_eq!(plan(&mut board).again, []);
    assert!(board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now()).lease);
    let request = plan(&mut board);
    assert_eq!(request.again, [subscription(1)]);
    assert_eq!(plan(&mut board).again, [subscription(1)], "the store did not answer: it is called again");

    board.accept(batch(vec![]), &request);
    assert_eq!(plan(&mut board).again, [], "nothing was due after all");
    assert!(board.entries.is_empty());
}

#[test]
fn room_that_appeared_while_the_store_was_asked_is_used_at_once() {
    let (mut board, start) = board_with_one_passed_over();
    let request = plan(&mut board);
    board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
    let next = board.accept(LeaseBatch { passed_over: vec![subscription(1)], ..LeaseBatch::default() }, &request);
    assert!(next.lease);
}

#[test]
fn failing_subscriptions_are_called_in_turn() {
    // Two failing ones at a time.
    let (mut board, _jobs) = board(8);
    let all: Vec<_> = (1..=5).map(subscription).collect();
    for (number, id) in (1..).zip(&all) {
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(number, *id)]), &request).starts.remove(0);
        board.settle(&start.seat, Some(outcome(&start, Verdict::Retry(now()))), now());
    }
    let pass_over = |board: &mut Board, ids: &[SubscriptionId], deliveries| {
        let request = plan(board);
        board.accept(LeaseBatch { passed_over: ids.to_vec(), ..batch(deliveries) }, &request).starts
    };
    pass_over(&mut board, &all, vec![]);
    assert_eq!(plan(&mut board).again, all[..2]);
    let mut starts = pass_over(&mut board, &[], vec![leased(1, all[0]), leased(2, all[1])]);
    assert_eq!((starts.len(), plan(&mut board).again.len()), (2, 0), "no turn is left");
    // One is over, and is passed over again behind the others.
    let over = starts.remove(0);
    pass_over(&mut board, &all[..1], vec![]);
    board.settle(&over.seat, Some(outcome(&over, Verdict::Retry(now()))), now());
    assert_eq!(plan(&mut board).again, [all[2]]);
}

/// A board with two turns for failing ones, on which subscriptions 1 to `count` have failed.
fn board_with_failing(count: u8) -> Board {
    let (mut board, _) = board(8);
    for number in 1..=count {
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(number, subscription(number))]), &request).starts.remove(0);
        board.settle(&start.seat, Some(outcome(&start, Verdict::Retry(now()))), now());
        board.recorded(1);
    }
    board
}

#[test]
fn those_that_fail_and_hold_nothing_are_not_looked_at_for_a_lease_but_asked_when_they_are_met() {
    let mut board = board_with_failing(100);
    let request = plan(&mut board);
    assert!(request.busy.is_empty());
    assert_eq!(board.space_of_unlisted(subscription(1), now()), Some(Space::For(1)));
    assert_eq!(board.space_of_unlisted(subscription(101), now()), None, "nothing is known of it");

    // Both turns are taken.
    let deliveries = vec![leased(1, subscription(1)), leased(2, subscription(2))];
    assert_eq!(board.accept(batch(deliveries), &request).starts.len(), 2);
    assert_eq!(plan(&mut board).busy, HashMap::from([(subscription(1), 0), (subscription(2), 0)]));
    assert_eq!(board.space_of_unlisted(subscription(1), now()), Some(Space::Down), "it has its one");
    assert_eq!(board.space_of_unlisted(subscription(3), now()), Some(Space::Down));
}

#[test]
fn those_that_have_recovered_and_hold_nothing_are_not_looked_at_either() {
    let (mut board, _jobs) = board(64);
    for number in 1..=100 {
        // Once it has too much to do, and then it is well: that leaves a pace to be remembered.
        for settled in
            [|start: &Start| refused(start, Duration::ZERO), |start: &Start| outcome(start, Verdict::Delivered)]
        {
            let request = plan(&mut board);
            let start = board.accept(batch(vec![leased(number, subscription(number))]), &request).starts.remove(0);
            board.settle(&start.seat, Some(settled(&start)), now());
            board.recorded(1);
        }
    }
    // The store says that there is nothing more of the last one.
    let request = plan(&mut board);
    board.accept(batch(vec![]), &request);
    let request = plan(&mut board);
    assert_eq!((board.entries.len(), request.busy.len()), (100, 0));
    assert_eq!(board.space_of_unlisted(subscription(1), now()), Some(Space::For(2)));

    let later = after(now(), Duration::from_secs(601));
    board.plan(later, lease(), after(later, 2 * TIMEOUT)).expect("there is room");
    assert_eq!(board.entries.len(), 0);
}

#[test]
fn one_that_has_recovered_and_is_crowded_out_is_looked_at_until_the_store_says_that_there_is_nothing_more() {
    let (mut board, _jobs) = board(8);
    for settled in [|start: &Start| refused(start, Duration::ZERO), |start: &Start| outcome(start, Verdict::Delivered)]
    {
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.remove(0);
        board.settle(&start.seat, Some(settled(&start)), now());
        board.recorded(1);
    }
    let request = plan(&mut board);
    board.accept(batch(vec![]), &request);
    let request = plan(&mut board);
    assert_eq!(board.space_of_unlisted(subscription(1), now()), Some(Space::For(2)));

    // Others of its host have taken all that the host may have, and wait for more.
    board.accept(batch((2..=15).map(|number| leased(number, subscription(number))).collect()), &request);
    let later = after(now(), NOW_AND_THEN);
    let request = board.plan(later, lease(), after(later, 2 * TIMEOUT)).unwrap();
    let crowded_out = vec![leased(1, subscription(1)), leased(16, subscription(1))];
    board.accept(batch_of_more(crowded_out), &request);
    let later = after(later, NOW_AND_THEN);
    let request = board.plan(later, lease(), after(later, 2 * TIMEOUT)).unwrap();
    assert!(request.busy.contains_key(&subscription(1)), "there is more of it");

    board.accept(batch(vec![]), &request);
    let later = after(later, NOW_AND_THEN);
    let request = board.plan(later, lease(), after(later, 2 * TIMEOUT)).unwrap();
    assert!(!request.busy.contains_key(&subscription(1)));
}

#[test]
fn a_failing_subscription_that_was_passed_over_is_not_called_while_its_pace_holds_it_back() {
    let mut board = board_with_failing(2);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.remove(0);
    board.settle(&start.seat, Some(refused(&start, Duration::from_secs(10))), now());
    let request = plan(&mut board);
    let passed_over = vec![subscription(1), subscription(2)];
    board.accept(LeaseBatch { passed_over, ..LeaseBatch::default() }, &request);
    assert_eq!(plan(&mut board).again, [subscription(2)]);

    let time = after(now(), Duration::from_secs(10));
    assert!(board.go_on(time).lease);
    let request = board.plan(time, lease(), after(time, 2 * TIMEOUT)).unwrap();
    assert_eq!(request.again, [subscription(1), subscription(2)]);
}

/// Whether an attempt that ends so, and nothing else, has the driver ask the store again.
fn asks_again(board: &mut Board, start: &Start, settled: Settled) -> bool {
    board.settle(&start.seat, Some(settled), now()).lease
}

#[test]
fn whoever_is_not_told_of_what_falls_due_asks_for_it_when_there_is_space() {
    let (mut board, _jobs) = board(64);
    assert_eq!(board.space_for(subscription(1), now()), Space::For(1), "nothing is known of it");

    // Both of its places are taken.
    let request = plan(&mut board);
    let deliveries = vec![leased(1, subscription(1)), leased(2, subscription(1))];
    let starts = board.accept(batch(deliveries), &request).starts;
    let request = plan(&mut board);
    board.accept(batch(vec![]), &request);
    assert_eq!(board.space_for(subscription(1), now()), Space::Full);
    // The store was asked before that: what it answers is no news.
    board.accept(batch(vec![]), &request);
    assert!(asks_again(&mut board, &starts[0], outcome(&starts[0], Verdict::Delivered)));
    assert_eq!(board.space_for(subscription(1), now()), Space::For(1));

    // It pauses, and asks at the end of that.
    let refusal = refused(&starts[1], Duration::from_secs(10));
    board.recorded(1);
    let request = plan(&mut board);
    board.accept(batch(vec![]), &request);
    assert!(!asks_again(&mut board, &starts[1], refusal));
    assert_eq!(board.space_for(subscription(1), now()), Space::Down);
    assert!(board.go_on(after(now(), Duration::from_secs(10))).lease);
    assert_eq!(board.space_for(subscription(1), now()), Space::For(1), "it must be told");
}

/// A board with two attempts of subscription 1 under way, which are all that it may hold.
fn board_with_two_under_way(has_more: bool) -> (Board, Vec<Start>) {
    let (mut board, _) = board(64);
    let request = plan(&mut board);
    let deliveries = vec![leased(1, subscription(1)), leased(2, subscription(1))];
    let batch = if has_more { batch_of_more(deliveries) } else { batch(deliveries) };
    let starts = board.accept(batch, &request).starts;
    (board, starts)
}

#[test]
fn the_store_is_asked_for_more_only_of_what_it_has_more_of() {
    for has_more in [true, false] {
        for verdict in [Verdict::Delivered, Verdict::Failed] {
            let (mut board, starts) = board_with_two_under_way(has_more);
            board.settle(&starts[0].seat, Some(outcome(&starts[0], verdict)), now());
            assert_eq!(asks_again(&mut board, &starts[1], outcome(&starts[1], verdict)), has_more, "{verdict:?}");
        }
    }
}

#[test]
fn what_ends_while_the_store_is_asked_is_no_reason_to_ask_again_unless_little_is_left() {
    let (mut board, starts) = board_with_two_under_way(true);
    let delivered = |start| outcome(start, Verdict::Delivered);
    assert!(asks_again(&mut board, &starts[0], delivered(&starts[0])));
    let request = plan(&mut board);
    let room = request.busy[&subscription(1)];
    assert!(!asks_again(&mut board, &starts[1], delivered(&starts[1])), "it is just being asked");
    let all: Vec<_> = (0..room).map(|number| leased(3 + number as u8, subscription(1))).collect();
    assert!(!board.accept(batch_of_more(all), &request).lease, "so much is enough for now");

    let (mut board, starts) = board_with_two_under_way(true);
    assert!(asks_again(&mut board, &starts[0], delivered(&starts[0])));
    let request = plan(&mut board);
    assert!(!asks_again(&mut board, &starts[1], delivered(&starts[1])));
    assert!(board.accept(batch_of_more(vec![leased(3, subscription(1))]), &request).lease, "one is little");
}

#[test]
fn what_falls_due_while_the_store_is_asked_is_asked_for_as_soon_as_there_is_space() {
    let (mut board, starts) = board_with_two_under_way(true);
    // Nothing is learned from attempts that were broken off.
    assert!(asks_again(&mut board, &starts[0], outcome(&starts[0], Verdict::Release)));
    let request = plan(&mut board);
    assert_eq!(request.busy[&subscription(1)], 1);
    assert!(board.promise(subscription(1), 0, now()).is_some(), "it takes what the store is being asked for");
    assert_eq!(board.space_for(subscription(1), now()), Space::Full);
    assert!(asks_again(&mut board, &starts[1], outcome(&starts[1], Verdict::Release)));
}

#[test]
fn only_those_that_have_more_are_leased_ahead() {
    let (mut board, _jobs) = board(64);
    for number in 1..=9 {
        let request = plan(&mut board);
        let deliveries = vec![leased(number, subscription(number)), leased(number + 100, subscription(number))];
        let have_more = [subscription(5)].into();
        let start = board.accept(LeaseBatch { have_more, ..batch(deliveries) }, &request).starts.remove(0);
        board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
        board.recorded(1);
    }
    let busy = plan(&mut board).busy;
    let room = |number| busy[&subscription(number)];
    assert_eq!((1..=9).filter(|number| room(*number) > 1).collect::<Vec<_>>(), [5]);
    assert_eq!(room(5), 2 * 32 - 1);
}

#[test]
fn the_end_of_a_pause_without_anything_due_asks_for_nothing() {
    let (mut board, _jobs) = board(64);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.remove(0);
    assert!(!asks_again(&mut board, &start, refused(&start, Duration::from_secs(10))));
    assert!(!board.go_on(after(now(), Duration::from_secs(10))).lease);
}

#[test]
fn one_that_recovers_while_it_waits_to_be_called_needs_no_turn_any_more() {
    let mut board = board_with_failing(5);
    let request = plan(&mut board);
    let mut starts = board.accept(batch((1..=2).map(|n| leased(n, subscription(n))).collect()), &request).starts;
    let request = plan(&mut board);
    let passed_over = (1..=5).map(subscription).collect();
    board.accept(LeaseBatch { passed_over, ..LeaseBatch::default() }, &request);
    assert_eq!(plan(&mut board).again, [], "no turn is left");
    let first = starts.remove(0);
    board.settle(&first.seat, Some(outcome(&first, Verdict::Delivered)), now());
    assert_eq!(plan(&mut board).again, [subscription(1), subscription(3)]);
}

#[test]
fn nothing_is_leased_before_outcomes_are_written_that_the_store_did_not_take() {
    let (mut board, _jobs) = board(64);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.remove(0);
    board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
    board.not_recorded();
    assert!(board.plan(now(), lease(), now()).is_none());
    assert!(board.recorded(1), "it is time to lease");
    assert!(board.plan(now(), lease(), now()).is_some());
}

#[test]
fn a_closed_board_puts_back_what_it_is_given() {
    let (mut board, mut jobs) = board(64);
    let request = plan(&mut board);
    board.close();
    assert!(board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.is_empty());
    assert_eq!(recorded(&mut jobs), [(1, Verdict::Release)]);
}

#[test]
fn subscriptions_that_hold_nothing_are_forgotten_unless_they_fail() {
    for (verdict, kept) in [(Verdict::Delivered, 0), (Verdict::Failed, 1)] {
        let (mut board, _jobs) = board(64);
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(1, subscription(1))]), &request).starts.remove(0);
        board.settle(&start.seat, Some(outcome(&start, verdict)), now());
        assert_eq!((board.entries.len(), board.hosts.is_empty(), board.sums.under_way), (kept, true, 0), "{verdict:?}");
    }
}

/// A delivery to subscription 1 with a body of so many bytes, as the store makes it.
fn born(number: u8, bytes: usize) -> Leased {
    Leased { body: Bytes::from(vec![b'x'; bytes]), ..leased(number, subscription(1)) }
}

#[test]
fn what_was_promised_room_begins_without_being_leased() {
    let (mut board, mut jobs) = board(64);
    let number = board.promise(subscription(1), 10, now()).unwrap();
    let start = board.keep(number, born(1, 10), now()).unwrap();
    assert!(!board.has_promised());
    board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
    assert_eq!(recorded(&mut jobs), [(1, Verdict::Delivered)]);
    assert_eq!((board.entries.len(), board.bytes, board.sums.promised), (0, 0, 0));
}

/// What begins straight away leaves its subscription standing in line with nothing ready.
#[test]
fn those_who_stand_in_line_for_nothing_take_nobodys_turn() {
    let (mut board, _jobs) = board(64);
    for number in 1..=3 {
        let promise = board.promise(subscription(number), 0, now()).expect("there is room");
        assert!(board.keep(promise, leased(number, subscription(number)), now()).is_some());
    }
    let request = plan(&mut board);
    assert_eq!(board.accept(batch(vec![leased(4, subscription(4))]), &request).starts.len(), 1);
}

#[test]
fn promises_count_as_what_is_held() {
    let (mut board, _jobs) = board(64);
    let numbers: Vec<_> = std::iter::from_fn(|| board.promise(subscription(1), 1, now())).collect();
    assert_eq!(numbers.len(), 2, "it is not known whether the receiver answers");
    assert_eq!(plan(&mut board).busy[&subscription(1)], 0);
    board.withdraw(subscription(1), numbers[0]);
    assert!(board.promise(subscription(1), 1, now()).is_some());
}

#[test]
fn a_promise_does_not_outlive_a_recall() {
    let (mut board, mut jobs) = board(64);
    let number = board.promise(subscription(1), 10, now()).unwrap();
    board.recall(subscription(1));
    assert!(board.keep(number, born(1, 10), now()).is_none());
    assert_eq!(recorded(&mut jobs), [(1, Verdict::Release)]);
    assert_eq!((board.entries.len(), board.bytes, board.sums.promised), (0, 0, 0));
    // What was committed afterwards knows the new receiver.
    let number = board.promise(subscription(1), 10, now()).unwrap();
    assert!(board.keep(number, born(2, 10), now()).is_some());
}

#[test]
fn a_closed_board_promises_nothing_and_puts_back_what_it_had_promised() {
    let (mut board, mut jobs) = board(64);
    let number = board.promise(subscription(1), 10, now()).unwrap();
    board.close();
    assert!(board.promise(subscription(2), 10, now()).is_none());
    assert!(board.has_promised());
    assert!(board.keep(number, born(1, 10), now()).is_none());
    assert!(!board.has_promised());
    assert_eq!(recorded(&mut jobs), [(1, Verdict::Release)]);
}

#[test]
fn a_failing_receiver_is_promised_room_for_one() {
    let mut board = board_with_failing(1);
    let number = board.promise(subscription(1), 0, now()).expect("nothing older waits");
    assert!(board.promise(subscription(1), 0, now()).is_none());
    let start = board.keep(number, born(2, 0), now()).unwrap();
    assert!(board.promise(subscription(1), 0, now()).is_none());
    board.settle(&start.seat, Some(refused(&start, Duration::from_secs(10))), now());
    assert!(board.promise(subscription(1), 0, now()).is_none(), "it pauses");
    assert!(board.promise(subscription(1), 0, after(now(), Duration::from_secs(10))).is_some());
}

#[test]
fn a_failing_receiver_is_promised_nothing_before_what_may_be_older() {
    let mut board = board_with_failing(2);
    let request = plan(&mut board);
    let start = board.accept(batch_of_more(vec![leased(2, subscription(1))]), &request).starts.remove(0);
    board.settle(&start.seat, Some(outcome(&start, Verdict::Failed)), now());
    assert!(board.promise(subscription(1), 0, now()).is_none(), "the store has more of it");

    let request = plan(&mut board);
    board.accept(LeaseBatch { passed_over: vec![subscription(1)], ..LeaseBatch::default() }, &request);
    assert!(board.promise(subscription(2), 0, now()).is_none(), "another one waits for its turn");
}

#[test]
fn failing_receivers_are_promised_no_more_turns_than_there_are() {
    let mut board = board_with_failing(3);
    let number = board.promise(subscription(1), 0, now()).unwrap();
    assert!(board.promise(subscription(2), 0, now()).is_some());
    assert!(board.promise(subscription(3), 0, now()).is_none());
    board.withdraw(subscription(1), number);
    assert!(board.promise(subscription(3), 0, now()).is_some());
}

#[test]
fn no_more_bytes_are_held_than_there_is_memory_for() {
    let (mut board, _jobs) = board(64);
    let number = board.promise(subscription(1), MEMORY - 1, now()).unwrap();
    assert!(board.promise(subscription(2), 2, now()).is_none());
    assert!(board.promise(subscription(2), 1, now()).is_some());
    assert!(board.plan(now(), lease(), now()).is_none(), "nor is anything leased");
    let start = board.keep(number, born(1, MEMORY - 1), now()).unwrap();
    assert!(board.promise(subscription(2), 2, now()).is_none(), "it is under way");
    assert!(board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now()).lease);
    assert!(board.promise(subscription(2), MEMORY - 1, now()).is_some());
}

#[test]
fn no_more_large_ones_are_asked_for_than_there_may_be_memory_for() {
    let (mut board, _jobs) = board(64);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![born(1, MEMORY / 5)]), &request).starts.remove(0);
    let request = plan(&mut board);
    assert_eq!((request.memory, request.limit), (MEMORY * 2 / 5, 5), "twice as many, since they may be smaller");

    board.accept(batch(vec![born(2, 1)]), &request);
    board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
    assert!(plan(&mut board).limit > 5, "they were");
}

#[test]
fn a_lease_and_what_is_promised_meanwhile_share_the_memory() {
    let (mut board, _jobs) = board(64);
    let request = plan(&mut board);
    assert_eq!(request.memory, MEMORY / 2);
    assert!(board.promise(subscription(1), MEMORY / 2 + 1, now()).is_none());
    assert!(board.promise(subscription(1), MEMORY / 2, now()).is_some());
    board.accept(batch(vec![]), &request);
    assert!(board.promise(subscription(2), MEMORY / 2, now()).is_some(), "nothing came");
    assert!(board.plan(now(), lease(), now()).is_none());
}

#[test]
fn a_lease_that_was_cut_short_goes_on_when_there_is_memory_again_and_not_before() {
    let (mut board, mut jobs) = board(64);
    let cut_short = |deliveries| LeaseBatch { cut_short: true, ..batch(deliveries) };
    let request = plan(&mut board);
    let half = board.accept(cut_short(vec![born(1, MEMORY / 2)]), &request);
    assert!(half.lease, "there is memory for more");

    let request = plan(&mut board);
    assert_eq!(request.memory, MEMORY / 4);
    let other = |number| Leased { subscription: subscription(number), ..born(number, MEMORY / 2) };
    assert!(!board.accept(cut_short(vec![other(2)]), &request).lease, "there is none");
    assert!(board.plan(now(), lease(), now()).is_none());
    assert!(board.settle(&half.starts[0].seat, None, now()).lease);

    // What is put back has left the memory as it was: the next lease would bring it again.
    let request = plan(&mut board);
    board.recall(subscription(3));
    assert!(!board.accept(cut_short(vec![other(3)]), &request).lease);
    assert_eq!(recorded(&mut jobs), [(3, Verdict::Release)]);
}

#[test]
fn what_waits_for_a_place_is_counted_until_it_is_put_back() {
    let (mut board, mut jobs) = board(64);
    for number in 1..=3 {
        let request = plan(&mut board);
        board.accept(batch(vec![born(number, 100)]), &request);
    }
    assert_eq!((board.sums.ready, board.bytes), (1, 300), "two are under way");
    board.close();
    assert_eq!((board.sums.ready, board.bytes), (0, 200));
    assert_eq!(recorded(&mut jobs), [(3, Verdict::Release)]);
}

#[test]
fn no_place_means_no_promise() {
    let (mut board, _jobs) = board(1);
    let number = board.promise(subscription(1), 1, now()).unwrap();
    let start = board.keep(number, born(1, 1), now()).unwrap();
    assert!(board.promise(subscription(2), 1, now()).is_none());
    board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
    assert!(board.promise(subscription(2), 1, now()).is_some());
}

/// How a receiver ends an attempt that has too much to do.
fn refused(start: &Start, wait: Duration) -> Settled {
    Settled { sign: Sign::Refused(wait), ..outcome(start, Verdict::Retry(Timestamp::MAX)) }
}

#[test]
fn what_a_pace_holds_back_goes_on_by_itself_and_does_not_outlive_its_lease() {
    for late in [false, true] {
        let (mut board, mut jobs) = board(64);
        let request = plan(&mut board);
        let deliveries = (1..=3).map(|number| leased(number, subscription(1))).collect();
        let starts = board.accept(batch(deliveries), &request).starts;
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
    let starts = board.accept(batch(deliveries), &request).starts;
    assert_eq!((starts.len(), board.sums.ready), (6, 8));
    assert!(board.plan(now(), lease(), now()).is_none(), "there is enough for that host");

    // Now and then it is looked past them.
    let later = after(now(), NOW_AND_THEN);
    let request = board.plan(later, lease(), after(later, 2 * TIMEOUT)).unwrap();
    assert_eq!(request.limit, 8);
    let elsewhere = Leased { url: "http://elsewhere.example/".parse().unwrap(), ..leased(16, subscription(16)) };
    let starts = board.accept(batch(vec![leased(15, subscription(15)), elsewhere]), &request).starts;
    assert_eq!(starts.iter().map(|start| start.delivery.subscription).collect::<Vec<_>>(), [subscription(16)]);
    assert_eq!(recorded(&mut jobs), [(15, Verdict::Release)]);
    assert_eq!(board.held_back(later).hosts, HashSet::from(["receiver.example".to_owned()]));
}

/// A delivery of the subscription with this number, to a host of its own.
fn to_its_host(number: u8) -> Leased {
    let url = format!("http://host-{number}.example/").parse().unwrap();
    Leased { url, ..leased(number, subscription(number)) }
}

#[test]
fn those_that_answer_have_places_left_however_many_hang_that_nobody_had_heard_of() {
    let (mut board, _jobs) = board(64);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![to_its_host(1)]), &request).starts.remove(0);
    board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());

    let request = plan(&mut board);
    let hanging = board.accept(batch((2..=80).map(to_its_host).collect()), &request).starts;
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
