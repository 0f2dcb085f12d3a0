//! Look-ups of names in threads of their own.
//!
//! The system's resolver blocks the thread that asks it, for ten seconds and more when a name's servers are silent, and
//! partners choose the names. So look-ups share no threads with anything else, there are only so many at once, and
//! nobody waits for one that nobody wants any more: the process may end in the middle of it.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// All addresses of a name, or why there are none.
type Found = io::Result<Vec<IpAddr>>;

/// A bounded number of threads for look-ups; each is started when there is something to look up, and ends when there is
/// no more.
pub(super) struct Lookups {
    shared: Arc<Shared>,
    bounds: Bounds,
}

/// How much there may be at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Look-ups under way.
    pub(super) threads: usize,
    /// Look-ups that wait for a thread; one more fails.
    pub(super) waiting: usize,
}

struct Shared {
    look_up: Box<dyn Fn(&str) -> Found + Send + Sync>,
    desk: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    waiting: VecDeque<Wanted>,
    threads: usize,
}

struct Wanted {
    host: String,
    caller: oneshot::Sender<Found>,
}

impl Lookups {
    /// Look-ups are done by `look_up`, which may block.
    pub(super) fn new(bounds: Bounds, look_up: impl Fn(&str) -> Found + Send + Sync + 'static) -> Self {
        Self { shared: Arc::new(Shared { look_up: Box::new(look_up), desk: Mutex::default() }), bounds }
    }

    /// Looks `host` up. If its caller goes away before a thread is free, it is not looked up at all.
    ///
    /// # Errors
    /// It does not resolve, or too many look-ups are waiting.
    pub(super) async fn look_up(&self, host: &str) -> Found {
        let answer = self.ask(host)?;
        answer.await.unwrap_or_else(|_| Err(io::Error::other("the look-up was not done")))
    }

    fn ask(&self, host: &str) -> io::Result<oneshot::Receiver<Found>> {
        let mut desk = self.shared.desk();
        if desk.waiting.len() >= self.bounds.waiting {
            desk.waiting.retain(|wanted| !wanted.caller.is_closed());
        }
        if desk.waiting.len() >= self.bounds.waiting {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "too many look-ups are waiting"));
        }
        if desk.threads < self.bounds.threads {
            self.start_thread()?;
            desk.threads += 1;
        }
        let (caller, answer) = oneshot::channel();
        desk.waiting.push_back(Wanted { host: host.to_owned(), caller });
        Ok(answer)
    }

    /// The thread finds the desk locked until its first look-up waits there. Nobody joins it.
    fn start_thread(&self) -> io::Result<()> {
        let shared = self.shared.clone();
        std::thread::Builder::new().name("look-up".into()).spawn(move || shared.work()).map(drop)
    }
}

impl Shared {
    fn work(&self) {
        while let Some(Wanted { host, caller }) = self.next() {
            // A caller that has gone away needs no answer.
            let _ = caller.send((self.look_up)(&host));
        }
    }

    /// The next look-up that somebody waits for. If there is none, this thread is counted out.
    fn next(&self) -> Option<Wanted> {
        let mut desk = self.desk();
        while let Some(wanted) = desk.waiting.pop_front() {
            if !wanted.caller.is_closed() {
                return Some(wanted);
            }
        }
        desk.threads -= 1;
        None
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    /// Look-ups that say when they begin and end when they are told to; nothing has an address.
    struct Held {
        lookups: Lookups,
        begun: UnboundedReceiver<String>,
        end: mpsc::Sender<()>,
    }

    fn held(threads: usize, waiting: usize) -> Held {
        let (begin, begun) = unbounded_channel();
        let (end, ended) = mpsc::channel();
        let ended = Mutex::new(ended);
        let lookups = Lookups::new(Bounds { threads, waiting }, move |host| {
            begin.send(host.to_owned()).unwrap();
            ended.lock().unwrap().recv().unwrap();
            Ok(vec![])
        });
        Held { lookups, begun, end }
    }

    #[tokio::test]
    async fn beyond_the_bounds_a_look_up_fails_at_once() {
        let mut held = held(2, 1);
        let one = held.lookups.ask("one").unwrap();
        assert_eq!(held.begun.recv().await.unwrap(), "one");
        let two = held.lookups.ask("two").unwrap();
        assert_eq!(held.begun.recv().await.unwrap(), "two");
        let three = held.lookups.ask("three").unwrap();
        assert_eq!(held.lookups.look_up("four").await.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        (0..3).for_each(|_| held.end.send(()).unwrap());
        for answer in [one, two, three] {
            assert_eq!(answer.await.unwrap().unwrap(), [] as [IpAddr; 0]);
        }
        assert_eq!(held.begun.recv().await.unwrap(), "three");
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_looked_up() {
        let mut held = held(1, 1);
        let one = held.lookups.ask("one").unwrap();
        assert_eq!(held.begun.recv().await.unwrap(), "one");
        drop(held.lookups.ask("abandoned").unwrap());
        // It takes the place of the one that was abandoned.
        let two = held.lookups.ask("two").unwrap();
        (0..2).for_each(|_| held.end.send(()).unwrap());
        one.await.unwrap().unwrap();
        two.await.unwrap().unwrap();
        assert_eq!(held.begun.recv().await.unwrap(), "two");
    }

    #[tokio::test]
    async fn an_idle_thread_ends_and_another_takes_its_place() {
        let lookups = Lookups::new(Bounds { threads: 1, waiting: 1 }, |_| Ok(vec![]));
        for _ in 0..100 {
            lookups.look_up("name").await.unwrap();
        }
    }
}
