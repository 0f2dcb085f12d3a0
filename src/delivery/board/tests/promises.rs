//! Room for what is being committed.

use super::*;

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
    assert_eq!(board.accept(batch(vec![leased(4, subscription(4))]), &request, request.now).starts.len(), 1);
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
    let start = board.accept(batch_of_more(vec![leased(2, subscription(1))]), &request, request.now).starts.remove(0);
    board.settle(&start.seat, Some(outcome(&start, Verdict::Failed)), now());
    assert!(board.promise(subscription(1), 0, now()).is_none(), "the store has more of it");

    let request = plan(&mut board);
    board.accept(LeaseBatch { passed_over: vec![subscription(1)], ..LeaseBatch::default() }, &request, request.now);
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
fn no_place_means_no_promise() {
    let (mut board, _jobs) = board(1);
    let number = board.promise(subscription(1), 1, now()).unwrap();
    let start = board.keep(number, born(1, 1), now()).unwrap();
    assert!(board.promise(subscription(2), 1, now()).is_none());
    board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
    assert!(board.promise(subscription(2), 1, now()).is_some());
}
