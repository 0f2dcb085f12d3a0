//! A courier that has room when a test says so, and keeps what it is handed.

use std::sync::{Arc, Mutex};

use leadgate::model::delivery::{Leased, Space};
use leadgate::model::{LeaseToken, SubscriptionId, Timestamp};
use leadgate::store::{Courier, Room, Store};

/// Stands where a driver would.
#[derive(Default)]
pub struct TestCourier(Mutex<Hands>);

#[derive(Default)]
struct Hands {
    /// Rooms that are free, and the lease that comes with each.
    free: usize,
    lease: Option<(LeaseToken, Timestamp)>,
    /// The space for what waits in the store, if it is not as usual.
    space: Option<Space>,
    /// Leases that were its own.
    leases: Vec<LeaseToken>,
    asked: Vec<(SubscriptionId, usize)>,
    given: Vec<Leased>,
}

impl TestCourier {
    /// The store's courier from now on; it has no room yet.
    pub fn of(store: &dyn Store) -> Arc<Self> {
        let courier = Arc::new(Self::default());
        store.signals().employ(Arc::new(Shared(courier.clone())));
        courier
    }

    /// There is room for so many, each under this lease.
    pub fn offer(&self, rooms: usize, lease: LeaseToken, until: Timestamp) {
        let mut hands = self.0.lock().unwrap();
        (hands.free, hands.lease) = (rooms, Some((lease, until)));
        hands.leases.push(lease);
    }

    /// From now on there is this space for what waits in the store.
    pub fn have_space(&self, space: Space) {
        self.0.lock().unwrap().space = Some(space);
    }

    /// There is no room any more.
    pub fn close(&self) {
        self.0.lock().unwrap().free = 0;
    }

    /// For how many there is room now.
    pub fn free(&self) -> usize {
        self.0.lock().unwrap().free
    }

    /// For whom and for how many bytes there was asked, since this was last asked.
    pub fn asked(&self) -> Vec<(SubscriptionId, usize)> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    /// What it was handed, since this was last asked.
    pub fn given(&self) -> Vec<Leased> {
        std::mem::take(&mut self.0.lock().unwrap().given)
    }
}

struct Shared(Arc<TestCourier>);

impl Courier for Shared {
    fn room(&self, subscription: SubscriptionId, bytes: usize) -> Option<Box<dyn Room>> {
        let mut hands = self.0.0.lock().unwrap();
        hands.asked.push((subscription, bytes));
        let (lease, until) = hands.lease.filter(|_| hands.free > 0)?;
        hands.free -= 1;
        Some(Box::new(TestRoom { courier: self.0.clone(), lease, until, filled: false }))
    }

    fn space_for(&self, _: SubscriptionId) -> Space {
        self.0.0.lock().unwrap().space.unwrap_or(Space::For(1))
    }

    fn has_leased(&self, lease: LeaseToken) -> bool {
        self.0.0.lock().unwrap().leases.contains(&lease)
    }
}

struct TestRoom {
    courier: Arc<TestCourier>,
    lease: LeaseToken,
    until: Timestamp,
    filled: bool,
}

impl Room for TestRoom {
    fn lease(&self) -> LeaseToken {
        self.lease
    }

    fn until(&self) -> Timestamp {
        self.until
    }

    fn fill(mut self: Box<Self>, delivery: Leased) {
        self.filled = true;
        self.courier.0.lock().unwrap().given.push(delivery);
    }
}

impl Drop for TestRoom {
    fn drop(&mut self) {
        if !self.filled {
            self.courier.0.lock().unwrap().free += 1;
        }
    }
}
