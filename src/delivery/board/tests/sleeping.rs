//! Those that hold nothing: who is looked at, who sleeps until it is called, who is forgotten.

use super::*;

#[test]
fn a_subscription_that_was_passed_over_is_called_as_soon_as_it_has_room() {
    let (mut board, start) = board_with_one_passed_over();
    assert_eq!(plan(&mut board).again, []);
    assert!(board.settle(&start.seat, Some(outcome(&start, Verdict::Delivered)), now()).lease);
    let request = plan(&mut board);
    assert_eq!(request.again, [subscription(1)]);
    assert_eq!(plan(&mut board).again, [subscription(1)], "the store did not answer: it is called again");

    board.accept(batch(vec![]), &request, request.now);
    assert_eq!(plan(&mut board).again, [], "nothing was due after all");
    assert!(board.entries.is_empty());
}

#[test]
fn failing_subscriptions_are_called_in_turn() {
    // Two failing ones at a time.
    let (mut board, _jobs) = board(8);
    let all: Vec<_> = (1..=5).map(subscription).collect();
    for (number, id) in (1..).zip(&all) {
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(number, *id)]), &request, request.now).starts.remove(0);
        board.settle(&start.seat, Some(outcome(&start, Verdict::Retry(now()))), now());
    }
    let pass_over = |board: &mut Board, ids: &[SubscriptionId], deliveries| {
        let request = plan(board);
        board.accept(LeaseBatch { passed_over: ids.to_vec(), ..batch(deliveries) }, &request, request.now).starts
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

#[test]
fn those_that_fail_and_hold_nothing_are_not_looked_at_for_a_lease_but_asked_when_they_are_met() {
    let mut board = board_with_failing(100);
    let request = plan(&mut board);
    assert!(request.busy.is_empty());
    assert_eq!(board.space_of_unlisted(subscription(1), now()), Some(Space::For(1)));
    assert_eq!(board.space_of_unlisted(subscription(101), now()), None, "nothing is known of it");

    // Both turns are taken.
    let deliveries = vec![leased(1, subscription(1)), leased(2, subscription(2))];
    assert_eq!(board.accept(batch(deliveries), &request, request.now).starts.len(), 2);
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
            let start =
                board.accept(batch(vec![leased(number, subscription(number))]), &request, request.now).starts.remove(0);
            board.settle(&start.seat, Some(settled(&start)), now());
            board.recorded(1);
        }
    }
    // The store says that there is nothing more of the last one.
    let request = plan(&mut board);
    board.accept(batch(vec![]), &request, request.now);
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
        let start = board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.remove(0);
        board.settle(&start.seat, Some(settled(&start)), now());
        board.recorded(1);
    }
    let request = plan(&mut board);
    board.accept(batch(vec![]), &request, request.now);
    let request = plan(&mut board);
    assert_eq!(board.space_of_unlisted(subscription(1), now()), Some(Space::For(2)));

    // Others of its host have taken all that the host may have, and wait for more.
    board.accept(batch((2..=15).map(|number| leased(number, subscription(number))).collect()), &request, request.now);
    let later = after(now(), NOW_AND_THEN);
    let request = board.plan(later, lease(), after(later, 2 * TIMEOUT)).unwrap();
    let crowded_out = vec![leased(1, subscription(1)), leased(16, subscription(1))];
    board.accept(batch_of_more(crowded_out), &request, request.now);
    let later = after(later, NOW_AND_THEN);
    let request = board.plan(later, lease(), after(later, 2 * TIMEOUT)).unwrap();
    assert!(request.busy.contains_key(&subscription(1)), "there is more of it");

    board.accept(batch(vec![]), &request, request.now);
    let later = after(later, NOW_AND_THEN);
    let request = board.plan(later, lease(), after(later, 2 * TIMEOUT)).unwrap();
    assert!(!request.busy.contains_key(&subscription(1)));
}

#[test]
fn a_failing_subscription_that_was_passed_over_is_not_called_while_its_pace_holds_it_back() {
    let mut board = board_with_failing(2);
    let request = plan(&mut board);
    let start = board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.remove(0);
    board.settle(&start.seat, Some(refused(&start, Duration::from_secs(10))), now());
    let request = plan(&mut board);
    let passed_over = vec![subscription(1), subscription(2)];
    board.accept(LeaseBatch { passed_over, ..LeaseBatch::default() }, &request, request.now);
    assert_eq!(plan(&mut board).again, [subscription(2)]);

    let time = after(now(), Duration::from_secs(10));
    assert!(board.go_on(time).lease);
    let request = board.plan(time, lease(), after(time, 2 * TIMEOUT)).unwrap();
    assert_eq!(request.again, [subscription(1), subscription(2)]);
}

#[test]
fn one_that_recovers_while_it_waits_to_be_called_needs_no_turn_any_more() {
    let mut board = board_with_failing(5);
    let request = plan(&mut board);
    let mut starts =
        board.accept(batch((1..=2).map(|n| leased(n, subscription(n))).collect()), &request, request.now).starts;
    let request = plan(&mut board);
    let passed_over = (1..=5).map(subscription).collect();
    board.accept(LeaseBatch { passed_over, ..LeaseBatch::default() }, &request, request.now);
    assert_eq!(plan(&mut board).again, [], "no turn is left");
    let first = starts.remove(0);
    board.settle(&first.seat, Some(outcome(&first, Verdict::Delivered)), now());
    assert_eq!(plan(&mut board).again, [subscription(1), subscription(3)]);
}

#[test]
fn subscriptions_that_hold_nothing_are_forgotten_unless_they_fail() {
    for (verdict, kept) in [(Verdict::Delivered, 0), (Verdict::Failed, 1)] {
        let (mut board, _jobs) = board(64);
        let request = plan(&mut board);
        let start = board.accept(batch(vec![leased(1, subscription(1))]), &request, request.now).starts.remove(0);
        board.settle(&start.seat, Some(outcome(&start, verdict)), now());
        assert_eq!((board.entries.len(), board.hosts.is_empty(), board.sums.under_way), (kept, true, 0), "{verdict:?}");
    }
}

#[test]
fn a_turn_that_one_frees_which_recovers_is_another_ones() {
    let mut board = board_with_failing(3);
    let request = plan(&mut board);
    let both = (1..=2).map(|number| leased(number, subscription(number))).collect();
    let starts = board.accept(batch(both), &request, request.now).starts;
    let request = plan(&mut board);
    let passed_over = vec![subscription(3)];
    board.accept(LeaseBatch { passed_over, ..LeaseBatch::default() }, &request, request.now);
    assert!(asks_again(&mut board, &starts[0], outcome(&starts[0], Verdict::Delivered)));
    assert_eq!(plan(&mut board).again, [subscription(3)]);
}
