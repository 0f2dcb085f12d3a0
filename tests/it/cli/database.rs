//! Databases and keys that are not as they should be: one clear line, and nothing is changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::harness::process::Home;

#[test]
fn migrate_says_what_it_did() {
    let home = Home::new();
    let first = home.document("migrate");
    assert!(first["applied"][0].as_str().unwrap().starts_with("0001"), "{first}");
    assert_eq!(home.document("migrate"), json!({"applied": []}));
    assert_eq!(home.says("migrate"), "The database is up to date.\n");
    let other = Home::new();
    assert!(other.says("migrate").starts_with("Applied 0001"));
}

#[test]
fn migrating_from_many_processes_at_once_is_done_once() {
    // More than once, because who meets whom on the way is up to the machine.
    for _ in 0..20 {
        let home = Home::new();
        let all: Vec<_> = (0..8).map(|_| home.command("migrate --json").spawn().unwrap()).collect();
        let applied = all.into_iter().map(|one| {
            let output = one.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice::<Value>(&output.stdout).unwrap()["applied"].as_array().unwrap().len()
        });
        assert_eq!(applied.sum::<usize>(), 1);
    }
}

#[test]
fn check_is_content_with_a_fresh_start_and_makes_nothing() {
    let home = Home::new();
    assert_eq!(home.document("check"), json!({"ok": true, "problems": []}));
    assert_eq!(home.says("check"), "Settings, database and key are in order.\n");
    assert!(!home.path("leadgate.db").exists());
}

/// The problem that `check` sees, and `serve` complains of in the same words.
fn problem(home: &Home) -> String {
    let checked = home.run("check --json");
    assert_eq!(checked.code, 1, "{checked:?}");
    let document: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(document["ok"], false);
    let problem = document["problems"][0].as_str().unwrap().to_owned();
    assert_eq!(home.refuses_to_serve(), problem);
    problem
}

fn served_once() -> Home {
    let home = Home::new().with("LEADGATE_LISTEN", "127.0.0.1:0");
    let mut gateway = home.start("serve");
    gateway.reports("serving");
    assert_eq!(gateway.terminate(), Some(0));
    home
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let home = Home::new().with("LEADGATE_LISTEN", "127.0.0.1:0");
    for contents in ["These are my notes.\n".repeat(400), "x".to_owned()] {
        fs::write(home.path("leadgate.db"), &contents).unwrap();
        assert_eq!(problem(&home), "leadgate.db is not a Leadgate database");
        assert!(home.complains("user list").contains("not a Leadgate database"));
        assert_eq!(fs::read_to_string(home.path("leadgate.db")).unwrap(), contents);
    }
}

#[test]
fn another_programs_database_is_left_alone() {
    let home = Home::new().with("LEADGATE_LISTEN", "127.0.0.1:0");
    let theirs = rusqlite::Connection::open(home.path("leadgate.db")).unwrap();
    theirs.execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    drop(theirs);
    assert_eq!(problem(&home), "leadgate.db is not a Leadgate database");
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let home = served_once();
    let newer = rusqlite::Connection::open(home.path("leadgate.db")).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let line = problem(&home);
    assert!(line.contains("newer version") && line.contains("99"), "{line}");
    assert!(home.complains("migrate").contains("newer version"));
}

#[test]
fn a_database_that_cannot_be_written_is_refused() {
    let home = served_once();
    fs::set_permissions(home.path("leadgate.db"), fs::Permissions::from_mode(0o400)).unwrap();
    let line = problem(&home);
    assert!(line.contains("for writing"), "{line}");
    let home = Home::new().with("LEADGATE_DATABASE_URL", "sqlite:missing/leadgate.db");
    assert!(home.complains("migrate").contains("missing does not exist"));
    let checked = home.run("check");
    assert!(checked.code == 1 && checked.stdout.contains("missing does not exist"), "{checked:?}");
}

#[test]
fn a_second_gateway_on_the_same_database_is_refused() {
    let home = Home::new().with("LEADGATE_LISTEN", "127.0.0.1:0");
    let mut gateway = home.start("serve");
    gateway.reports("serving");
    let line = home.refuses_to_serve();
    assert!(line.contains("another leadgate process"), "{line}");
    assert_eq!(gateway.terminate(), Some(0));
}

#[test]
fn the_key_file_is_made_for_its_owner_alone_and_found_again() {
    let home = served_once();
    let key = home.path("leadgate.db.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let made = fs::read_to_string(&key).unwrap();
    let mut again = home.start("serve");
    again.reports("serving");
    assert_eq!(again.terminate(), Some(0));
    assert_eq!(fs::read_to_string(&key).unwrap(), made);
    assert_eq!(home.document("check"), json!({"ok": true, "problems": []}));
}

#[test]
fn a_missing_or_wrong_key_is_noticed_at_the_start() {
    let home = served_once();
    let key = home.path("leadgate.db.key");
    let made = fs::read_to_string(&key).unwrap();

    fs::remove_file(&key).unwrap();
    let line = problem(&home);
    assert!(line.contains("leadgate.db.key is missing"), "{line}");
    assert!(!key.exists(), "no other key was made");

    fs::write(&key, "0f".repeat(32)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let line = problem(&home);
    assert!(line.contains("leadgate.db.key is wrong") && !line.contains("0f0f"), "{line}");

    fs::write(&key, "no key").unwrap();
    assert!(problem(&home).contains("64 hex digits"));

    fs::write(&key, made).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(problem(&home).contains("chmod 600"));
}

#[test]
fn a_key_from_the_settings_replaces_the_file_and_can_be_rotated() {
    let start = |home: &Home| {
        let mut gateway = home.start("serve");
        gateway.reports("serving");
        assert_eq!(gateway.terminate(), Some(0));
    };
    let (old, new) = ("0a".repeat(32), "0b".repeat(32));
    let home = Home::new().with("LEADGATE_LISTEN", "127.0.0.1:0").with("LEADGATE_SECRET_KEY", &old);
    start(&home);
    assert!(!home.path("leadgate.db.key").exists());
    let home = home.with("LEADGATE_SECRET_KEY", format!("{new},{old}"));
    start(&home);
    let home = home.with("LEADGATE_SECRET_KEY", &new);
    let line = problem(&home);
    assert!(line.contains("secret_key is wrong") && !line.contains("0b0b"), "{line}");
}
