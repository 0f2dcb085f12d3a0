//! The token endpoint, whatever the grant (checklist 44 to 57).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::door::{CALLBACK, Door, assert_refused, pair};
use crate::harness::{answer, on_every_engine};

on_every_engine!(
    oauth_044_post_only_with_or_without_slash,
    oauth_045_forms_only,
    oauth_046_the_query_never_counts,
    oauth_047_a_repeated_parameter_is_refused_even_if_equal,
    oauth_048_empty_is_absent_and_unknown_is_ignored,
    oauth_049_bodies_are_read_strictly,
    oauth_049_a_body_may_come_in_chunks,
    oauth_050_grant_types,
    oauth_051_the_client_is_judged_first,
    oauth_052_errors_are_json_with_a_listed_code,
    oauth_053_no_answer_may_be_kept,
    oauth_054_a_success_is_as_documented,
    oauth_055_tokens_are_long_and_of_the_b64token_alphabet,
    oauth_055_tokens_and_codes_are_stored_hashed,
    oauth_056_every_success_names_the_site,
    oauth_057_no_password_and_no_implicit_grant,
);

async fn oauth_044_post_only_with_or_without_slash() {
    let door = Door::open().await;
    for path in ["/piesync/oauth/token/", "/piesync/oauth/token"] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = answer(door.gate.request(method, path)).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        let answer = answer(door.gate.post(path)).await;
        assert_refused(&answer, 400, "invalid_request");
    }
}

async fn oauth_045_forms_only() {
    let door = Door::open().await;
    let code = door.code().await;
    let body = format!("grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}");
    let with = |content_type: &'static str| {
        let request = door.as_partner(door.gate.post("/piesync/oauth/token/")).body(body.clone());
        answer(request.header("content-type", content_type))
    };
    for wrong in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
        assert_refused(&with(wrong).await, 400, "invalid_request");
    }
    let none = answer(door.as_partner(door.gate.post("/piesync/oauth/token/")).body(body.clone())).await;
    assert_refused(&none, 400, "invalid_request");
    assert_eq!(with("APPLICATION/x-www-form-urlencoded; charset=utf-8").await.status, 200);
}

async fn oauth_046_the_query_never_counts() {
    let door = Door::open().await;
    let code = door.code().await;
    let secret = &door.partner.secret;
    let query = format!(
        "grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}&client_id={}&client_secret={secret}",
        door.partner.partner.client_id.as_str()
    );
    let request = |path: &str| door.gate.post(path).header("content-type", "application/x-www-form-urlencoded");
    let path = format!("/piesync/oauth/token/?{query}");
    assert_refused(&answer(request(&path)).await, 401, "invalid_client");
    assert_refused(&answer(door.as_partner(request(&path))).await, 400, "invalid_request");
    assert_eq!(door.redeem(&code).await.status, 200);
}

async fn oauth_047_a_repeated_parameter_is_refused_even_if_equal() {
    let door = Door::open().await;
    let code = door.code().await;
    for twice in ["grant_type", "code", "redirect_uri", "colour"] {
        let good =
            [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK), ("colour", "red")];
        let again = good.iter().find(|(name, _)| *name == twice).copied();
        let form: Vec<_> = good.into_iter().chain(again).collect();
        assert_refused(&door.token(&form).await, 400, "invalid_request");
    }
    assert_eq!(door.redeem(&code).await.status, 200);
}

async fn oauth_048_empty_is_absent_and_unknown_is_ignored() {
    let door = Door::open().await;
    let code = door.code().await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", ""),
        ("client_secret", ""),
        ("colour", "red"),
    ];
    assert_eq!(door.token(&form).await.status, 200);
    assert_refused(&door.token(&[("grant_type", "")]).await, 400, "invalid_request");
}

async fn oauth_049_bodies_are_read_strictly() {
    let door = Door::open().await;
    let code = door.code().await;
    let send = |body: String| {
        let request = door.as_partner(door.gate.post("/piesync/oauth/token/"));
        answer(request.header("content-type", "application/x-www-form-urlencoded").body(body))
    };
    for broken in ["%", "%zz", "%00", "%ff"] {
        let answer = send(format!("grant_type=authorization_code&code={broken}")).await;
        assert_refused(&answer, 400, "invalid_request");
    }
    assert_refused(&send("x".repeat(64 * 1024 + 1)).await, 413, "invalid_request");
    let percent: String = CALLBACK.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let spelt = format!("grant%5ftype=authorization%5Fcode&code={code}&redirect_uri={percent}");
    assert_eq!(send(spelt).await.status, 200);
}

async fn oauth_049_a_body_may_come_in_chunks() {
    let door = Door::open().await;
    let code = door.code().await;
    let basic = STANDARD.encode(format!("{}:{}", door.partner.partner.client_id.as_str(), door.partner.secret));
    let body = format!("grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}");
    let (first, second) = body.split_at(20);
    let request = format!(
        "POST /piesync/oauth/token/ HTTP/1.1\r\nhost: x\r\nauthorization: Basic {basic}\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len(),
    );
    let mut stream = TcpStream::connect(door.gate.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

async fn oauth_050_grant_types() {
    let door = Door::open().await;
    assert_refused(&door.token(&[("code", "x")]).await, 400, "invalid_request");
    for unknown in ["password", "client_credentials", "Authorization_code", "implicit"] {
        assert_refused(&door.token(&[("grant_type", unknown)]).await, 400, "unsupported_grant_type");
    }
}

async fn oauth_051_the_client_is_judged_first() {
    let door = Door::open().await;
    for form in [&[("grant_type", "x")][..], &[], &[("grant_type", "authorization_code"), ("code", "x")]] {
        let request = door.token_request(form).basic_auth(door.partner.partner.client_id.as_str(), Some("wrong"));
        assert_refused(&answer(request).await, 401, "invalid_client");
    }
}

async fn oauth_052_errors_are_json_with_a_listed_code() {
    let door = Door::open().await;
    let faults: [(&[(&str, &str)], &str); 6] = [
        (&[], "invalid_request"),
        (&[("grant_type", "x")], "unsupported_grant_type"),
        (&[("grant_type", "authorization_code")], "invalid_request"),
        (&[("grant_type", "authorization_code"), ("code", "\"<x>")], "invalid_grant"),
        (&[("grant_type", "refresh_token"), ("refresh_token", "\"<x>")], "invalid_grant"),
        (&[("grant_type", "refresh_token"), ("refresh_token", "x"), ("scope", "\"<x>")], "invalid_scope"),
    ];
    for (form, error) in faults {
        let refused = door.token(form).await;
        assert_refused(&refused, 400, error);
        let json = refused.json();
        let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["error", "error_description"]);
        assert!(!refused.text.contains('<'), "{}", refused.text);
    }
}

async fn oauth_053_no_answer_may_be_kept() {
    let door = Door::open().await;
    let code = door.code().await;
    let path = "/piesync/oauth/token/";
    let success = door.redeem(&code).await;
    let refused = door.redeem(&code).await;
    let stranger = answer(door.token_request(&[("grant_type", "refresh_token")])).await;
    let get = answer(door.gate.get(path)).await;
    let long = door.token(&[("grant_type", &"x".repeat(70_000))]).await;
    let nobody = answer(door.gate.post("/nobody/oauth/token/")).await;
    for (answer, status) in [(success, 200), (refused, 400), (stranger, 401), (get, 405), (long, 413), (nobody, 400)] {
        let kept = (answer.header("cache-control"), answer.header("pragma"));
        assert_eq!((answer.status, kept), (status, ("no-store", "no-cache")));
    }
}

async fn oauth_054_a_success_is_as_documented() {
    let door = Door::open().await;
    let redeemed = door.redeem(&door.code().await).await;
    let refreshed = door.refresh(&pair(&redeemed).1).await;
    for answer in [redeemed, refreshed] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/json");
        let json = answer.json();
        let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let documented =
            ["access_token", "token_type", "expires_in", "refresh_token", "scope", "site_uuid", "site_domain"];
        assert_eq!(names, documented);
        assert_eq!((&json["token_type"], &json["expires_in"]), (&"Bearer".into(), &3600.into()));
        assert_eq!(json["scope"], "leadrouter:connect leadrouter:send");
        assert!(json.as_object().unwrap().values().all(|value| !value.is_null()));
    }
}

async fn oauth_055_tokens_are_long_and_of_the_b64token_alphabet() {
    let door = Door::open().await;
    let (access, refresh) = door.tokens().await;
    for token in [&access, &refresh] {
        assert!(token.len() >= 64 && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{token}");
    }
    assert!(door.opens(&access).await);
    door.gate.clock.advance(std::time::Duration::from_secs(3600));
    assert!(!door.opens(&access).await);
}

async fn oauth_055_tokens_and_codes_are_stored_hashed() {
    let door = Door::open().await;
    let unused = door.code().await;
    let code = door.code().await;
    let (access, refresh) = pair(&door.redeem(&code).await);
    let secret = door.partner.secret.clone();
    let (data, _) = door.gate.stop().await;
    assert!(data.holds("www.site.com"));
    for kept in [unused, code, access, refresh, secret] {
        assert!(!data.holds(&kept) && !data.holds(&kept[4..]));
    }
}

async fn oauth_056_every_success_names_the_site() {
    let door = Door::open().await;
    let redeemed = door.redeem(&door.code().await).await;
    let refreshed = door.refresh(&pair(&redeemed).1).await;
    for answer in [redeemed, refreshed] {
        let json = answer.json();
        assert_eq!(json["site_uuid"], door.site.id.to_string());
        assert_eq!(json["site_domain"], "www.site.com");
    }
}

async fn oauth_057_no_password_and_no_implicit_grant() {
    let door = Door::open().await;
    let form = [("grant_type", "password"), ("username", "kim@example.com"), ("password", crate::harness::PASSWORD)];
    assert_refused(&door.token(&form).await, 400, "unsupported_grant_type");
    assert_refused(&door.token(&[("grant_type", "client_credentials")]).await, 400, "unsupported_grant_type");
    for implicit in ["token", "code token"] {
        let sent = door.told(&[("response_type", Some(implicit))]).await;
        assert_eq!(sent.error(), "unsupported_response_type");
        assert_eq!(sent.get("access_token"), None);
    }
}
