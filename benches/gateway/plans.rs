//! Whether everything that gateways do often is led by an index to its rows, with ten million deliveries there.
//!
//! A private PostgreSQL is filled; then each operation is carried out, several times and on sites of several sizes, and
//! the plans that the server used are read from its log. No statement may scan a large table, and no step of any may
//! meet more rows than an operation may take at once.

#[path = "../../tests/support/explained.rs"]
mod explained;
mod fill;
#[path = "../../tests/support/hot_operations.rs"]
mod hot_operations;

use std::collections::BTreeMap;
use std::time::Instant;

use leadgate::model::OsEntropy;
use leadgate::store::{self, DatabaseUrl, Purpose};

use self::explained::{Explained, explain_everything};
use self::hot_operations::HotOperations;
use crate::cast;
use crate::postgres::{self, Database};
use crate::progress;

/// From the sixth time on, PostgreSQL may use a plan that does not know the parameters: both kinds are to be seen.
const ROUNDS: usize = 8;

/// A table with more rows is large.
const LARGE: i64 = 10_000;

/// No step meets more rows. An operation takes some hundred deliveries at once, and looks at each a few times.
const MOST_ROWS: u64 = 5_000;

/// Nor does one that scans a large table: it may look whether there is anything in it at all.
const MOST_SCANNED: u64 = 100;

/// Fills, operates, and reports; ends the run if a plan is bad.
pub async fn check() {
    let begun = Instant::now();
    let database = Database::new().await;
    for (what, sql) in fill::steps(cast::now()) {
        progress(&format!("{what} ({:.0?} so far)", begun.elapsed()));
        database.run(&sql);
    }
    progress(&format!("operating ({:.0?} so far)", begun.elapsed()));
    database.run(&explain_everything(database.name()));
    operate(&database).await;

    let seen = seen(&database);
    println!("{} deliveries. Each statement: how often, and the most rows that a step of it met.\n", fill::DELIVERIES);
    for (statement, seen) in &seen {
        println!("{:>6} × {:>8} rows  {statement:.120}", seen.times, seen.most_rows);
    }
    // What was asked only once was asked at the start.
    let bad: Vec<_> = seen.iter().filter(|(_, seen)| seen.times > 1 && !seen.faults.is_empty()).collect();
    for (statement, seen) in &bad {
        println!("\n{statement}");
        seen.faults.iter().for_each(|((kind, table), rows)| println!("  {kind} {table}: {rows} rows"));
    }
    assert!(bad.is_empty(), "{} statements scan a large table, or meet more than {MOST_ROWS} rows", bad.len());
    println!("\nNo large table is scanned, and no step meets more than {MOST_ROWS} rows.");
}

/// What the server's log tells, by statement.
fn seen(database: &Database) -> BTreeMap<String, Seen> {
    let large = format!("SELECT relname::TEXT FROM pg_class WHERE relkind = 'r' AND reltuples > {LARGE}");
    let large = database.texts(&large);
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for explained in Explained::read(&postgres::log()) {
        seen.entry(words(&explained.statement)).or_default().add(&explained, &large);
    }
    seen
}

/// Everything, on a large site and on small ones; at last the large one's subscription is removed, with its backlog.
async fn operate(database: &Database) {
    let url: DatabaseUrl = database.url().parse().expect("a database URL");
    let store = store::open(&url, Purpose::Command).await.expect("a database");
    for round in 0..ROUNDS {
        for site in [0, 1 + round] {
            let (site, partner, subscription) = fill::place(site);
            HotOperations { store: &*store, entropy: &OsEntropy, site, partner, subscription, now: cast::now() }
                .run()
                .await;
        }
    }
    let (site, partner, subscription) = fill::place(0);
    HotOperations { store: &*store, entropy: &OsEntropy, site, partner, subscription, now: cast::now() }.leave().await;
    store.close().await;
}

/// What was seen of a statement.
#[derive(Default)]
struct Seen {
    times: usize,
    most_rows: u64,
    /// Steps that must not be: what they do, on which table, and with how many rows at most.
    faults: BTreeMap<(String, String), u64>,
}

impl Seen {
    fn add(&mut self, explained: &Explained, large: &[String]) {
        self.times += 1;
        for step in explained.steps() {
            self.most_rows = self.most_rows.max(step.rows);
            let of_large = step.table.as_ref().is_some_and(|table| large.contains(table));
            let most_rows = if step.kind == "Seq Scan" && of_large { MOST_SCANNED } else { MOST_ROWS };
            if step.rows > most_rows {
                let rows = self.faults.entry((step.kind, step.table.unwrap_or_default())).or_default();
                *rows = step.rows.max(*rows);
            }
        }
    }
}

/// The statement in one line.
fn words(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}
