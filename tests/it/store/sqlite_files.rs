//! SQLite's own matters: the file, its neighbours, its lock, and what another process left in it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use leadgate::model::delivery::{State, Verdict};
use leadgate::model::{Clock, Timestamp};
use leadgate::store::{self, AddUser, DatabaseUrl, OpenError, Purpose, SharedStore, Signal, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use super::fixture::Fixture;
use crate::harness::{make, soon};

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("leadgate.db")
}

async fn open(path: &Path, purpose: Purpose) -> Result<SharedStore, OpenError> {
    store::open(&DatabaseUrl::Sqlite(path.to_owned()), purpose).await
}

async fn migrate(path: &Path) -> Result<Vec<String>, OpenError> {
    store::migrate(&DatabaseUrl::Sqlite(path.to_owned())).await
}

/// Why it cannot be opened, for any purpose that writes.
async fn refusal(path: &Path) -> String {
    let command = open(path, Purpose::Command).await.unwrap_err().to_string();
    assert_eq!(open(path, Purpose::Serve).await.unwrap_err().to_string(), command);
    assert_eq!(migrate(path).await.unwrap_err().to_string(), command);
    command
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A copy of the database as it lies on the disk now: what a machine has after its process was killed.
fn as_after_a_kill(path: &Path) -> (TempDir, PathBuf) {
    let copy = directory();
    let target = database(&copy);
    std::fs::copy(path, &target).unwrap();
    std::fs::copy(path.with_extension("db-wal"), target.with_extension("db-wal")).unwrap();
    (copy, target)
}

#[tokio::test]
async fn a_database_is_created_for_its_owner_alone() {
    let directory = directory();
    let path = database(&directory);
    let store = open(&path, Purpose::Serve).await.unwrap();
    assert_eq!(names(&directory), ["leadgate.db", "leadgate.db-shm", "leadgate.db-wal", "leadgate.db.lock"]);
    for name in names(&directory) {
        let mode = std::fs::metadata(directory.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    store.close().await;
    assert_eq!(names(&directory), ["leadgate.db", "leadgate.db.lock"], "closing leaves a tidy file behind");
}

#[tokio::test]
async fn migrating_says_what_it_did_and_does_it_once() {
    let directory = directory();
    let path = database(&directory);
    assert_eq!(migrate(&path).await.unwrap(), ["0001_initial"]);
    assert_eq!(migrate(&path).await.unwrap(), [""; 0]);
    open(&path, Purpose::Check).await.unwrap().close().await;
}

#[tokio::test]
async fn a_check_creates_and_changes_nothing() {
    let directory = directory();
    let path = database(&directory);
    let missing = open(&path, Purpose::Check).await.unwrap_err().to_string();
    assert_eq!(
        missing,
        format!("{} does not exist: `leadgate serve` or `leadgate migrate` creates it", path.display())
    );
    assert_eq!(names(&directory), [""; 0]);

    std::fs::write(&path, "").unwrap();
    let older = open(&path, Purpose::Check).await.unwrap_err().to_string();
    let expected = format!("{} has schema 0, this program needs 1: run `leadgate migrate`", path.display());
    assert_eq!(older, expected);
    assert_eq!(std::fs::read(&path).unwrap(), b"");

    migrate(&path).await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let store = open(&path, Purpose::Check).await.unwrap();
    store.ping().await.unwrap();
    let fixture = Fixture::new(store.clone(), Box::new(()));
    let user = make::user(&fixture.entropy, fixture.now(), "a@b.com");
    assert!(matches!(store.add_user(user, None).await, Err(StoreError::Unavailable(_))));
    store.close().await;
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(names(&directory), ["leadgate.db"]);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = directory();
    let path = database(&directory);
    let page = [&b"SQLite format 3\0"[..], &[0xFF; 4096]].concat();
    for contents in [&b"x"[..], &b"hello, world\n".repeat(1000), &page] {
        std::fs::write(&path, contents).unwrap();
        assert_eq!(refusal(&path).await, format!("{} is not a Leadgate database", path.display()));
        assert_eq!(std::fs::read(&path).unwrap(), contents);
    }
    assert_eq!(refusal(directory.path()).await, format!("{} is not a Leadgate database", directory.path().display()));
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_alone() {
    let directory = directory();
    let path = database(&directory);
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(refusal(&path).await, format!("{} is not a Leadgate database", path.display()));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let directory = directory();
    let path = database(&directory);
    migrate(&path).await.unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let expected =
        format!("{} was written by a newer version of Leadgate (schema 99; this program knows 1)", path.display());
    assert_eq!(refusal(&path).await, expected);
    assert_eq!(open(&path, Purpose::Check).await.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn a_damaged_database_is_refused_or_fails_without_harm() {
    let directory = directory();
    let path = database(&directory);
    migrate(&path).await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..4096].fill(0xFF);
    std::fs::write(&path, &bytes).unwrap();
    let refused = refusal(&path).await;
    assert!(refused.starts_with(&format!("cannot open {}: ", path.display())), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn a_protected_file_or_a_missing_directory_is_said_plainly() {
    let directory = directory();
    let path = database(&directory);
    migrate(&path).await.unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
    let expected = format!("cannot open {} for writing: permission denied", path.display());
    assert_eq!(refusal(&path).await, expected);
    assert_eq!(open(&path, Purpose::Check).await.unwrap_err().to_string(), expected);

    let lost = directory.path().join("no/where/leadgate.db");
    let parent = lost.parent().unwrap().display();
    let expected = format!("cannot open {} for writing: the directory {parent} does not exist", lost.display());
    assert_eq!(refusal(&lost).await, expected);
}

#[tokio::test]
async fn names_that_mean_something_to_sqlite_are_plain_files() {
    let directory = directory();
    for name in [":memory:", "file:x?mode=memory", "ünï cödé 🌺.db"] {
        let path = directory.path().join(name);
        assert_eq!(migrate(&path).await.unwrap().len(), 1);
        assert!(path.is_file());
        assert_eq!(migrate(&path).await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn a_second_server_is_refused_and_commands_are_not() {
    let directory = directory();
    let path = database(&directory);
    let server = open(&path, Purpose::Serve).await.unwrap();
    let second = open(&path, Purpose::Serve).await.unwrap_err().to_string();
    assert_eq!(second, format!("another leadgate process is serving {}", path.display()));

    // A command's commit is seen by the server, and the other way round.
    let command = Fixture::new(open(&path, Purpose::Command).await.unwrap(), Box::new(()));
    let user = command.user("a@b.com").await;
    assert_eq!(server.users().await.unwrap(), [user]);
    let again = make::user(&command.entropy, command.now(), "a@b.com");
    assert_eq!(server.add_user(again, None).await.unwrap(), AddUser::EmailTaken);
    open(&path, Purpose::Check).await.unwrap().close().await;
    command.store.close().await;

    server.close().await;
    open(&path, Purpose::Serve).await.unwrap().close().await;
}

#[tokio::test]
async fn writers_of_two_processes_wait_for_each_other() {
    let directory = directory();
    let path = database(&directory);
    let one = Fixture::new(open(&path, Purpose::Serve).await.unwrap(), Box::new(()));
    let two = Fixture::new(open(&path, Purpose::Command).await.unwrap(), Box::new(()));
    let site = one.site("www.site.com").await;
    let ones = futures_util::future::join_all((0..50).map(|n| {
        let command = one.upsert(site.id, None, serde_json::json!({"one": n}));
        one.apply(command)
    }));
    let twos = futures_util::future::join_all((0..50).map(|n| {
        let given = leadgate::model::LeadId::from_bytes([n; 16]);
        two.apply(two.upsert(site.id, Some(given), serde_json::json!({"two": n})))
    }));
    let (ones, twos) = tokio::join!(ones, twos);
    for receipt in ones.into_iter().chain(twos) {
        assert!(one.store.lead(site.id, receipt.lead).await.unwrap().is_some());
    }
    two.store.close().await;
    one.store.close().await;
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_and_leases_of_the_dead_are_free() {
    let directory = directory();
    let path = database(&directory);
    let killed = Fixture::new(open(&path, Purpose::Serve).await.unwrap(), Box::new(()));
    let (site, _, _) = killed.subscribed_site(1).await;
    let lead = killed.lead(&site, "a@b.com").await;
    killed.lead(&site, "c@d.com").await;
    let leased = killed.lease().await;
    assert!(killed.record(&leased[1], Verdict::Retry(Timestamp::MAX)).await);
    let (_copy, copy) = as_after_a_kill(&path);

    // A command beside a server takes nothing from it.
    let command = Fixture::new(open(&copy, Purpose::Command).await.unwrap(), Box::new(()));
    assert!(command.lease().await.is_empty());
    command.store.close().await;

    let next = Fixture::new(open(&copy, Purpose::Serve).await.unwrap(), Box::new(()));
    assert_eq!(next.clock.now(), killed.clock.now());
    assert!(next.store.lead(site.id, lead).await.unwrap().is_some());
    assert_eq!(next.story().await, [State::Waiting, State::Waiting]);
    let again = next.lease().await;
    assert_eq!(again.iter().map(|leased| leased.id).collect::<Vec<_>>(), [leased[0].id]);
    assert!(!next.record(&leased[0], Verdict::Delivered).await, "the dead server's lease is void");
    assert!(next.record(&again[0], Verdict::Delivered).await);
    next.store.close().await;
    killed.store.close().await;
}

#[tokio::test]
async fn a_store_that_is_dropped_without_closing_loses_nothing() {
    let directory = directory();
    let path = database(&directory);
    let dropped = Fixture::new(open(&path, Purpose::Command).await.unwrap(), Box::new(()));
    let user = dropped.user("a@b.com").await;
    drop(dropped);
    let next = open(&path, Purpose::Command).await.unwrap();
    assert_eq!(next.users().await.unwrap(), [user]);
    next.close().await;
}

#[tokio::test]
async fn other_urls_are_refused_without_their_passwords() {
    assert_eq!("sqlite:a b.db".parse::<DatabaseUrl>().unwrap(), DatabaseUrl::Sqlite("a b.db".into()));
    for bad in ["", "sqlite:", "leadgate.db", "mysql://u:hush@h/d", "postgres://u:hush@h", "postgres://u:hush@h/d?x=y"]
    {
        let refused = bad.parse::<DatabaseUrl>().unwrap_err().to_string();
        assert!(
            refused.starts_with("database_url must be sqlite:PATH or postgres://") && !refused.contains("hush"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_server_hears_of_subscriptions_that_another_process_removed_and_once() {
    let directory = directory();
    let path = database(&directory);
    let server = Fixture::new(open(&path, Purpose::Serve).await.unwrap(), Box::new(()));
    let site = server.site("www.site.com").await;
    let partner = server.partner("piesync").await;
    let subscription = server.subscription(partner.id, site.id, "https://a.example/");
    let id = subscription.id;
    server.store.replace_subscription(subscription).await.unwrap();
    server.heard();

    let command = open(&path, Purpose::Command).await.unwrap();
    command.remove_site(site.id, server.now()).await.unwrap();
    assert_eq!(server.heard(), []);
    server.lease().await;
    assert_eq!(server.heard(), [Signal::Recalled(id)]);
    server.lease().await;
    assert_eq!(server.heard(), []);

    // What the server removes itself it has heard before its caller was answered, and not again.
    let other = server.site("www.other.com").await;
    let mine = server.subscription(partner.id, other.id, "https://a.example/");
    let id = mine.id;
    server.store.replace_subscription(mine).await.unwrap();
    assert!(server.store.remove_subscription(partner.id, other.id, server.now()).await.unwrap().outcome);
    assert_eq!(server.heard(), [Signal::Recalled(id)]);
    server.lease().await;
    assert_eq!(server.heard(), []);
}

#[test]
fn the_store_works_while_the_runtimes_own_threads_are_busy() {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_time().build().unwrap();
    let directory = directory();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let work = async {
        let store = open(&database(&directory), Purpose::Serve).await.unwrap();
        tokio::task::spawn_blocking(move || ended.recv());
        store.ping().await.unwrap();
        assert!(store.sites().await.unwrap().is_empty());
        store.close().await;
        assert!(matches!(store.sites().await, Err(StoreError::Unavailable(_))));
    };
    runtime.block_on(soon("the store works and closes", work));
    end.send(()).unwrap();
}
