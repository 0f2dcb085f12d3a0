//! Nothing due is forgotten: with a model of the store, and of the driver without its poll. Whatever happens in whatever order,
//! somebody says that the store is to be asked, for as long as it has something due for which there is room.

use proptest::prelude::*;

use super::*;

const SUBSCRIPTIONS: u8 = 6;

/// For so long the model's store does not meet whom it has passed over.
const ASIDE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
enum Event {
    /// A lead is made.
    Make(u8),
    /// Something put off falls due.
    FallDue(u8),
    /// The driver asks, if there is a reason to. With `at_once`, the store looks before anything else happens.
    Ask {
        at_once: bool,
    },
    /// The store answers.
    Answer,
    /// One of those under way ends.
    End {
        which: usize,
        sign: u8,
    },
    Recall(u8),
    /// So many milliseconds pass.
    Pass(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let subscription = || 1..=SUBSCRIPTIONS;
    prop_oneof![
        4 => subscription().prop_map(Event::Make),
        3 => subscription().prop_map(Event::FallDue),
        4 => any::<bool>().prop_map(|at_once| Event::Ask { at_once }),
        4 => Just(Event::Answer),
        6 => (any::<usize>(), 0..5_u8).prop_map(|(which, sign)| Event::End { which, sign }),
        1 => subscription().prop_map(Event::Recall),
        2 => (0..3000_u16).prop_map(Event::Pass),
    ]
}

/// What the store has of a subscription.
#[derive(Default, Clone, Copy)]
struct Waiting {
    due: usize,
    /// Until when it is not met in line.
    aside: Option<Timestamp>,
}

struct World {
    board: Board,
    jobs: UnboundedReceiver<Job>,
    waiting: Vec<Waiting>,
    /// What the store was asked; and what it answers, if it has looked already.
    asked: Option<(LeaseRequest, Option<LeaseBatch>)>,
    under_way: Vec<Start>,
    /// Whether there is a reason to ask.
    wake: bool,
    /// When there is one, whatever happens.
    next_due: Option<Timestamp>,
    time: Timestamp,
    numbers: u8,
    /// Whether subscriptions share one receiver.
    shared: bool,
    /// Whether the store has those stand aside that have their hands full; with PostgreSQL it first leaves them in line.
    aside: bool,
}

impl World {
    fn new(places: usize, shared: bool, aside: bool) -> Self {
        let (board, jobs) = board(places);
        let waiting = vec![Waiting::default(); usize::from(SUBSCRIPTIONS) + 1];
        let (asked, under_way, wake, next_due) = (None, vec![], true, None);
        Self { board, jobs, waiting, asked, under_way, wake, next_due, time: now(), numbers: 0, shared, aside }
    }

    fn of(&mut self, id: SubscriptionId) -> &mut Waiting {
        &mut self.waiting[usize::from(id.as_bytes()[0])]
    }

    fn delivery(&mut self, id: SubscriptionId) -> Leased {
        self.numbers = self.numbers.wrapping_add(1);
        let until = after(self.time, 2 * TIMEOUT);
        let delivery = Leased { until, ..leased(self.numbers, id) };
        if self.shared { Leased { url: "http://receiver.example/".parse().unwrap(), ..delivery } } else { delivery }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Make(number) => self.make(subscription(number)),
            Event::FallDue(number) => self.fall_due(subscription(number)),
            Event::Ask { at_once } => self.ask(at_once),
            Event::Answer => self.answer(),
            Event::End { which, sign } => self.end(which, sign),
            Event::Recall(number) => {
                self.board.recall(subscription(number));
                self.wake = true;
            }
            Event::Pass(millis) => self.pass(Duration::from_millis(millis.into())),
        }
        self.record();
    }

    /// Straight from the commit, if nothing else of it is due and there is room.
    fn make(&mut self, id: SubscriptionId) {
        let promise = if self.of(id).due == 0 { self.board.promise(id, 0, self.time) } else { None };
        let Some(promise) = promise else { return self.fall_due(id) };
        let delivery = self.delivery(id);
        self.under_way.extend(self.board.keep(promise, delivery, self.time));
    }

    fn fall_due(&mut self, id: SubscriptionId) {
        *self.of(id) = Waiting { due: self.of(id).due + 1, aside: None };
        self.wake |= matches!(self.board.space_for(id, self.time), Space::For(_));
    }

    fn ask(&mut self, at_once: bool) {
        if self.asked.is_some() || !std::mem::take(&mut self.wake) {
            return;
        }
        self.next_due = None;
        let starts = self.board.round(self.time);
        self.under_way.extend(starts);
        let Some(request) = self.board.plan(self.time, lease(), after(self.time, 2 * TIMEOUT)) else { return };
        let batch = at_once.then(|| self.look(&request));
        self.asked = Some((request, batch));
    }

    fn answer(&mut self) {
        let Some((request, batch)) = self.asked.take() else { return };
        let batch = batch.unwrap_or_else(|| self.look(&request));
        self.next_due = batch.next_due;
        let next = self.board.accept(batch, &request, self.time);
        self.under_way.extend(next.starts);
        self.wake |= next.lease;
    }

    fn end(&mut self, which: usize, sign: u8) {
        let Some(start) = take_any(&mut self.under_way, which) else { return };
        let settled = if sign == 2 { outcome(&start, Verdict::Release) } else { any_end(&start, sign) };
        let next = self.board.settle(&start.seat, Some(settled), self.time);
        self.under_way.extend(next.starts);
        self.wake |= next.lease;
    }

    fn pass(&mut self, time: Duration) {
        self.time = after(self.time, time);
        let next = self.board.go_on(self.time);
        self.under_way.extend(next.starts);
        self.wake |= next.lease || self.next_due.is_some_and(|due| due <= self.time);
    }

    /// What the recorder does: what was put back is due again.
    fn record(&mut self) {
        while let Ok(job) = self.jobs.try_recv() {
            let Job::Record(outcome) = job else { continue };
            self.wake |= self.board.recorded(1);
            if matches!(outcome.verdict, Verdict::Release) || outcome.verdict == Verdict::Retry(self.time) {
                *self.of(outcome.subscription) = Waiting { due: self.of(outcome.subscription).due + 1, aside: None };
                self.wake = true;
            }
        }
    }

    /// What the store does with a request.
    fn look(&mut self, request: &LeaseRequest) -> LeaseBatch {
        let mut batch = LeaseBatch::default();
        for id in &request.again {
            match batch.deliveries.len() < request.limit {
                true => self.serve(*id, request, &mut batch),
                false => batch.passed_over.push(*id),
            }
        }
        let (mut next_due, now) = (None::<Timestamp>, request.now);
        for id in (1..=SUBSCRIPTIONS).map(subscription) {
            match self.of(id).aside.filter(|until| *until > now) {
                None if batch.deliveries.len() < request.limit => self.serve(id, request, &mut batch),
                None => {}
                Some(until) => match self.space(id, request) {
                    Space::For(_) => next_due = Some(next_due.map_or(until, |due| due.min(until))),
                    Space::Full => drop(batch.have_more.insert(id)),
                    Space::Down => {}
                },
            }
        }
        LeaseBatch { next_due, ..batch }
    }

    fn space(&mut self, id: SubscriptionId, request: &LeaseRequest) -> Space {
        match request.busy.get(&id) {
            Some(0) => Space::Full,
            Some(room) => Space::For(*room),
            None => self.board.space_of_unlisted(id, self.time).unwrap_or(Space::For(request.per_subscription)),
        }
    }

    fn serve(&mut self, id: SubscriptionId, request: &LeaseRequest, batch: &mut LeaseBatch) {
        let due = self.of(id).due;
        if due == 0 || batch.deliveries.iter().any(|delivery| delivery.subscription == id) {
            return;
        }
        let space = self.space(id, request);
        let Space::For(room) = space else {
            batch.have_more.insert(id);
            if self.aside || space == Space::Down {
                batch.passed_over.push(id);
                self.of(id).aside = Some(after(request.now, ASIDE));
            }
            return;
        };
        let count = room.min(due).min(request.limit - batch.deliveries.len());
        *self.of(id) = Waiting { due: due - count, aside: None };
        batch.have_more.extend((due > count).then_some(id));
        for _ in 0..count {
            let delivery = self.delivery(id);
            batch.deliveries.push(delivery);
        }
    }

    /// Those that have something due, room for it, and nothing whose end would be a reason to ask, while nobody is about to.
    fn forgotten(&self) -> Vec<SubscriptionId> {
        let is_driver_idle = self.asked.is_none() && !self.wake && self.next_due.is_none();
        // The next place that is free is a reason to ask.
        let waits_for_a_place = self.board.more && self.board.load().taken > 0;
        // A shared receiver that is closed is a reason for itself, when it opens.
        if self.shared || !is_driver_idle || waits_for_a_place || self.board.limits.free(self.board.load()) == 0 {
            return Vec::new();
        }
        let has_room = |id: &SubscriptionId| {
            self.board
                .entries
                .get(id)
                .is_none_or(|entry| entry.held() == 0 && self.board.may_hold(entry, 0, self.time) > 0)
        };
        let due = (1..=SUBSCRIPTIONS).filter(|number| self.waiting[usize::from(*number)].due > 0);
        due.map(subscription).filter(has_room).collect()
    }

    /// All goes well from now on. Nobody asks without a reason.
    fn go_on_well(&mut self) {
        for _ in 0..400 {
            self.happen(Event::Answer);
            self.happen(Event::Ask { at_once: true });
            self.happen(Event::Answer);
            while !self.under_way.is_empty() {
                self.happen(Event::End { which: 0, sign: 3 });
            }
            self.happen(Event::Pass(50));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_store_is_asked_for_as_long_as_it_has_something_due(
        (few, shared, aside) in any::<(bool, bool, bool)>(),
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut world = World::new(if few { 4 } else { 64 }, shared, aside);
        for event in events {
            world.happen(event);
            prop_assert_eq!(world.forgotten(), vec![]);
        }
        world.go_on_well();
        let due: Vec<_> = world.waiting.iter().map(|waiting| waiting.due).collect();
        prop_assert_eq!(due, vec![0; usize::from(SUBSCRIPTIONS) + 1]);
    }
}
