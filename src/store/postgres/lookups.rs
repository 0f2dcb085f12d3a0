//! What requests are checked by, but for changes of leads that look by themselves (`leads/look.rs`): the source of that name, and
//! how many guesses are left. Those who ask while others are being answered are answered together, by one statement; a lone
//! one waits for nobody.
//!
//! At full load such a statement costs the server more than the look-up in it. Nothing is remembered: each answer was true
//! after it was asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio_postgres::Row;

use super::database::Database;
use super::error::closed;
use super::statements::{RowResult, params};
use super::{sources, throttle};
use crate::model::source::{Source, Username};
use crate::model::throttle::{BucketKey, Level};
use crate::store::{Result, StoreError};

/// The sources of these names (`$1`), and those of these buckets (`$2`) that are not full.
const LOOK_UP: &str = "SELECT id, username, password, created_at, CASE WHEN NOT all_sites THEN ARRAY(
             SELECT site_uuid FROM source_sites WHERE source_id = sources.id ORDER BY site_uuid
         ) END AS only, NULL::BYTEA AS key, NULL::BIGINT AS full_at
     FROM sources WHERE username = ANY($1)
     UNION ALL
     SELECT NULL, NULL, NULL, NULL, NULL, key, full_at FROM guess_buckets WHERE key = ANY($2)";

/// A handle on what is asked.
#[derive(Clone)]
pub(super) struct LookUps {
    database: Database,
    asked: Arc<Mutex<Asked>>,
}

/// What waits to be looked up.
#[derive(Default)]
struct Asked {
    sources: Sources,
    levels: Levels,
    /// Somebody is asking the database, and will ask for the rest.
    is_asking: bool,
}

type Sources = Questions<Username, Option<Source>>;
type Levels = Questions<Vec<BucketKey>, Vec<Level>>;
type Questions<Q, A> = Vec<Question<Q, A>>;

/// A question, and who waits for the answer.
struct Question<Q, A> {
    about: Q,
    caller: oneshot::Sender<Result<A>>,
}

impl LookUps {
    pub(super) fn new(database: Database) -> Self {
        Self { database, asked: Arc::default() }
    }

    /// The source of this name.
    pub(super) async fn source(&self, username: &Username) -> Result<Option<Source>> {
        self.ask(|asked| &mut asked.sources, username.clone()).await
    }

    /// Those of these buckets that are not full.
    pub(super) async fn levels(&self, buckets: Vec<BucketKey>) -> Result<Vec<Level>> {
        self.ask(|asked| &mut asked.levels, buckets).await
    }

    async fn ask<Q, A>(&self, kind: impl FnOnce(&mut Asked) -> &mut Questions<Q, A>, about: Q) -> Result<A> {
        let (caller, answer) = oneshot::channel();
        let nobody_asks = {
            let mut asked = self.lock();
            kind(&mut asked).push(Question { about, caller });
            !std::mem::replace(&mut asked.is_asking, true)
        };
        if nobody_asks {
            // It runs when this task waits: so what its request asks beside this goes along.
            tokio::spawn(Turn { look_ups: self.clone(), is_over: false }.run());
        }
        answer.await.map_err(|_| closed())?
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's turn to ask the database, until there is nothing left to ask.
struct Turn {
    look_ups: LookUps,
    is_over: bool,
}

impl Turn {
    async fn run(mut self) {
        while let Some((sources, levels)) = self.next() {
            match look_up(&self.look_ups.database, &sources, &levels).await {
                Ok((found, low)) => {
                    answer(sources, |name| found.iter().find(|source| source.username == *name).cloned());
                    answer(levels, |keys| low.iter().filter(|level| keys.contains(&level.key)).copied().collect());
                }
                Err(error) => {
                    fail(sources, &error);
                    fail(levels, &error);
                    self.give_up(&error);
                }
            }
        }
    }

    fn next(&mut self) -> Option<(Sources, Levels)> {
        let mut asked = self.look_ups.lock();
        self.is_over = asked.sources.is_empty() && asked.levels.is_empty();
        asked.is_asking = !self.is_over;
        (!self.is_over).then(|| (std::mem::take(&mut asked.sources), std::mem::take(&mut asked.levels)))
    }

    /// While the database is away, nobody waits for it twice.
    fn give_up(&self, error: &StoreError) {
        if let StoreError::Unavailable(_) = error {
            let mut asked = self.look_ups.lock();
            fail(std::mem::take(&mut asked.sources), error);
            fail(std::mem::take(&mut asked.levels), error);
        }
    }
}

impl Drop for Turn {
    /// If it broke down, the callers learn that nobody answers, and the next one asks anew.
    fn drop(&mut self) {
        if !self.is_over {
            *self.look_ups.lock() = Asked::default();
        }
    }
}

fn answer<Q, A>(questions: Questions<Q, A>, find: impl Fn(&Q) -> A) {
    for Question { about, caller } in questions {
        // A caller that has gone away needs no answer.
        let _ = caller.send(Ok(find(&about)));
    }
}

fn fail<Q, A>(questions: Questions<Q, A>, error: &StoreError) {
    for Question { caller, .. } in questions {
        let _ = caller.send(Err(error.clone()));
    }
}

async fn look_up(database: &Database, sources: &Sources, levels: &Levels) -> Result<(Vec<Source>, Vec<Level>)> {
    let names: Vec<_> = sources.iter().map(|question| &question.about).collect();
    let keys: Vec<_> = levels.iter().flat_map(|question| &question.about).collect();
    let found = database.short_read().await?.all(LOOK_UP, params![names, keys], found).await?;
    let (mut sources, mut levels) = (Vec::new(), Vec::new());
    for found in found {
        match found {
            Found::Source(source) => sources.push(source),
            Found::Level(level) => levels.push(level),
        }
    }
    Ok((sources, levels))
}

enum Found {
    Source(Source),
    Level(Level),
}

fn found(row: &Row) -> RowResult<Found> {
    match row.try_get::<_, Option<BucketKey>>("key")? {
        Some(_) => throttle::level(row).map(Found::Level),
        None => sources::source(row).map(Found::Source),
    }
}
