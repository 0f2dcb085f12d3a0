//! `leadgate rekey`: the operator changes the key while the gateway serves.

use leadgate::app;
use leadgate::config::Settings;
use leadgate::model::OsEntropy;
use leadgate::model::seal::Keyring;
use leadgate::model::site::Site;
use leadgate::model::subscription::secret_context;
use leadgate::model::{Scopes, SubscriptionId};
use leadgate::store::NewSubscription;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::engine::Data;
use crate::harness::process::Home;
use crate::harness::{Answer, Cast, Gate, JsonBody, answer, keyed, on_every_engine};

on_every_engine!(
    after_a_rekey_the_old_key_can_be_taken_away,
    a_key_that_is_taken_away_too_early_is_noticed,
    what_is_set_again_is_sealed_with_the_first_key,
    what_is_set_while_it_is_rewritten_stays,
    a_secret_that_no_key_opens_is_reported_and_the_others_are_rewritten,
);

const OLD: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
const NEW: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const BOTH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff,\
                    5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// The program with these keys, beside whatever serves the data.
fn home(data: &Data, keys: &str) -> Home {
    let home = Home::new().with("LEADGATE_DATABASE_URL", data.url()).with("LEADGATE_SECRET_KEY", keys);
    home.with("LEADGATE_LISTEN", "127.0.0.1:0")
}

/// A gateway under the old key, and two sites with a subscription each.
async fn world() -> (Gate, Cast, Vec<(Site, String)>) {
    let gate = Gate::start_with(keyed(OLD)).await;
    let cast = gate.cast().await;
    let other = gate.site("www.other.com", &[&cast.owner]).await;
    let token = gate.connect(&cast.partner, &cast.owner, &other, Scopes::ALL).await;
    let sites = vec![(cast.site.clone(), cast.token.clone()), (other, token)];
    for site in &sites {
        assert_eq!(subscribe(&gate, site, "s3cret").await.status, 200);
    }
    (gate, cast, sites)
}

async fn subscribe(gate: &Gate, (site, token): &(Site, String), secret: &str) -> Answer {
    let request = gate.request(Method::PUT, &format!("/piesync/subscription/{}/", site.id)).bearer_auth(token);
    answer(request.json_body(&json!({"url": "http://127.0.0.1:9/hook", "secret": secret}))).await
}

/// The subscriptions' secrets, as their partner reads them.
async fn secrets(gate: &Gate, sites: &[(Site, String)]) -> Vec<Value> {
    let mut secrets = Vec::new();
    for (site, token) in sites {
        let shown = answer(gate.get(&format!("/piesync/subscription/{}/", site.id)).bearer_auth(token)).await;
        secrets.push(shown.json()["secret"].clone());
    }
    secrets
}

async fn restarted(gate: Gate, keys: &str) -> Gate {
    let (data, clock) = gate.stop().await;
    Gate::start_in(data, clock, keyed(keys)).await
}

async fn after_a_rekey_the_old_key_can_be_taken_away() {
    let (gate, _, sites) = world().await;
    let gate = restarted(gate, BOTH).await;
    let home_now = home(&gate.data, BOTH);
    assert_eq!(home_now.document("rekey"), json!({"rewritten": 2, "unchanged": 0, "unreadable": 0}));
    assert_eq!(secrets(&gate, &sites).await, ["s3cret", "s3cret"]);
    assert_eq!(home_now.document("rekey"), json!({"rewritten": 0, "unchanged": 2, "unreadable": 0}));
    let said =
        "Rewrote 0 secrets with the first key; 2 had been written with it. The older keys are not needed any more.\n";
    assert_eq!(home_now.says("rekey"), said);

    let gate = restarted(gate, NEW).await;
    assert_eq!(secrets(&gate, &sites).await, ["s3cret", "s3cret"]);
    assert_eq!(home(&gate.data, NEW).document("check"), json!({"ok": true, "problems": []}));
    assert!(home(&gate.data, OLD).complains("rekey").contains("encrypted with another key"));
}

async fn a_key_that_is_taken_away_too_early_is_noticed() {
    let (gate, _, sites) = world().await;
    let (data, clock) = gate.stop().await;
    let early = home(&data, NEW);
    let checked = early.run("check");
    assert_eq!(checked.code, 1);
    for said in [checked.stdout, early.complains("rekey"), early.refuses_to_serve()] {
        assert!(said.contains("put it back and run `leadgate rekey` first"), "{said}");
    }
    let gate = Gate::start_in(data, clock, keyed(BOTH)).await;
    assert_eq!(secrets(&gate, &sites).await, ["s3cret", "s3cret"]);
}

async fn what_is_set_again_is_sealed_with_the_first_key() {
    let (gate, _, sites) = world().await;
    let gate = restarted(gate, BOTH).await;
    assert_eq!(subscribe(&gate, &sites[0], "s3cret").await.status, 200);
    assert_eq!(subscribe(&gate, &sites[1], "another").await.status, 200);
    assert_eq!(home(&gate.data, BOTH).document("rekey"), json!({"rewritten": 0, "unchanged": 2, "unreadable": 0}));
    let gate = restarted(gate, NEW).await;
    assert_eq!(secrets(&gate, &sites).await, ["s3cret", "another"]);
}

async fn what_is_set_while_it_is_rewritten_stays() {
    let (gate, cast, sites) = world().await;
    let old = Keyring::parse(OLD).unwrap();
    for number in 0..150 {
        import(&gate, &cast, &old, &format!("{number}.example")).await;
    }
    let gate = restarted(gate, BOTH).await;
    let environment = [("LEADGATE_DATABASE_URL", gate.data.url()), ("LEADGATE_SECRET_KEY", BOTH.to_owned())];
    let environment = environment.map(|(name, value)| (name.into(), value.into()));
    let settings = Settings::load(None, environment.into_iter()).unwrap();
    let setting = async {
        for number in 0..20 {
            assert_eq!(subscribe(&gate, &sites[number % 2], &number.to_string()).await.status, 200);
        }
    };
    let (report, ()) = tokio::join!(app::rekey(&settings, &|_, _| {}), setting);
    let report = report.unwrap();
    assert_eq!((report.total(), report.unreadable), (152, 0));
    assert!(report.rewritten >= 150, "{report:?}");
    let gate = restarted(gate, NEW).await;
    assert_eq!(secrets(&gate, &sites).await, ["18", "19"]);
    assert_eq!(home(&gate.data, NEW).document("check"), json!({"ok": true, "problems": []}));
}

/// A subscription to a new site whose secret these keys have sealed.
async fn import(gate: &Gate, cast: &Cast, keys: &Keyring, domain: &str) {
    let (site, partner) = (gate.site(domain, &[]).await.id, cast.partner.partner.id);
    let subscription = NewSubscription {
        id: SubscriptionId::random(&OsEntropy),
        site,
        partner,
        url: "http://127.0.0.1:9/imported".parse().unwrap(),
        secret: keys.seal(b"imported", &secret_context(partner, site), &OsEntropy),
        by: None,
        now: gate.now(),
    };
    gate.store.import_subscription(subscription).await.unwrap();
}

async fn a_secret_that_no_key_opens_is_reported_and_the_others_are_rewritten() {
    let (gate, cast, _) = world().await;
    import(&gate, &cast, &Keyring::parse(&"99".repeat(32)).unwrap(), "www.lost.com").await;

    let ran = home(&gate.data, BOTH).run("rekey --json");
    assert_eq!(ran.code, 1, "{ran:?}");
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document, json!({"rewritten": 2, "unchanged": 0, "unreadable": 1}));
    let ran = home(&gate.data, BOTH).run("check");
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.starts_with("1 subscriptions' secrets were encrypted with a key that is not in secret_key"),
        "{ran:?}"
    );
    // Nobody takes the old key away by mistake.
    assert!(home(&gate.data, NEW).complains("rekey").contains("encrypted with another key"));
}
