//! The connections there are, shared per host: at most so many at once, idle ones included. When all are taken, the one
//! that has been idle longest makes room for a new one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection::{Http1, Http2};
use super::wire::Slot;
use crate::model::time::after;
use crate::model::{Clock, Timestamp};

/// Idle connections are closed after this. Common servers close theirs after 5 s; a request that meets such a close on
/// its way is lost and has to wait for its retry.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// So many idle connections are kept per host.
const IDLE_PER_HOST: usize = 64;

/// Whom a connection leads to: scheme, host and port.
pub(super) type Peer = (Scheme, Authority);

/// Idle connections are numbered in the order in which they became idle.
type Ticket = u64;

/// The pool.
pub(super) struct Pool {
    shelf: Mutex<Shelf>,
    slots: Arc<Semaphore>,
    size: usize,
    /// Those who wait for a slot although nothing is idle.
    waiting: AtomicUsize,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Shelf {
    idle: BTreeMap<Ticket, Idle>,
    /// The idle HTTP/1.1 connections of each peer, longest idle first.
    stacks: HashMap<Peer, VecDeque<Ticket>>,
    /// The HTTP/2 connection of each peer.
    shared: HashMap<Peer, Shared>,
    /// Who dials a peer of which it is not known what it speaks.
    first: HashMap<Peer, CancellationToken>,
    last: Ticket,
    /// Whether a task waits to close what is idle too long.
    swept: bool,
}

struct Idle {
    peer: Peer,
    since: Timestamp,
    /// Absent for HTTP/2: that one is among the shared.
    connection: Option<Box<Http1>>,
}

struct Shared {
    connection: Http2,
    users: usize,
    /// Where it stands among the idle ones while it has no users.
    ticket: Option<Ticket>,
    /// Tells it from an earlier one of the same peer.
    number: Ticket,
}

/// A connection out of the pool.
pub(super) enum Taken {
    /// For one request at a time. It goes back with [`Pool::keep`], or is dropped and so closed.
    Http1(Box<Http1>),
    /// Shared with others.
    Http2(User),
}

/// One user of a shared connection.
pub(super) struct User {
    pub connection: Http2,
    /// Whether the request came to something. One that was given up may still wait for its turn there, and all later ones
    /// would wait behind it: so nobody else is to use the connection.
    pub is_answered: bool,
    pool: Arc<Pool>,
    peer: Peer,
    number: Ticket,
}

/// Who may dial a peer now.
pub(super) enum Turn {
    /// The caller. The others wait until the guard is dropped: the connection may turn out to be for all of them.
    First(First),
    /// Somebody else does. Completes when that has ended, well or badly.
    After(CancellationToken),
}

/// The first to dial a peer.
pub(super) struct First {
    pool: Arc<Pool>,
    peer: Peer,
    _ended: DropGuard,
}

impl Pool {
    /// A pool of at most `size` connections (at least one), whose idle ones are timed by `clock`.
    pub fn new(size: usize, clock: Arc<dyn Clock>) -> Arc<Self> {
        let size = size.clamp(1, Semaphore::MAX_PERMITS);
        let slots = Arc::new(Semaphore::new(size));
        Arc::new(Self { shelf: Mutex::default(), slots, size, waiting: AtomicUsize::new(0), clock })
    }

    /// How many connections there are, idle or in use or being made.
    pub fn open(&self) -> usize {
        self.size - self.slots.available_permits()
    }

    /// A connection to `peer` that is there already.
    pub fn take(self: &Arc<Self>, peer: &Peer) -> Option<Taken> {
        if let Some(user) = self.join(peer) {
            return Some(Taken::Http2(user));
        }
        loop {
            let mut connection = self.shelf().pop(peer)?;
            if connection.is_usable() {
                return Some(Taken::Http1(connection));
            }
        }
    }

    /// Keeps a connection for the next request, if it is still good.
    pub fn keep(self: &Arc<Self>, peer: &Peer, mut connection: Box<Http1>) {
        if !connection.is_usable() {
            return;
        }
        let now = self.clock.now();
        let mut shelf = self.shelf();
        if self.is_wanted() {
            // Closed while nobody waits for the lock.
            drop(shelf);
            return drop(connection);
        }
        let ticket = shelf.lay_down(peer.clone(), now, Some(connection));
        let stack = shelf.stacks.entry(peer.clone()).or_default();
        stack.push_back(ticket);
        let surplus = if stack.len() > IDLE_PER_HOST { stack.pop_front() } else { None };
        let surplus = surplus.and_then(|ticket| shelf.idle.remove(&ticket));
        self.see_to_sweeping(&mut shelf);
        drop(shelf);
        drop(surplus);
    }

    /// Shares a new connection with all who want one to `peer`. If another one is shared already, that one is used.
    pub fn share(self: &Arc<Self>, peer: &Peer, connection: Http2) -> User {
        if let Some(user) = self.join(peer) {
            return user;
        }
        let mut shelf = self.shelf();
        shelf.last += 1;
        let number = shelf.last;
        let shared = Shared { connection: connection.clone(), users: 1, ticket: None, number };
        let before = shelf.shared.insert(peer.clone(), shared);
        drop((shelf, before));
        User { connection, is_answered: false, pool: self.clone(), peer: peer.clone(), number }
    }

    /// The right to open one more socket. Waits only while every connection is in use.
    pub async fn slot(&self) -> Slot {
        loop {
            if let Ok(slot) = self.slots.clone().try_acquire_owned() {
                return slot;
            }
            if !self.close_oldest() {
                let _waiting = Waiting::count(&self.waiting);
                // What became idle before this one was counted.
                self.close_oldest();
                return self.slots.clone().acquire_owned().await.expect("this semaphore is never closed");
            }
            // An HTTP/2 connection says good-bye in its own task.
            tokio::task::yield_now().await;
        }
    }

    /// Whether to dial `peer` now, or to wait for somebody who does.
    pub fn turn(self: &Arc<Self>, peer: &Peer) -> Turn {
        let mut shelf = self.shelf();
        if let Some(other) = shelf.first.get(peer) {
            return Turn::After(other.clone());
        }
        let ended = CancellationToken::new();
        shelf.first.insert(peer.clone(), ended.clone());
        Turn::First(First { pool: self.clone(), peer: peer.clone(), _ended: ended.drop_guard() })
    }

    fn join(self: &Arc<Self>, peer: &Peer) -> Option<User> {
        let mut shelf = self.shelf();
        if shelf.shared.is_empty() {
            return None;
        }
        let shared = shelf.shared.get_mut(peer)?;
        if !shared.connection.is_usable() {
            let ended = shelf.forget(peer);
            drop((shelf, ended));
            return None;
        }
        shared.users += 1;
        let (connection, number) = (shared.connection.clone(), shared.number);
        if let Some(ticket) = shared.ticket.take() {
            shelf.idle.remove(&ticket);
        }
        Some(User { connection, is_answered: false, pool: self.clone(), peer: peer.clone(), number })
    }

    /// `false`: nothing is idle.
    fn close_oldest(&self) -> bool {
        let mut shelf = self.shelf();
        let oldest = shelf.idle.keys().next().copied();
        let closed = oldest.and_then(|ticket| shelf.pick_up(ticket));
        drop(shelf);
        closed.is_some()
    }

    /// Whether somebody waits for a slot: then nothing is kept. To be asked while the shelf is locked: who waits looks there
    /// after being counted, so one of the two sees the other.
    fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    fn see_to_sweeping(self: &Arc<Self>, shelf: &mut Shelf) {
        if !std::mem::replace(&mut shelf.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.clock.clone()));
        }
    }

    /// Closes what has been idle too long. When there is something to close next; `None`: nothing is idle.
    fn close_old(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        loop {
            let mut shelf = self.shelf();
            let Some((&ticket, idle)) = shelf.idle.first_key_value() else {
                shelf.swept = false;
                return None;
            };
            let end = after(idle.since, IDLE_TIMEOUT);
            if end > now {
                return Some(end);
            }
            let closed = shelf.pick_up(ticket);
            drop((shelf, closed));
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes idle connections in time, as long as there are any.
async fn sweep(pool: Weak<Pool>, clock: Arc<dyn Clock>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.close_old()) {
        clock.sleep_until(next).await;
    }
}

impl Shelf {
    fn lay_down(&mut self, peer: Peer, since: Timestamp, connection: Option<Box<Http1>>) -> Ticket {
        self.last += 1;
        self.idle.insert(self.last, Idle { peer, since, connection });
        self.last
    }

    /// The HTTP/1.1 connection to `peer` that became idle last: the others get a chance to be closed.
    fn pop(&mut self, peer: &Peer) -> Option<Box<Http1>> {
        let stack = self.stacks.get_mut(peer)?;
        let ticket = stack.pop_back();
        if stack.is_empty() {
            self.stacks.remove(peer);
        }
        self.idle.remove(&ticket?)?.connection
    }

    /// Takes an idle connection out, so that it can be dropped.
    fn pick_up(&mut self, ticket: Ticket) -> Option<(Idle, Option<Shared>)> {
        let idle = self.idle.remove(&ticket)?;
        if idle.connection.is_none() {
            let shared = self.shared.remove(&idle.peer);
            return Some((idle, shared));
        }
        if let Some(stack) = self.stacks.get_mut(&idle.peer) {
            stack.retain(|other| *other != ticket);
            if stack.is_empty() {
                self.stacks.remove(&idle.peer);
            }
        }
        Some((idle, None))
    }

    fn forget(&mut self, peer: &Peer) -> Option<Shared> {
        let shared = self.shared.remove(peer)?;
        if let Some(ticket) = shared.ticket {
            self.idle.remove(&ticket);
        }
        Some(shared)
    }
}

impl User {
    /// Nobody else is to use this connection: it has failed, or is being closed by the other end.
    pub fn retire(&self) {
        let mut shelf = self.pool.shelf();
        let same = shelf.shared.get(&self.peer).is_some_and(|shared| shared.number == self.number);
        let retired = if same { shelf.forget(&self.peer) } else { None };
        drop((shelf, retired));
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if !self.is_answered {
            return self.retire();
        }
        let now = self.pool.clock.now();
        let mut shelf = self.pool.shelf();
        let Some(shared) = shelf.shared.get_mut(&self.peer).filter(|shared| shared.number == self.number) else {
            return;
        };
        shared.users -= 1;
        if shared.users > 0 {
            return;
        }
        if self.pool.is_wanted() || !self.connection.is_usable() {
            let ended = shelf.forget(&self.peer);
            drop((shelf, ended));
            return;
        }
        let ticket = shelf.lay_down(self.peer.clone(), now, None);
        if let Some(shared) = shelf.shared.get_mut(&self.peer) {
            shared.ticket = Some(ticket);
        }
        self.pool.see_to_sweeping(&mut shelf);
    }
}

impl Drop for First {
    fn drop(&mut self) {
        self.pool.shelf().first.remove(&self.peer);
    }
}

/// Counts somebody who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn count(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
