//! People, sites, partners and sources: every command, for people and for programs.

use std::process::Stdio;

use leadgate::model::session::{NewSession, UserAgent};
use leadgate::model::token::{Plain, Session};
use leadgate::model::{OsEntropy, SessionId, Timestamp, time};
use serde_json::{Value, json};

use crate::harness::on_every_engine;
use crate::harness::process::{Home, Running};

on_every_engine!(
    users_are_added_listed_and_removed,
    passwords_come_from_stdin_or_from_a_person,
    sessions_are_listed_and_ended,
    people_are_invited_with_a_link_to_their_own_password,
    a_link_is_shown_also_when_it_cannot_be_sent,
    a_common_password_is_refused,
    sites_are_added_granted_listed_and_removed,
    a_site_without_a_uuid_gets_one,
    partners_are_added_listed_and_removed_and_their_secrets_shown_once,
    whether_updates_are_merged_is_set_for_a_partner,
    what_a_partner_needs_is_printed_for_people_too,
    sources_are_added_listed_and_removed,
    names_can_be_of_any_script_but_hold_no_control_characters,
    a_reader_that_goes_away_is_no_failure,
    commands_work_while_a_gateway_serves_the_same_database,
);

const SITE: &str = "aa808177-d2cc-415d-b504-a36abf39ac00";
const ABSENT: &str = "00000000-0000-4000-8000-000000000000";

async fn users_are_added_listed_and_removed() {
    let home = Home::of_case();
    assert_eq!(home.says("user list"), "There are no users yet.\n");
    let added = home.add_user("Ann@Example.com");
    assert_eq!(added["email"], "ann@example.com");
    let input = "correct horse battery";
    let mut bob = home.command("user add bob@example.com --operator --password-stdin --name");
    let bob = bob.arg("Бобби 東").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut bob.stdin.as_ref().unwrap(), input.as_bytes()).unwrap();
    assert_eq!(bob.wait_with_output().unwrap().stdout, b"Added bob@example.com.\n");

    let list = home.document("user list");
    assert_eq!(list[0]["id"], added["id"]);
    assert_eq!(list[1]["name"], "Бобби 東");
    assert_eq!((&list[0]["operator"], &list[1]["operator"]), (&json!(false), &json!(true)));
    let table = home.says("user list");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines, ["EMAIL            NAME      ROLE", "ann@example.com", "bob@example.com  Бобби 東  operator",]);

    assert_eq!(home.document("user remove ann@example.com"), added);
    assert_eq!(home.says("user remove bob@example.com"), "Removed bob@example.com.\n");
    assert_eq!(home.document("user list"), json!([]));
    assert_eq!(home.complains("user remove ann@example.com"), "there is no user ann@example.com");
}

async fn passwords_come_from_stdin_or_from_a_person() {
    let home = Home::of_case();
    let asked = home.complains("user add ann@example.com");
    assert!(asked.contains("--password-stdin"), "{asked}");
    let short = home.run_with_input("user add ann@example.com --password-stdin", "short\n");
    assert!(short.complaint(1).contains("characters"), "{short:?}");
    assert_eq!(home.document("user list"), json!([]), "nothing was changed");

    let added = home.add_user("ann@example.com");
    let again = home.run_with_input("user add ANN@example.com --password-stdin", "correct horse battery");
    assert_eq!(again.complaint(1), "there is already a user ann@example.com");
    let changed = home.run_with_input("user passwd ann@example.com --password-stdin --json", "another long password\n");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&changed.stdout).unwrap(), added);
    let nobody = home.run_with_input("user passwd eve@example.com --password-stdin", "another long password\n");
    assert_eq!(nobody.complaint(1), "there is no user eve@example.com");
}

async fn sessions_are_listed_and_ended() {
    let home = Home::of_case();
    let user = home.add_user("ann@example.com");
    assert_eq!(home.says("user sessions ann@example.com"), "ann@example.com is signed in nowhere.\n");
    assert_eq!(home.document("user sessions ann@example.com"), json!([]));
    let store = home.store().await;
    let session = NewSession {
        id: SessionId::from_bytes([0x5e; 16]),
        hash: Plain::<Session>::generate(&OsEntropy).hash(),
        user: user["id"].as_str().unwrap().parse().unwrap(),
        agent: UserAgent::received("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"),
        created: Timestamp::UNIX_EPOCH,
        expires: Timestamp::MAX,
    };
    let (cookie, used) = (session.hash, time::from_millis(1000));
    store.start_session(session).await.unwrap();
    store.use_session(&cookie, used, Timestamp::MAX).await.unwrap();
    store.close().await;

    let list = home.document("user sessions ann@example.com");
    assert_eq!(list[0]["id"], "5e5e5e5e-5e5e-5e5e-5e5e-5e5e5e5e5e5e");
    assert_eq!(
        (&list[0]["created"], &list[0]["used"]),
        (&json!("1970-01-01T00:00:00Z"), &json!("1970-01-01T00:00:01Z"))
    );
    assert!(list[0]["user_agent"].as_str().unwrap().contains("Firefox/140.0"), "{list}");
    let table = home.says("user sessions ann@example.com");
    assert!(table.contains("1970-01-01T00:00:01Z  1970-01-01T00:00:00Z  Firefox on Linux\n"), "{table}");

    assert_eq!(home.says("user logout ann@example.com"), "Signed ann@example.com out of 1 browser.\n");
    assert_eq!(home.document("user logout ann@example.com"), json!({"email": "ann@example.com", "ended": 0}));
    assert_eq!(home.document("user sessions ann@example.com"), json!([]));
    assert_eq!(home.complains("user sessions eve@example.com"), "there is no user eve@example.com");
    assert_eq!(home.complains("user logout eve@example.com"), "there is no user eve@example.com");
}

async fn people_are_invited_with_a_link_to_their_own_password() {
    let home = Home::of_case().with("LEADGATE_PUBLIC_URL", "https://leads.example.com");
    home.says(&format!("site add www.site.com --uuid {SITE}"));
    let invitation = home.document(&format!("user invite Kim@example.com --name Kim --site {SITE}"));
    let link = invitation["link"].as_str().unwrap();
    assert!(link.starts_with("https://leads.example.com/account/password/set/?token=lgp_"), "{link}");
    let list = home.document("user list");
    assert_eq!((&list[0]["id"], &list[0]["email"]), (&invitation["id"], &invitation["email"]));
    assert_eq!(list[0]["name"], "Kim");
    assert_eq!(home.document("site list")[0]["owners"], json!(["kim@example.com"]));

    let again = home.says("user invite kim@example.com");
    assert!(again.contains("sets a password: once, within 24 hours.") && !again.contains(link), "{again}");
    assert_eq!(home.document("user list").as_array().unwrap().len(), 1);
    assert_eq!(
        home.complains(&format!("user invite lou@example.com --site {ABSENT}")),
        format!("there is no site {ABSENT}")
    );
    assert_eq!(home.document("user list").as_array().unwrap().len(), 1, "nothing was changed");
}

async fn a_link_is_shown_also_when_it_cannot_be_sent() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = Home::of_case()
        .with("LEADGATE_SMTP_URL", format!("smtp://kim:hush@{closed}"))
        .with("LEADGATE_SMTP_FROM", "leads@example.com");
    let ran = home.run("user invite kim@example.com --json");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap()["link"].is_string(), "{ran:?}");
    assert!(ran.stderr.contains(&format!("the mail server {closed} does not take it")), "{ran:?}");
    let check = home.run("check");
    assert!(check.code == 1 && check.stdout.contains(&format!("the mail server {closed}")), "{check:?}");
    assert!(![&ran.stderr, &check.stdout, &check.stderr].iter().any(|text| text.contains("hush")), "{ran:?} {check:?}");
}

async fn a_common_password_is_refused() {
    let home = Home::of_case();
    let refused = home.run_with_input("user add ann@example.com --password-stdin", "Password");
    assert!(refused.complaint(1).contains("one of the most common ones"), "{refused:?}");
    home.add_user("ann.longname@example.com");
    let refused = home.run_with_input("user passwd ann.longname@example.com --password-stdin", "Ann.Longname");
    assert!(refused.complaint(1).contains("must not be the e-mail address"), "{refused:?}");
    let done =
        home.run_with_input("user passwd ann.longname@example.com --password-stdin --disconnect", "another long one");
    assert!(done.stdout.contains("All applications that it connected are disconnected."), "{done:?}");
}

async fn sites_are_added_granted_listed_and_removed() {
    let home = Home::of_case();
    home.add_user("ann@example.com");
    home.add_user("bob@example.com");
    assert_eq!(home.says("site list"), "There are no sites yet.\n");
    let upper = SITE.to_uppercase();
    let added = home.document(&format!("site add WWW.Site.com --uuid {upper} --owner ann@example.com"));
    assert_eq!(added, json!({"uuid": SITE, "domain": "www.site.com"}));
    assert_eq!(home.says(&format!("site grant {SITE} bob@example.com")), "bob@example.com owns www.site.com now.\n");
    assert_eq!(home.document(&format!("site grant {SITE} bob@example.com")), added, "granting twice is no fault");

    let list = home.document("site list");
    assert_eq!(list[0]["owners"], json!(["ann@example.com", "bob@example.com"]));
    let table = home.says("site list");
    assert!(table.contains(&format!("{SITE}  www.site.com  ann@example.com, bob@example.com")), "{table}");

    let taken = home.complains(&format!("site add www.other.com --uuid {SITE}"));
    assert!(taken.contains("already a site"), "{taken}");
    assert_eq!(home.complains("site add a.com --owner eve@example.com"), "there is no user eve@example.com");
    assert_eq!(home.complains(&format!("site grant {ABSENT} ann@example.com")), format!("there is no site {ABSENT}"));
    assert_eq!(home.document(&format!("site remove {SITE}")), added);
    assert_eq!(home.document("site list"), json!([]));
    assert_eq!(home.complains(&format!("site remove {SITE}")), format!("there is no site {SITE}"));
}

async fn a_site_without_a_uuid_gets_one() {
    let home = Home::of_case();
    let added = home.document("site add пример.рф");
    assert_eq!(added["domain"], "пример.рф");
    assert_eq!(home.document("site list")[0]["uuid"], added["uuid"]);
}

async fn partners_are_added_listed_and_removed_and_their_secrets_shown_once() {
    let home = Home::of_case();
    assert_eq!(home.says("partner list"), "There are no partners yet.\n");
    let command =
        "partner add piesync --redirect-uri https://a.example/cb?x=1 --redirect-uri http://b.example/ --name PieSync";
    let added = home.document(command);
    assert_eq!(added["slug"], "piesync");
    let secret = added["client_secret"].as_str().unwrap();
    assert_eq!(secret.len(), 64);

    let rotated = home.document("partner rotate-secret piesync");
    assert_eq!(rotated["client_id"], added["client_id"]);
    assert_ne!(rotated["client_secret"], added["client_secret"]);
    home.says("partner add cinc --name Cinc --redirect-uri https://c.example/ --no-echo --merge-updates");

    let list = home.document("partner list");
    let wishes = |partner: &Value| [partner["echo"].clone(), partner["merge_updates"].clone()];
    assert_eq!((&list[0]["slug"], wishes(&list[0])), (&json!("cinc"), [json!(false), json!(true)]));
    assert_eq!((&list[1]["name"], wishes(&list[1])), (&json!("PieSync"), [json!(true), json!(false)]));
    assert_eq!(list[1]["redirect_uris"], json!(["https://a.example/cb?x=1", "http://b.example/"]));
    assert!(!home.says("partner list").contains(rotated["client_secret"].as_str().unwrap()));

    assert_eq!((&list[0]["require_pkce"], &list[1]["require_pkce"]), (&json!(false), &json!(false)));
    home.says("partner add zapper --name Zapper --redirect-uri https://z.example/ --require-pkce");
    assert_eq!(home.document("partner list")[2]["require_pkce"], true);
    let said = home.says("partner set piesync --require-pkce on");
    assert_eq!(
        said,
        "Updates that wait for piesync are sent one by one, and its authorization requests must use PKCE.\n"
    );
    let set = home.document("partner set zapper --require-pkce off --merge-updates on");
    assert_eq!(
        (&set["slug"], &set["require_pkce"], &set["merge_updates"]),
        (&json!("zapper"), &json!(false), &json!(true))
    );
    let list = home.document("partner list");
    assert_eq!((&list[1]["require_pkce"], &list[2]["require_pkce"]), (&json!(true), &json!(false)));
    assert!(home.says("partner list").contains("required"));
    assert_eq!(home.complains("partner set nobody --require-pkce on"), "there is no partner nobody");

    assert_eq!(home.complains(command), "there is already a partner piesync");
    assert_eq!(home.document("partner remove piesync"), json!({"slug": "piesync"}));
    assert_eq!(home.complains("partner remove piesync"), "there is no partner piesync");
    assert_eq!(home.complains("partner rotate-secret piesync"), "there is no partner piesync");
}

async fn whether_updates_are_merged_is_set_for_a_partner() {
    let home = Home::of_case();
    home.says("partner add piesync --name PieSync --redirect-uri https://a.example/cb");
    for (switch, merge) in [("on", true), ("on", true), ("off", false)] {
        let set = home.document(&format!("partner set piesync --merge-updates {switch}"));
        assert_eq!((&set["merge_updates"], &set["require_pkce"]), (&json!(merge), &json!(false)), "{set}");
        assert_eq!(home.document("partner list")[0], set);
    }
    assert_eq!(
        home.says("partner set piesync --merge-updates on"),
        "Updates that wait for piesync are merged, and its authorization requests may do without PKCE.\n"
    );
    assert_eq!(home.complains("partner set nobody --merge-updates on"), "there is no partner nobody");
}

async fn what_a_partner_needs_is_printed_for_people_too() {
    let home = Home::of_case();
    let text = home.says("partner add piesync --name PieSync --redirect-uri https://a.example/cb");
    assert!(text.contains("shown only now") && text.contains("client_id") && text.contains("client_secret"), "{text}");
    let text = home.says("source add crm");
    assert!(text.contains("shown only now") && text.contains("password"), "{text}");
}

async fn sources_are_added_listed_and_removed() {
    let home = Home::of_case();
    home.says(&format!("site add www.site.com --uuid {SITE}"));
    assert_eq!(home.says("source list"), "There are no sources yet.\n");
    let everywhere = home.document("source add crm");
    assert_eq!((&everywhere["username"], everywhere["password"].as_str().unwrap().len()), (&json!("crm"), 64));
    home.document(&format!("source add portal --site {SITE}"));
    let list = home.document("source list");
    assert_eq!((&list[0]["username"], &list[0]["sites"]), (&json!("crm"), &json!(null)));
    assert_eq!((&list[1]["username"], &list[1]["sites"]), (&json!("portal"), &json!([SITE])));
    let table = home.says("source list");
    assert!(table.contains("crm       all\n") && table.contains(&format!("portal    {SITE}\n")), "{table}");

    assert_eq!(home.complains("source add crm"), "there is already a source crm");
    assert_eq!(home.complains(&format!("source add x --site {ABSENT}")), format!("there is no site {ABSENT}"));
    assert_eq!(home.document("source remove crm"), json!({"username": "crm"}));
    assert_eq!(home.complains("source remove crm"), "there is no source crm");
}

#[test]
fn arguments_that_make_no_sense_are_one_line_and_exit_code_2() {
    let home = Home::new();
    for (arguments, sign) in [
        ("usr list", "usr"),
        ("user add", "<EMAIL>"),
        ("user add nobody", "not an e-mail address"),
        ("user list --verbose", "--verbose"),
        ("site add https://www.site.com/", "not a domain name"),
        ("site add a.com --uuid 7", "not a UUID"),
        ("partner add Pie! --name x --redirect-uri https://a.example/", "not a slug"),
        ("partner add rest --name x --redirect-uri https://a.example/", "reserved"),
        ("partner add pie --name x", "--redirect-uri"),
        ("partner add pie --name x --redirect-uri /cb", "not a redirect URI"),
        ("source add a:b", "not a user name"),
        ("delivery list --state lost", "waiting, delivered"),
        ("delivery list --limit 0", "1 to 10000"),
        ("delivery show 7", "not a UUID"),
        ("delivery replay", "<IDS>"),
        ("delivery replay --failed", "--site"),
        ("listen --listen here", "--listen"),
        ("listen --forward-to ftp://a.example/", "http or https"),
    ] {
        let line = home.run(arguments).complaint(2);
        assert!(line.contains(sign), "{arguments}: {line}");
    }
    assert!(!home.path("leadgate.db").exists(), "nothing was touched");
}

async fn names_can_be_of_any_script_but_hold_no_control_characters() {
    let home = Home::of_case();
    let mut command = home.command("partner add pie --redirect-uri https://a.example/ --name");
    let refused = crate::harness::process::Ran::from(command.arg("a\nb").output().unwrap());
    assert!(refused.complaint(2).contains("control characters"));
    let mut command = home.command("partner add pie --redirect-uri https://a.example/ --name");
    assert!(command.arg("ピザ و خبز").output().unwrap().status.success());
    assert_eq!(home.document("partner list")[0]["name"], "ピザ و خبز");
}

async fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::of_case();
    home.says("migrate");
    let mut child = home.command("user list").spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

async fn commands_work_while_a_gateway_serves_the_same_database() {
    let home = Home::of_case().with("LEADGATE_LISTEN", "127.0.0.1:0");
    let mut gateway: Running = home.start("serve");
    gateway.reports("serving");
    home.add_user("ann@example.com");
    assert_eq!(home.document("user list")[0]["email"], "ann@example.com");
    assert_eq!(gateway.terminate(), Some(0));
}
