//! Requests at a pace that does not wait for answers, as from callers who know nothing of each other.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};

use crate::letter::Letter;
use crate::line::Line;
use crate::thread;

/// Requests under way at most; whoever is due after that waits for a line, and this counts as waiting for the answer.
const LINES: usize = 256;

/// A strike may be heard so late. What is sent later than that was due before, and this counts, too.
const EXACT: Duration = Duration::from_millis(1);

/// Meanwhile connections are made: nothing of this time counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// A steady pace, for a time.
#[derive(Clone, Copy)]
pub struct Pace {
    pub per_second: u32,
    pub duration: Duration,
    /// The number of the first request.
    pub first: usize,
    /// The numbers of the sites that take turns, if the letter has a place for them.
    pub sites: (usize, usize),
    /// Whether requests are not equally far apart: so they do not always meet those of another pace at the same moment.
    pub uneven: bool,
}

/// When a request was sent, and when its 2xx was there.
#[derive(Clone, Copy)]
pub struct Exchange {
    pub sent: Instant,
    pub answered: Instant,
}

/// For letters that go to one site.
pub const ONE_SITE: (usize, usize) = (0, 1);

impl Pace {
    /// How many requests that are, with those that warm up.
    pub fn requests(self) -> usize {
        self.warming() + (self.duration.as_secs_f64() * f64::from(self.per_second)) as usize
    }

    /// How many of them warm up, and do not count.
    pub fn warming(self) -> usize {
        (WARM_UP.as_secs_f64() * f64::from(self.per_second)) as usize
    }

    /// Sends the letter so many times, each with its number, to one address after the other. Returns what became of each.
    pub async fn send(self, letter: Letter, addresses: Vec<String>) -> Vec<Exchange> {
        thread::run(async move || self.run(letter, &addresses).await).await
    }

    /// The number of each request, at the moment when it is due, and that moment. From a thread of its own: a runtime's timer
    /// counts whole milliseconds, and is up to two of them late.
    fn strikes(self) -> mpsc::UnboundedReceiver<(usize, Instant)> {
        let (strike, strikes) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let begin = Instant::now();
            for number in 0..self.requests() {
                let due = begin + self.beat(number).div_f64(f64::from(self.per_second));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                // Whoever listened may have gone.
                let _ = strike.send((number, due));
            }
        });
        strikes
    }

    /// When a request is due, in units of the mean distance between them.
    fn beat(self, number: usize) -> Duration {
        // Multiples of the golden ratio fall everywhere between two whole numbers, without a rhythm.
        let late = if self.uneven { (number as f64 * 0.618_034).fract() } else { 0.0 };
        Duration::from_secs_f64(number as f64 + late)
    }

    async fn run(self, letter: Letter, addresses: &[String]) -> Vec<Exchange> {
        let (permits, idle) = (Arc::new(Semaphore::new(LINES)), Rc::new(RefCell::new(Vec::new())));
        let mut strikes = self.strikes();
        let mut exchanges = Vec::new();
        while let Some((number, due)) = strikes.recv().await {
            let permit = permits.clone().acquire_owned().await.expect("it stays open");
            // The one that was used last, so that there are no more than are needed.
            let (mut line, mut letter) = idle.borrow_mut().pop().unwrap_or_else(|| {
                let address = &addresses[number % addresses.len()];
                (Line::to(address), letter.clone())
            });
            let idle = idle.clone();
            exchanges.push(tokio::task::spawn_local(async move {
                let now = Instant::now();
                let sent = if now - due < EXACT { now } else { due };
                let (first_site, end) = self.sites;
                let site = first_site + number % (end - first_site);
                line.ask(letter.numbered(self.first + number).sited(site).text()).await;
                let answered = Instant::now();
                idle.borrow_mut().push((line, letter));
                drop(permit);
                Exchange { sent, answered }
            }));
        }
        let mut done = Vec::with_capacity(exchanges.len());
        for exchange in exchanges {
            done.push(exchange.await.expect("no caller fails"));
        }
        done
    }
}
