//! Gateways on PostgreSQL, as processes: who migrates, which key is needed, and what happens when the database goes away.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::postgres::Database;
use crate::harness::process::{Home, Ran, Running};

const KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

fn home(database: &Database) -> Home {
    Home::new().with("LEADGATE_DATABASE_URL", database.url_text()).with("LEADGATE_LISTEN", "127.0.0.1:0")
}

#[test]
fn a_database_is_migrated_when_it_is_said_and_not_by_itself() {
    let database = Database::empty();
    let home = home(&database).with("LEADGATE_SECRET_KEY", KEY);
    for command in ["serve", "user list"] {
        let line = home.complains(command);
        assert!(line.contains("schema 0") && line.ends_with("run `leadgate migrate`"), "{line}");
    }
    let first = home.document("migrate");
    assert_eq!(first, json!({"applied": ["0001_initial"]}));
    assert_eq!(home.document("migrate"), json!({"applied": []}));
    assert_eq!(home.document("check"), json!({"ok": true, "problems": []}));

    let other = Database::empty();
    let home = self::home(&other).with("LEADGATE_SECRET_KEY", KEY);
    let mut gateway = home.start("serve --migrate");
    gateway.reports("serving");
    assert_eq!(gateway.terminate(), Some(0));
}

/// Tomorrow's partition of the log cannot be made: another table has its name.
const IN_THE_WAY: &str = "DO $$ BEGIN
        EXECUTE format('CREATE TABLE delivery_log_%s_%s ()',
                       to_char(now() AT TIME ZONE 'UTC' + INTERVAL '1 day', 'YYYYMMDD'),
                       to_char(now() AT TIME ZONE 'UTC' + INTERVAL '2 days', 'YYYYMMDD'));
    END $$";

#[test]
fn migrate_says_what_it_did_although_the_log_lacks_its_partitions() {
    let database = Database::empty();
    database.sql(IN_THE_WAY);
    let home = home(&database).with("LEADGATE_SECRET_KEY", KEY);
    let ran = home.run("migrate --json");
    let applied: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, applied), (0, json!({"applied": ["0001_initial"]})), "{}", ran.stderr);
    assert!(ran.stderr.contains("partitions"), "{}", ran.stderr);
    assert_eq!(home.document("check"), json!({"ok": true, "problems": []}));
}

#[test]
fn gateways_on_one_database_need_one_key() {
    let database = Database::new();
    let line = home(&database).complains("serve");
    assert!(line.starts_with("secret_key must be set when the database is PostgreSQL"), "{line}");
    let (one, two) = (home(&database), home(&database));
    let (one, two) = (one.with("LEADGATE_SECRET_KEY", KEY), two.with("LEADGATE_SECRET_KEY", KEY));
    let (mut first, mut second) = (one.start("serve"), two.start("serve"));
    first.reports("serving");
    second.reports("serving");
    let line = home(&database).with("LEADGATE_SECRET_KEY", "0a".repeat(32)).complains("serve");
    assert!(line.starts_with("secret_key is wrong"), "{line}");
    assert_eq!((first.terminate(), second.terminate()), (Some(0), Some(0)));
}

#[test]
fn a_server_that_does_not_answer_is_named_without_its_password() {
    let home = Home::new().with("LEADGATE_DATABASE_URL", "postgres://me:hush@127.0.0.1:1/leads");
    let line = home.complains("user list");
    assert!(line.starts_with("cannot open postgres://127.0.0.1:1/leads: ") && !line.contains("hush"), "{line}");
    let home = Home::new().with("LEADGATE_DATABASE_URL", "postgres://me:hush@127.0.0.1/leads?sslmod=require");
    let line = home.complains("user list");
    assert!(line.contains("database_url") && !line.contains("hush"), "{line}");
}

/// Like a server that was stopped: its system still takes the calls. The home of a gateway that is to use it.
fn silent() -> (TcpListener, Home) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://me:hush@{}/leads", silent.local_addr().unwrap());
    let home = Home::new().with("LEADGATE_DATABASE_URL", url).with("LEADGATE_LISTEN", "127.0.0.1:0");
    (silent, home.with("LEADGATE_SECRET_KEY", KEY))
}

#[test]
fn nobody_waits_for_ever_for_a_server_that_takes_calls_and_says_nothing() {
    let (silent, home) = silent();
    let other = Home::new();
    other.says("migrate");
    let copy = format!("copy --from sqlite:{} --to {{}}", other.path("leadgate.db").display());
    let copy = copy.replace("{}", &format!("postgres://me@{}/leads", silent.local_addr().unwrap()));
    // All at once: each waits for as long as it waits.
    let commands = ["serve", "serve --migrate", "migrate", "user list", "rekey", &copy];
    let waiting = commands.map(|command| home.command(command).spawn().unwrap());
    let check = home.run("check");
    let said = format!("cannot open postgres://{}/leads: the database does not answer", silent.local_addr().unwrap());
    assert_eq!((check.code, check.stdout.trim_end()), (1, said.as_str()), "{check:?}");
    for command in waiting {
        assert_eq!(Ran::from(command.wait_with_output().unwrap()).complaint(1), said);
    }
}

#[test]
fn a_gateway_that_waits_for_its_database_can_be_told_to_stop() {
    for command in ["serve", "serve --migrate"] {
        let (silent, home) = silent();
        let gateway: Running = home.start(command);
        // Once it has called, it waits.
        let call = silent.accept().unwrap();
        assert_eq!(gateway.terminate(), Some(0), "{command}");
        drop(call);
    }
}
