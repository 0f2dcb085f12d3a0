//! What holds whatever a receiver answers, and when.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MOST: usize = 16;

fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn at(millis: u64) -> Timestamp {
    after(start(), Duration::from_millis(millis))
}

/// A receiver's answers to one subscription, one attempt after the other unless told otherwise.
#[derive(Default)]
struct Story {
    pace: Pace,
    millis: u64,
    numbers: u64,
}

impl Story {
    fn now(&self) -> Timestamp {
        at(self.millis)
    }

    fn begin(&mut self) -> u64 {
        self.pace.began(self.now());
        self.numbers += 1;
        self.numbers
    }

    fn end(&mut self, number: u64, under_way: usize, sign: Sign) {
        let ended = Ended { number, latest: self.numbers, under_way, sign };
        self.pace.ended(ended, MOST, self.now());
    }

    /// One attempt, as soon as it may begin. Returns how many milliseconds that took.
    fn attempt(&mut self, sign: Sign) -> u64 {
        let before = self.millis;
        while let Turn::At(time) = self.pace.turn(0, MOST, self.now()) {
            assert!(time > self.now());
            self.millis = u64::try_from(time.as_millisecond() - start().as_millisecond()).unwrap();
        }
        let number = self.begin();
        self.end(number, 1, sign);
        self.millis - before
    }

    fn may_begin_beside(&mut self, under_way: usize) -> bool {
        let now = self.now();
        self.pace.turn(under_way, MOST, now) == Turn::Now
    }
}

const TOOK: Sign = Sign::Took(Duration::from_millis(20));
const TOOK_AT_ONCE: Sign = Sign::Took(Duration::from_millis(1));
const REFUSED: Sign = Sign::Refused(Duration::ZERO);

#[test]
fn a_receiver_that_takes_everything_is_never_held_back() {
    let mut story = Story::default();
    for _ in 0..100_000 {
        assert!(story.may_begin_beside(MOST - 1));
        assert_eq!(story.attempt(TOOK_AT_ONCE), 0);
    }
    assert!(!story.pace.is_limited(MOST, at(0)));
    assert!(story.pace.is_blank(), "nothing of it is kept");
    assert_eq!(story.pace.may_hold(Duration::from_secs(1), 0, MOST, at(0)), 16_000, "sixteen each millisecond");
}

#[test]
fn a_receiver_that_takes_its_time_gets_one_after_the_other_and_no_fewer() {
    let (mut story, mut ends, mut begun) = (Story::default(), BTreeMap::<u64, Vec<u64>>::new(), vec![]);
    let under_way = |ends: &BTreeMap<u64, Vec<u64>>| ends.values().map(Vec::len).sum::<usize>();
    for millis in 0..10_000 {
        story.millis = millis;
        for number in ends.remove(&millis).unwrap_or_default() {
            story.end(number, under_way(&ends) + 1, TOOK);
        }
        let mut together = 0;
        while under_way(&ends) < MOST && story.may_begin_beside(under_way(&ends)) {
            ends.entry(millis + 20).or_default().push(story.begin());
            together += 1;
        }
        begun.push(together);
    }
    assert_eq!(begun[0], MOST, "nothing is known of it");
    let later = &begun[2000..];
    assert!(later.iter().all(|together| *together <= 1));
    assert_eq!(later.iter().sum::<usize>(), later.len() * MOST / 20, "it is kept busy");
}

#[test]
fn a_failure_now_and_then_costs_nothing() {
    let mut story = Story::default();
    for number in 0..10_000 {
        let sign = if number % 2 == 0 { Sign::Failed } else { TOOK };
        assert_eq!(story.attempt(sign), 0);
    }
    assert!(!story.pace.is_limited(MOST, at(0)));
}

#[test]
fn one_refusal_in_hundreds_is_forgiven() {
    let mut story = Story::default();
    for number in 1..=10_000 {
        assert_eq!(story.attempt(if number % 300 == 0 { REFUSED } else { TOOK }), 0);
    }
    assert!(story.pace.is_blank());
}

#[test]
fn what_was_refused_together_counts_once() {
    let mut burst = Story::default();
    let mut single = Story::default();
    let numbers: Vec<_> = (0..MOST).map(|_| burst.begin()).collect();
    for (number, under_way) in numbers.into_iter().zip((1..=MOST).rev()) {
        burst.end(number, under_way, REFUSED);
    }
    let number = single.begin();
    single.end(number, MOST, REFUSED);
    assert_eq!(format!("{:?}", burst.pace.rate), format!("{:?}", single.pace.rate));
    assert_eq!((burst.pace.misses, burst.pace.pause), (1, None));
}

#[test]
fn pauses_grow_up_to_five_seconds_while_nothing_succeeds() {
    let mut story = Story::default();
    let waits: Vec<_> = (0..12).map(|_| story.attempt(Sign::Failed)).collect();
    assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 50, 100, 200, 400]);
    for _ in 0..10 {
        assert!(story.attempt(Sign::Failed) <= 5000);
    }
    assert_eq!(story.attempt(Sign::Failed), 5000);
    assert_eq!(story.pace.may_hold(Duration::from_secs(1), 0, MOST, story.now()), 0);

    let mut refused = Story::default();
    let waits: Vec<_> = (0..6).map(|_| refused.attempt(REFUSED)).collect();
    assert_eq!(waits, [0, 0, 50, 100, 200, 400]);
}

#[test]
fn after_an_outage_it_begins_with_one_request_and_rises() {
    let mut story = Story::default();
    for _ in 0..20 {
        story.attempt(Sign::Failed);
    }
    story.attempt(TOOK);
    assert!(story.pace.pause(story.now()).is_none());
    assert!(!story.may_begin_beside(1));
    let mut seconds = Vec::new();
    for _ in 0..6 {
        let end = story.millis + 1000;
        let mut taken = 0;
        while story.millis < end {
            story.attempt(TOOK);
            taken += 1;
        }
        seconds.push(taken);
    }
    assert!((50..100).contains(&seconds[0]), "{seconds:?}");
    assert!(seconds.windows(2).all(|pair| pair[1] > pair[0] * 3 / 2), "{seconds:?}");
}

#[test]
fn a_wait_that_was_asked_for_holds_the_receiver_for_a_minute_at_most_and_not_if_others_succeed() {
    for (asked, waited) in [(1, 1000), (30, 30_000), (86_400, 60_000)] {
        let mut story = Story::default();
        story.attempt(Sign::Refused(Duration::from_secs(asked)));
        assert_eq!(story.attempt(TOOK), waited, "{asked}");
    }
    let mut story = Story::default();
    let (first, second) = (story.begin(), story.begin());
    story.end(first, 2, Sign::Refused(Duration::from_secs(30)));
    story.end(second, 1, TOOK);
    assert!(story.attempt(TOOK) < 100);
}

#[test]
fn a_clock_that_is_set_back_holds_nobody_for_long() {
    let mut story = Story { millis: 10 * 3_600_000, ..Story::default() };
    for _ in 0..20 {
        story.attempt(REFUSED);
    }
    story.millis -= 2 * 3_600_000;
    assert!(story.attempt(REFUSED) <= 60_000);
}

#[test]
fn what_was_learned_counts_for_ten_minutes() {
    let mut story = Story::default();
    story.attempt(REFUSED);
    assert!(story.pace.is_limited(MOST, story.now()) && !story.pace.is_blank());
    story.millis += 599_000;
    assert!(!story.pace.is_outdated(story.now()));
    story.millis += 2_000;
    assert!(story.pace.is_outdated(story.now()));
}

/// What may happen next.
#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    Begin,
    End(usize, Sign),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let sign = prop_oneof![
        4 => (0_u64..20_000).prop_map(|millis| Sign::Took(Duration::from_millis(millis))),
        1 => (0_u64..100_000).prop_map(|seconds| Sign::Refused(Duration::from_secs(seconds))),
        2 => Just(REFUSED),
        1 => Just(Sign::Failed),
        1 => Just(Sign::Nothing),
    ];
    let event = prop_oneof![
        1 => (0_u64..20_000).prop_map(Event::Pass),
        1 => (0_u64..10).prop_map(Event::Pass),
        4 => Just(Event::Begin),
        3 => (0_usize..MOST, sign).prop_map(|(which, sign)| Event::End(which, sign)),
    ];
    proptest::collection::vec(event, 0..400)
}

proptest! {
    #[test]
    fn whatever_happens_one_may_begin_within_a_minute_and_never_more_than_there_are_places(events in events()) {
        let mut story = Story::default();
        let mut under_way = Vec::new();
        for event in events {
            match event {
                Event::Pass(millis) => story.millis += millis,
                Event::Begin => {
                    let now = story.now();
                    match story.pace.turn(under_way.len(), MOST, now) {
                        Turn::Now => under_way.push(story.begin()),
                        Turn::Full => prop_assert!(!under_way.is_empty(), "somebody must be waited for"),
                        Turn::At(time) => {
                            prop_assert!(time > now && time <= after(now, LONGEST_REQUESTED_PAUSE), "{:?}", story.pace);
                        }
                    }
                }
                Event::End(which, sign) if !under_way.is_empty() => {
                    let number = under_way.swap_remove(which % under_way.len());
                    story.end(number, under_way.len() + 1, sign);
                }
                Event::End(..) => {}
            }
            prop_assert!((1..=MOST).contains(&story.pace.window(MOST)), "{:?}", story.pace);
            prop_assert!(under_way.len() <= MOST);
        }
    }
}
