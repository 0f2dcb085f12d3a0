//! Leads: created, found, updated, left alone.

use std::time::Duration;

use futures_util::future::join_all;
use leadgate::model::lead::{
    Effect, Fields, Idempotency, Lead, LeadAction, LeadCommand, LeadOutcome, LeadReceipt, Patch,
};
use leadgate::model::source::{Presumption, Reach};
use leadgate::model::throttle::{Bucket, BucketKey, Limit};
use leadgate::model::{LeadId, SiteId, SourceId, Timestamp};
use serde_json::{Value, json};

use super::fixture::{Fixture, activity, engines, object, patch};
use crate::harness::make;

engines!(
    a_lead_is_created_as_it_came,
    a_lead_without_an_id_gets_the_fresh_one,
    the_time_of_creation_is_filled_in_once,
    a_known_id_updates_its_lead,
    a_known_email_updates_its_lead_and_the_given_id_becomes_an_alias,
    of_several_leads_with_one_email_the_oldest_is_meant,
    two_creations_with_one_email_at_once_end_as_one_lead,
    a_patch_sets_unsets_and_leaves_alone,
    what_changes_nothing_is_unchanged,
    values_for_absent_fields_leave_present_ones_alone,
    activities_are_kept_in_order_and_once,
    there_is_no_lead_without_its_site,
    what_is_presumed_is_looked_at_before_anything_is_done,
    those_who_presume_too_much_stop_nobody_beside_them,
    a_source_is_presumed_to_send_to_its_own_sites_alone,
    leads_of_one_site_are_unknown_to_another,
    an_idempotency_key_repeats_its_answer_and_has_one_effect,
    an_idempotency_key_is_for_one_request,
    an_idempotency_key_is_free_again_when_it_expires,
    a_failed_request_does_not_take_its_key,
);

async fn fields(f: &Fixture, site: SiteId, lead: LeadId) -> Value {
    let (lead, _) = f.store.lead(site, lead).await.unwrap().unwrap();
    Value::Object(lead.fields.as_json().clone())
}

fn with_key(command: LeadCommand, key: &str, request: u8, expires: Timestamp) -> LeadCommand {
    LeadCommand { idempotency: Some(Idempotency { key: key.into(), request: [request; 32], expires }), ..command }
}

async fn a_lead_is_created_as_it_came(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let id = f.lead_id();
    // Order, unknown keys, scripts and the digits of numbers are kept.
    let sent: Value = serde_json::from_str(
        r#"{"zip":"96734","source":"test","created":"2020-01-01","name\u0000d":{"b":[1.10,1e400],"a":"ハワイ 🌺"}}"#,
    )
    .unwrap();
    let receipt = f.apply(f.upsert(site.id, Some(id), sent.clone())).await;
    assert_eq!(receipt, LeadReceipt { lead: id, effect: Effect::Created });
    let (lead, activities) = f.store.lead(site.id, id).await.unwrap().unwrap();
    assert_eq!(lead, Lead { site: site.id, id, fields: Fields::from_json(object(sent.clone())) });
    assert_eq!(serde_json::to_string(lead.fields.as_json()).unwrap(), sent.to_string());
    assert_eq!(activities, []);
}

async fn a_lead_without_an_id_gets_the_fresh_one(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let fresh = f.lead_id();
    let action = LeadAction::Upsert { given: None, fresh, patch: patch(json!({"city": "Hilo"})), activities: vec![] };
    let receipt = f.apply(f.command(site.id, action)).await;
    assert_eq!(receipt, LeadReceipt { lead: fresh, effect: Effect::Created });
}

async fn the_time_of_creation_is_filled_in_once(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let lead = f.lead(&site, "a@b.com").await;
    let created = f.now().to_string();
    assert_eq!(fields(f, site.id, lead).await["created"], created);
    assert!(created.parse::<Timestamp>().is_ok() && created.ends_with('Z'), "{created}");
    f.pass(60);
    f.lead(&site, "a@b.com").await;
    assert_eq!(fields(f, site.id, lead).await["created"], created);
}

async fn a_known_id_updates_its_lead(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let id = f.lead_id();
    f.apply(f.upsert(site.id, Some(id), json!({"email": "a@b.com"}))).await;
    // The id counts more than an e-mail that another lead has.
    f.lead(&site, "c@d.com").await;
    let receipt = f.apply(f.upsert(site.id, Some(id), json!({"email": "c@d.com"}))).await;
    assert_eq!(receipt, LeadReceipt { lead: id, effect: Effect::Updated });
    assert_eq!(fields(f, site.id, id).await["email"], "c@d.com");
}

async fn a_known_email_updates_its_lead_and_the_given_id_becomes_an_alias(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let lead = f.lead(&site, "Ann@Example.com").await;
    let alias = f.lead_id();
    let receipt = f.apply(f.upsert(site.id, Some(alias), json!({"email": " ann@EXAMPLE.com", "city": "Hilo"}))).await;
    assert_eq!(receipt, LeadReceipt { lead, effect: Effect::Updated });

    let patched = f.apply(f.patch(site.id, alias, json!({"zip": "96720"}))).await;
    assert_eq!(patched, LeadReceipt { lead, effect: Effect::Updated });
    let (read, _) = f.store.lead(site.id, alias).await.unwrap().unwrap();
    assert_eq!((read.id, read.fields.text("zip")), (lead, Some("96720")));
    // The alias leads there although the e-mail is another one by now.
    let again = f.apply(f.upsert(site.id, Some(alias), json!({"email": "new@example.com"}))).await;
    assert_eq!(again, LeadReceipt { lead, effect: Effect::Updated });
}

async fn of_several_leads_with_one_email_the_oldest_is_meant(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let oldest = f.lead(&site, "a@b.com").await;
    let younger = f.lead(&site, "c@d.com").await;
    f.apply(f.patch(site.id, younger, json!({"email": "A@B.com"}))).await;
    f.apply(f.patch(site.id, oldest, json!({"city": "Hilo"}))).await;
    assert_eq!(f.lead(&site, "a@b.com").await, oldest);
    // An address that a lead has given up no longer leads to it.
    assert_ne!(f.lead(&site, "c@d.com").await, younger);
}

async fn two_creations_with_one_email_at_once_end_as_one_lead(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let commands: Vec<_> =
        (0..20).map(|n| f.upsert(site.id, Some(f.lead_id()), json!({"email": "a@b.com", "n": n}))).collect();
    let receipts = join_all(commands.into_iter().map(|command| f.apply(command))).await;
    assert!(receipts.iter().all(|receipt| receipt.lead == receipts[0].lead));
    assert_eq!(receipts.iter().filter(|receipt| receipt.effect == Effect::Created).count(), 1);
}

async fn a_patch_sets_unsets_and_leaves_alone(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let id = f.lead_id();
    f.apply(f.upsert(site.id, Some(id), json!({"created": "x", "city": "Hilo", "zip": "1", "tags": ["a"]}))).await;
    let receipt = f.apply(f.patch(site.id, id, json!({"city": "Kona", "zip": null, "state": null}))).await;
    assert_eq!(receipt, LeadReceipt { lead: id, effect: Effect::Updated });
    assert_eq!(fields(f, site.id, id).await, json!({"created": "x", "city": "Kona", "tags": ["a"]}));
}

async fn what_changes_nothing_is_unchanged(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let lead = f.lead(&site, "a@b.com").await;
    for command in [
        f.upsert(site.id, None, json!({"email": "a@b.com", "source": "test"})),
        f.upsert(site.id, Some(f.lead_id()), json!({"email": "a@b.com"})),
        f.patch(site.id, lead, json!({"email": "a@b.com", "zip": null})),
        f.patch(site.id, lead, json!({})),
        f.command(site.id, LeadAction::AddActivities { lead, activities: vec![] }),
    ] {
        assert_eq!(f.apply(command).await, LeadReceipt { lead, effect: Effect::Unchanged });
    }
}

async fn values_for_absent_fields_leave_present_ones_alone(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let potential = || Patch {
        fields: vec![("email".into(), Some(json!("a@b.com")))],
        if_absent: vec![("role".into(), json!("Potential Seller"))],
    };
    let upsert = |patch| {
        let action = LeadAction::Upsert { given: None, fresh: f.lead_id(), patch, activities: vec![] };
        f.command(site.id, action)
    };
    let lead = f.apply(upsert(potential())).await.lead;
    assert_eq!(fields(f, site.id, lead).await["role"], "Potential Seller");
    f.apply(f.patch(site.id, lead, json!({"role": "Buyer"}))).await;
    assert_eq!(f.apply(upsert(potential())).await.effect, Effect::Unchanged);
    assert_eq!(fields(f, site.id, lead).await["role"], "Buyer");
}

async fn activities_are_kept_in_order_and_once(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let lead = f.lead(&site, "a@b.com").await;
    let add = |names: &[&str]| {
        let activities = names.iter().map(|name| activity(name)).collect();
        f.command(site.id, LeadAction::AddActivities { lead, activities })
    };
    assert_eq!(f.apply(add(&["z", "y", "z"])).await.effect, Effect::Updated);
    assert_eq!(f.apply(add(&["y", "a"])).await.effect, Effect::Updated);
    assert_eq!(f.apply(add(&["a", "z"])).await.effect, Effect::Unchanged);
    let with_patch =
        LeadAction::Patch { lead, patch: patch(json!({"email": "a@b.com"})), activities: vec![activity("b")] };
    assert_eq!(f.apply(f.command(site.id, with_patch)).await.effect, Effect::Updated);
    let (_, kept) = f.store.lead(site.id, lead).await.unwrap().unwrap();
    assert_eq!(kept, ["z", "y", "a", "b"].map(activity));
}

async fn there_is_no_lead_without_its_site(f: &Fixture) {
    let unknown = make::site(&f.entropy, f.now(), "x.com");
    let removed = f.site("y.com").await;
    f.store.remove_site(removed.id, f.now()).await.unwrap();
    for site in [unknown.id, removed.id] {
        let command = f.upsert(site, None, json!({"email": "a@b.com"}));
        assert_eq!(f.store.apply_lead_change(command).await.unwrap(), LeadOutcome::NoSuchSite);
    }
}

/// A source, and two buckets of its guesses.
async fn source(f: &Fixture, username: &str, reach: Reach) -> Presumption {
    let source = make::source(&f.entropy, f.now(), username, reach);
    f.store.add_source(source.clone()).await.unwrap();
    let full = vec![BucketKey::new("account", &[username.as_bytes()]), BucketKey::new("address", &[])];
    Presumption { source: source.id, full }
}

fn presuming(presumed: &Presumption, command: LeadCommand) -> LeadCommand {
    LeadCommand { presumes: Some(presumed.clone()), ..command }
}

async fn guess_wrong(f: &Fixture, key: BucketKey) {
    let limit = Limit::new(10, Duration::from_secs(600)).unwrap();
    f.store.take_guess(&[Bucket { key, limit }], f.now()).await.unwrap().unwrap();
}

async fn what_is_presumed_is_looked_at_before_anything_is_done(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    let presumed = source(f, "portal", Reach::All).await;
    let post =
        |city| presuming(&presumed, with_key(f.upsert(site.id, None, json!({"city": city})), city, 1, Timestamp::MAX));
    let outcome = async |command| f.store.apply_lead_change(command).await.unwrap();
    assert_eq!(f.apply(post("Hilo")).await.effect, Effect::Created);
    for key in presumed.full.clone() {
        guess_wrong(f, key).await;
        assert_eq!(outcome(post("Kona")).await, LeadOutcome::NotAsPresumed);
        // It is said of a request that was answered before, and of a site that is not there.
        assert_eq!(outcome(post("Hilo")).await, LeadOutcome::NotAsPresumed);
        assert_eq!(
            outcome(LeadCommand { site: SiteId::random(&f.entropy), ..post("Kona") }).await,
            LeadOutcome::NotAsPresumed
        );
        f.pass(60);
    }
    assert_eq!(f.deliveries().await.len(), 1);
    assert_eq!(f.apply(post("Kona")).await.effect, Effect::Created, "and its key was not kept");
    f.store.remove_source(&"portal".parse().unwrap()).await.unwrap();
    assert_eq!(outcome(post("Lihue")).await, LeadOutcome::NotAsPresumed);
    // One who comes after it, with its name, is somebody else.
    let other = source(f, "portal", Reach::All).await;
    assert_eq!(outcome(post("Lihue")).await, LeadOutcome::NotAsPresumed);
    assert_eq!(f.apply(presuming(&other, post("Lihue"))).await.effect, Effect::Created);
}

async fn those_who_presume_too_much_stop_nobody_beside_them(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let (good, throttled) = (source(f, "good", Reach::All).await, source(f, "throttled", Reach::All).await);
    let gone = Presumption { source: SourceId::random(&f.entropy), ..good.clone() };
    guess_wrong(f, throttled.full[0]).await;
    let who = [Some(&good), Some(&throttled), None, Some(&gone)];
    let commands = who.iter().cycle().take(40).enumerate().map(|(n, who)| {
        let command = f.upsert(site.id, None, json!({"email": format!("{n}@b.com")}));
        LeadCommand { presumes: who.cloned(), ..command }
    });
    let outcomes = join_all(commands.map(|command| f.store.apply_lead_change(command))).await;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome.unwrap() == LeadOutcome::NotAsPresumed, n % 2 == 1, "{n}");
    }
}

async fn a_source_is_presumed_to_send_to_its_own_sites_alone(f: &Fixture) {
    let (own, other) = (f.site("www.site.com").await, f.site("other.com").await);
    let narrow = source(f, "narrow", Reach::Only(vec![own.id])).await;
    let post = |site| presuming(&narrow, f.upsert(site, None, json!({"city": "Hilo"})));
    let to_both = [own.id, other.id].map(|site| f.store.apply_lead_change(post(site)));
    let outcomes: Vec<_> = join_all(to_both).await.into_iter().map(Result::unwrap).collect();
    assert!(matches!(outcomes[0], LeadOutcome::Done(_)), "{outcomes:?}");
    assert_eq!(outcomes[1], LeadOutcome::NotAsPresumed);
    // With the site its reach is gone.
    f.store.remove_site(own.id, f.now()).await.unwrap();
    assert_eq!(f.store.apply_lead_change(post(own.id)).await.unwrap(), LeadOutcome::NotAsPresumed);
}

async fn leads_of_one_site_are_unknown_to_another(f: &Fixture) {
    let (site, other) = (f.site("www.site.com").await, f.site("other.com").await);
    let lead = f.lead(&site, "a@b.com").await;
    for command in [
        f.patch(other.id, lead, json!({"city": "Hilo"})),
        f.command(other.id, LeadAction::AddActivities { lead, activities: vec![activity("a")] }),
    ] {
        assert_eq!(f.store.apply_lead_change(command).await.unwrap(), LeadOutcome::NoSuchLead);
    }
    assert_eq!(f.store.lead(other.id, lead).await.unwrap(), None);
    assert_ne!(f.lead(&other, "a@b.com").await, lead);
    // Even the same id is another lead there.
    let same_id = f.apply(f.upsert(other.id, Some(lead), json!({"city": "Hilo"}))).await;
    assert_eq!(same_id, LeadReceipt { lead, effect: Effect::Created });
    assert_eq!(fields(f, site.id, lead).await.get("city"), None);
}

async fn an_idempotency_key_repeats_its_answer_and_has_one_effect(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    // Without e-mail and id, only the key tells a repetition from another lead.
    let post = || with_key(f.upsert(site.id, None, json!({"first_name": "Ann"})), "k", 1, Timestamp::MAX);
    let receipts = join_all((0..5).map(|_| f.apply(post()))).await;
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0]));
    assert_eq!(receipts[0].effect, Effect::Created);
    assert_eq!(f.deliveries().await.len(), 1);
    let without = f.apply(f.upsert(site.id, None, json!({"first_name": "Ann"}))).await;
    assert_ne!(without.lead, receipts[0].lead);
}

async fn an_idempotency_key_is_for_one_request(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let lead = f.apply(with_key(f.upsert(site.id, None, json!({"city": "Hilo"})), "k", 1, Timestamp::MAX)).await.lead;
    let other = with_key(f.patch(site.id, lead, json!({"city": "Kona"})), "k", 2, Timestamp::MAX);
    assert_eq!(f.store.apply_lead_change(other).await.unwrap(), LeadOutcome::KeyReused);
    assert_eq!(fields(f, site.id, lead).await["city"], "Hilo");
    let other_key = with_key(f.patch(site.id, lead, json!({"city": "Kona"})), "K", 2, Timestamp::MAX);
    assert_eq!(f.apply(other_key).await.effect, Effect::Updated);
}

async fn an_idempotency_key_is_free_again_when_it_expires(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let expires = f.now() + Duration::from_secs(10);
    let first = f.apply(with_key(f.upsert(site.id, None, json!({"city": "Hilo"})), "k", 1, expires)).await;
    f.pass(10);
    let second = f.apply(with_key(f.upsert(site.id, None, json!({"city": "Kona"})), "k", 2, Timestamp::MAX)).await;
    assert_ne!(second.lead, first.lead);
    let repeated = with_key(f.upsert(site.id, None, json!({"city": "Kona"})), "k", 2, Timestamp::MAX);
    assert_eq!(f.apply(repeated).await, second);
}

async fn a_failed_request_does_not_take_its_key(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let id = f.lead_id();
    let early = with_key(f.patch(site.id, id, json!({"city": "Hilo"})), "k", 1, Timestamp::MAX);
    assert_eq!(f.store.apply_lead_change(early).await.unwrap(), LeadOutcome::NoSuchLead);
    f.apply(f.upsert(site.id, Some(id), json!({"city": "Kona"}))).await;
    let again = with_key(f.patch(site.id, id, json!({"city": "Hilo"})), "k", 1, Timestamp::MAX);
    assert_eq!(f.apply(again).await.effect, Effect::Updated);
}
