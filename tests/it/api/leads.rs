//! The Incoming Leads API: every row of the table in `docs/api.md`, section 4.

use leadgate::model::Scopes;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Cast, Gate, JsonBody, answer, on_every_engine};

on_every_engine!(
    post_creates_a_lead_and_says_where_it_is,
    a_partners_token_sends_leads_to_its_own_site_alone,
    oauth_094_a_token_for_connecting_alone_may_not_send,
    unknown_keys_and_big_numbers_are_kept_as_they_came,
    the_same_post_again_changes_nothing,
    an_email_that_the_site_knows_updates_its_lead_and_the_given_id_becomes_an_alias,
    an_email_known_on_another_site_is_a_new_lead_here,
    concurrent_posts_of_one_email_end_as_one_lead,
    patch_leaves_empty_fields_alone_and_v2_unsets_them,
    activities_are_added_once,
    potential_sellers_have_an_endpoint_of_their_own,
    users_are_the_people_of_the_site,
    unknown_sites_and_leads_are_404,
    a_lead_of_one_site_is_unknown_on_another,
    other_methods_are_405_with_allow,
);

async fn call(gate: &Gate, cast: &Cast, method: Method, path: &str, body: &Value) -> Answer {
    let (username, password) = &cast.source;
    answer(gate.request(method, path).basic_auth(username, Some(password)).json_body(body)).await
}

async fn post(gate: &Gate, cast: &Cast, body: Value) -> Answer {
    call(gate, cast, Method::POST, &cast.rest("/leads"), &body).await
}

async fn lead_at(gate: &Gate, cast: &Cast, location: &str) -> Value {
    let shown = call(gate, cast, Method::GET, location, &Value::Null).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    shown.json()
}

fn ann() -> Value {
    json!({"source": "Zillow", "first_name": "Ann", "email": "Ann@Example.com"})
}

/// What an answer to a change must look like; returns the lead's location.
fn changed(answer: &Answer, status: u16, result: &str) -> String {
    assert_eq!((answer.status, answer.text.as_str()), (status, "{}"));
    assert_eq!(answer.header("x-leadgate-result"), result);
    answer.header("location").to_owned()
}

async fn post_creates_a_lead_and_says_where_it_is() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let id = "a27c20af-4497-415d-9e4e-7334dd1d40d2";
    let mut body = ann();
    body["id"] = id.into();
    body["tags"] = json!(["hot", "île"]);
    let location = changed(&post(&gate, &cast, body).await, 201, "created");
    assert_eq!(location, cast.rest("/leads/a27c20af4497415d9e4e7334dd1d40d2"));
    let lead = lead_at(&gate, &cast, &location).await;
    let expected = json!({
        "id": "a27c20af4497415d9e4e7334dd1d40d2", "source": "Zillow", "first_name": "Ann", "email": "Ann@Example.com",
        "tags": ["hot", "île"], "created": "2026-01-02T03:04:05Z", "activities": [],
    });
    assert_eq!(lead, expected);
}

async fn a_partners_token_sends_leads_to_its_own_site_alone() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let send = |site, token: String| {
        answer(gate.post(&format!("/rest/sites/{site}/leads/")).bearer_auth(token).json_body(&ann()))
    };
    changed(&send(cast.site.id, cast.token.clone()).await, 201, "created");
    let other = gate.site("www.other.com", &[]).await;
    let refused = send(other.id, cast.token.clone()).await;
    assert_eq!((refused.status, refused.text.as_str()), (404, r#"{"error": "Site not found"}"#));
}

async fn oauth_094_a_token_for_connecting_alone_may_not_send() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let connect = "leadrouter:connect".parse::<Scopes>().unwrap();
    let token = gate.connect(&cast.partner, &cast.owner, &cast.site, connect).await;
    let refused = answer(gate.post(&cast.rest("/leads/")).bearer_auth(token).json_body(&ann())).await;
    let challenge = r#"Bearer realm="leadgate", error="insufficient_scope", scope="leadrouter:send""#;
    assert_eq!((refused.status, refused.header("www-authenticate")), (403, challenge));
}

async fn unknown_keys_and_big_numbers_are_kept_as_they_came() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let body =
        r#"{"source": "x", "phone": "1", "custom": {"b": 1, "a": [1.50, 123456789012345678901234567890, 1e400]}}"#;
    let (username, password) = &cast.source;
    let request = gate.post(&cast.rest("/leads")).basic_auth(username, Some(password)).body(body);
    let location = changed(&answer(request).await, 201, "created");
    let shown = answer(gate.get(&location).basic_auth(username, Some(password))).await;
    let kept = r#""custom": {"b": 1, "a": [1.50, 123456789012345678901234567890, 1e+400]}"#;
    assert!(shown.text.contains(kept) || shown.text.contains(&kept.replace("e+", "e")), "{}", shown.text);
}

async fn the_same_post_again_changes_nothing() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let mut body = ann();
    body["activities"] = json!([{"type": "visit", "source": "web", "description": "Saw 12 Main St"}]);
    let location = changed(&post(&gate, &cast, body.clone()).await, 201, "created");
    assert_eq!(changed(&post(&gate, &cast, body.clone()).await, 201, "unchanged"), location);
    assert_eq!(lead_at(&gate, &cast, &location).await["activities"], body["activities"]);
}

async fn an_email_that_the_site_knows_updates_its_lead_and_the_given_id_becomes_an_alias() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let location = changed(&post(&gate, &cast, ann()).await, 201, "created");
    let alias = "11111111111111111111111111111111";
    let again =
        json!({"id": alias, "source": "Zillow", "email": "ann@example.COM", "city": "Kailua", "first_name": ""});
    assert_eq!(changed(&post(&gate, &cast, again).await, 201, "updated"), location);
    let through_alias = cast.rest(&format!("/leads/{alias}"));
    let patched = call(&gate, &cast, Method::PATCH, &through_alias, &json!({"zip": "96734"})).await;
    assert_eq!(changed(&patched, 200, "updated"), location);
    let lead = lead_at(&gate, &cast, &through_alias).await;
    assert_eq!((&lead["city"], &lead["zip"], &lead["first_name"]), (&json!("Kailua"), &json!("96734"), &json!("Ann")));
}

async fn an_email_known_on_another_site_is_a_new_lead_here() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let other = gate.site("www.other.com", &[]).await;
    changed(&post(&gate, &cast, ann()).await, 201, "created");
    let there = call(&gate, &cast, Method::POST, &format!("/rest/sites/{}/leads", other.id), &ann()).await;
    changed(&there, 201, "created");
}

async fn concurrent_posts_of_one_email_end_as_one_lead() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let posts = (0..16)
        .map(|n| post(&gate, &cast, json!({"source": "x", "email": "ann@example.com", "notes": format!("note {n}")})));
    let answers = futures_util::future::join_all(posts).await;
    let created = answers.iter().filter(|answer| answer.header("x-leadgate-result") == "created").count();
    assert_eq!(created, 1);
    assert!(answers.iter().all(|answer| answer.header("location") == answers[0].header("location")));
}

async fn patch_leaves_empty_fields_alone_and_v2_unsets_them() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let mut body = ann();
    body["tags"] = json!(["a"]);
    body["x-own"] = json!("kept");
    let location = changed(&post(&gate, &cast, body).await, 201, "created");
    let empty = json!({"first_name": "", "email": null, "tags": [], "x-own": "", "city": ""});
    changed(&call(&gate, &cast, Method::PATCH, &location, &empty).await, 200, "unchanged");
    changed(&call(&gate, &cast, Method::PATCH, &format!("/v2{location}/"), &empty).await, 200, "updated");
    changed(&call(&gate, &cast, Method::PATCH, &format!("/v2{location}"), &empty).await, 200, "unchanged");
    let lead = lead_at(&gate, &cast, &location).await;
    assert_eq!(lead.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "source", "created", "activities"]);
}

async fn activities_are_added_once() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let location = changed(&post(&gate, &cast, ann()).await, 201, "created");
    let activities = json!([
        {"type": "visit", "source": "web", "description": "Saw 12 Main St", "metadata": {"n": 1}},
        {"type": "call", "source": "phone", "description": "Called", "created": "2026-01-01T10:00:00-10:00"},
    ]);
    let path = format!("{location}/activities");
    changed(&call(&gate, &cast, Method::POST, &path, &activities).await, 201, "updated");
    changed(&call(&gate, &cast, Method::POST, &path, &activities).await, 201, "unchanged");
    assert_eq!(lead_at(&gate, &cast, &location).await["activities"], activities);
}

async fn potential_sellers_have_an_endpoint_of_their_own() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let body = json!({"source": "valuation", "address": "12 Main St", "role": "Buyer"});
    let path = cast.rest("/potential-seller-leads");
    let location = changed(&call(&gate, &cast, Method::POST, &path, &body).await, 201, "created");
    assert_eq!(lead_at(&gate, &cast, &location).await["role"], "Potential Seller");
    let refused = post(&gate, &cast, json!({"source": "x", "phone": "1", "role": "Potential Seller"})).await;
    assert_eq!(refused.json()["fields"], json!({"role": ["Not a valid choice."]}));
    // A known buyer who asks for a valuation stays a buyer.
    let buyer = json!({"source": "x", "email": "b@example.com", "role": "Buyer"});
    let location = changed(&post(&gate, &cast, buyer).await, 201, "created");
    let asks = json!({"source": "x", "email": "b@example.com"});
    changed(&call(&gate, &cast, Method::POST, &path, &asks).await, 201, "unchanged");
    assert_eq!(lead_at(&gate, &cast, &location).await["role"], "Buyer");
}

async fn users_are_the_people_of_the_site() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let users = call(&gate, &cast, Method::GET, &cast.rest("/users/"), &Value::Null).await;
    let kim = json!([{"id": cast.owner.id.to_string(), "name": "Kim Owner", "email": "kim@example.com"}]);
    assert_eq!((users.status, users.json()), (200, kim));
}

async fn unknown_sites_and_leads_are_404() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let lead = "a27c20af4497415d9e4e7334dd1d40d2";
    for site in ["aa808177-d2cc-415d-b504-a36abf39ac00", "nonsense"] {
        for (method, path) in [
            (Method::POST, format!("/rest/sites/{site}/leads")),
            (Method::POST, format!("/rest/sites/{site}/potential-seller-leads")),
            (Method::GET, format!("/rest/sites/{site}/users")),
            (Method::GET, format!("/rest/sites/{site}/leads/{lead}")),
            (Method::PATCH, format!("/rest/sites/{site}/leads/{lead}")),
        ] {
            let refused = call(&gate, &cast, method, &path, &ann()).await;
            assert_eq!((refused.status, refused.text.as_str()), (404, r#"{"error": "Site not found"}"#), "{path}");
        }
    }
    for lead in [lead, "nonsense"] {
        for (method, path) in [
            (Method::GET, cast.rest(&format!("/leads/{lead}"))),
            (Method::PATCH, cast.rest(&format!("/leads/{lead}"))),
            (Method::PATCH, format!("/v2{}", cast.rest(&format!("/leads/{lead}")))),
        ] {
            let refused = call(&gate, &cast, method, &path, &json!({"city": "x"})).await;
            assert_eq!((refused.status, refused.text.as_str()), (404, r#"{"error": "Lead not found"}"#), "{path}");
        }
        let path = cast.rest(&format!("/leads/{lead}/activities"));
        let refused = call(&gate, &cast, Method::POST, &path, &json!([])).await;
        assert_eq!((refused.status, refused.text.as_str()), (404, r#"{"error": "Lead not found"}"#), "{path}");
    }
}

async fn a_lead_of_one_site_is_unknown_on_another() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let other = gate.site("www.other.com", &[]).await;
    let location = changed(&post(&gate, &cast, ann()).await, 201, "created");
    let there = location.replace(&cast.site.id.to_string(), &other.id.to_string());
    for method in [Method::GET, Method::PATCH] {
        assert_eq!(call(&gate, &cast, method, &there, &json!({"city": "x"})).await.status, 404);
    }
}

async fn other_methods_are_405_with_allow() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let lead = cast.rest("/leads/a27c20af4497415d9e4e7334dd1d40d2");
    for (method, path, allowed) in [
        (Method::GET, cast.rest("/leads"), "POST"),
        (Method::DELETE, lead.clone(), "GET,HEAD,PATCH"),
        (Method::GET, format!("/v2{lead}"), "PATCH"),
        (Method::GET, format!("{lead}/activities"), "POST"),
        (Method::POST, cast.rest("/users"), "GET,HEAD"),
    ] {
        let refused = call(&gate, &cast, method, &path, &Value::Null).await;
        assert_eq!((refused.status, refused.header("allow")), (405, allowed), "{path}");
    }
}
