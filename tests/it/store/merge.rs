//! Bursts: for partners that want it, an update that still waits takes in later ones of the same lead.

use leadgate::model::delivery::{Delivery, Leased, Replay, Verdict};
use leadgate::model::lead::{LeadCommand, Origin};
use leadgate::model::partner::{Partner, PartnerChange};
use leadgate::model::{DeliveryId, LeadId, SiteId};
use leadgate::store::{Removed, Signal};
use serde_json::{Value, json};

use super::fixture::{Fixture, engines};

engines!(
    an_update_that_waits_takes_in_the_next,
    a_burst_behind_what_is_under_way_is_sent_as_one,
    whoever_does_not_ask_for_it_is_sent_each_change,
    nothing_is_merged_into_a_creation,
    nothing_is_merged_into_what_may_have_been_sent,
    nothing_is_merged_into_what_is_replayed,
    the_last_of_a_lane_alone_takes_in,
    each_subscription_has_its_own,
    a_repeated_request_has_one_effect,
    a_partners_own_changes_stay_apart_from_those_of_others,
    a_partner_without_echo_is_sent_what_it_changed_itself_meanwhile,
    merging_is_switched_on_and_off,
);

/// A lead whose creation is delivered.
async fn known_lead(f: &Fixture, site: SiteId, email: &str) -> LeadId {
    let lead = f.apply(f.upsert(site, None, json!({"source": "test", "email": email}))).await.lead;
    for leased in f.lease().await {
        assert!(f.record(&leased, Verdict::Delivered).await);
    }
    lead
}

async fn change(f: &Fixture, site: SiteId, lead: LeadId, fields: Value) -> LeadCommand {
    let command = f.patch(site, lead, fields);
    f.apply(command.clone()).await;
    command
}

fn by(partner: &Partner, command: LeadCommand) -> LeadCommand {
    let origin = Origin { system: partner.slug.to_string(), partner: Some(partner.id) };
    LeadCommand { origin, ..command }
}

/// Everything of a lead after its creation, the oldest first.
async fn updates(f: &Fixture, lead: LeadId) -> Vec<Delivery> {
    f.deliveries().await.into_iter().filter(|delivery| delivery.lead == lead).skip(1).collect()
}

async fn bodies(f: &Fixture, lead: LeadId) -> Vec<Value> {
    let mut bodies = Vec::new();
    for update in updates(f, lead).await {
        bodies.push(body(&f.store.delivery(update.id).await.unwrap().unwrap().body));
    }
    bodies
}

/// A body, without what tells the lead and its site.
fn body(bytes: &[u8]) -> Value {
    let mut body: Value = serde_json::from_slice(bytes).unwrap();
    for name in ["action", "id", "site_uuid", "site_domain"] {
        assert!(body.as_object_mut().unwrap().shift_remove(name).is_some(), "{body}");
    }
    body
}

/// Leases what is due: one delivery.
async fn lease_one(f: &Fixture) -> Leased {
    let mut leased = f.lease().await;
    assert_eq!(leased.len(), 1, "{leased:?}");
    leased.remove(0)
}

async fn an_update_that_waits_takes_in_the_next(f: &Fixture) {
    let (site, _, subscription) = f.merging_site().await;
    let lead = known_lead(f, site.id, "a@b.com").await;
    change(f, site.id, lead, json!({"city": "Hilo", "zip": "96720"})).await;
    let waiting = updates(f, lead).await.remove(0);
    f.pass(5);
    f.heard();
    let next = f.patch(site.id, lead, json!({"zip": null, "state": "HI", "source": "web"}));
    let origin = Origin { system: "portal".into(), partner: None };
    f.apply(LeadCommand { origin, ..next.clone() }).await;

    // It has the id and the time of the newest change, and keeps its place and its due time.
    let id = DeliveryId::derive(next.change, subscription);
    assert_eq!(updates(f, lead).await, [Delivery { id, changed: f.now(), ..waiting.clone() }]);
    let expected = json!({"source": "web", "source_system": "portal", "zip": "", "state": "HI", "city": "Hilo"});
    assert_eq!(bodies(f, lead).await, std::slice::from_ref(&expected));
    assert_eq!(f.store.delivery(waiting.id).await.unwrap(), None);
    assert_eq!(f.heard(), [Signal::Work], "it is due");

    let sent = lease_one(f).await;
    assert_eq!((sent.id, sent.changed, body(&sent.body)), (id, f.now(), expected));
    assert!(f.record(&sent, Verdict::Delivered).await);
    assert!(f.lease().await.is_empty());
}

async fn a_burst_behind_what_is_under_way_is_sent_as_one(f: &Fixture) {
    let (site, ..) = f.merging_site().await;
    let lead = f.lead(&site, "a@b.com").await;
    let created = lease_one(f).await;
    change(f, site.id, lead, json!({"n": 0})).await;
    f.heard();
    for n in 1..20 {
        f.pass(1);
        change(f, site.id, lead, json!({"n": n, format!("field {n}"): n})).await;
    }
    assert_eq!(f.heard(), [], "nothing of it is due");
    assert!(f.lease().await.is_empty());
    assert!(f.record(&created, Verdict::Delivered).await);
    let sent = lease_one(f).await;
    let mut expected = json!({"source": "test", "source_system": "console", "n": 19});
    (1..20).for_each(|n| expected[format!("field {n}")] = json!(n));
    assert_eq!((body(&sent.body), sent.changed), (expected, f.now()));
    assert_eq!(f.deliveries().await.len(), 2);
}

async fn whoever_does_not_ask_for_it_is_sent_each_change(f: &Fixture) {
    let (site, ..) = f.subscribed_site(1).await;
    let lead = f.lead(&site, "a@b.com").await;
    for n in 0..3 {
        change(f, site.id, lead, json!({ "n": n })).await;
    }
    assert_eq!(updates(f, lead).await.len(), 3);
}

async fn nothing_is_merged_into_a_creation(f: &Fixture) {
    let (site, ..) = f.merging_site().await;
    let lead = f.lead(&site, "a@b.com").await;
    let created = f.deliveries().await;
    change(f, site.id, lead, json!({"city": "Hilo"})).await;
    // The lead's e-mail makes this an update of it, not a creation.
    f.apply(f.upsert(site.id, None, json!({"email": "a@b.com", "zip": "1"}))).await;
    assert_eq!(f.deliveries().await[..1], created);
    let expected = json!({"source": "test", "source_system": "console", "zip": "1", "city": "Hilo"});
    assert_eq!(bodies(f, lead).await, [expected]);
}

async fn nothing_is_merged_into_what_may_have_been_sent(f: &Fixture) {
    let (site, ..) = f.merging_site().await;
    let fates = [
        ("it is under a lease", None, 0),
        ("its lease has run out", None, 60),
        ("its attempt was broken off", Some(Verdict::Release), 0),
        ("it failed", Some(Verdict::Retry(f.now())), 0),
        ("its receiver is gone", Some(Verdict::Pause), 0),
    ];
    for (n, (fate, verdict, seconds)) in fates.into_iter().enumerate() {
        let lead = known_lead(f, site.id, &format!("{n}@b.com")).await;
        change(f, site.id, lead, json!({"n": 1})).await;
        let leased = f.lease().await.into_iter().find(|leased| leased.lead == lead).unwrap();
        if let Some(verdict) = verdict {
            assert!(f.record(&leased, verdict).await);
        }
        f.pass(seconds);
        for n in 2..5 {
            change(f, site.id, lead, json!({ "n": n })).await;
        }
        let after = updates(f, lead).await;
        assert_eq!((after.len(), after[0].id), (2, leased.id), "{fate}");
        assert_eq!(f.store.delivery(leased.id).await.unwrap().unwrap().body, leased.body, "{fate}");
        assert_eq!(bodies(f, lead).await[1]["n"], 4, "{fate}");
    }
}

async fn nothing_is_merged_into_what_is_replayed(f: &Fixture) {
    let (site, ..) = f.merging_site().await;
    let lead = known_lead(f, site.id, "a@b.com").await;
    change(f, site.id, lead, json!({"n": 1})).await;
    let failed = lease_one(f).await;
    assert!(f.record(&failed, Verdict::Failed).await);
    assert_eq!(f.store.replay(Replay::These(vec![failed.id]), f.now()).await.unwrap(), [failed.id]);
    change(f, site.id, lead, json!({"n": 2})).await;
    let after = updates(f, lead).await;
    assert_eq!((after.len(), after[0].id), (2, failed.id));
}

async fn the_last_of_a_lane_alone_takes_in(f: &Fixture) {
    let (site, ..) = f.merging_site().await;
    let lead = known_lead(f, site.id, "a@b.com").await;
    change(f, site.id, lead, json!({"n": 1})).await;
    let failed = lease_one(f).await;
    assert!(f.record(&failed, Verdict::Failed).await);
    change(f, site.id, lead, json!({"n": 2})).await;
    // Now the old one stands behind the one that could take in another.
    f.store.replay(Replay::These(vec![failed.id]), f.now()).await.unwrap();
    change(f, site.id, lead, json!({"n": 3})).await;
    let mut sent = Vec::new();
    while let Some(leased) = f.lease().await.pop() {
        assert!(f.record(&leased, Verdict::Delivered).await);
        sent.push(body(&leased.body)["n"].clone());
    }
    assert_eq!(sent, [2, 1, 3]);
}

async fn each_subscription_has_its_own(f: &Fixture) {
    let (site, _, merging) = f.merging_site().await;
    let plain = f.subscribe(&f.partner("plain").await, &site).await;
    let lead = known_lead(f, site.id, "a@b.com").await;
    change(f, site.id, lead, json!({"n": 1})).await;
    let leased = f.lease().await;
    change(f, site.id, lead, json!({"n": 2})).await;
    change(f, site.id, lead, json!({"n": 3})).await;
    let count = async |subscription| {
        f.deliveries().await.into_iter().filter(|delivery| delivery.subscription == subscription).count()
    };
    assert_eq!((leased.len(), count(merging).await, count(plain).await), (2, 3, 4));
}

async fn a_repeated_request_has_one_effect(f: &Fixture) {
    let (site, ..) = f.merging_site().await;
    let lead = known_lead(f, site.id, "a@b.com").await;
    change(f, site.id, lead, json!({"n": 1})).await;
    change(f, site.id, lead, json!({"n": 2})).await;
    let before = updates(f, lead).await;
    f.pass(1);
    f.heard();
    change(f, site.id, lead, json!({"n": 2})).await;
    assert_eq!((updates(f, lead).await, f.heard()), (before, vec![]), "what changes nothing merges nothing");
}

/// Who is sent its own changes may pass them over, by `source_system`.
async fn a_partners_own_changes_stay_apart_from_those_of_others(f: &Fixture) {
    let (site, partner, _) = f.merging_site().await;
    let lead = known_lead(f, site.id, "a@b.com").await;
    for (n, own) in [(1, false), (2, false), (3, true), (4, true), (5, false), (6, true)] {
        let command = f.patch(site.id, lead, json!({"n": n, format!("field {n}"): n}));
        f.apply(if own { by(&partner, command) } else { command }).await;
    }
    let expected = [("console", 2), ("piesync", 4), ("console", 5), ("piesync", 6)];
    let sent: Vec<_> = bodies(f, lead).await;
    assert_eq!(sent.len(), 4);
    for (sent, (system, n)) in sent.iter().zip(expected) {
        assert_eq!((&sent["source_system"], &sent["n"]), (&json!(system), &json!(n)), "{sent}");
    }
    assert_eq!(sent[1].as_object().unwrap().len(), 2 + 3, "source, its system, and three fields: {}", sent[1]);
}

/// With the time of the newest change, an older value would pass for a newer one than its own.
async fn a_partner_without_echo_is_sent_what_it_changed_itself_meanwhile(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let partner = Partner { echo: false, merge_updates: true, ..f.new_partner("piesync") };
    let partner = f.add_partner(partner).await;
    f.subscribe(&partner, &site).await;
    let lead = known_lead(f, site.id, "a@b.com").await;
    change(f, site.id, lead, json!({"city": "Hilo", "zip": "1"})).await;
    let waiting = updates(f, lead).await;
    f.apply(by(&partner, f.patch(site.id, lead, json!({"city": "Kona", "zip": null})))).await;
    assert_eq!(updates(f, lead).await, waiting, "its own change is not merged into what waits for it");
    change(f, site.id, lead, json!({"state": "HI"})).await;
    let expected = json!({"source": "test", "source_system": "console", "state": "HI", "city": "Kona", "zip": ""});
    assert_eq!(bodies(f, lead).await, [expected]);
}

async fn merging_is_switched_on_and_off(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    let slug = &partners[0].slug;
    let lead = known_lead(f, site.id, "a@b.com").await;
    change(f, site.id, lead, json!({"n": 1})).await;
    for (on, n, expected) in [(true, 2, 1), (true, 3, 1), (false, 4, 2), (false, 5, 3), (true, 6, 3)] {
        assert_eq!(
            f.store
                .change_partner(slug, PartnerChange { merge_updates: Some(on), ..PartnerChange::default() })
                .await
                .unwrap(),
            Removed::Yes
        );
        assert_eq!(f.store.partner_by_slug(slug).await.unwrap().unwrap().merge_updates, on);
        change(f, site.id, lead, json!({ "n": n })).await;
        assert_eq!(updates(f, lead).await.len(), expected, "{n}");
    }
    f.store.remove_partner(slug, f.now()).await.unwrap();
    assert_eq!(
        f.store
            .change_partner(slug, PartnerChange { merge_updates: Some(true), ..PartnerChange::default() })
            .await
            .unwrap(),
        Removed::NotFound
    );
}
