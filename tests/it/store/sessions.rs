//! Sessions: begun, used, listed, ended.

use std::time::Duration;

use leadgate::model::session::{LiveSession, NewSession};
use leadgate::model::token::{Plain, Session};
use leadgate::model::{Timestamp, UserId, time};

use super::fixture::{Fixture, engines};
use crate::harness::make;

engines!(
    a_session_lives_until_it_ends_or_expires,
    a_use_moves_the_end_of_a_session,
    a_session_that_has_expired_is_not_woken_by_a_use,
    sessions_are_listed_by_their_last_use,
    a_session_is_ended_only_for_its_own_user,
    all_sessions_end_or_all_but_one,
);

async fn begin(f: &Fixture, user: UserId, expires: Timestamp) -> NewSession {
    let new = make::session(&f.entropy, f.now(), user, expires);
    f.store.start_session(new.clone()).await.unwrap();
    new
}

async fn is_alive(f: &Fixture, session: &NewSession, now: Timestamp) -> bool {
    f.store.session(&session.hash, now).await.unwrap().is_some()
}

async fn a_session_lives_until_it_ends_or_expires(f: &Fixture) {
    let user = f.user("a@site.com").await;
    let expires = f.now() + Duration::from_millis(1);
    let expiring = begin(f, user.id, expires).await;
    let ending = begin(f, user.id, Timestamp::MAX).await;
    let found = f.store.session(&expiring.hash, f.now()).await.unwrap().unwrap();
    let NewSession { id, agent, created, .. } = expiring.clone();
    assert_eq!((found.user, found.session), (user, LiveSession { id, agent, created, used: created, expires }));
    assert!(!is_alive(f, &expiring, expires).await);
    assert!(is_alive(f, &ending, expires).await);
    f.store.end_session(&ending.hash).await.unwrap();
    assert!(!is_alive(f, &ending, f.now()).await);
    let unknown = Plain::<Session>::generate(&f.entropy).hash();
    assert_eq!(f.store.session(&unknown, f.now()).await.unwrap(), None);
}

async fn a_use_moves_the_end_of_a_session(f: &Fixture) {
    let user = f.user("a@site.com").await;
    let session = begin(f, user.id, f.now() + Duration::from_secs(10)).await;
    let used = f.pass(9);
    let expires = time::after(used, Duration::from_secs(10));
    f.store.use_session(&session.hash, used, expires).await.unwrap();
    let found = f.store.session(&session.hash, f.pass(9)).await.unwrap().unwrap().session;
    assert_eq!((found.created, found.used, found.expires), (session.created, used, expires));
    assert!(!is_alive(f, &session, f.pass(1)).await);
}

async fn a_session_that_has_expired_is_not_woken_by_a_use(f: &Fixture) {
    let user = f.user("a@site.com").await;
    let session = begin(f, user.id, f.now() + Duration::from_secs(10)).await;
    f.store.use_session(&session.hash, f.pass(10), Timestamp::MAX).await.unwrap();
    assert!(!is_alive(f, &session, f.now()).await);
}

async fn sessions_are_listed_by_their_last_use(f: &Fixture) {
    let (user, other) = (f.user("a@site.com").await, f.user("b@site.com").await);
    let first = begin(f, user.id, Timestamp::MAX).await;
    f.pass(1);
    let second = begin(f, user.id, Timestamp::MAX).await;
    begin(f, user.id, f.now()).await;
    begin(f, other.id, Timestamp::MAX).await;
    let listed = async || {
        let sessions = f.store.sessions_of(user.id, f.now()).await.unwrap();
        sessions.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [second.id, first.id]);
    f.store.use_session(&first.hash, f.pass(1), Timestamp::MAX).await.unwrap();
    assert_eq!(listed().await, [first.id, second.id]);
}

async fn a_session_is_ended_only_for_its_own_user(f: &Fixture) {
    let (user, other) = (f.user("a@site.com").await, f.user("b@site.com").await);
    let (one, two) = (begin(f, user.id, Timestamp::MAX).await, begin(f, user.id, Timestamp::MAX).await);
    f.store.end_session_of(other.id, one.id).await.unwrap();
    assert!(is_alive(f, &one, f.now()).await);
    f.store.end_session_of(user.id, one.id).await.unwrap();
    assert!(!is_alive(f, &one, f.now()).await);
    assert!(is_alive(f, &two, f.now()).await);
}

async fn all_sessions_end_or_all_but_one(f: &Fixture) {
    let (user, other) = (f.user("a@site.com").await, f.user("b@site.com").await);
    let kept = begin(f, user.id, Timestamp::MAX).await;
    let ended = begin(f, user.id, Timestamp::MAX).await;
    begin(f, user.id, f.now()).await;
    let others = begin(f, other.id, Timestamp::MAX).await;
    assert_eq!(
        f.store.end_sessions(user.id, Some(kept.id), f.now()).await.unwrap(),
        1,
        "the expired one is not counted"
    );
    assert!(is_alive(f, &kept, f.now()).await && !is_alive(f, &ended, f.now()).await);
    assert_eq!(f.store.end_sessions(user.id, None, f.now()).await.unwrap(), 1);
    assert!(!is_alive(f, &kept, f.now()).await && is_alive(f, &others, f.now()).await);
}
