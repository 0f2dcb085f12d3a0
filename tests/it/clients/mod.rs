//! Other people's OAuth libraries, unchanged: each goes all the way from the user's approval to the end of the access.
//!
//! What each does stands in `tests/clients/`, in the library's own language, as its documentation says. A library that can do
//! more (read metadata, use PKCE, introspect) does.

mod oauth2_crate;

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::process::Running;
use crate::harness::{on_every_engine, packages};
use crate::oauth::door::{CALLBACK, Door};
use crate::oauth::visitor::Visitor;

on_every_engine!(
    #[tokio::test(flavor = "multi_thread")]
    authlib,
    requests_oauthlib,
    oauth4webapi,
    openid_client,
    simple_oauth2,
);

/// All that there is to do.
const ALL: [&str; 7] = ["metadata", "authorize", "exchange", "subscribe", "refresh", "introspect", "revoke"];
/// What a library does that reads no metadata and does not introspect.
const ESSENTIAL: [&str; 5] = ["authorize", "exchange", "subscribe", "refresh", "revoke"];

async fn authlib() {
    python("with_authlib.py", &ALL).await;
}

async fn requests_oauthlib() {
    python("with_requests_oauthlib.py", &ESSENTIAL).await;
}

async fn oauth4webapi() {
    node("with_oauth4webapi.mjs", &ALL).await;
}

async fn openid_client() {
    node("with_openid_client.mjs", &ALL).await;
}

async fn simple_oauth2() {
    node("with_simple_oauth2.mjs", &ESSENTIAL).await;
}

async fn python(script: &str, steps: &[&str]) {
    // `-B`: leaves nothing beside the script.
    let mut command = Command::new(packages::python());
    command.arg("-B").arg(scripts("python").join(script));
    all_the_way(command, steps).await;
}

async fn node(script: &str, steps: &[&str]) {
    // Node.js looks for packages beside the script, so it is run from a copy that is beside them.
    let folder = tempfile::tempdir_in(packages::node()).unwrap();
    for name in [script, "scene.mjs"] {
        std::fs::copy(scripts("node").join(name), folder.path().join(name)).unwrap();
    }
    let mut command = Command::new("node");
    command.arg(folder.path().join(script));
    all_the_way(command, steps).await;
}

fn scripts(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(language)
}

/// Runs a library against a gateway, as its user when it asks for one. It must take just these steps.
async fn all_the_way(mut library: Command, steps: &[&str]) {
    let door = Door::open().await;
    library.env("SCENE", scene(&door).to_string()).env("NO_PROXY", "127.0.0.1");
    library.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = library.spawn().unwrap_or_else(|error| panic!("{library:?}: {error}; `scripts/test` installs it"));
    let mut answers = child.stdin.take().unwrap();
    let mut library = Running::new(child);
    library.let_talk();
    let mut done = Vec::new();
    for line in (&mut library.stdout).lines() {
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("visit", url)) => writeln!(answers, "{}", visit(&door, url).await).unwrap(),
            Some(("done", step)) => done.push(step.to_owned()),
            _ => panic!("{line}"),
        }
    }
    assert_eq!(done, steps);
    assert_eq!(library.end(), Some(0));
}

/// What the partner's developer would be told.
fn scene(door: &Door) -> Value {
    json!({
        "issuer": door.gate.url("/piesync"),
        "client_id": door.partner.partner.client_id.as_str(),
        "client_secret": door.partner.secret,
        "redirect_uri": CALLBACK,
        "scope": "leadrouter:connect leadrouter:send",
        "site_uuid": door.site.id.to_string(),
        "subscription": door.gate.url(&format!("/piesync/subscription/{}/", door.site.id)),
        "subscribe": {"url": "http://127.0.0.1:9/leads", "secret": "s3cret"},
    })
}

/// The owner comes to this URL, logs in and approves. Returns where that leads.
async fn visit(door: &Door, url: &str) -> String {
    let path = url.strip_prefix(&door.gate.url("")).unwrap_or_else(|| panic!("{url} is not the gateway's"));
    let mut owner = Visitor::new(&door.gate);
    let page = owner.get(path).await;
    let consent = owner.log_in(&page, &door.owner).await;
    owner.approve(&consent).await.header("location").to_owned()
}
