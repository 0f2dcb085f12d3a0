//! What names resolved to, as long as that is good, and the look-ups under way: one for each name, and only so many at once.
//!
//! The guard stands behind this: it judges each address at each new connection, wherever the address comes from.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, WeakShared};
use tokio::sync::Semaphore;

use super::name_servers::NameServers;
use crate::model::time::after;
use crate::model::{Clock, Timestamp};

/// Look-ups at once, for as long as they may be [`QUICK`]; each takes two sockets. The others wait.
const TURNS: usize = 32;

/// How long a look-up keeps one of the turns that the others wait for. Nearly all have ended by then.
const QUICK: Duration = Duration::from_millis(500);

/// Look-ups that take longer, at once. Of names whose servers are silent there can be any number, and each takes as long as a
/// look-up may: so what is beyond these fails, and nobody waits behind it.
const SLOW: usize = 32;

/// So many names are known or looked up at once: partners choose them.
const NAMES: usize = 10_000;

/// An answer is good for no longer than this, whatever its servers say: a mistake there should not last for days.
const LONGEST: Duration = Duration::from_secs(3600);

/// That a name does not exist is believed for no longer than this: it may be that somebody has just begun to set it up.
const LONGEST_WITHOUT: Duration = Duration::from_secs(30);

/// What a look-up came to.
#[derive(Debug, Clone)]
pub(super) enum Finding {
    /// Addresses, and how long they are good.
    Addresses(Arc<[IpAddr]>, Duration),
    /// The name has none, and how long that is good.
    Nothing(Duration),
    /// Nobody could say.
    Failed(Arc<str>),
}

/// Names and what is known of them.
pub(super) struct NameCache {
    names: Mutex<HashMap<String, Name>>,
    servers: NameServers,
    turns: Semaphore,
    slow: Semaphore,
    clock: Arc<dyn Clock>,
}

enum Name {
    Known(Finding, Timestamp),
    /// It ends when nobody waits for it any more.
    Sought(WeakShared<BoxFuture<'static, Finding>>),
}

impl NameCache {
    /// Nothing is known yet; `servers` are asked, and `clock` tells how long an answer is good.
    pub fn new(servers: NameServers, clock: Arc<dyn Clock>) -> Self {
        let [turns, slow] = [TURNS, SLOW].map(Semaphore::new);
        Self { names: Mutex::default(), servers, turns, slow, clock }
    }

    /// The addresses of `host`.
    ///
    /// # Errors
    /// It has none, or nobody can say.
    pub async fn addresses(self: &Arc<Self>, host: &str) -> io::Result<Vec<IpAddr>> {
        match self.known_or_sought(host)?.await {
            Finding::Addresses(addresses, _) => Ok(addresses.to_vec()),
            Finding::Nothing(_) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses")),
            Finding::Failed(why) => Err(io::Error::other(&*why)),
        }
    }

    fn known_or_sought(self: &Arc<Self>, host: &str) -> io::Result<impl Future<Output = Finding> + use<>> {
        let now = self.clock.now();
        let mut names = self.names();
        match names.get(host) {
            Some(Name::Known(finding, until)) if now < *until => {
                return Ok(futures_util::future::ready(finding.clone()).right_future());
            }
            Some(Name::Sought(look_up)) => {
                if let Some(look_up) = look_up.upgrade() {
                    return Ok(look_up.left_future());
                }
            }
            _ => {}
        }
        make_room(&mut names, now)?;
        let look_up = self.clone().look_up(host.to_owned()).boxed().shared();
        names.extend(look_up.downgrade().map(|sought| (host.to_owned(), Name::Sought(sought))));
        Ok(look_up.left_future())
    }

    async fn look_up(self: Arc<Self>, host: String) -> Finding {
        let finding = self.in_turn(self.servers.look_up(&host)).await;
        let good_for = match &finding {
            Finding::Addresses(_, ttl) => (*ttl).min(LONGEST),
            Finding::Nothing(ttl) => (*ttl).min(LONGEST_WITHOUT),
            Finding::Failed(_) => Duration::ZERO,
        };
        let until = after(self.clock.now(), good_for);
        let mut names = self.names();
        if good_for.is_zero() {
            names.remove(&host);
        } else {
            names.insert(host, Name::Known(finding.clone(), until));
        }
        drop(names);
        finding
    }

    /// Has a look-up wait for its turn, and give it to others when it takes long.
    async fn in_turn(&self, look_up: impl Future<Output = Finding>) -> Finding {
        let turn = self.turns.acquire().await;
        let mut look_up = pin!(look_up);
        tokio::select! {
            biased;
            finding = &mut look_up => return finding,
            () = self.clock.sleep_until(after(self.clock.now(), QUICK)) => {}
        }
        let Ok(_slow) = self.slow.try_acquire() else {
            return Finding::Failed("the name servers do not answer, nor do those of many other names".into());
        };
        drop(turn);
        look_up.await
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Name>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what is no longer good, and if that is not enough, what is known.
fn make_room(names: &mut HashMap<String, Name>, now: Timestamp) -> io::Result<()> {
    if names.len() < NAMES {
        return Ok(());
    }
    names.retain(|_, name| match name {
        Name::Known(_, until) => now < *until,
        Name::Sought(look_up) => look_up.upgrade().is_some(),
    });
    if names.len() >= NAMES {
        names.retain(|_, name| matches!(name, Name::Sought(_)));
    }
    if names.len() < NAMES { Ok(()) } else { Err(io::Error::new(io::ErrorKind::WouldBlock, "too many look-ups")) }
}
