//! `leadgate copy`: a gateway goes on elsewhere where it has stopped, and never from half of what it was.

mod refusals;
mod world;

use std::collections::BTreeMap;

use leadgate::model::delivery::State;
use leadgate::store::{self, Purpose, transfer};
use reqwest::Method;
use serde_json::{Value, json};

use self::world::{World, settings, states};
use crate::harness::engine::Data;
use crate::harness::postgres::Database;
use crate::harness::process::Home;
use crate::harness::receiver::Reply;
use crate::harness::{Gate, answer, soon};

/// The key of every gateway here.
const KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// The command with both its ends named.
fn copy(from: &Data, to: &Database) -> String {
    format!("copy --from {} --to {}", from.url(), to.url_text())
}

/// Rows of each table, as the document of a copy tells.
fn rows(document: &Value) -> BTreeMap<String, u64> {
    let tables = document["tables"].as_array().unwrap().iter();
    tables.map(|table| (table["table"].as_str().unwrap().to_owned(), table["rows"].as_u64().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_goes_on_where_it_has_stopped() {
    let (mut world, database) = (World::new().await, Database::new());
    let document = Home::new().document(&copy(&world.data, &database));
    let counts = rows(&document);
    assert!(counts.values().all(|count| *count > 0), "something of everything: {counts:?}");
    assert_eq!((&document["rows"], &document["copied"]), (&json!(counts.values().sum::<u64>()), &document["rows"]));

    let source = store::open(&world.data.url().parse().unwrap(), Purpose::Check).await.unwrap();
    let target = store::open(&database.url(), Purpose::Check).await.unwrap();
    assert_eq!(world.picture(&source).await, world.picture(&target).await);
    source.close().await;
    target.close().await;

    world.clock.advance(std::time::Duration::from_secs(60));
    let gate = Gate::start_in(Data::Postgres(database), world.clock.clone(), settings).await;
    let mut cities = Vec::new();
    for _ in 0..3 {
        let request = world.receiver.answer(Reply::status(200)).await;
        cities.push(request.json()["city"].clone());
    }
    assert_eq!(cities, [Value::Null, json!("Kailua"), json!("Hilo")], "in the order of their lane");

    let shown = answer(gate.request(Method::GET, &world.cast.subscription()).bearer_auth(&world.cast.token)).await;
    assert_eq!((shown.status, shown.json()["secret"].clone()), (200, json!("s3cret")), "same token, same key");
    world::post(&gate, &world.cast, "new", json!({"phone": "new"})).await;
    assert_eq!(world.receiver.answer(Reply::status(200)).await.json()["phone"], "new");
    let (site, store) = (world.cast.site.clone(), gate.store.clone());
    let (data, _) = gate.stop().await;
    drop((data, store, site));
}
