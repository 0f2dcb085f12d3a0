//! Bad input gets a clear error and changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Cast, Gate, JsonBody, answer, on_every_engine};

on_every_engine!(
    bodies_that_are_not_json_objects_are_400,
    a_body_of_more_than_one_mebibyte_is_413_whether_or_not_it_says_how_long_it_is,
    wrong_types_and_values_are_422_and_all_reported_at_once,
    a_new_lead_needs_a_source_and_a_handle,
    names_in_any_script_and_odd_unicode_are_kept,
    a_lead_cannot_shadow_what_the_gateway_itself_writes,
    a_bad_update_changes_nothing,
    a_lead_does_not_grow_without_end,
    a_lead_has_at_most_ten_thousand_activities,
    paths_that_are_not_utf_8_name_nothing,
);

async fn post_raw(gate: &Gate, cast: &Cast, body: impl Into<reqwest::Body>) -> Answer {
    let (username, password) = &cast.source;
    answer(gate.post(&cast.rest("/leads")).basic_auth(username, Some(password)).body(body)).await
}

async fn post(gate: &Gate, cast: &Cast, body: Value) -> Answer {
    post_raw(gate, cast, body.to_string()).await
}

fn leads(gate: &Gate) -> i64 {
    gate.count("leads")
}

async fn bodies_that_are_not_json_objects_are_400() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let deep = format!("{{\"source\":\"x\",\"phone\":\"1\",\"deep\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let bodies: Vec<Vec<u8>> = vec![
        b"".into(),
        b"not json".into(),
        b"[]".into(),
        b"\"text\"".into(),
        b"{\"source\": \"x\",}".into(),
        b"{\"source\": \"\xff\xfe\"}".into(),
        b"{\"source\": \"\\ud800\"}".into(),
        b"{\"source\": 1e9999999999999999999x}".into(),
        b"{} {}".into(),
        deep.into(),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let refused = post_raw(&gate, &cast, body).await;
        assert_eq!((refused.status, refused.text.as_str()), (400, r#"{"error": "Invalid JSON body"}"#), "{shown}");
    }
    assert_eq!(leads(&gate), 0);
}

async fn a_body_of_more_than_one_mebibyte_is_413_whether_or_not_it_says_how_long_it_is() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let body = json!({"source": "x", "phone": "1", "notes": "n".repeat(1024 * 1024)}).to_string();
    let chunks =
        body.clone().into_bytes().chunks(1000).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect::<Vec<_>>();
    let streamed = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    for refused in [post_raw(&gate, &cast, body).await, post_raw(&gate, &cast, streamed).await] {
        assert_eq!((refused.status, refused.text.as_str()), (413, r#"{"error": "Request body too large"}"#));
    }
    assert_eq!(leads(&gate), 0);
}

async fn wrong_types_and_values_are_422_and_all_reported_at_once() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let refused = post(
        &gate,
        &cast,
        json!({
            "id": "nonsense", "source": 7, "email": ["a@b.c"], "phone": 5551234, "role": "Landlord", "urgency": "hot",
            "status": {}, "tags": "a,b", "created": "yesterday", "notes": "nul \u{0}", "own": {"deep": ["\u{0}"]},
            "activities": [{"type": "visit", "source": "", "created": 5}, "text"],
        }),
    )
    .await;
    assert_eq!(refused.status, 422);
    let expected = json!({"error": "Invalid fields", "fields": {
        "id": ["Not a valid UUID."],
        "activities.0.source": ["This field cannot be blank."],
        "activities.0.description": ["This field cannot be blank."],
        "activities.0.created": ["Not a valid string."],
        "activities.1": ["Not a valid object."],
        "source": ["Not a valid string."],
        "email": ["Not a valid string."],
        "phone": ["Not a valid string."],
        "role": ["Not a valid choice."],
        "urgency": ["Not a valid choice."],
        "status": ["Not a valid string."],
        "tags": ["Not a valid list."],
        "created": ["Not a valid datetime."],
        "notes": ["Null characters are not allowed."],
        "own": ["Null characters are not allowed."],
    }});
    assert_eq!(refused.json(), expected);
    assert_eq!(leads(&gate), 0);
}

async fn a_new_lead_needs_a_source_and_a_handle() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let blank = json!({"source": ["This field cannot be blank."]});
    let one_of = json!({"non_field_errors": ["At least one of name, e-mail, phone or address is required."]});
    for (body, fields) in [
        (json!({"email": "a@b.c"}), blank.clone()),
        (json!({"email": "a@b.c", "source": " "}), blank),
        (json!({"source": "x"}), one_of.clone()),
        (json!({"source": "x", "email": "", "notes": "who?"}), one_of),
    ] {
        let refused = post(&gate, &cast, body.clone()).await;
        assert_eq!((refused.status, &refused.json()["fields"]), (422, &fields), "{body}");
    }
    assert_eq!(leads(&gate), 0);
}

async fn names_in_any_script_and_odd_unicode_are_kept() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let (username, password) = &cast.source;
    for name in [
        "Łukasz Żółć",
        "山田太郎",
        "محمد",
        "👩‍👩‍👧‍👦",
        "e\u{301}",
        "'; DROP TABLE leads;--",
        "<script>",
        "\u{202e}x",
        "\u{feff}y",
    ] {
        let created = post(&gate, &cast, json!({"source": "x", "first_name": name})).await;
        assert_eq!(created.status, 201, "{name}");
        let shown = answer(gate.get(created.header("location")).basic_auth(username, Some(password))).await;
        assert_eq!(shown.json()["first_name"], name);
    }
}

async fn a_lead_cannot_shadow_what_the_gateway_itself_writes() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let body = json!({"source": "x", "phone": "1", "action": "deleted", "site_uuid": "mine", "source_system": "me"});
    let created = post(&gate, &cast, body).await;
    let (username, password) = &cast.source;
    let shown = answer(gate.get(created.header("location")).basic_auth(username, Some(password))).await.json();
    assert_eq!(
        shown.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["id", "source", "phone", "created", "activities"]
    );
}

async fn a_bad_update_changes_nothing() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let created = post(&gate, &cast, json!({"source": "x", "phone": "1"})).await;
    let (username, password) = &cast.source;
    let patch = |path: String, body: Value| {
        answer(gate.request(Method::PATCH, &path).basic_auth(username, Some(password)).json_body(&body))
    };
    let location = created.header("location").to_owned();
    for (path, body) in [
        (location.clone(), json!({"city": "Kailua", "role": 1})),
        (format!("/v2{location}"), json!({"city": "Kailua", "source": ""})),
        (format!("/v2{location}"), json!({"city": "Kailua", "created": null})),
        (location.clone(), json!({"city": "Kailua", "activities": [{}]})),
    ] {
        assert_eq!(patch(path, body).await.status, 422);
    }
    assert_eq!(patch(location.clone(), json!([])).await.status, 400);
    let shown = answer(gate.get(&location).basic_auth(username, Some(password))).await.json();
    assert_eq!(shown.get("city"), None);
}

async fn a_lead_does_not_grow_without_end() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let created = post(&gate, &cast, json!({"source": "x", "phone": "1", "a": "a".repeat(700_000)})).await;
    let location = created.header("location").to_owned();
    let (username, password) = &cast.source;
    let big = json!({"city": "Kailua", "b": "b".repeat(700_000)});
    let refused =
        answer(gate.request(Method::PATCH, &location).basic_auth(username, Some(password)).json_body(&big)).await;
    let fields = json!({"non_field_errors": ["The lead would be too large."]});
    assert_eq!((refused.status, &refused.json()["fields"]), (422, &fields));
    let shown = answer(gate.get(&location).basic_auth(username, Some(password))).await.json();
    assert_eq!((shown.get("b"), shown.get("city")), (None, None));
}

async fn a_lead_has_at_most_ten_thousand_activities() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let created = post(&gate, &cast, json!({"source": "x", "phone": "1"})).await;
    let path = format!("{}/activities", created.header("location"));
    let (username, password) = &cast.source;
    let add = |from: usize, count: usize| {
        let activities =
            (from..from + count).map(|n| json!({"type": "t", "source": "s", "description": n.to_string()}));
        let activities: Value = activities.collect();
        answer(gate.post(&path).basic_auth(username, Some(password)).json_body(&activities))
    };
    assert_eq!(add(0, 10_000).await.status, 201);
    assert_eq!(add(10_000, 1).await.status, 422);
    assert_eq!(gate.count("activities"), 10_000);
}

async fn paths_that_are_not_utf_8_name_nothing() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    for path in ["/rest/sites/%ff/users", "/%ff/subscription/x/", "/piesync/subscription/%ff/", "/%ff"] {
        let refused = answer(gate.get(path).bearer_auth(&cast.token)).await;
        assert_eq!((refused.status, refused.text.as_str()), (404, r#"{"error": "Not found"}"#), "{path}");
    }
}
