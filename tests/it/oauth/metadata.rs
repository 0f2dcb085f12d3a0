//! Metadata (checklist 115 to 117, and what others advertise through it: 14, 66, 76).

use leadgate::config::PublicUrl;
use reqwest::Method;
use serde_json::json;

use super::door::Door;
use super::visitor::{SentBack, Visitor};
use crate::harness::{Gate, answer, on_every_engine};

on_every_engine!(
    oauth_066_metadata_tells_how_to_authenticate,
    oauth_076_s256_is_advertised,
    oauth_115_metadata_lies_before_the_issuers_path,
    oauth_115_the_issuer_is_that_of_the_answers,
    oauth_115_an_unknown_partner_has_none,
    oauth_116_only_what_is_true,
    oauth_117_the_issuer_comes_from_the_settings,
);

const PATH: &str = "/.well-known/oauth-authorization-server/piesync";

async fn oauth_066_metadata_tells_how_to_authenticate() {
    let door = Door::open().await;
    let metadata = answer(door.gate.get(PATH)).await.json();
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = &metadata[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert_eq!(*methods, json!(["client_secret_basic"]), "{endpoint}");
    }
}

async fn oauth_076_s256_is_advertised() {
    let door = Door::open().await;
    assert_eq!(answer(door.gate.get(PATH)).await.json()["code_challenge_methods_supported"], json!(["S256"]));
}

async fn oauth_115_metadata_lies_before_the_issuers_path() {
    let door = Door::open().await;
    for path in [PATH.to_owned(), format!("{PATH}/")] {
        let shown = answer(door.gate.get(&path)).await;
        assert_eq!((shown.status, shown.header("content-type")), (200, "application/json"));
        assert_eq!(shown.json()["issuer"], door.gate.url("/piesync"));
        assert_eq!(answer(door.gate.request(Method::HEAD, &path)).await.status, 200);
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let other = answer(door.gate.request(method, &path)).await;
            assert_eq!((other.status, other.header("allow")), (405, "GET,HEAD"));
        }
    }
}

async fn oauth_115_the_issuer_is_that_of_the_answers() {
    let door = Door::open().await;
    let metadata = answer(door.gate.get(PATH)).await.json();
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    let sent = SentBack::read(&owner.approve(&consent).await);
    assert_eq!(sent.get("iss"), metadata["issuer"].as_str());
    let (access, _) = super::door::pair(&door.redeem(sent.code()).await);
    assert_eq!(door.introspect(&access).await["iss"], metadata["issuer"]);
}

async fn oauth_115_an_unknown_partner_has_none() {
    let door = Door::open().await;
    let folder = "/.well-known/oauth-authorization-server";
    for path in [folder.to_owned(), format!("{folder}/"), format!("{folder}/nobody"), format!("{folder}/%ff")] {
        let none = answer(door.gate.get(&path)).await;
        assert_eq!((none.status, none.text.as_str()), (404, r#"{"error": "Not found"}"#), "{path}");
    }
    door.gate.store.remove_partner(&door.partner.partner.slug, door.gate.now()).await.unwrap();
    assert_eq!(answer(door.gate.get(PATH)).await.status, 404);
}

async fn oauth_116_only_what_is_true() {
    let door = Door::open().await;
    let issuer = door.gate.url("/piesync");
    let metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize/"),
        "token_endpoint": format!("{issuer}/oauth/token/"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke/"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect/"),
        "scopes_supported": ["leadrouter:connect", "leadrouter:send"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    assert_eq!(answer(door.gate.get(PATH)).await.json(), metadata);
    for (name, method, status) in [
        ("authorization_endpoint", Method::GET, 400),
        ("token_endpoint", Method::POST, 400),
        ("revocation_endpoint", Method::POST, 400),
        ("introspection_endpoint", Method::POST, 400),
    ] {
        let there = answer(door.gate.http.request(method, metadata[name].as_str().unwrap())).await;
        assert_eq!(there.status, status, "{name}");
    }
}

async fn oauth_117_the_issuer_comes_from_the_settings() {
    let public_url = PublicUrl::parse("https://leads.example").unwrap();
    let gate = Gate::start_with(|settings| settings.public_url = public_url).await;
    gate.partner("piesync").await;
    let forged = gate
        .get(PATH)
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "http")
        .header("forwarded", "host=evil.example;proto=http");
    let shown = answer(forged).await;
    assert_eq!(shown.json()["issuer"], "https://leads.example/piesync");
    assert!(!shown.text.contains("evil"), "{}", shown.text);
}
