//! Authorization requests that go no further, and who is told (checklist 1 to 12, 18 to 23, 77, 78).

use leadgate::model::partner::RedirectUri;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::door::{CALLBACK, CHALLENGE, Door, assert_page, path};
use super::visitor::{SentBack, Visitor};
use crate::harness::{answer, on_every_engine};

on_every_engine!(
    oauth_001_get_with_or_without_slash_and_no_other_method,
    oauth_002_arriving_writes_nothing,
    oauth_003_empty_is_absent_and_unknown_is_ignored,
    oauth_004_a_repeated_parameter_is_refused,
    oauth_005_an_unknown_client_is_never_redirected,
    oauth_006_an_unregistered_redirect_uri_is_never_followed,
    oauth_007_redirect_uris_are_compared_byte_for_byte,
    oauth_008_loopback_ports_are_exact_too,
    oauth_009_a_fragment_is_neither_registered_nor_asked_for,
    oauth_011_only_response_type_code,
    oauth_012_scopes_come_in_any_order_and_only_known_ones,
    oauth_018_descriptions_are_plain_and_repeat_nothing,
    oauth_019_a_database_that_is_down_is_told_without_internals,
    oauth_019_a_fault_after_the_proof_is_told_to_the_partner,
    oauth_020_no_fault_sends_anybody_to_an_unproven_address,
    oauth_021_extensions_are_ignored,
    oauth_023_broken_and_huge_queries_get_a_page,
    oauth_023_so_do_broken_and_huge_forms,
    oauth_077_plain_is_refused_and_so_is_a_challenge_without_method,
    oauth_078_a_challenge_is_43_characters_of_base64url,
);

async fn oauth_001_get_with_or_without_slash_and_no_other_method() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let asking = door.asking(&[]);
    assert_page(&visitor.get(&asking).await, 200);
    assert_page(&visitor.get(&asking.replace("authorize/?", "authorize?")).await, 200);
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = visitor.request(method, &asking).await;
        assert_page(&answer, 405);
        assert_eq!(answer.header("allow"), "GET,HEAD");
    }
}

async fn oauth_002_arriving_writes_nothing() {
    let door = Door::open().await;
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    for method in [Method::HEAD, Method::GET, Method::GET] {
        let answer = owner.request(method.clone(), &door.asking(&[])).await;
        assert_page(&answer, 200);
        assert_eq!(answer.text.is_empty(), method == Method::HEAD);
    }
    for table in ["grants", "authorization_codes"] {
        assert_eq!(door.gate.count(table), 0, "{table}");
    }
    assert_eq!(door.gate.count("sessions"), 1, "only the one that was there");
}

async fn oauth_003_empty_is_absent_and_unknown_is_ignored() {
    let door = Door::open().await;
    let sent = door.told(&[("state", Some("")), ("response_type", Some("")), ("colour", Some("red"))]).await;
    assert_eq!((sent.error(), sent.get("state")), ("invalid_request", None));
    assert_page(&Visitor::new(&door.gate).get(&door.asking(&[("colour", Some("red"))])).await, 200);
}

async fn oauth_004_a_repeated_parameter_is_refused() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    for name in ["response_type", "state", "scope", "colour"] {
        let mut params = door.good();
        params.retain(|(known, _)| *known != name);
        params.extend([(name, "code"), (name, "code")]);
        let sent = SentBack::read(&visitor.get(&path(&params)).await);
        assert_eq!(sent.error(), "invalid_request", "{name}");
        assert_eq!(sent.get("state"), (name != "state").then_some("s-1"), "{name}");
    }
    for (name, value) in [("client_id", door.partner.partner.client_id.as_str()), ("redirect_uri", CALLBACK)] {
        let mut params = door.good();
        params.push((name, value));
        assert_page(&visitor.get(&path(&params)).await, 400);
    }
}

async fn oauth_005_an_unknown_client_is_never_redirected() {
    let door = Door::open().await;
    let other = door.gate.partner("cinc").await;
    let mut visitor = Visitor::new(&door.gate);
    for client_id in [None, Some(""), Some("nobody"), Some(other.partner.client_id.as_str())] {
        assert_page(&visitor.get(&door.asking(&[("client_id", client_id)])).await, 400);
    }
    for partner in ["nobody", "Piesync", "pie%00sync", "pie%ffsync"] {
        let asking = door.asking(&[]).replace("/piesync/", &format!("/{partner}/"));
        assert_page(&visitor.get(&asking).await, 404);
    }
    door.gate.store.remove_partner(&door.partner.partner.slug, door.gate.now()).await.unwrap();
    assert_page(&visitor.get(&door.asking(&[])).await, 404);
}

async fn oauth_006_an_unregistered_redirect_uri_is_never_followed() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    for uri in [None, Some(""), Some("https://evil.example/callback"), Some("javascript:alert(1)"), Some("//evil")] {
        assert_page(&visitor.get(&door.asking(&[("redirect_uri", uri)])).await, 400);
    }
}

async fn oauth_007_redirect_uris_are_compared_byte_for_byte() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    for near in [
        "https://piesync.example/callback/",
        "https://piesync.example/callback?",
        "https://piesync.example/callback?x=1",
        "https://piesync.example/callback#x",
        "https://piesync.example:443/callback",
        "https://PIESYNC.example/callback",
        "HTTPS://piesync.example/callback",
        "https://piesync.example/Callback",
        "https://piesync.example/%63allback",
        "https://piesync.example/x/../callback",
        "https://piesync.example//callback",
        "https://piesync.example./callback",
        "https://piesync.example@evil.example/callback",
        "http://piesync.example/callback",
        " https://piesync.example/callback",
    ] {
        assert_page(&visitor.get(&door.asking(&[("redirect_uri", Some(near))])).await, 400);
    }
}

async fn oauth_008_loopback_ports_are_exact_too() {
    let door = Door::open().await;
    let local = door.gate.partner_with("local", &["http://127.0.0.1:9000/cb"], true).await;
    let asking = |uri| {
        let client_id = local.partner.client_id.as_str();
        let changes = [("client_id", Some(client_id)), ("redirect_uri", Some(uri))];
        door.asking(&changes).replace("/piesync/", "/local/")
    };
    let mut visitor = Visitor::new(&door.gate);
    assert_page(&visitor.get(&asking("http://127.0.0.1:9000/cb")).await, 200);
    assert_page(&visitor.get(&asking("http://127.0.0.1:9001/cb")).await, 400);
    assert_page(&visitor.get(&asking("http://localhost:9000/cb")).await, 400);
}

async fn oauth_009_a_fragment_is_neither_registered_nor_asked_for() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    for fragment in ["#", "#x", "?x=1#y"] {
        let uri = format!("{CALLBACK}{fragment}");
        assert!(uri.parse::<RedirectUri>().is_err(), "{uri}");
        assert_page(&visitor.get(&door.asking(&[("redirect_uri", Some(&uri))])).await, 400);
    }
}

async fn oauth_011_only_response_type_code() {
    let door = Door::open().await;
    assert_eq!(door.told(&[("response_type", None)]).await.error(), "invalid_request");
    for wrong in ["token", "CODE", "code token", "id_token"] {
        assert_eq!(door.told(&[("response_type", Some(wrong))]).await.error(), "unsupported_response_type");
    }
}

async fn oauth_012_scopes_come_in_any_order_and_only_known_ones() {
    let door = Door::open().await;
    let both = "leadrouter:connect leadrouter:send";
    for (asked, granted) in [
        (None, both),
        (Some(both), both),
        (Some("leadrouter:send leadrouter:connect leadrouter:send"), both),
        (Some("leadrouter:send"), "leadrouter:send"),
    ] {
        let code = door.code_for(&[("scope", asked)]).await;
        assert_eq!(door.redeem(&code).await.json()["scope"], granted, "{asked:?}");
    }
    for wrong in ["openid", "leadrouter:Connect", "leadrouter:connect,leadrouter:send", " ", "leadrouter:send openid"] {
        assert_eq!(door.told(&[("scope", Some(wrong))]).await.error(), "invalid_scope", "{wrong}");
    }
}

async fn oauth_018_descriptions_are_plain_and_repeat_nothing() {
    let door = Door::open().await;
    let attack = "\"<script>\u{7f}é";
    for name in ["response_type", "scope", "code_challenge", "code_challenge_method"] {
        let sent = door.told(&[(name, Some(attack))]).await;
        let description = sent.get("error_description").unwrap();
        let plain = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(description.bytes().all(plain) && !description.contains("script"), "{description}");
    }
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    let denied = SentBack::read(&owner.deny(&consent).await);
    assert_eq!(denied.get("error_description"), Some("the user did not approve"));
}

async fn oauth_019_a_database_that_is_down_is_told_without_internals() {
    let door = Door::open().await;
    door.gate.store.close().await;
    let answer = Visitor::new(&door.gate).get(&door.asking(&[])).await;
    assert_page(&answer, 503);
    assert_eq!(answer.header("retry-after"), "5");
    assert!(!answer.text.contains("database") && !answer.text.contains("sqlite"), "{}", answer.text);
}

async fn oauth_019_a_fault_after_the_proof_is_told_to_the_partner() {
    let door = Door::open().await;
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    door.gate.sql("DROP TABLE authorization_codes");
    let approved = SentBack::read(&owner.approve(&consent).await);
    door.gate.sql("DROP TABLE sessions");
    let arrived = SentBack::read(&owner.get(&door.asking(&[])).await);
    for sent in [approved, arrived] {
        assert_eq!((sent.error(), sent.get("state")), ("server_error", Some("s-1")));
        assert_eq!(sent.get("iss"), Some(door.gate.url("/piesync").as_str()));
        assert_eq!(sent.get("error_description"), Some("something went wrong here"));
    }
}

async fn oauth_020_no_fault_sends_anybody_to_an_unproven_address() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let evil = ("redirect_uri", Some("https://evil.example/callback"));
    let faults = [
        ("response_type", Some("token")),
        ("response_type", None),
        ("scope", Some("x")),
        ("code_challenge", Some("x")),
        ("code_challenge_method", Some("plain")),
        ("state", Some("https://evil.example/")),
    ];
    for fault in faults {
        assert_page(&visitor.get(&door.asking(&[evil, fault])).await, 400);
        assert_page(&visitor.get(&door.asking(&[("client_id", Some("nobody")), fault])).await, 400);
    }
    let repeated = format!("{}&state=s-2", door.asking(&[evil]));
    assert_page(&visitor.get(&repeated).await, 400);
}

async fn oauth_021_extensions_are_ignored() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    for name in ["request", "request_uri", "response_mode", "prompt", "id_token_hint", "max_age"] {
        assert_page(&visitor.get(&door.asking(&[(name, Some("none"))])).await, 200);
    }
}

async fn oauth_023_broken_and_huge_queries_get_a_page() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    for broken in ["%", "%4", "%zz", "%00", "%ff", "%ed%a0%80"] {
        assert_page(&visitor.get(&format!("{}&x={broken}", door.asking(&[]))).await, 400);
        assert_page(&visitor.get(&format!("{}&{broken}=1", door.asking(&[]))).await, 400);
    }
    assert_page(&visitor.get(&format!("{}&x={}", door.asking(&[]), "x".repeat(20_000))).await, 413);
    let head = format!("GET {}&x={} HTTP/1.1\r\nhost: x\r\n\r\n", door.asking(&[]), "x".repeat(200_000));
    // The whole head is too long; the server does not read on to see which part of it.
    assert_eq!(status_of(&door, &head).await, "HTTP/1.1 431");
}

async fn oauth_023_so_do_broken_and_huge_forms() {
    let door = Door::open().await;
    for step in ["login", "logout", "cancel", "site", "decision"] {
        let send = |content_type: &'static str, body: String| {
            let request = door.gate.post(&format!("/piesync/oauth/authorize/{step}/"));
            answer(request.header("content-type", content_type).body(body))
        };
        let form = "application/x-www-form-urlencoded";
        for broken in ["flow=%", "flow=%zz", "flow=%00", "flow=%ff", "flow=x&flow=x", "", "flow=", "\0"] {
            assert_page(&send(form, broken.into()).await, 400);
        }
        assert_page(&send(form, "x".repeat(200_000)).await, 413);
        assert_page(&send("application/json", "{}".into()).await, 400);
        assert_page(&send(form, "flow=AAAA&csrf_token=x".into()).await, 403);
    }
}

/// Sends what the tests' HTTP client would not.
async fn status_of(door: &Door, head: &str) -> String {
    let mut stream = TcpStream::connect(door.gate.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    String::from_utf8(status.into()).unwrap()
}

async fn oauth_077_plain_is_refused_and_so_is_a_challenge_without_method() {
    let door = Door::open().await;
    for method in [None, Some("plain"), Some("s256")] {
        let changes = [("code_challenge", Some(CHALLENGE)), ("code_challenge_method", method)];
        assert_eq!(door.told(&changes).await.error(), "invalid_request", "{method:?}");
    }
    assert_eq!(door.told(&[("code_challenge_method", Some("S256"))]).await.error(), "invalid_request");
}

async fn oauth_078_a_challenge_is_43_characters_of_base64url() {
    let door = Door::open().await;
    for wrong in [&CHALLENGE[1..], &format!("{CHALLENGE}="), &CHALLENGE.replace('-', "+")] {
        let changes = [("code_challenge", Some(wrong)), ("code_challenge_method", Some("S256"))];
        assert_eq!(door.told(&changes).await.error(), "invalid_request", "{wrong}");
    }
}
