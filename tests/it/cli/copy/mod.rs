//! `leadgate copy`: a gateway goes on elsewhere where it has stopped, and never from half of what it was.

mod refusals;
mod unfinished;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leadgate::model::delivery::DeliveryFilter;
use leadgate::store::{self, Purpose, transfer};
use reqwest::Method;
use serde_json::{Value, json};

use self::world::{World, settings};
use crate::harness::engine::Data;
use crate::harness::postgres::Database;
use crate::harness::process::Home;
use crate::harness::receiver::Reply;
use crate::harness::{Gate, answer};

/// The command with both its ends named.
fn copy(from: &str, to: &Database) -> String {
    format!("copy --from {from} --to {}", to.url_text())
}

/// A database with a site, where the program looks for one.
fn one_site() -> Home {
    let home = Home::new();
    home.says("site add www.site.com");
    home
}

/// Rows of each table, as the document of a copy tells.
fn rows(document: &Value) -> BTreeMap<String, u64> {
    let tables = document["tables"].as_array().unwrap().iter();
    tables.map(|table| (table["table"].as_str().unwrap().to_owned(), table["rows"].as_u64().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_goes_on_where_it_has_stopped() {
    let (mut world, database) = (World::new().await, Database::new());
    let document = Home::new().document(&copy(&world.data.url(), &database));
    let counts = rows(&document);
    assert!(counts.values().all(|count| *count > 0), "something of everything: {counts:?}");
    assert_eq!(document["rows"], json!(counts.values().sum::<u64>()));
    assert_eq!(document["copied"], document["rows"]);

    let source = store::open(&world.data.url().parse().unwrap(), Purpose::Check).await.unwrap();
    let target = store::open(&database.url(), Purpose::Check).await.unwrap();
    assert_eq!(world.picture(&source).await, world.picture(&target).await);
    source.close().await;
    target.close().await;

    world.clock.advance(Duration::from_secs(60));
    let gate = Gate::start_in(Data::Postgres(database.into()), world.clock.clone(), settings).await;
    let mut cities = Vec::new();
    for _ in 0..3 {
        let request = world.receiver.answer(Reply::status(200)).await;
        cities.push(request.json()["city"].clone());
    }
    assert_eq!(cities, [Value::Null, json!("Kailua"), json!("Hilo")], "in the order of their lane");

    let shown = answer(gate.request(Method::GET, &world.cast.subscription()).bearer_auth(&world.cast.token)).await;
    assert_eq!((shown.status, &shown.json()["secret"]), (200, &json!("s3cret")), "same token, same key");
    world::post(&gate, &world.cast, "new", json!({"phone": "new"})).await;
    assert_eq!(world.receiver.answer(Reply::status(200)).await.json()["phone"], "new");
    let newest = gate.store.deliveries(DeliveryFilter { site: None, state: None, limit: 1 }).await.unwrap();
    let newest = gate.store.delivery(newest[0].id).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&newest.body).contains(r#""new""#), "what is new counts as newer");
    world.receiver.assert_quiet();
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_that_comes_has_its_partitions() {
    let (world, database) = (World::new().await, Database::new());
    Home::new().says(&copy(&world.data.url(), &database));
    let states = database.texts("SELECT DISTINCT state FROM delivery_log ORDER BY state");
    assert_eq!(states, ["cancelled", "delivered", "failed", "refused"]);
    assert_eq!(database.number("SELECT count(*) FROM delivery_log_default"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_server_held_is_sent_at_once() {
    let (mut world, database) = (World::new().await, Database::new());
    // As a server leaves it that is killed while it sends, or while the subscription stands aside.
    world.data.sql("UPDATE deliveries SET lease = randomblob(16), due_at = 9000000000000 WHERE due_at IS NOT NULL");
    world.data.sql("UPDATE subscriptions SET next_due_at = 9000000000000 WHERE next_due_at IS NOT NULL");
    Home::new().says(&copy(&world.data.url(), &database));
    let gate = Gate::start_in(Data::Postgres(database.into()), world.clock.clone(), settings).await;
    let request = world.receiver.answer(Reply::status(200)).await;
    assert_eq!(request.header("x-lead-router-action"), "created");
    gate.stop().await;
}

#[test]
fn people_are_told_what_was_copied_and_that_it_is_done_once() {
    let (home, database) = (one_site(), Database::new());
    let command = format!("copy --to {}", database.url_text());
    let text = home.says(&command);
    let line = text.lines().find(|line| line.starts_with("sites ")).unwrap_or_else(|| panic!("{text}"));
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!((cells[1], cells[2].len()), ("1", 32), "{text}");
    assert!(text.contains("Copied 1 rows. Counts and checksums are the same on both sides."), "{text}");
    assert_eq!(home.says(&command), "Nothing to do: all 1 rows were copied before.\n");
    assert_eq!(home.document(&command)["copied"], 0);
}

#[test]
fn what_is_not_named_is_what_the_settings_name() {
    let (home, database) = (one_site(), Database::new());
    let home = home.with("LEADGATE_DATABASE_URL", database.url_text());
    assert_eq!(home.document("copy --from sqlite:leadgate.db")["rows"], 1);
    assert_eq!(home.document("site list").as_array().unwrap().len(), 1);
}

#[test]
fn the_key_file_is_pointed_to() {
    let home = Home::new().with("LEADGATE_LISTEN", "127.0.0.1:0");
    let mut gateway = home.start("serve");
    gateway.reports("serving");
    assert_eq!(gateway.terminate(), Some(0));
    let database = Database::new();
    let text = home.says(&copy("sqlite:leadgate.db", &database));
    assert!(text.ends_with("set secret_key to the contents of leadgate.db.key.\n"), "{text}");
    let home = home.with("LEADGATE_DATABASE_URL", database.url_text());
    let key = std::fs::read_to_string(home.path("leadgate.db.key")).unwrap();
    let home = home.with("LEADGATE_SECRET_KEY", key.trim());
    assert_eq!(home.document("check"), json!({"ok": true, "problems": []}));
}

#[test]
fn every_column_of_the_target_is_copied() {
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name NOT IN ('leadgate_schema', 'copy_mark', 'guess_buckets')
           AND table_name NOT LIKE 'delivery\\_log\\_%'";
    let there: BTreeSet<_> = Database::new().texts(sql).into_iter().collect();
    let copied = transfer::copied_columns();
    let copied = copied.flat_map(|(table, columns)| columns.into_iter().map(move |column| format!("{table}.{column}")));
    assert_eq!(there, copied.collect());
}
