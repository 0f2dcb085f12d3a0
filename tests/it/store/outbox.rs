//! What a change of a lead has to send: to whom, and with which body.

use leadgate::model::DeliveryId;
use leadgate::model::delivery::{Action, Delivery, State, Verdict};
use leadgate::model::lead::{LeadAction, LeadCommand, Origin};
use leadgate::store::Signal;
use serde_json::{Value, json};

use super::fixture::{Fixture, activity, engines, patch};

engines!(
    a_change_is_delivered_to_every_subscription_of_its_site,
    the_body_of_a_creation_has_every_field_and_activity,
    the_body_of_an_update_has_the_changed_fields_alone,
    what_changes_nothing_sends_nothing,
    activities_alone_send_nothing,
    a_partner_without_echo_is_not_sent_its_own_changes,
    a_paused_subscription_is_kept_supplied,
    a_removed_partner_and_its_subscriptions_hear_nothing,
    duplicates_of_old_data_each_get_theirs,
);

fn from_partner(command: LeadCommand, partner: &leadgate::model::partner::Partner) -> LeadCommand {
    let origin = Origin { system: partner.slug.as_str().into(), partner: Some(partner.id) };
    LeadCommand { origin, ..command }
}

async fn body(f: &Fixture, delivery: &Delivery) -> String {
    let details = f.store.delivery(delivery.id).await.unwrap().unwrap();
    String::from_utf8(details.body.to_vec()).unwrap()
}

async fn a_change_is_delivered_to_every_subscription_of_its_site(f: &Fixture) {
    let (site, partners, subscriptions) = f.subscribed_site(3).await;
    let other_site = f.site("other.com").await;
    f.subscribe(&partners[0], &other_site).await;
    f.heard();
    let command = f.upsert(site.id, None, json!({"email": "a@b.com"}));
    let change = command.change;
    let lead = f.apply(command).await.lead;

    assert_eq!(f.heard(), [Signal::Work]);
    let sent = f.deliveries().await;
    let expected: Vec<_> = (0..3)
        .map(|n| Delivery {
            id: DeliveryId::derive(change, subscriptions[n]),
            site: site.id,
            partner: partners[n].id,
            subscription: subscriptions[n],
            lead,
            action: Action::Created,
            changed: f.now(),
            state: State::Waiting,
            attempts: 0,
            due: Some(f.now()),
            finished: None,
        })
        .collect();
    assert_eq!(sent, expected);
    let first = body(f, &sent[0]).await;
    assert_eq!((body(f, &sent[1]).await, body(f, &sent[2]).await), (first.clone(), first));
}

async fn the_body_of_a_creation_has_every_field_and_activity(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    let action = LeadAction::Upsert {
        given: None,
        fresh: "a27c20af4497415d9e4e7334dd1d40d2".parse().unwrap(),
        patch: patch(json!({"source": "form", "zip": "96734", "x": {"y": [1]}})),
        activities: ["one", "one", "two"].map(activity).to_vec(),
    };
    f.apply(f.command(site.id, action)).await;
    let sent: Value = serde_json::from_str(&body(f, &f.deliveries().await[0]).await).unwrap();
    let expected = json!({
        "action": "created",
        "id": "a27c20af4497415d9e4e7334dd1d40d2",
        "site_uuid": site.id.to_string(),
        "site_domain": "www.site.com",
        "source": "form",
        "source_system": "console",
        "zip": "96734",
        "x": {"y": [1]},
        "created": f.now().to_string(),
        "activities": [
            {"type": "note", "source": "test", "description": "one"},
            {"type": "note", "source": "test", "description": "two"},
        ],
    });
    assert_eq!(sent, expected);
}

async fn the_body_of_an_update_has_the_changed_fields_alone(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    let lead = f.lead(&site, "a@b.com").await;
    f.apply(f.patch(site.id, lead, json!({"city": "Hilo", "zip": "96720"}))).await;
    let update = f.patch(site.id, lead, json!({"city": "Hilo", "zip": null, "state": "HI"}));
    f.apply(from_partner(update, &partners[0])).await;
    let sent: Value = serde_json::from_str(&body(f, &f.deliveries().await[2]).await).unwrap();
    let expected = json!({
        "action": "updated",
        "id": lead.to_string(),
        "site_uuid": site.id.to_string(),
        "site_domain": "www.site.com",
        "source": "test",
        "source_system": "partner-0",
        "zip": "",
        "state": "HI",
    });
    assert_eq!(sent, expected);
}

async fn what_changes_nothing_sends_nothing(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    let lead = f.lead(&site, "a@b.com").await;
    f.lead(&site, "A@B.com").await;
    let sent = f.deliveries().await.len();
    f.heard();
    f.lead(&site, "A@B.com").await;
    f.apply(f.patch(site.id, lead, json!({"email": "A@B.com"}))).await;
    assert_eq!(f.deliveries().await.len(), sent);
    assert_eq!(f.heard(), []);
}

async fn activities_alone_send_nothing(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    let lead = f.lead(&site, "a@b.com").await;
    f.apply(f.command(site.id, LeadAction::AddActivities { lead, activities: vec![activity("a")] })).await;
    assert_eq!(f.deliveries().await.len(), 1);
}

async fn a_partner_without_echo_is_not_sent_its_own_changes(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let (quiet, plain) = (f.partner_without_echo("quiet").await, f.partner("plain").await);
    f.subscribe(&quiet, &site).await;
    f.subscribe(&plain, &site).await;
    let change = |city: &str| f.upsert(site.id, None, json!({"email": "a@b.com", "city": city}));
    f.apply(from_partner(change("1"), &quiet)).await;
    f.apply(from_partner(change("2"), &plain)).await;
    f.apply(change("3")).await;
    let heard = f.deliveries().await.into_iter().map(|delivery| delivery.partner);
    assert_eq!(heard.collect::<Vec<_>>(), [plain.id, quiet.id, plain.id, quiet.id, plain.id]);
}

async fn a_paused_subscription_is_kept_supplied(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    f.record(&f.lease().await[0], Verdict::Pause).await;
    f.lead(&site, "c@d.com").await;
    assert_eq!(f.story().await, [State::Waiting, State::Waiting]);
}

async fn a_removed_partner_and_its_subscriptions_hear_nothing(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(2).await;
    f.lead(&site, "a@b.com").await;
    f.store.remove_partner(&partners[0].slug, f.now()).await.unwrap();
    f.lead(&site, "c@d.com").await;
    assert_eq!(f.story().await, [State::Cancelled, State::Waiting, State::Waiting]);
    assert!(f.lease().await.iter().all(|leased| leased.partner == partners[1].id));
}

async fn duplicates_of_old_data_each_get_theirs(f: &Fixture) {
    let (site, partner) = (f.site("www.site.com").await, f.partner("piesync").await);
    for url in ["http://one.example", "http://two.example"] {
        f.store.import_subscription(f.subscription(partner.id, site.id, url)).await.unwrap();
    }
    f.lead(&site, "a@b.com").await;
    let mut urls: Vec<_> = f.lease().await.iter().map(|leased| leased.url.to_string()).collect();
    urls.sort();
    assert_eq!(urls, ["http://one.example", "http://two.example"]);
}
