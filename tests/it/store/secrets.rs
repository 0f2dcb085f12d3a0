//! What is sealed: read page by page, and sealed anew only where nothing was set meanwhile.

use leadgate::model::seal::Sealed;
use leadgate::store::{Found, NewSubscription, Resealed};

use super::fixture::{Fixture, engines};

engines!(
    secrets_are_read_in_pages_and_those_of_removed_subscriptions_not,
    a_secret_that_was_set_meanwhile_wins,
    the_known_word_is_replaced_only_if_nobody_else_has_done_it,
);

fn sealed(text: &str) -> Sealed {
    Sealed::from_bytes(text.into())
}

async fn secrets_are_read_in_pages_and_those_of_removed_subscriptions_not(f: &Fixture) {
    let (site, partners, mut expected) = f.subscribed_site(5).await;
    f.store.remove_subscription(partners[2].id, site.id, f.now()).await.unwrap();
    expected.remove(2);
    expected.sort_by_key(|id| *id.as_bytes());
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = f.store.sealed_secrets(after, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        found.extend(page.into_iter().map(|secret| secret.id));
    }
    assert_eq!(found, expected);
    assert_eq!(f.store.count_secrets().await.unwrap(), 4);
}

async fn a_secret_that_was_set_meanwhile_wins(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(2).await;
    let read = f.store.sealed_secrets(None, 10).await.unwrap();
    let Found::One(set) = f.store.subscription(partners[0].id, site.id).await.unwrap() else { panic!("it is there") };
    let new = NewSubscription {
        id: set.id,
        site: site.id,
        partner: partners[0].id,
        url: set.url.clone(),
        secret: sealed("set meanwhile"),
        by: None,
        now: f.now(),
    };
    f.store.replace_subscription(new).await.unwrap();
    f.heard();
    let anew = read.into_iter().map(|old| Resealed { old, new: sealed("sealed anew") });
    assert_eq!(f.store.reseal(anew.collect()).await.unwrap(), 1);
    assert_eq!(f.heard(), [], "the secret is the same");
    for (partner, secret) in partners.iter().zip(["set meanwhile", "sealed anew"]) {
        let Found::One(found) = f.store.subscription(partner.id, site.id).await.unwrap() else { panic!("it is there") };
        assert_eq!((found.secret, found.updated), (sealed(secret), f.now()));
    }
}

async fn the_known_word_is_replaced_only_if_nobody_else_has_done_it(f: &Fixture) {
    assert_eq!(f.store.key_check().await.unwrap(), None);
    f.store.set_key_check(sealed("first")).await.unwrap();
    f.store.set_key_check(sealed("late")).await.unwrap();
    f.store.replace_key_check(sealed("late"), sealed("wrong")).await.unwrap();
    assert_eq!(f.store.key_check().await.unwrap(), Some(sealed("first")));
    f.store.replace_key_check(sealed("first"), sealed("second")).await.unwrap();
    assert_eq!(f.store.key_check().await.unwrap(), Some(sealed("second")));
}
