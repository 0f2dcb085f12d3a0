//! Passwords: set on good proof, together with all that ends with the old one.

use std::time::Duration;

use futures_util::future::join_all;
use leadgate::model::delivery::State;
use leadgate::model::oauth::NewCode;
use leadgate::model::partner::Partner;
use leadgate::model::password::{LinkKind, NewLink, PasswordChange, PasswordSet, Proof};
use leadgate::model::person::{PasswordHash, User};
use leadgate::model::site::Site;
use leadgate::model::token::{PasswordLink, Plain};
use leadgate::model::{Timestamp, UserId, time};
use leadgate::store::{Found, NewSubscription, Removed, Replaced, Signal};

use super::fixture::{Fixture, engines};
use crate::harness::make;

engines!(
    a_new_password_ends_all_sessions_and_links,
    the_old_password_must_still_be_it,
    a_hash_is_replaced_only_while_it_is_still_the_old_one,
    a_link_sets_a_password_once_however_many_follow_it,
    a_link_is_its_owners_and_dies_with_time,
    a_newer_link_replaces_an_older_one_of_its_kind,
    a_link_can_wait_for_the_last_one_to_age,
    a_removed_user_is_offered_no_link_and_no_password,
    disconnecting_ends_what_the_person_connected_and_nothing_else,
    an_ended_grant_sets_no_subscription,
);

fn hash(text: &str) -> PasswordHash {
    PasswordHash(text.into())
}

fn change(f: &Fixture, user: UserId, proof: Proof) -> PasswordChange {
    PasswordChange { user, proof, password: hash("new"), disconnect: false, now: f.now() }
}

async fn set(f: &Fixture, user: UserId, proof: Proof) -> PasswordSet {
    f.store.set_password(change(f, user, proof)).await.unwrap().outcome
}

/// A link that lives for an hour.
fn link(f: &Fixture, user: UserId, kind: LinkKind) -> NewLink {
    let hash = Plain::<PasswordLink>::generate(&f.entropy).hash();
    NewLink { hash, user, kind, created: f.now(), expires: time::after(f.now(), Duration::from_secs(3600)) }
}

async fn offered(f: &Fixture, user: UserId, kind: LinkKind) -> NewLink {
    let link = link(f, user, kind);
    assert!(f.store.offer_link(link.clone(), None).await.unwrap());
    link
}

async fn password_of(f: &Fixture, user: &User) -> Option<PasswordHash> {
    f.store.user_by_email(&user.email).await.unwrap().unwrap().1
}

async fn a_new_password_ends_all_sessions_and_links(f: &Fixture) {
    let (user, other) = (f.user("a@site.com").await, f.user("b@site.com").await);
    let [ended, kept] = [&user, &other].map(|user| make::session(&f.entropy, f.now(), user.id, Timestamp::MAX));
    for session in [&ended, &kept] {
        f.store.start_session(session.clone()).await.unwrap();
    }
    let links = [offered(f, user.id, LinkKind::Invitation).await, offered(f, user.id, LinkKind::Reset).await];
    let others = offered(f, other.id, LinkKind::Reset).await;

    assert_eq!(set(f, user.id, Proof::Operator).await, PasswordSet::Done);
    assert_eq!(password_of(f, &user).await, Some(hash("new")));
    assert_eq!(f.store.session(&ended.hash, f.now()).await.unwrap(), None);
    assert!(f.store.session(&kept.hash, f.now()).await.unwrap().is_some());
    for link in links {
        assert_eq!(f.store.link_user(&link.hash, f.now()).await.unwrap(), None);
        assert_eq!(set(f, user.id, Proof::Link(link.hash)).await, PasswordSet::Refused);
    }
    assert_eq!(f.store.link_user(&others.hash, f.now()).await.unwrap(), Some(other));
}

async fn the_old_password_must_still_be_it(f: &Fixture) {
    let user = make::user(&f.entropy, f.now(), "a@site.com");
    f.store.add_user(user.clone(), Some(hash("old"))).await.unwrap();
    let session = make::session(&f.entropy, f.now(), user.id, Timestamp::MAX);
    f.store.start_session(session.clone()).await.unwrap();
    assert_eq!(set(f, user.id, Proof::Old(hash("other"))).await, PasswordSet::Refused);
    assert_eq!(password_of(f, &user).await, Some(hash("old")));
    assert!(f.store.session(&session.hash, f.now()).await.unwrap().is_some());
    assert_eq!(set(f, user.id, Proof::Old(hash("old"))).await, PasswordSet::Done);
    assert_eq!(set(f, user.id, Proof::Old(hash("old"))).await, PasswordSet::Refused);
}

async fn a_hash_is_replaced_only_while_it_is_still_the_old_one(f: &Fixture) {
    let user = make::user(&f.entropy, f.now(), "a@site.com");
    f.store.add_user(user.clone(), Some(hash("one"))).await.unwrap();
    f.store.rehash_password(user.id, hash("one"), hash("two")).await.unwrap();
    f.store.rehash_password(user.id, hash("one"), hash("three")).await.unwrap();
    assert_eq!(password_of(f, &user).await, Some(hash("two")));
}

async fn a_link_sets_a_password_once_however_many_follow_it(f: &Fixture) {
    let user = f.user("a@site.com").await;
    let link = offered(f, user.id, LinkKind::Invitation).await;
    let followed = join_all((0..20).map(|_| set(f, user.id, Proof::Link(link.hash)))).await;
    assert_eq!(followed.iter().filter(|outcome| **outcome == PasswordSet::Done).count(), 1, "{followed:?}");
}

async fn a_link_is_its_owners_and_dies_with_time(f: &Fixture) {
    let (user, other) = (f.user("a@site.com").await, f.user("b@site.com").await);
    let link = offered(f, user.id, LinkKind::Reset).await;
    assert_eq!(set(f, other.id, Proof::Link(link.hash)).await, PasswordSet::Refused);
    assert_eq!(f.store.link_user(&link.hash, f.now()).await.unwrap(), Some(user.clone()));
    f.pass(3600);
    assert_eq!(f.store.link_user(&link.hash, f.now()).await.unwrap(), None);
    assert_eq!(set(f, user.id, Proof::Link(link.hash)).await, PasswordSet::Refused);
    assert_eq!(f.store.purge(f.now(), f.now(), 100).await.unwrap(), 1);
}

async fn a_newer_link_replaces_an_older_one_of_its_kind(f: &Fixture) {
    let user = f.user("a@site.com").await;
    let invitation = offered(f, user.id, LinkKind::Invitation).await;
    let old = offered(f, user.id, LinkKind::Reset).await;
    let new = offered(f, user.id, LinkKind::Reset).await;
    let alive = async |link: &NewLink| f.store.link_user(&link.hash, f.now()).await.unwrap().is_some();
    assert!(!alive(&old).await && alive(&new).await && alive(&invitation).await);
}

async fn a_link_can_wait_for_the_last_one_to_age(f: &Fixture) {
    let user = f.user("a@site.com").await;
    let first = link(f, user.id, LinkKind::Reset);
    let minute_ago = |now: Timestamp| Some(now - Duration::from_secs(60));
    assert!(f.store.offer_link(first.clone(), minute_ago(f.now())).await.unwrap(), "there was none before");
    f.pass(59);
    let second = link(f, user.id, LinkKind::Reset);
    assert!(!f.store.offer_link(second.clone(), minute_ago(f.now())).await.unwrap());
    assert!(f.store.link_user(&first.hash, f.now()).await.unwrap().is_some());
    f.pass(1);
    assert!(f.store.offer_link(second.clone(), minute_ago(f.now())).await.unwrap());
    assert!(f.store.link_user(&second.hash, f.now()).await.unwrap().is_some());
}

async fn a_removed_user_is_offered_no_link_and_no_password(f: &Fixture) {
    let user = f.user("a@site.com").await;
    let old = offered(f, user.id, LinkKind::Invitation).await;
    assert_eq!(f.store.remove_user(&user.email).await.unwrap(), Removed::Yes);
    assert!(!f.store.offer_link(link(f, user.id, LinkKind::Reset), None).await.unwrap());
    assert_eq!(f.store.link_user(&old.hash, f.now()).await.unwrap(), None);
    for proof in [Proof::Operator, Proof::Link(old.hash)] {
        assert_eq!(set(f, user.id, proof).await, PasswordSet::Refused);
    }
}

/// A partner's subscription to a site, set with the permission of one of its owners.
async fn connect(f: &Fixture, partner: &Partner, site: &Site, owner: &User) -> (NewCode, NewSubscription) {
    f.store.grant_site(site.id, &owner.email).await.unwrap();
    let code = f.approve(partner, site, owner).await;
    let new = f.subscription(partner.id, site.id, "https://one.example/leads");
    let new = NewSubscription { by: Some(code.grant), ..new };
    assert_eq!(f.store.replace_subscription(new.clone()).await.unwrap().outcome, Replaced::Done);
    (code, new)
}

async fn is_subscribed(f: &Fixture, partner: &Partner, site: &Site) -> bool {
    f.store.subscription(partner.id, site.id).await.unwrap() != Found::None
}

async fn disconnecting_ends_what_the_person_connected_and_nothing_else(f: &Fixture) {
    let (kim, lou) = (f.user("kim@site.com").await, f.user("lou@site.com").await);
    let (one, two, three) = (f.partner("one").await, f.partner("two").await, f.partner("three").await);
    let site = f.site("www.site.com").await;
    let (kims, subscription) = connect(f, &one, &site, &kim).await;
    let (lous, _) = connect(f, &two, &site, &lou).await;
    let (_, kims_tokens) = f.redeem(&kims).await;
    let (_, lous_tokens) = f.redeem(&lous).await;
    // Set by the operator.
    f.subscribe(&three, &site).await;
    // Kim had connected this one, too, but Lou has done so since.
    let shared = f.site("shared.site.com").await;
    connect(f, &one, &shared, &kim).await;
    connect(f, &one, &shared, &lou).await;
    f.lead(&site, "a@b.com").await;
    f.heard();

    let change = PasswordChange { disconnect: true, ..change(f, kim.id, Proof::Operator) };
    assert_eq!(f.store.set_password(change).await.unwrap().outcome, PasswordSet::Done);
    assert!(f.store.access_grant(&kims_tokens.access, f.now()).await.unwrap().is_none());
    assert!(f.store.access_grant(&lous_tokens.access, f.now()).await.unwrap().is_some());
    assert!(!is_subscribed(f, &one, &site).await);
    assert!(is_subscribed(f, &two, &site).await && is_subscribed(f, &three, &site).await);
    assert!(is_subscribed(f, &one, &shared).await);
    let mut story = f.story().await;
    story.sort_by_key(|state| state.as_str());
    assert_eq!(story, [State::Cancelled, State::Waiting, State::Waiting]);
    assert_eq!(f.heard(), [Signal::Recalled(subscription.id)]);
}

async fn an_ended_grant_sets_no_subscription(f: &Fixture) {
    let (kim, site, partner) = (f.user("kim@site.com").await, f.site("www.site.com").await, f.partner("one").await);
    let (_, subscription) = connect(f, &partner, &site, &kim).await;
    let change = PasswordChange { disconnect: true, ..change(f, kim.id, Proof::Operator) };
    assert_eq!(f.store.set_password(change).await.unwrap().outcome, PasswordSet::Done);
    // A request that was let in a moment before.
    assert_eq!(f.store.replace_subscription(subscription).await.unwrap().outcome, Replaced::Revoked);
    assert!(!is_subscribed(f, &partner, &site).await);
}
