//! What cannot be copied, or not there; and passwords, which are not for the command line.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};

use super::{copy, one_site};
use crate::harness::postgres::Database;
use crate::harness::process::Home;

#[test]
fn a_target_with_other_data_is_refused_and_left_alone() {
    let (home, database) = (one_site(), Database::new());
    let command = copy("sqlite:leadgate.db", &database);
    home.says(&command);
    let refused = "holds other data: copy into an empty database";
    assert!(one_site().complains(&command).ends_with(refused));
    let used = Database::new();
    Home::new().with("LEADGATE_DATABASE_URL", used.url_text()).says("site add other.site.com");
    assert!(home.complains(&copy("sqlite:leadgate.db", &used)).ends_with(refused));
    assert_eq!(used.number("SELECT count(*) FROM sites WHERE domain = 'other.site.com'"), 1);
    assert_eq!(used.number("SELECT count(*) FROM sites"), 1);
}

#[test]
fn a_source_that_is_served_is_refused() {
    let home = Home::new().with("LEADGATE_LISTEN", "127.0.0.1:0");
    let mut gateway = home.start("serve");
    gateway.reports("serving");
    let database = Database::new();
    let line = home.complains(&copy("sqlite:leadgate.db", &database));
    assert_eq!(line, "another leadgate process is serving leadgate.db");
    assert_eq!(gateway.terminate(), Some(0));
}

#[test]
fn a_target_that_is_served_is_refused_and_one_that_was_served_for_a_try_is_not() {
    let (home, database) = (one_site(), Database::new());
    let node = Home::new().with("LEADGATE_DATABASE_URL", database.url_text()).with("LEADGATE_LISTEN", "127.0.0.1:0");
    let node = node.with("LEADGATE_SECRET_KEY", "0a".repeat(32));
    let mut gateway = node.start("serve");
    gateway.reports("serving");
    let command = copy("sqlite:leadgate.db", &database);
    let line = home.complains(&command);
    assert!(line.ends_with("is in use: stop the gateways, commands and other copies on it"), "{line}");
    assert_eq!(gateway.terminate(), Some(0));
    assert_eq!(home.document(&command)["rows"], 1);
}

#[test]
fn both_ends_must_be_there_and_up_to_date() {
    let (home, database) = (one_site(), Database::empty());
    let line = home.complains(&copy("sqlite:leadgate.db", &database));
    assert!(line.contains("schema 0") && line.ends_with("run `leadgate migrate`"), "{line}");
    let line = home.complains(&copy("sqlite:missing.db", &Database::new()));
    assert!(line.starts_with("missing.db does not exist"), "{line}");
    assert!(!home.path("missing.db").exists());
}

#[test]
fn it_goes_from_sqlite_to_postgresql_and_no_other_way() {
    let home = Home::new();
    let from = "--from must be sqlite:PATH; without it, database_url is taken if it is that";
    let to = "--to must be postgres://USER@HOST/DATABASE; without it, database_url is taken if it is that";
    assert_eq!(home.complains("copy"), to);
    assert_eq!(home.complains("copy --to sqlite:other.db"), to);
    assert_eq!(home.complains("copy --to postgres://me:hush@"), to);
    assert_eq!(home.complains("copy --from postgres://me:hush@127.0.0.1/x --to postgres://127.0.0.1/x"), from);
}

#[test]
fn a_password_on_the_command_line_is_warned_of_and_never_repeated() {
    let ran = one_site().run("copy --to postgres://me:hush@127.0.0.1:1/leads");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.lines().count()), (1, "", 2), "{ran:?}");
    assert!(ran.stderr.starts_with("warning: other users of this machine can see the password in --to"), "{ran:?}");
    assert!(!ran.stderr.contains("hush"), "{ran:?}");
}

#[test]
fn the_password_of_the_target_comes_from_the_environment() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let asked = std::thread::spawn(move || ask_for_the_password(&server));
    let home = one_site().with("PGPASSWORD", "hush");
    let line = home.complains(&format!("copy --to postgres://me@127.0.0.1:{port}/leads"));
    assert!(line.starts_with("cannot open postgres://127.0.0.1") && !line.contains("hush"), "{line}");
    assert_eq!(asked.join().unwrap(), b"hush\0");
}

/// As a PostgreSQL that wants the password in the clear, and hangs up once it has it.
fn ask_for_the_password(server: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = server.accept().unwrap();
    let mut length = [0; 4];
    let mut rest = |stream: &mut std::net::TcpStream| {
        stream.read_exact(&mut length).unwrap();
        let mut message = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut message).unwrap();
        message
    };
    rest(&mut stream);
    stream.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3]).unwrap();
    let mut kind = [0];
    stream.read_exact(&mut kind).unwrap();
    rest(&mut stream)
}
