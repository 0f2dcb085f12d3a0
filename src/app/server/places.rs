//! Who may stay when all places for connections are taken.
//!
//! Opening a connection costs a caller nothing, and keeping it open hardly more, so strangers could take every place there
//! is by doing nothing at all. Therefore those who keep the gateway waiting (for a request, for the rest of a body, or for
//! their next request) stand in a line, and whoever has kept it waiting longest gives up its place to a newcomer. A
//! request that the gateway is working on is never interrupted.
//!
//! Besides, no peer may have more than its share, so that the idle connections of one do not send away those of others. A
//! trusted proxy stands for many callers and has no such bound. What counts as one peer is what counts as one address
//! where guesses are counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
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
}

/// One connection's place; given back when it is dropped.
pub struct Place {
    places: Arc<Places>,
    peer: Option<IpAddr>,
    state: Mutex<State>,
    gone: CancellationToken,
    _room: OwnedSemaphorePermit,
}

/// What a connection does, and where in the line it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Working,
    Waiting(Ticket),
}

/// The position in the line: a lower number has waited longer.
type Ticket = u64;

#[derive(Default)]
struct Line {
    last: Ticket,
    waiting: BTreeMap<Ticket, Waiting>,
    by_peer: BTreeSet<(IpAddr, Ticket)>,
    open: HashMap<IpAddr, usize>,
    /// A newcomer waits until somebody goes.
    wanted: bool,
}

struct Waiting {
    peer: Option<IpAddr>,
    gone: CancellationToken,
}

impl Places {
    pub fn new(bounds: Bounds) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(bounds.all));
        Arc::new(Self { bounds, room, line: Mutex::default() })
    }

    /// A place for a connection from `address`, once there is one. `None`: its peer has its share, and keeps the gateway
    /// busy with all of it. One enters after the other.
    pub async fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let peer = self.peer(address);
        let made_room = self.line().admit(peer, self.bounds.of_one_peer)?;
        let mut entering = Entering { places: self, peer };
        let room = match self.room.clone().try_acquire_owned() {
            Ok(room) => room,
            Err(_) => {
                if !made_room {
                    self.line().make_room();
                }
                self.room.clone().acquire_owned().await.expect("the semaphore is never closed")
            }
        };
        entering.peer = None;
        drop(entering);
        let gone = CancellationToken::new();
        let place = Place { places: self.clone(), peer, state: Mutex::new(State::Working), gone, _room: room };
        place.waits();
        Some(place)
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
        line.wanted = false;
        if let Some(peer) = self.peer {
            line.leave(peer);
        }
    }
}

impl Place {
    /// The gateway waits for this connection's client. One that waits already keeps its position: a client that sends a byte
    /// now and then has not done what it is waited for.
    pub fn waits(&self) {
        let mut state = self.state();
        if *state == State::Working {
            let mut line = self.places.line();
            *state = State::Waiting(line.join(self.peer, self.gone.clone()));
            if line.wanted {
                line.wanted = !line.send_away_oldest();
            }
        }
    }

    /// The gateway works for this connection's client.
    pub fn works(&self) {
        let mut state = self.state();
        if let State::Waiting(ticket) = *state {
            self.places.line().step_out(ticket);
            *state = State::Working;
        }
    }

    /// Completes when the connection has to go.
    pub fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let state = *self.state();
        let mut line = self.places.line();
        if let State::Waiting(ticket) = state {
            line.step_out(ticket);
        }
        // Who was sent away is no longer counted.
        if let (Some(peer), false) = (self.peer, self.gone.is_cancelled()) {
            line.leave(peer);
        }
    }
}

impl Line {
    fn join(&mut self, peer: Option<IpAddr>, gone: CancellationToken) -> Ticket {
        self.last += 1;
        self.waiting.insert(self.last, Waiting { peer, gone });
        self.by_peer.extend(peer.map(|peer| (peer, self.last)));
        self.last
    }

    fn step_out(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        if let Some(peer) = waiting.peer {
            self.by_peer.remove(&(peer, ticket));
        }
        Some(waiting)
    }

    /// Counts a newcomer. `Some(true)`: an older connection of its peer goes for it. `None`: it is not let in.
    fn admit(&mut self, peer: Option<IpAddr>, share: usize) -> Option<bool> {
        let Some(peer) = peer else { return Some(false) };
        let full = self.open.get(&peer).is_some_and(|open| *open >= share);
        if full && !self.send_away_oldest_of(peer) {
            return None;
        }
        *self.open.entry(peer).or_default() += 1;
        Some(full)
    }

    fn leave(&mut self, peer: IpAddr) {
        if let Some(open) = self.open.get_mut(&peer) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&peer);
            }
        }
    }

    /// Somebody goes: now, or as soon as somebody waits.
    fn make_room(&mut self) {
        self.wanted = !self.send_away_oldest();
    }

    fn send_away_oldest(&mut self) -> bool {
        let oldest = self.waiting.keys().next().copied();
        oldest.is_some_and(|ticket| self.send_away(ticket))
    }

    fn send_away_oldest_of(&mut self, peer: IpAddr) -> bool {
        let oldest = self.by_peer.range((peer, 0)..=(peer, Ticket::MAX)).next().copied();
        oldest.is_some_and(|(_, ticket)| self.send_away(ticket))
    }

    fn send_away(&mut self, ticket: Ticket) -> bool {
        let Some(waiting) = self.step_out(ticket) else { return false };
        if let Some(peer) = waiting.peer {
            self.leave(peer);
        }
        waiting.gone.cancel();
        true
    }
}

#[cfg(test)]
mod tests;
