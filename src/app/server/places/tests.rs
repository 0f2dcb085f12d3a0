use std::pin::pin;

use futures_util::FutureExt;

use super::*;

/// Three places, two of them for one peer, and a proxy that may have all.
fn places() -> Arc<Places> {
    Places::new(Bounds { all: 3, of_one_peer: 2, trusted: vec!["10.0.0.0/8".parse().unwrap()] })
}

/// Enters without having to wait.
fn enter(places: &Arc<Places>, address: &str) -> Option<Place> {
    let entered = places.enter(address.parse().unwrap()).now_or_never();
    entered.expect("there is a place, or none for this peer")
}

fn is_gone(place: &Place) -> bool {
    place.gone().is_cancelled()
}

/// Whether a newcomer from `address` waits; if so, until `place` has left.
fn enters_when_left(places: &Arc<Places>, address: &str, place: Place) -> Place {
    let mut entering = pin!(places.enter(address.parse().unwrap()));
    assert!(entering.as_mut().now_or_never().is_none(), "there is no place yet");
    assert!(is_gone(&place));
    drop(place);
    entering.now_or_never().flatten().expect("there is a place now")
}

#[test]
fn who_has_kept_waiting_longest_gives_up_its_place() {
    let places = places();
    let first = enter(&places, "1.1.1.1").unwrap();
    let second = enter(&places, "1.1.1.2").unwrap();
    let third = enter(&places, "1.1.1.3").unwrap();
    // The first has asked for something and was answered: it is the last in the line now.
    first.works();
    first.waits();
    let fourth = enters_when_left(&places, "1.1.1.4", second);
    let _fifth = enters_when_left(&places, "1.1.1.5", third);
    assert!(!is_gone(&first) && !is_gone(&fourth));
}

#[test]
fn a_trickle_does_not_change_the_position() {
    let places = places();
    let slow = enter(&places, "1.1.1.1").unwrap();
    let second = enter(&places, "1.1.1.2").unwrap();
    let third = enter(&places, "1.1.1.3").unwrap();
    slow.works();
    slow.waits();
    let fourth = enters_when_left(&places, "1.1.1.4", second);
    slow.waits();
    let _fifth = enters_when_left(&places, "1.1.1.5", third);
    let _sixth = enters_when_left(&places, "1.1.1.6", slow);
    assert!(!is_gone(&fourth));
}

#[test]
fn work_is_not_interrupted_and_the_first_who_waits_again_goes() {
    let places = places();
    let busy: Vec<_> = ["1.1.1.1", "1.1.1.2", "1.1.1.3"].map(|address| enter(&places, address).unwrap()).into();
    busy.iter().for_each(Place::works);
    let mut entering = pin!(places.enter("1.1.1.4".parse().unwrap()));
    assert!(entering.as_mut().now_or_never().is_none());
    assert!(!busy.iter().any(is_gone));
    busy[1].waits();
    assert!(is_gone(&busy[1]));
    busy[2].waits();
    assert!(!is_gone(&busy[2]), "one place is wanted, and no more");
}

#[test]
fn a_peer_beyond_its_share_loses_its_own_oldest_connection() {
    let places = places();
    let other = enter(&places, "1.1.1.2").unwrap();
    let mine = (enter(&places, "1.1.1.1").unwrap(), enter(&places, "1.1.1.1").unwrap());
    let third = enters_when_left(&places, "::ffff:1.1.1.1", mine.0);
    assert!(!is_gone(&other) && !is_gone(&mine.1) && !is_gone(&third));
}

#[test]
fn a_peer_that_is_at_work_with_all_its_share_is_refused() {
    let places = places();
    let mine = (enter(&places, "1.1.1.1").unwrap(), enter(&places, "1.1.1.1").unwrap());
    mine.0.works();
    mine.1.works();
    assert!(enter(&places, "1.1.1.1").is_none());
    drop(mine.0);
    assert!(enter(&places, "1.1.1.1").is_some());
}

#[test]
fn a_trusted_proxy_may_have_all_places() {
    let places = places();
    let all: Vec<_> = (0..3).map(|_| enter(&places, "10.1.2.3").unwrap()).collect();
    assert!(!all.iter().any(is_gone));
}

#[test]
fn a_network_of_ipv6_is_one_peer() {
    let places = places();
    let mine = (enter(&places, "2001:db8::1").unwrap(), enter(&places, "2001:db8::2").unwrap());
    let _neighbour = enter(&places, "2001:db8:0:1::1").unwrap();
    mine.0.works();
    mine.1.works();
    assert!(enter(&places, "2001:db8::3").is_none());
}

#[test]
fn nobody_stays_counted() {
    let places = places();
    for _ in 0..10 {
        let mine = (enter(&places, "1.1.1.1").unwrap(), enter(&places, "1.1.1.1").unwrap());
        let third = enter(&places, "1.1.1.1").unwrap();
        assert!(is_gone(&mine.0));
        // On its way out it still finishes what it had begun.
        mine.0.works();
        mine.0.waits();
        mine.1.works();
        third.works();
        let last = enters_when_left(&places, "1.1.1.2", mine.0);
        last.works();
        // Broken off while it waits for its place.
        assert!(places.enter("1.1.1.3".parse().unwrap()).now_or_never().is_none());
    }
    let line = places.line();
    assert!(line.open.is_empty() && line.standing.is_empty() && line.by_peer.is_empty());
    assert_eq!(places.room.available_permits(), 3);
}
