//! Subscriptions: set, replaced, mended, removed.

use futures_util::future::join_all;
use leadgate::model::delivery::{LeaseRequest, State, Verdict};
use leadgate::model::partner::Partner;
use leadgate::model::password::{PasswordChange, Proof};
use leadgate::model::person::PasswordHash;
use leadgate::model::seal::Sealed;
use leadgate::model::site::Site;
use leadgate::model::subscription::Subscription;
use leadgate::model::{Scopes, time};
use leadgate::store::{Found, Held, NewSubscription, Replaced, Signal, Target};

use super::fixture::{Fixture, engines};
use crate::harness::make;

engines!(
    a_subscription_is_created_and_then_replaced,
    there_is_none_without_a_site_or_a_partner,
    setting_it_at_once_makes_one,
    a_change_of_url_or_secret_recalls_what_is_held,
    a_paused_one_wakes_when_it_is_set,
    old_data_can_hold_several_and_setting_mends_them,
    removing_mends_several_too,
    a_removed_one_hears_nothing_more,
    what_others_hold_when_it_is_set_or_removed_is_outstanding,
    what_is_outstanding_is_so_until_it_is_recorded_or_its_lease_ends,
    however_a_subscription_ends_what_others_hold_is_outstanding,
    partners_and_sites_are_kept_apart,
    a_live_token_shows_what_its_holder_has,
);

async fn parties(f: &Fixture) -> (Partner, Site) {
    (f.partner("piesync").await, f.site("www.site.com").await)
}

async fn found(f: &Fixture, partner: &Partner, site: &Site) -> Found {
    f.store.subscription(partner.id, site.id).await.unwrap()
}

async fn one(f: &Fixture, partner: &Partner, site: &Site) -> Subscription {
    match found(f, partner, site).await {
        Found::One(subscription) => *subscription,
        other => panic!("{other:?}"),
    }
}

async fn set(f: &Fixture, new: &NewSubscription) -> Replaced {
    f.store.replace_subscription(new.clone()).await.unwrap().outcome
}

async fn a_subscription_is_created_and_then_replaced(f: &Fixture) {
    let (partner, site) = parties(f).await;
    assert_eq!(found(f, &partner, &site).await, Found::None);
    let first = f.subscription(partner.id, site.id, "HTTP://One.example");
    assert_eq!(set(f, &first).await, Replaced::Done);
    let expected = Subscription {
        id: first.id,
        site: site.id,
        partner: partner.id,
        url: first.url.clone(),
        secret: first.secret.clone(),
        paused: None,
        created: first.now,
        updated: first.now,
    };
    assert_eq!(one(f, &partner, &site).await, expected);

    f.pass(5);
    let second = f.subscription(partner.id, site.id, "http://two.example");
    assert_eq!(set(f, &second).await, Replaced::Done);
    let replaced = Subscription { url: second.url, secret: second.secret, updated: second.now, ..expected };
    assert_eq!(one(f, &partner, &site).await, replaced);
}

async fn there_is_none_without_a_site_or_a_partner(f: &Fixture) {
    let (partner, site) = parties(f).await;
    let unknown = make::site(&f.entropy, f.now(), "x.com");
    let new = f.subscription(partner.id, unknown.id, "http://one.example");
    assert_eq!(set(f, &new).await, Replaced::NoSuchSite);
    assert_eq!(f.store.import_subscription(new).await.unwrap(), Replaced::NoSuchSite);

    let removed = f.site("y.com").await;
    f.store.remove_site(removed.id, f.now()).await.unwrap();
    let new = f.subscription(partner.id, removed.id, "http://one.example");
    assert_eq!(set(f, &new).await, Replaced::NoSuchSite);

    f.store.remove_partner(&partner.slug, f.now()).await.unwrap();
    let new = f.subscription(partner.id, site.id, "http://one.example");
    assert_eq!(set(f, &new).await, Replaced::NoSuchSite);
    assert!(!f.store.remove_subscription(partner.id, site.id, f.now()).await.unwrap().outcome);
}

async fn setting_it_at_once_makes_one(f: &Fixture) {
    let (partner, site) = parties(f).await;
    let puts: Vec<_> = (0..20).map(|n| f.subscription(partner.id, site.id, &format!("http://{n}.example"))).collect();
    for done in join_all(puts.iter().map(|put| f.store.replace_subscription(put.clone()))).await {
        assert_eq!(done.unwrap().outcome, Replaced::Done);
    }
    let kept = one(f, &partner, &site).await;
    assert!(puts.iter().any(|put| put.id == kept.id));
}

async fn a_change_of_url_or_secret_recalls_what_is_held(f: &Fixture) {
    let (partner, site) = parties(f).await;
    let new = f.subscription(partner.id, site.id, "http://one.example");
    set(f, &new).await;
    set(f, &new).await;
    assert_eq!(f.heard(), []);
    set(f, &NewSubscription { secret: Sealed::from_bytes(vec![1]), ..new.clone() }).await;
    assert_eq!(f.heard(), [Signal::Recalled(new.id)]);
    let elsewhere = f.subscription(partner.id, site.id, "http://two.example");
    set(f, &NewSubscription { secret: Sealed::from_bytes(vec![1]), ..elsewhere }).await;
    assert_eq!(f.heard(), [Signal::Recalled(new.id)]);
}

async fn a_paused_one_wakes_when_it_is_set(f: &Fixture) {
    let (partner, site) = parties(f).await;
    let new = f.subscription(partner.id, site.id, "http://one.example");
    set(f, &new).await;
    f.lead(&site, "a@b.com").await;
    let leased = f.lease().await;
    let paused = f.pass(1);
    assert!(f.record(&leased[0], Verdict::Pause).await);
    assert_eq!(one(f, &partner, &site).await.paused, Some(paused));

    // What comes is kept, and not sent.
    f.pass(1);
    f.lead(&site, "c@d.com").await;
    assert_eq!(f.lease().await.len(), 0);
    f.heard();
    set(f, &new).await;
    assert_eq!(f.heard(), [Signal::Work]);
    assert_eq!(one(f, &partner, &site).await.paused, None);
    assert_eq!(f.lease().await.len(), 2);
}

async fn old_data_can_hold_several_and_setting_mends_them(f: &Fixture) {
    let (partner, site) = parties(f).await;
    let oldest = f.subscription(partner.id, site.id, "http://one.example");
    let mut others = Vec::new();
    assert_eq!(f.store.import_subscription(oldest.clone()).await.unwrap(), Replaced::Done);
    for url in ["http://two.example", "http://three.example"] {
        f.pass(1);
        let other = f.subscription(partner.id, site.id, url);
        assert_eq!(f.store.import_subscription(other.clone()).await.unwrap(), Replaced::Done);
        others.push(other.id);
    }
    assert_eq!(found(f, &partner, &site).await, Found::Several);
    f.lead(&site, "a@b.com").await;
    f.heard();

    let new = f.subscription(partner.id, site.id, "http://new.example");
    assert_eq!(set(f, &new).await, Replaced::Done);
    let mended = one(f, &partner, &site).await;
    assert_eq!((mended.id, mended.url, mended.created), (oldest.id, new.url, oldest.now));
    let mut heard = f.heard();
    heard.sort_by_key(|signal| format!("{signal:?}"));
    let mut expected = [oldest.id, others[0], others[1]].map(Signal::Recalled);
    expected.sort_by_key(|signal| format!("{signal:?}"));
    assert_eq!(heard, expected);
    // The lead waits for the one that is left, and for it alone.
    assert_eq!(f.story().await, [State::Waiting, State::Cancelled, State::Cancelled]);
    let leased = f.lease().await;
    assert_eq!(leased.iter().map(|leased| leased.subscription).collect::<Vec<_>>(), [oldest.id]);
}

async fn removing_mends_several_too(f: &Fixture) {
    let (partner, site) = parties(f).await;
    for url in ["http://one.example", "http://two.example"] {
        f.store.import_subscription(f.subscription(partner.id, site.id, url)).await.unwrap();
    }
    f.lead(&site, "a@b.com").await;
    assert!(f.store.remove_subscription(partner.id, site.id, f.now()).await.unwrap().outcome);
    assert_eq!(found(f, &partner, &site).await, Found::None);
    assert_eq!(f.story().await, [State::Cancelled, State::Cancelled]);
    assert!(!f.store.remove_subscription(partner.id, site.id, f.now()).await.unwrap().outcome);
}

async fn a_removed_one_hears_nothing_more(f: &Fixture) {
    let (partner, site) = parties(f).await;
    let id = f.subscribe(&partner, &site).await;
    f.lead(&site, "a@b.com").await;
    f.heard();
    let removed = f.pass(1);
    assert!(f.store.remove_subscription(partner.id, site.id, removed).await.unwrap().outcome);
    assert_eq!(f.heard(), [Signal::Recalled(id)]);
    f.lead(&site, "c@d.com").await;

    assert_eq!(f.lease().await.len(), 0);
    let log = f.deliveries().await;
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].state, log[0].due, log[0].finished), (State::Cancelled, None, Some(removed)));
    // Connecting again is another subscription: what was cancelled stays so.
    assert_ne!(f.subscribe(&partner, &site).await, id);
    assert_eq!(f.lease().await.len(), 0);
}

async fn what_others_hold_when_it_is_set_or_removed_is_outstanding(f: &Fixture) {
    let (partner, site) = parties(f).await;
    let new = f.subscription(partner.id, site.id, "http://one.example");
    set(f, &new).await;
    for email in ["a@b.com", "c@d.com"] {
        f.lead(&site, email).await;
    }
    f.lease_as(LeaseRequest { limit: 1, ..f.request() }).await;

    let same = f.store.replace_subscription(new.clone()).await.unwrap();
    assert_eq!(same.outstanding.len(), 0, "nothing has changed");
    let elsewhere = NewSubscription { url: "http://two.example".parse().unwrap(), ..new };
    let changed = f.store.replace_subscription(elsewhere).await.unwrap();
    assert_eq!(changed.outstanding.len(), 1);
    // What is leased of it from then on, is sent as the change says, and not waited for.
    f.lease().await;
    assert_eq!(f.store.still_outstanding(changed.outstanding.clone(), f.now()).await.unwrap(), changed.outstanding);
    let removed = f.store.remove_subscription(partner.id, site.id, f.now()).await.unwrap();
    assert_eq!(removed.outstanding.len(), 2);
    let none = f.store.remove_subscription(partner.id, site.id, f.now()).await.unwrap();
    assert_eq!(none.outstanding.len(), 0);
}

async fn what_is_outstanding_is_so_until_it_is_recorded_or_its_lease_ends(f: &Fixture) {
    let (partner, site) = parties(f).await;
    f.subscribe(&partner, &site).await;
    for email in ["a@b.com", "c@d.com", "e@f.com", "g@h.com"] {
        f.lead(&site, email).await;
    }
    let leased = f.lease().await;
    // The lease of this one has run out; so the new one is what counts.
    let again = f.lease_again(&leased[0]).await;
    let recalled = f.store.remove_subscription(partner.id, site.id, f.now()).await.unwrap().outstanding;
    let left = async || f.store.still_outstanding(recalled.clone(), f.now()).await.unwrap().len();
    assert_eq!((recalled.len(), left().await), (4, 4));
    assert!(!f.record(&leased[0], Verdict::Release).await);
    assert_eq!(left().await, 4);
    assert!(f.record(&again, Verdict::Release).await);
    assert_eq!(left().await, 3);
    f.pass(59);
    assert_eq!(left().await, 3);
    f.pass(1);
    assert_eq!(left().await, 0);
}

async fn however_a_subscription_ends_what_others_hold_is_outstanding(f: &Fixture) {
    let (partner, owner) = (f.partner("piesync").await, f.user("owner@site.com").await);
    let held = async |domain: &str| {
        let site = f.site(domain).await;
        f.store.grant_site(site.id, &owner.email).await.unwrap();
        let code = f.approve(&partner, &site, &owner).await;
        let new = f.subscription(partner.id, site.id, "http://one.example");
        set(f, &NewSubscription { by: Some(code.grant), ..new }).await;
        f.lead(&site, "a@b.com").await;
        assert_eq!(f.lease().await.len(), 1);
        site
    };
    let removed = held("one.com").await;
    assert_eq!(f.store.remove_site(removed.id, f.now()).await.unwrap().outstanding.len(), 1);

    held("two.com").await;
    let password = PasswordHash("$new".to_owned());
    let change = PasswordChange { user: owner.id, proof: Proof::Operator, password, disconnect: true, now: f.now() };
    let kept = PasswordChange { disconnect: false, ..change.clone() };
    assert_eq!(f.store.set_password(kept).await.unwrap().outstanding.len(), 0);
    assert_eq!(f.store.set_password(change).await.unwrap().outstanding.len(), 1);

    held("three.com").await;
    held("four.com").await;
    assert_eq!(f.store.remove_partner(&partner.slug, f.now()).await.unwrap().outstanding.len(), 2);
}

async fn partners_and_sites_are_kept_apart(f: &Fixture) {
    let (partner, site) = parties(f).await;
    let (other_partner, other_site) = (f.partner("cinc").await, f.site("other.com").await);
    f.subscribe(&partner, &site).await;
    assert_eq!(found(f, &other_partner, &site).await, Found::None);
    assert_eq!(found(f, &partner, &other_site).await, Found::None);
    assert!(!f.store.remove_subscription(other_partner.id, site.id, f.now()).await.unwrap().outcome);
    assert!(!f.store.remove_subscription(partner.id, other_site.id, f.now()).await.unwrap().outcome);
    one(f, &partner, &site).await;
}

async fn a_live_token_shows_what_its_holder_has(f: &Fixture) {
    let ((partner, site), owner) = (parties(f).await, f.user("owner@site.com").await);
    f.store.grant_site(site.id, &owner.email).await.unwrap();
    let (_, tokens) = f.redeem(&f.approve(&partner, &site, &owner).await).await;
    let held = async || f.store.held_subscription(&tokens.access, f.now()).await.unwrap();
    let with =
        |found| Held { partner: partner.id, slug: partner.slug.clone(), site: site.id, scopes: Scopes::ALL, found };

    // Of another partner to the site, and of the partner to another site.
    f.subscribe(&f.partner("cinc").await, &site).await;
    f.subscribe(&partner, &f.site("other.com").await).await;
    assert_eq!(held().await, Some(with(Found::None)));
    let new = f.subscription(partner.id, site.id, "HTTP://One.example");
    assert_eq!(set(f, &new).await, Replaced::Done);
    let target = Target { url: "HTTP://One.example".to_owned(), secret: new.secret.clone() };
    assert_eq!(held().await, Some(with(Found::One(target))));
    for _ in 0..2 {
        f.store.import_subscription(f.subscription(partner.id, site.id, "http://two.example")).await.unwrap();
        assert_eq!(held().await, Some(with(Found::Several)));
    }
    f.store.remove_subscription(partner.id, site.id, f.now()).await.unwrap();
    assert_eq!(held().await, Some(with(Found::None)));

    let last = time::before(tokens.access_expires, std::time::Duration::from_millis(1));
    assert!(f.store.held_subscription(&tokens.access, last).await.unwrap().is_some());
    assert!(f.store.held_subscription(&tokens.access, tokens.access_expires).await.unwrap().is_none());
    f.store.remove_partner(&partner.slug, f.now()).await.unwrap();
    assert_eq!(held().await, None);
}
