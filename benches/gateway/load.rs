//! Callers: so many at once, each sending one request after the other, spread evenly over the gateways. All of them are on
//! one thread.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::cast::Cast;
use crate::gateway::Nodes;
use crate::letter::Letter;
use crate::line::Line;
use crate::thread;

/// Meanwhile connections are made and statements are compiled: what is answered does not count.
const WARM_UP: Duration = Duration::from_millis(300);

/// How long answers are counted.
const COUNTED: Duration = Duration::from_millis(1500);

/// Posts leads. Returns how many were accepted per second.
pub async fn post_leads(cast: &Cast, nodes: &Nodes, callers: usize) -> f64 {
    let create = Letter::creates_lead(cast);
    let posters = lines(nodes, callers).enumerate().map(move |(n, line)| Poster {
        line,
        create: create.clone(),
        next: n,
        step: callers,
    });
    per_second(posters).await
}

/// Somebody who posts each `step`th lead.
struct Poster {
    line: Line,
    create: Letter,
    next: usize,
    step: usize,
}

impl Caller for Poster {
    async fn call(&mut self) {
        self.line.ask(self.create.numbered(self.next).text()).await;
        self.next += self.step;
    }
}

/// Leads to be posted, as fast as they are accepted.
#[derive(Clone)]
pub struct Posts {
    pub create: Letter,
    pub leads: usize,
    /// Leads are spread evenly over so many sites, if the letter has a place for their numbers.
    pub sites: usize,
    /// Each lead is changed so often, one change after the other.
    pub update: Letter,
    pub updates: u8,
}

impl Posts {
    /// So many, all on the site of `cast`.
    pub fn new(cast: &Cast, leads: usize) -> Self {
        let (create, update) = (Letter::creates_lead(cast), Letter::updates_lead(cast));
        Self { create, leads, sites: 1, update, updates: 0 }
    }

    /// By so many callers.
    pub async fn post(self, nodes: &Nodes, callers: usize) {
        let lines = lines(nodes, callers);
        thread::run(async move || {
            let next = Rc::new(Cell::new(0));
            let callers = lines.map(|line| tokio::task::spawn_local(self.clone().call(line, next.clone())));
            for caller in callers.collect::<Vec<_>>() {
                caller.await.expect("no caller fails");
            }
        })
        .await;
    }

    /// Posts lead after lead of those that nobody else has taken.
    async fn call(mut self, mut line: Line, next: Rc<Cell<usize>>) {
        while next.get() < self.leads {
            let number = next.replace(next.get() + 1);
            let answer = line.ask(self.create.numbered(number).sited(number % self.sites).text()).await;
            let location = answer.location.expect("it says where the lead is");
            self.update.identified(location.rsplit('/').next().expect("its id")).numbered(number);
            for version in 1..=self.updates {
                line.ask(self.update.versioned(version).text()).await;
            }
        }
    }
}

/// Gets the partner's subscription. Returns how many answers came per second.
pub async fn get_subscription(cast: &Cast, nodes: &Nodes, callers: usize) -> f64 {
    let get = Letter::gets(&format!("/piesync/subscription/{}/", cast.site), &cast.token);
    gets(get, lines(nodes, callers)).await
}

/// Sends the same request over and over. Returns how many answers came per second.
pub async fn gets(letter: Letter, lines: impl Iterator<Item = Line> + Send + 'static) -> f64 {
    per_second(lines.map(move |line| Getter { line, letter: letter.clone() })).await
}

struct Getter {
    line: Line,
    letter: Letter,
}

impl Caller for Getter {
    async fn call(&mut self) {
        self.line.ask(self.letter.text()).await;
    }
}

/// A line for each caller, spread evenly over the nodes.
fn lines(nodes: &Nodes, callers: usize) -> impl Iterator<Item = Line> + Send + 'static {
    let addresses = nodes.addresses();
    (0..callers).map(move |n| Line::to(&addresses[n % addresses.len()]))
}

/// Somebody who sends one request after the other.
pub trait Caller: 'static {
    /// Sends the next request and waits for its answer.
    async fn call(&mut self);
}

/// Answers per second that these callers get.
pub async fn per_second(callers: impl Iterator<Item = impl Caller> + Send + 'static) -> f64 {
    let counted = thread::run(async move || {
        let begin = Instant::now() + WARM_UP;
        let callers: Vec<_> = callers.map(|caller| tokio::task::spawn_local(count(caller, begin))).collect();
        let mut counted = 0;
        for caller in callers {
            counted += caller.await.expect("no caller fails");
        }
        counted
    });
    f64::from(counted.await) / COUNTED.as_secs_f64()
}

/// How many answers come in the time that counts, after `begin`.
async fn count(mut caller: impl Caller, begin: Instant) -> u32 {
    let mut counted = 0;
    loop {
        caller.call().await;
        match Instant::now() {
            now if now < begin => {}
            now if now < begin + COUNTED => counted += 1,
            _ => return counted,
        }
    }
}
