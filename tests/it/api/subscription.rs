//! `/{partner}/subscription/{site-uuid}/`: every row of the table in `docs/api.md`, section 3.

use std::sync::{Arc, Mutex};

use leadgate::model::Scopes;
use leadgate::model::subscription::secret_context;
use leadgate::model::{OsEntropy, SubscriptionId};
use leadgate::store::{NewSubscription, Signal};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Cast, Gate, JsonBody, answer, on_every_engine};

on_every_engine!(
    oauth_103_put_creates_and_replaces_and_get_shows_it_to_the_byte,
    put_of_something_that_is_not_a_json_object_is_400,
    put_reports_all_faults_of_its_fields_at_once,
    oauth_103_put_refuses_hosts_that_deliveries_may_not_reach_and_accepts_names_that_do_not_resolve_now,
    oauth_098_a_foreign_site_looks_like_an_unknown_one,
    oauth_103_get_of_none_is_404,
    oauth_098_a_token_opens_no_other_partners_path,
    the_site_is_accepted_in_any_case_and_without_dashes_and_the_path_without_its_slash,
    oauth_103_delete_is_204_also_when_there_was_none,
    several_are_409_until_put_or_delete_mends_them,
    concurrent_puts_never_make_two,
    oauth_103_other_methods_are_405_with_allow,
    a_body_of_more_than_one_mebibyte_is_413,
    a_fault_of_ours_is_500_without_internals,
    the_secret_is_encrypted_at_rest,
    oauth_094_a_token_for_sending_alone_may_not_connect,
    setting_the_same_again_disturbs_nothing_that_is_under_way,
);

const URL: &str = "http://api.piesync.com/v1/realgeeks";

async fn call(gate: &Gate, cast: &Cast, method: Method, body: Option<&str>) -> Answer {
    let mut request = gate.request(method, &cast.subscription()).bearer_auth(&cast.token);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    answer(request).await
}

async fn put(gate: &Gate, cast: &Cast, body: Value) -> Answer {
    call(gate, cast, Method::PUT, Some(&body.to_string())).await
}

/// A second subscription, as old data can hold it.
async fn import_another(gate: &Gate, cast: &Cast, url: &str) {
    let (partner, site) = (cast.partner.partner.id, cast.site.id);
    let keys = &gate.gateway().keys;
    let another = NewSubscription {
        id: SubscriptionId::random(&OsEntropy),
        site,
        partner,
        url: url.parse().unwrap(),
        secret: keys.seal(b"old", &secret_context(partner, site), &OsEntropy),
        by: None,
        now: gate.now(),
    };
    gate.store.import_subscription(another).await.unwrap();
}

async fn oauth_103_put_creates_and_replaces_and_get_shows_it_to_the_byte() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    for (url, secret) in [(URL, "s3cret"), ("https://Hooks.example:8443/x?y=%7E", "ключ ☃")] {
        let documented = format!(r#"{{"url": "{url}", "secret": "{secret}"}}"#);
        let set = put(&gate, &cast, json!({"url": url, "secret": secret, "unknown": [1]})).await;
        assert_eq!((set.status, set.text.as_str()), (200, documented.as_str()));
        assert_eq!(set.header("content-type"), "application/json");
        assert_eq!(set.header("cache-control"), "no-store");
        let shown = call(&gate, &cast, Method::GET, None).await;
        assert_eq!((shown.status, shown.text.as_str()), (200, documented.as_str()));
    }
}

async fn put_of_something_that_is_not_a_json_object_is_400() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    for body in ["", "{", "[]", "null", "\"x\"", "url=http://x.example", "{\"url\": 1e}"] {
        let refused = call(&gate, &cast, Method::PUT, Some(body)).await;
        assert_eq!((refused.status, refused.text.as_str()), (400, r#"{"error": "Invalid JSON body"}"#), "{body}");
    }
    assert_eq!(call(&gate, &cast, Method::GET, None).await.status, 404);
}

async fn put_reports_all_faults_of_its_fields_at_once() {
    const BLANK: &str = "This field cannot be blank.";
    const NOT_TEXT: &str = "Not a valid string.";
    const BAD_URL: &str = "Enter a valid URL.";
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let long_url = format!("http://a.example/{}", "x".repeat(2048));
    let rows = [
        (json!({}), json!({"url": [BLANK], "secret": [BLANK]})),
        (json!({"url": null, "secret": "  "}), json!({"url": [BLANK], "secret": [BLANK]})),
        (json!({"url": 7, "secret": ["x"]}), json!({"url": [NOT_TEXT], "secret": [NOT_TEXT]})),
        (json!({"url": "piesync", "secret": "s"}), json!({"url": [BAD_URL]})),
        (json!({"url": "ftp://a.example", "secret": "s"}), json!({"url": [BAD_URL]})),
        (json!({"url": "http://u:p@a.example", "secret": "s"}), json!({"url": [BAD_URL]})),
        (json!({"url": "http://a.example/#x", "secret": ""}), json!({"url": [BAD_URL], "secret": [BLANK]})),
        (json!({"url": long_url, "secret": "s"}), json!({"url": [BAD_URL]})),
        (json!({"url": URL, "secret": "x".repeat(256)}), json!({"secret": ["Longer than maximum length 255."]})),
        (json!({"url": URL, "secret": "a\u{0}b"}), json!({"secret": ["Null characters are not allowed."]})),
    ];
    for (body, fields) in rows {
        let refused = put(&gate, &cast, body.clone()).await;
        assert_eq!(refused.status, 422, "{body}");
        assert_eq!(refused.json(), json!({"error": "Invalid fields", "fields": fields}), "{body}");
    }
    assert_eq!(call(&gate, &cast, Method::GET, None).await.status, 404);
    let documented = r#"{"error": "Invalid fields", "fields": {"url": ["This field cannot be blank."]}}"#;
    assert_eq!(put(&gate, &cast, json!({"secret": "s"})).await.text, documented);
    let longest = "ф".repeat(255);
    assert_eq!(put(&gate, &cast, json!({"url": URL, "secret": longest})).await.status, 200);
}

async fn oauth_103_put_refuses_hosts_that_deliveries_may_not_reach_and_accepts_names_that_do_not_resolve_now() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    gate.names.set("inside.example", &["10.1.2.3", "fd00::1"]);
    gate.names.set("both.example", &["10.1.2.3", "93.184.215.14"]);
    let hosts = ["10.0.0.1", "[::1]", "169.254.169.254", "0x0a000001", "inside.example", "[::ffff:10.0.0.1]"];
    for host in hosts {
        let refused = put(&gate, &cast, json!({"url": format!("http://{host}/x"), "secret": "s"})).await;
        let fields = json!({"url": ["This URL is not reachable from the internet."]});
        assert_eq!(refused.json(), json!({"error": "Invalid fields", "fields": fields}), "{host}");
    }
    for host in ["not-yet.example", "both.example", "127.0.0.1:9", "93.184.215.14"] {
        let accepted = put(&gate, &cast, json!({"url": format!("http://{host}/x"), "secret": "s"})).await;
        assert_eq!(accepted.status, 200, "{host}");
    }
}

async fn oauth_103_get_of_none_is_404() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let none = call(&gate, &cast, Method::GET, None).await;
    assert_eq!((none.status, none.text.as_str()), (404, r#"{"error": "Subscription not found"}"#));
}

async fn oauth_098_a_foreign_site_looks_like_an_unknown_one() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let other = gate.site("www.other.com", &[&cast.owner]).await;
    let unknown = "aa808177-d2cc-415d-b504-a36abf39ac00".to_owned();
    let body = json!({"url": URL, "secret": "s"});
    for site in [other.id.to_string(), unknown, "not-a-uuid".into(), "%00".into()] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let path = format!("/piesync/subscription/{site}/");
            let request = gate.request(method.clone(), &path).bearer_auth(&cast.token).json_body(&body);
            let refused = answer(request).await;
            assert_eq!(
                (refused.status, refused.text.as_str()),
                (404, r#"{"error": "Site not found"}"#),
                "{method} {site}"
            );
        }
    }
}

async fn oauth_098_a_token_opens_no_other_partners_path() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    gate.partner("cinc").await;
    let path = format!("/cinc/subscription/{}/", cast.site.id);
    let refused = answer(gate.get(&path).bearer_auth(&cast.token)).await;
    assert_eq!((refused.status, refused.text.as_str()), (404, r#"{"error": "Site not found"}"#));
}

async fn the_site_is_accepted_in_any_case_and_without_dashes_and_the_path_without_its_slash() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    put(&gate, &cast, json!({"url": URL, "secret": "s"})).await;
    let dashed = cast.site.id.to_string();
    let plain = dashed.replace('-', "");
    for site in [dashed.to_uppercase(), plain.clone(), plain.to_uppercase()] {
        for slash in ["", "/"] {
            let path = format!("/piesync/subscription/{site}{slash}");
            assert_eq!(answer(gate.get(&path).bearer_auth(&cast.token)).await.status, 200, "{path}");
        }
    }
}

async fn oauth_103_delete_is_204_also_when_there_was_none() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    put(&gate, &cast, json!({"url": URL, "secret": "s"})).await;
    for _ in 0..2 {
        let deleted = call(&gate, &cast, Method::DELETE, None).await;
        assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
        assert_eq!(call(&gate, &cast, Method::GET, None).await.status, 404);
    }
}

async fn several_are_409_until_put_or_delete_mends_them() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    put(&gate, &cast, json!({"url": URL, "secret": "s"})).await;
    import_another(&gate, &cast, "https://old.example/a").await;
    let several = call(&gate, &cast, Method::GET, None).await;
    let documented = r#"{"error": "Multiple subscriptions found for this site"}"#;
    assert_eq!((several.status, several.text.as_str()), (409, documented));
    assert_eq!(put(&gate, &cast, json!({"url": URL, "secret": "new"})).await.status, 200);
    assert_eq!(call(&gate, &cast, Method::GET, None).await.json(), json!({"url": URL, "secret": "new"}));

    import_another(&gate, &cast, "https://old.example/b").await;
    assert_eq!(call(&gate, &cast, Method::GET, None).await.status, 409);
    assert_eq!(call(&gate, &cast, Method::DELETE, None).await.status, 204);
    assert_eq!(call(&gate, &cast, Method::GET, None).await.status, 404);
}

async fn concurrent_puts_never_make_two() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let puts = (0..20).map(|n| {
        let body = json!({"url": format!("https://a.example/{n}"), "secret": "s"});
        answer(gate.request(Method::PUT, &cast.subscription()).bearer_auth(&cast.token).json_body(&body))
    });
    for set in futures_util::future::join_all(puts).await {
        assert_eq!(set.status, 200);
    }
    assert_eq!(call(&gate, &cast, Method::GET, None).await.status, 200);
}

async fn oauth_103_other_methods_are_405_with_allow() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    for method in [Method::POST, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        let refused = call(&gate, &cast, method.clone(), None).await;
        assert_eq!(refused.status, 405, "{method}");
        let mut allowed: Vec<_> = refused.header("allow").split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed, ["DELETE", "GET", "HEAD", "PUT"], "{method}");
    }
}

async fn a_body_of_more_than_one_mebibyte_is_413() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let padding = "x".repeat(1024 * 1024);
    let refused = put(&gate, &cast, json!({"url": URL, "secret": "s", "padding": padding})).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE.as_u16());
    assert_eq!(refused.text, r#"{"error": "Request body too large"}"#);
    let fits = "x".repeat(1024 * 1024 - 100);
    assert_eq!(put(&gate, &cast, json!({"url": URL, "secret": "s", "padding": fits})).await.status, 200);
}

async fn a_fault_of_ours_is_500_without_internals() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    put(&gate, &cast, json!({"url": URL, "secret": "s"})).await;
    gate.sql("UPDATE subscriptions SET secret = substr(secret, 1, 1)");
    let broken = call(&gate, &cast, Method::GET, None).await;
    assert_eq!((broken.status, broken.text.as_str()), (500, r#"{"error": "Unknown server error"}"#));
    assert_eq!(put(&gate, &cast, json!({"url": URL, "secret": "s"})).await.status, 200);
}

async fn the_secret_is_encrypted_at_rest() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    put(&gate, &cast, json!({"url": URL, "secret": "unmistakable-secret"})).await;
    let (data, _) = gate.stop().await;
    assert!(data.holds(URL) && !data.holds("unmistakable-secret"));
}

async fn oauth_094_a_token_for_sending_alone_may_not_connect() {
    let gate = Gate::start().await;
    let mut cast = gate.cast().await;
    let scopes: Scopes = "leadrouter:send".parse().unwrap();
    cast.token = gate.connect(&cast.partner, &cast.owner, &cast.site, scopes).await;
    let refused = call(&gate, &cast, Method::GET, None).await;
    assert_eq!(refused.status, 403);
    let challenge = r#"Bearer realm="leadgate", error="insufficient_scope", scope="leadrouter:connect""#;
    assert_eq!(refused.header("www-authenticate"), challenge);
}

async fn setting_the_same_again_disturbs_nothing_that_is_under_way() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    put(&gate, &cast, json!({"url": URL, "secret": "s"})).await;
    let signals = Arc::new(Mutex::new(Vec::new()));
    let heard = signals.clone();
    gate.store.signals().listen(move |signal| heard.lock().unwrap().push(signal));
    put(&gate, &cast, json!({"url": URL, "secret": "s"})).await;
    assert_eq!(*signals.lock().unwrap(), []);
    put(&gate, &cast, json!({"url": URL, "secret": "t"})).await;
    assert!(matches!(signals.lock().unwrap()[..], [Signal::Recalled(_)]));
}
