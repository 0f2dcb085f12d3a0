//! A copy that did not come to its end: nobody serves it, and it is finished by copying again.

use serde_json::json;

use super::{copy, one_site};
use crate::harness::postgres::Database;
use crate::harness::process::Home;

/// A database with a site that has 12,000 leads: three batches.
fn many_leads() -> Home {
    let home = one_site();
    let database = rusqlite::Connection::open(home.path("leadgate.db")).unwrap();
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
         INSERT INTO leads (site_uuid, id, fields, created_at, updated_at)
         SELECT site_uuid, randomblob(16), '{}', i, i FROM n, sites";
    database.execute_batch(sql).unwrap();
    home
}

fn on(database: &Database) -> Home {
    let home = Home::new().with("LEADGATE_DATABASE_URL", database.url_text());
    home.with("LEADGATE_SECRET_KEY", "5e".repeat(32)).with("LEADGATE_LISTEN", "127.0.0.1:0")
}

fn assert_nobody_serves(database: &Database) {
    let node = on(database);
    for command in ["serve", "user list"] {
        let line = node.complains(command);
        assert!(line.contains("holds an unfinished copy") && line.contains("run the same `leadgate copy`"), "{line}");
    }
    assert_eq!(node.run("check --json").code, 1);
}

/// Kills a copy while it writes the second batch of leads, of which it has written the first.
async fn kill_in_the_middle(home: &Home, command: &str, database: &Database) {
    let holder = database.hold_leads_back("NEW.seq = 6000").await;
    let copying = home.start(command);
    while !database.has_a_waiter() {}
    copying.kill();
    assert_nobody_serves(database);
    drop(holder);
    database.sql("DROP TRIGGER gate ON leads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_killed_is_continued_where_it_was() {
    let (home, database) = (many_leads(), Database::new());
    let command = copy("sqlite:leadgate.db", &database);
    kill_in_the_middle(&home, &command, &database).await;
    assert_nobody_serves(&database);

    let line = one_site().complains(&command);
    assert!(line.contains("holds an unfinished copy of other data, or the source has changed since"), "{line}");

    let document = home.document(&command);
    assert_eq!((&document["rows"], &document["copied"]), (&json!(12_001), &json!(7_000)));
    let mut gateway = on(&database).start("serve");
    gateway.reports("serving");
    assert_eq!(gateway.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_has_changed_is_not_mixed_with_what_was_copied_before() {
    let (home, database) = (many_leads(), Database::new());
    let command = copy("sqlite:leadgate.db", &database);
    kill_in_the_middle(&home, &command, &database).await;
    home.says("site add another.site.com");
    assert!(home.complains(&command).contains("the source has changed since"));
    assert_nobody_serves(&database);
}

#[test]
fn a_copy_that_is_not_the_same_is_an_error_and_stays_unfinished() {
    let (home, database) = (one_site(), Database::new());
    database.sql(
        "CREATE FUNCTION spoil() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN NEW.domain = ''other''; RETURN NEW; END';
         CREATE TRIGGER spoil BEFORE INSERT ON sites FOR EACH ROW EXECUTE FUNCTION spoil();",
    );
    let line = home.complains(&copy("sqlite:leadgate.db", &database));
    assert!(line.starts_with("the copy differs from the source in sites (1 rows with checksum "), "{line}");
    assert_nobody_serves(&database);
}
