//! When the store is asked, and for how much.

use super::*;

#[test]
fn nothing_is_leased_while_outcomes_pile_up() {
    let (mut board, _jobs) = board(1);
    for _ in 0..2 {
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.remove(0);
        board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
    }
    assert!(board.plan(now(), lease(), now()).is_none());
    assert!(board.recorded(1));
    assert!(board.plan(now(), lease(), now()).is_some());
}

#[test]
fn room_that_appeared_while_the_store_was_asked_is_used_at_once() {
    let (mut board, start) = board_with_one_passed_over();
    let request = plan(&mut board);
    board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
    let next =
        board.accept(LeaseBatch { passed_over: vec![subscription(1)], ..LeaseBatch::default() }, &request, request.now);
    assert!(next.lease);
}

#[test]
fn whoever_is_not_told_of_what_falls_due_asks_for_it_when_there_is_space() {
    let (mut board, _jobs) = board(64);
    assert_eq!(board.space_for(subscription(1), now()), Space::For(1), "nothing is known of it");

    // Both of its places are taken.
    let request = plan(&mut board);
    let deliveries = vec![leased(1, subscription(1)), leased(2, subscription(1))];
    let starts = board.accept(batch(deliveries), &request, request.now).starts;
    let request = plan(&mut board);
    board.accept(batch(vec![]), &request, request.now);
    assert_eq!(board.space_for(subscription(1), now()), Space::Full);
    // The store was asked before that: what it answers is no news.
    board.accept(batch(vec![]), &request, request.now);
    assert!(asks_again(&mut board, &starts[0], outcome(&starts[0], Verdict::Delivered)));
    assert_eq!(board.space_for(subscription(1), now()), Space::For(1));

    // It pauses, and asks at the end of that.
    let refusal = refused(&starts[1], Duration::from_secs(10));
    board.recorded(1);
    let request = plan(&mut board);
    board.accept(batch(vec![]), &request, request.now);
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
    let starts = board.accept(batch, &request, request.now).starts;
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
    assert!(!board.accept(batch_of_more(all), &request, request.now).lease, "so much is enough for now");

    let (mut board, starts) = board_with_two_under_way(true);
    assert!(asks_again(&mut board, &starts[0], delivered(&starts[0])));
    let request = plan(&mut board);
    assert!(!asks_again(&mut board, &starts[1], delivered(&starts[1])));
    assert!(
        board.accept(batch_of_more(vec![leased(3, subscription(1))]), &request, request.now).lease,
        "one is little"
    );
}

#[test]
fn one_that_had_no_room_when_the_store_was_asked_is_asked_for_again_if_it_has_some_now() {
    for verdict in [Verdict::Delivered, Verdict::Retry(Timestamp::MAX)] {
        let (mut board, starts) = board_with_two_under_way(false);
        let request = plan(&mut board);
        assert_eq!(request.busy[&subscription(1)], 0);
        starts.iter().for_each(|start| assert!(!asks_again(&mut board, start, outcome(start, verdict))));
        let met = LeaseBatch { have_more: [subscription(1)].into(), ..LeaseBatch::default() };
        assert!(board.accept(met, &request, request.now).lease, "{verdict:?}");
        let request = plan(&mut board);
        assert!(request.busy.get(&subscription(1)).is_none_or(|room| *room > 0));
    }
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
        let start = board.accept(LeaseBatch { have_more, ..batch(deliveries) }, &request, request.now).starts.remove(0);
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
    let start = board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.remove(0);
    assert!(!asks_again(&mut board, &start, refused(&start, Duration::from_secs(10))));
    assert!(!board.go_on(after(now(), Duration::from_secs(10))).lease);
}

#[test]
fn nothing_is_leased_before_outcomes_are_written_that_the_store_did_not_take() {
    let (mut board, _jobs) = board(64);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.remove(0);
    board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now());
    board.not_recorded();
    assert!(board.plan(now(), lease(), now()).is_none());
    assert!(board.recorded(1), "it is time to lease");
    assert!(board.plan(now(), lease(), now()).is_some());
}

#[test]
fn no_more_large_ones_are_asked_for_than_there_may_be_memory_for() {
    let (mut board, _jobs) = board(64);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![born(1, MEMORY / 5)]), &request, request.now).starts.remove(0);
    let request = plan(&mut board);
    assert_eq!((request.memory, request.limit), (MEMORY * 2 / 5, 5), "twice as many, since they may be smaller");

    board.accept(batch(vec![born(2, 1)]), &request, request.now);
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
    board.accept(batch(vec![]), &request, request.now);
    assert!(board.promise(subscription(2), MEMORY / 2, now()).is_some(), "nothing came");
    assert!(board.plan(now(), lease(), now()).is_none());
}

#[test]
fn a_lease_that_was_cut_short_goes_on_when_there_is_memory_again_and_not_before() {
    let (mut board, mut jobs) = board(64);
    let cut_short = |deliveries| LeaseBatch { cut_short: true, ..batch(deliveries) };
    let request = plan(&mut board);
    let half = board.accept(cut_short(vec![born(1, MEMORY / 2)]), &request, request.now);
    assert!(half.lease, "there is memory for more");

    let request = plan(&mut board);
    assert_eq!(request.memory, MEMORY / 4);
    let other = |number| Leased { subscription: subscription(number), ..born(number, MEMORY / 2) };
    assert!(!board.accept(cut_short(vec![other(2)]), &request, request.now).lease, "there is none");
    assert!(board.plan(now(), lease(), now()).is_none());
    assert!(board.settle(&half.starts[0].seat, None, now()).lease);

    // What is put back has left the memory as it was: the next lease would bring it again.
    let request = plan(&mut board);
    board.recall(subscription(3));
    assert!(!board.accept(cut_short(vec![other(3)]), &request, request.now).lease);
    assert_eq!(recorded(&mut jobs), [(3, Verdict::Release)]);
}

#[test]
fn a_pause_that_ends_while_the_store_is_asked_is_over_when_it_answers() {
    let wait = Duration::from_secs(10);
    for (passed, asks) in [(Duration::from_secs(9), false), (wait, true)] {
        let mut board = board_with_failing(1);
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.remove(0);
        board.settle(&start.seat, Some(refused(&start, wait)), now());
        board.recorded(1);
        let request = plan(&mut board);
        assert_eq!(board.space_of_unlisted(subscription(1), now()), Some(Space::Down));
        let later = after(now(), passed);
        assert!(!board.go_on(later).lease, "it is not known yet that anything of it is due");
        let have_more = [subscription(1)].into();
        let met = LeaseBatch { have_more, passed_over: vec![subscription(1)], ..LeaseBatch::default() };
        assert_eq!(board.accept(met, &request, later).lease, asks);
    }
}
