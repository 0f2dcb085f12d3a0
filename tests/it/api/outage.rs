//! The database is away: 503 with `Retry-After`, and nothing needs to be restarted.

use std::sync::Arc;

use leadgate::config::Settings;
use serde_json::json;

use crate::harness::clock::ManualClock;
use crate::harness::engine::{Data, Engine};
use crate::harness::postgres::Database;
use crate::harness::{Gate, JsonBody, answer};

#[tokio::test]
async fn oauth_121_the_apis_answer_503_while_postgresql_is_away_and_recover_by_themselves() {
    Engine::Postgres.run(outage()).await;
}

async fn outage() {
    let (database, elsewhere) = (Database::new(), Database::empty());
    let name = database.name().to_owned();
    let gate =
        Gate::start_in(Data::Postgres(Arc::new(database)), ManualClock::new().into(), |_: &mut Settings| {}).await;
    let cast = gate.cast().await;
    let (username, password) = &cast.source;
    let post = || {
        let body = json!({"source": "Zillow", "email": "a@b.com"});
        gate.post(&cast.rest("/leads")).basic_auth(username, Some(password)).json_body(&body)
    };
    let subscription = || gate.get(&cast.subscription()).bearer_auth(&cast.token);
    assert_eq!(answer(post()).await.status, 201);

    elsewhere.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
    elsewhere.sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    for request in [post(), subscription(), gate.get("/readyz")] {
        let away = answer(request).await;
        assert_eq!(away.status, 503, "{}", away.text);
        assert!(!away.text.contains(&name), "{}", away.text);
    }
    assert!(!answer(post()).await.header("retry-after").is_empty());
    assert!(!answer(subscription()).await.header("retry-after").is_empty());

    elsewhere.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
    assert_eq!(answer(post()).await.status, 201);
    assert_eq!(answer(subscription()).await.status, 404);
}
