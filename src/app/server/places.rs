//! Who may stay when all places for connections are taken.
//!
//! Opening a connection costs a caller nothing, and keeping it open hardly more, so strangers could take every place there
//! is by doing nothing at all. Therefore those who keep the gateway waiting (for a request, for the rest of a body, or for
//! their next request) stand in a line, and whoever has kept it waiting longest gives up its place to a newcomer. A
//! request that the gateway is working on is never interrupted.
//!
//! The line is put in order only when somebody has to go. Each connection notes by itself whether it waits and since when,
//! which costs a request nothing; where it stands in the line is where it stood when somebody last looked, and so never
//! behind its right place: the first in line who stands right has waited longest.
//!
//! Besides, no peer may have more than its share, so that the idle connections of one do not send away those of others. A
//! trusted proxy stands for many callers and has no such bound. What counts as one peer is what counts as one address
//! where guesses are counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::model::throttle::neighbourhood;

/// How many connections there may be.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// From all peers together.
    pub all: usize,
    /// From one peer.
    pub of_one_peer: usize,
    /// For these addresses, the bound of all holds alone.
    pub trusted: Vec<IpNet>,
}

/// The places.
pub struct Places {
    bounds: Bounds,
    room: Arc<Semaphore>,
    line: Mutex<Line>,
    /// The last number that was drawn.
    last: AtomicU64,
    /// A newcomer waits until somebody goes.
    wanted: AtomicBool,
}

/// One connection's place; given back when it is dropped.
pub struct Place {
    places: Arc<Places>,
    visitor: Arc<Visitor>,
    _room: OwnedSemaphorePermit,
}

/// A connection, as the line knows it.
struct Visitor {
    peer: Option<IpAddr>,
    /// Since when it waits; or [`WORKING`], or [`SENT_AWAY`].
    since: AtomicU64,
    /// Where it stands in the line. Changed by whoever has locked the line.
    stands_at: AtomicU64,
    gone: CancellationToken,
}

/// A number that is drawn: a lower one has waited longer.
type Ticket = u64;

const WORKING: Ticket = 0;
const SENT_AWAY: Ticket = Ticket::MAX;

#[derive(Default)]
struct Line {
    standing: BTreeMap<Ticket, Arc<Visitor>>,
    by_peer: BTreeSet<(IpAddr, Ticket)>,
    open: HashMap<IpAddr, usize>,
}

impl Places {
    pub fn new(bounds: Bounds) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(bounds.all));
        Arc::new(Self { bounds, room, line: Mutex::default(), last: AtomicU64::new(WORKING), wanted: false.into() })
    }

    /// A place for a connection from `address`, once there is one. `None`: its peer has its share, and keeps the gateway
    /// busy with all of it. One enters after the other.
    pub async fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let peer = self.peer(address);
        let made_room = self.admit(peer)?;
        let mut entering = Entering { places: self, peer };
        let room = match self.room.clone().try_acquire_owned() {
            Ok(room) => room,
            Err(_) => {
                if !made_room {
                    self.make_room();
                }
                self.room.clone().acquire_owned().await.expect("the semaphore is never closed")
            }
        };
        entering.peer = None;
        drop(entering);
        let visitor = self.stand_in_line(peer);
        Some(Place { places: self.clone(), visitor, _room: room })
    }

    /// A connection that has just come: it waits.
    fn stand_in_line(&self, peer: Option<IpAddr>) -> Arc<Visitor> {
        let mut line = self.line();
        let ticket = self.draw();
        let visitor =
            Arc::new(Visitor { peer, since: ticket.into(), stands_at: ticket.into(), gone: CancellationToken::new() });
        line.insert(visitor.clone());
        visitor
    }

    /// Counts a newcomer. `Some(true)`: an older connection of its peer goes for it. `None`: it is not let in.
    fn admit(&self, peer: Option<IpAddr>) -> Option<bool> {
        let Some(peer) = peer else { return Some(false) };
        let mut line = self.line();
        let full = line.open.get(&peer).is_some_and(|open| *open >= self.bounds.of_one_peer);
        if full && !self.send_away_first(&mut line, |line| line.first_of(peer)) {
            return None;
        }
        *line.open.entry(peer).or_default() += 1;
        Some(full)
    }

    /// Somebody goes: now, or as soon as somebody waits.
    fn make_room(&self) {
        let mut line = self.line();
        // Before the line is looked through: who begins to wait meanwhile is seen there, or sees this.
        self.wanted.store(true, SeqCst);
        if self.send_away_first(&mut line, Line::first) {
            self.wanted.store(false, SeqCst);
        }
    }

    /// Sends away whoever of those that `first` finds has waited longest, if anybody waits. Who stands too far ahead is put
    /// where it belongs: among those who wait, or, if it works, behind all of them.
    fn send_away_first(&self, line: &mut Line, first: impl Fn(&Line) -> Option<Arc<Visitor>>) -> bool {
        // Nobody has to move twice, unless it asked for something meanwhile: then it will be seen when it waits again.
        for _ in 0..2 * line.standing.len() {
            let Some(visitor) = first(line) else { return false };
            let stands_at = visitor.stands_at.load(SeqCst);
            match visitor.since.compare_exchange(stands_at, SENT_AWAY, SeqCst, SeqCst) {
                Ok(_) => {
                    line.send_away(&visitor);
                    return true;
                }
                Err(WORKING) => line.put(&visitor, self.draw()),
                Err(since) => line.put(&visitor, since),
            }
        }
        false
    }

    fn draw(&self) -> Ticket {
        self.last.fetch_add(1, SeqCst) + 1
    }

    /// Whom connections from `address` are counted for; `None`: for nobody.
    fn peer(&self, address: IpAddr) -> Option<IpAddr> {
        let address = address.to_canonical();
        let trusted = self.bounds.trusted.iter().any(|network| network.contains(&address));
        (!trusted).then(|| neighbourhood(address))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A newcomer at the door; there is one at a time. Should it go away before it has a place, it was not there.
struct Entering<'a> {
    places: &'a Places,
    peer: Option<IpAddr>,
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        let mut line = self.places.line();
        self.places.wanted.store(false, SeqCst);
        if let Some(peer) = self.peer {
            line.leave(peer);
        }
    }
}

impl Place {
    /// The gateway waits for this connection's client. One that waits already keeps its position: a client that sends a byte
    /// now and then has not done what it is waited for.
    pub fn waits(&self) {
        if self.visitor.since.load(SeqCst) != WORKING {
            return;
        }
        self.change(WORKING, self.places.draw());
        if self.places.wanted.load(SeqCst) {
            let mut line = self.places.line();
            // Perhaps somebody else has gone meanwhile.
            if self.places.wanted.load(SeqCst) && self.places.send_away_first(&mut line, Line::first) {
                self.places.wanted.store(false, SeqCst);
            }
        }
    }

    /// The gateway works for this connection's client.
    pub fn works(&self) {
        let since = self.visitor.since.load(SeqCst);
        if since != SENT_AWAY {
            self.change(since, WORKING);
        }
    }

    /// Unless it was sent away meanwhile: that is for good.
    fn change(&self, from: Ticket, to: Ticket) {
        let _ = self.visitor.since.compare_exchange(from, to, SeqCst, SeqCst);
    }

    /// Completes when the connection has to go.
    pub fn gone(&self) -> CancellationToken {
        self.visitor.gone.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = self.places.line();
        // Who was sent away is no longer counted.
        if !self.visitor.gone.is_cancelled() {
            line.remove(&self.visitor);
            if let Some(peer) = self.visitor.peer {
                line.leave(peer);
            }
        }
    }
}

impl Line {
    fn insert(&mut self, visitor: Arc<Visitor>) {
        let at = visitor.stands_at.load(SeqCst);
        self.by_peer.extend(visitor.peer.map(|peer| (peer, at)));
        self.standing.insert(at, visitor);
    }

    fn remove(&mut self, visitor: &Visitor) {
        let at = visitor.stands_at.load(SeqCst);
        self.standing.remove(&at);
        if let Some(peer) = visitor.peer {
            self.by_peer.remove(&(peer, at));
        }
    }

    /// Moves it to another position.
    fn put(&mut self, visitor: &Arc<Visitor>, at: Ticket) {
        self.remove(visitor);
        visitor.stands_at.store(at, SeqCst);
        self.insert(visitor.clone());
    }

    fn first(&self) -> Option<Arc<Visitor>> {
        self.standing.values().next().cloned()
    }

    fn first_of(&self, peer: IpAddr) -> Option<Arc<Visitor>> {
        let (_, at) = self.by_peer.range((peer, 0)..=(peer, Ticket::MAX)).next()?;
        self.standing.get(at).cloned()
    }

    fn leave(&mut self, peer: IpAddr) {
        if let Some(open) = self.open.get_mut(&peer) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&peer);
            }
        }
    }

    fn send_away(&mut self, visitor: &Visitor) {
        self.remove(visitor);
        if let Some(peer) = visitor.peer {
            self.leave(peer);
        }
        visitor.gone.cancel();
    }
}

#[cfg(test)]
mod tests;
