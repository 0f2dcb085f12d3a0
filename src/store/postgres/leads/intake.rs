//! Group commit: whatever lead commands have queued up while the last commits were on their way go into one transaction.
//! A lone caller waits for nobody; many share one fsync, and one set of statements. While one group is under way, another
//! begins only if it is as large: so few callers make two groups of half of them, and not many of one or two. One that takes
//! long is not waited for: whatever holds it up is its own.
//!
//! A group waits for no lock. A command whose lead somebody else has, on another node, is carried out alone, and so are
//! those of a group that failed: what one caller does costs the others no more than that.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::apply;
use crate::model::lead::{LeadCommand, LeadOutcome};
use crate::store::postgres::database::Database;
use crate::store::postgres::error::{closed, too_slow};
use crate::store::postgres::locks::{self, Patience};
use crate::store::postgres::transaction::{Failure, TRIES};
use crate::store::{Result, StoreError, queue};

/// Commands in one transaction at most, so that the first of them does not wait long for the last.
const GROUP: usize = 64;

/// Groups under way at once: while one is being written to disk, the next does its reading.
const GROUPS: usize = 2;

/// How long a group that is under way keeps a smaller one waiting.
const SOON: Duration = Duration::from_millis(20);

/// Commands that are carried out alone, at once.
const ALONE: usize = 4;

/// How long a caller waits for its answer. Whether its command was carried out is not known then.
const PATIENCE: Duration = Duration::from_secs(20);

/// A handle on the queue of commands.
pub(in crate::store::postgres) struct Intake {
    queue: mpsc::UnboundedSender<Waiting>,
    closing: CancellationToken,
    /// `None` once it is closed.
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A command that waits. Its caller waits too, so there are never more of them than callers.
struct Waiting {
    command: LeadCommand,
    /// No two commands with a key in common are under way at once.
    keys: Vec<i64>,
    caller: oneshot::Sender<Result<LeadOutcome>>,
}

impl Intake {
    /// Begins to take commands.
    pub(in crate::store::postgres) fn start(database: Database) -> Self {
        let (queue, commands) = mpsc::unbounded_channel();
        let closing = CancellationToken::new();
        let task = tokio::spawn(Dispatcher::new(database).run(commands, closing.clone()));
        Self { queue, closing, task: Mutex::new(Some(task)) }
    }

    /// Carries out a command; see [`crate::store::Leads::apply_lead_change`].
    pub(super) async fn apply(&self, command: LeadCommand) -> Result<LeadOutcome> {
        let (caller, answer) = oneshot::channel();
        let keys = locks::of_origins(&command);
        self.queue.send(Waiting { command, keys, caller }).map_err(|_| closed())?;
        tokio::time::timeout(PATIENCE, answer).await.map_err(|_| too_slow())?.map_err(|_| closed())?
    }

    /// Takes no more commands, and finishes those that it has.
    pub(in crate::store::postgres) async fn close(&self) {
        self.closing.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // Ends with an error only after a panic, which has been reported.
            let _ = task.await;
        }
    }
}

impl Drop for Intake {
    /// A store that is dropped without being closed ends, too.
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// What decides which commands go together.
struct Dispatcher {
    database: Database,
    waiting: VecDeque<Waiting>,
    /// Those that are to be carried out alone.
    contested: VecDeque<Waiting>,
    /// Keys of what is under way, or contested.
    busy: HashSet<i64>,
    /// Each ends with those of its commands that are to be carried out alone.
    tasks: JoinSet<Vec<Waiting>>,
    under_way: HashMap<Id, UnderWay>,
}

struct UnderWay {
    keys: Vec<i64>,
    /// How many commands it has, and since when, if it is a group.
    group: Option<(usize, Instant)>,
}

impl Dispatcher {
    fn new(database: Database) -> Self {
        Self {
            database,
            waiting: VecDeque::new(),
            contested: VecDeque::new(),
            busy: HashSet::new(),
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
        }
    }

    /// Runs until it is told to close and has finished what it was given.
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Waiting>, closing: CancellationToken) {
        let mut open = true;
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled(), if open => {
                    commands.close();
                    open = false;
                }
                Some(ended) = self.tasks.join_next_with_id() => match ended {
                    Ok((task, contested)) => self.ended(task, contested),
                    // It panicked, which has been reported; its callers learn that nobody answers.
                    Err(error) => self.ended(error.id(), Vec::new()),
                },
                Some(next) = commands.recv() => self.waiting.push_back(next),
                // For what waits beside a group that takes long.
                () = tokio::time::sleep(SOON), if !self.waiting.is_empty() && !self.tasks.is_empty() => {}
                else => break,
            }
            while self.waiting.len() < GROUP
                && let Some(next) = queue::soon(&mut commands).await
            {
                self.waiting.push_back(next);
            }
            self.begin();
        }
    }

    fn ended(&mut self, task: Id, contested: Vec<Waiting>) {
        let keys = self.under_way.remove(&task).map(|ended| ended.keys);
        keys.into_iter().flatten().for_each(|key| {
            self.busy.remove(&key);
        });
        self.busy.extend(contested.iter().flat_map(|waiting| &waiting.keys));
        self.contested.extend(contested);
    }

    fn begin(&mut self) {
        while self.may_begin() {
            let group = self.take_group();
            if group.is_empty() {
                break;
            }
            let keys = group.iter().flat_map(|waiting| &waiting.keys).copied().collect();
            let begun = (group.len(), Instant::now());
            let task = self.tasks.spawn(carry_out(self.database.clone(), group));
            self.under_way.insert(task.id(), UnderWay { keys, group: Some(begun) });
        }
        while self.under_way.values().filter(|task| task.group.is_none()).count() < ALONE
            && let Some(one) = self.contested.pop_front()
        {
            let keys = one.keys.clone();
            let task = self.tasks.spawn(carry_out_alone(self.database.clone(), one));
            self.under_way.insert(task.id(), UnderWay { keys, group: None });
        }
    }

    /// Whether a group may begin with what waits.
    fn may_begin(&self) -> bool {
        let mut under_way = self.under_way.values().filter_map(|task| task.group);
        under_way.clone().count() < GROUPS
            && under_way.all(|(size, since)| size <= self.waiting.len() || since.elapsed() >= SOON)
    }

    /// The commands that go next; those with a key in common go one after another, in the order in which they came.
    fn take_group(&mut self) -> Vec<Waiting> {
        let (mut group, mut passed_over, mut blocked) = (Vec::new(), VecDeque::new(), HashSet::new());
        while group.len() < GROUP
            && let Some(next) = self.waiting.pop_front()
        {
            if next.caller.is_closed() {
                continue;
            }
            if next.keys.iter().any(|key| self.busy.contains(key) || blocked.contains(key)) {
                blocked.extend(next.keys.iter().copied());
                passed_over.push_back(next);
            } else {
                self.busy.extend(next.keys.iter().copied());
                group.push(next);
            }
        }
        passed_over.append(&mut self.waiting);
        self.waiting = passed_over;
        group
    }
}

/// Carries out commands in one transaction. Returns those that are to be carried out alone.
async fn carry_out(database: Database, group: Vec<Waiting>) -> Vec<Waiting> {
    let commands: Vec<_> = group.iter().map(|waiting| &waiting.command).collect();
    let outcomes = match attempt(&database, &commands, Patience::None).await {
        Ok(outcomes) => outcomes,
        Err(Failure::Final(error @ StoreError::Unavailable(_))) => {
            group.into_iter().for_each(|waiting| waiting.answer(Err(error.clone())));
            return Vec::new();
        }
        Err(Failure::Final(error) | Failure::Conflict(error)) => {
            tracing::debug!(%error, commands = group.len(), "a group of lead commands failed; each is tried alone");
            return group;
        }
    };
    let mut contested = Vec::new();
    for (waiting, outcome) in group.into_iter().zip(outcomes) {
        match outcome {
            Some(outcome) => waiting.answer(Ok(outcome)),
            None => contested.push(waiting),
        }
    }
    contested
}

/// Carries out one command, and waits for whoever is in its way. Returns nothing that is left to do.
async fn carry_out_alone(database: Database, waiting: Waiting) -> Vec<Waiting> {
    let mut answer = Err(StoreError::Unavailable("others keep changing the same lead".into()));
    for _ in 0..TRIES {
        match attempt(&database, &[&waiting.command], Patience::Enough)
            .await
            .map(|mut outcomes| outcomes.pop().flatten())
        {
            Ok(None) | Err(Failure::Conflict(_)) => {}
            Ok(Some(outcome)) => {
                answer = Ok(outcome);
                break;
            }
            Err(Failure::Final(error)) => {
                answer = Err(error);
                break;
            }
        }
    }
    waiting.answer(answer);
    Vec::new()
}

async fn attempt(
    database: &Database,
    commands: &[&LeadCommand],
    patience: Patience,
) -> std::result::Result<Vec<Option<LeadOutcome>>, Failure> {
    let tx = database.unbegun().await.map_err(Failure::Final)?;
    let result = apply::apply(&tx, commands, patience).await;
    tx.end(result).await
}

impl Waiting {
    fn answer(self, answer: Result<LeadOutcome>) {
        // A caller that has gone away needs no answer.
        let _ = self.caller.send(answer);
    }
}
