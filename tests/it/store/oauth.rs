//! Codes, grants and tokens.

use std::time::Duration;

use futures_util::future::join_all;
use leadgate::model::GrantId;
use leadgate::model::oauth::{
    GrantRefused, Granted, Issued, LiveToken, NewTokens, PkceVerifier, Redemption, Revocation, Rotation,
};
use leadgate::model::partner::Partner;
use leadgate::model::person::User;
use leadgate::model::scope::{Scope, Scopes};
use leadgate::model::site::Site;
use leadgate::model::token::AnyToken;

use super::fixture::{Fixture, engines};
use crate::harness::make;

engines!(
    an_authorization_request_is_approved_once,
    only_an_owner_approves,
    a_code_becomes_tokens_for_its_site,
    a_refused_redemption_does_not_burn_the_code,
    a_replayed_code_ends_every_token_that_descends_from_it,
    of_twenty_redemptions_at_once_one_succeeds,
    a_code_is_for_an_owner_still,
    a_refresh_token_rotates,
    a_narrower_scope_is_for_one_access_token_alone,
    a_lost_answer_may_be_asked_for_again_within_a_minute,
    a_replaced_token_that_comes_late_ends_the_grant,
    a_token_older_than_the_last_ends_the_grant,
    a_refresh_is_refused_without_harm,
    of_twenty_refreshes_at_once_none_locks_the_partner_out,
    an_access_token_dies_with_its_partner,
    an_access_token_dies_with_its_site,
    a_live_token_is_shown_with_its_own_life,
    a_refresh_token_is_shown_as_long_as_it_would_be_honoured,
    either_token_ends_its_grant_and_no_other,
    an_expired_access_token_still_ends_its_grant,
    expired_access_tokens_are_forgotten_at_the_next_refresh,
    nobody_ends_another_partners_grant,
    of_twenty_revocations_at_once_one_ends_the_grant,
    a_refresh_beside_a_revocation_leaves_nothing_alive,
);

/// A partner, an owner, and the owner's site.
async fn parties(f: &Fixture) -> (Partner, Site, User) {
    let (partner, site, owner) = (f.partner("piesync").await, f.site("www.site.com").await, f.user("a@b.com").await);
    f.store.grant_site(site.id, &owner.email).await.unwrap();
    (partner, site, owner)
}

/// A grant whose code has been redeemed.
async fn connected(f: &Fixture) -> (Partner, Site, User, NewTokens) {
    let (partner, site, owner) = parties(f).await;
    let code = f.approve(&partner, &site, &owner).await;
    let (_, tokens) = f.redeem(&code).await;
    (partner, site, owner, tokens)
}

fn rotation(f: &Fixture, partner: &Partner, tokens: &NewTokens) -> Rotation {
    Rotation {
        refresh: tokens.refresh,
        partner: partner.id,
        scopes: None,
        tokens: make::tokens(&f.entropy, f.now()),
        now: f.now(),
    }
}

/// Refreshes; the new pair, or why there is none.
async fn refresh(f: &Fixture, partner: &Partner, tokens: &NewTokens) -> Result<NewTokens, GrantRefused> {
    let rotation = rotation(f, partner, tokens);
    let new = rotation.tokens.clone();
    f.store.rotate_refresh(rotation).await.unwrap().map(|_| new)
}

async fn redeem(f: &Fixture, redemption: Redemption) -> Result<Granted, GrantRefused> {
    f.store.redeem_code(redemption).await.unwrap()
}

/// Whether the access token is live; both who ask for it are told the same.
async fn works(f: &Fixture, tokens: &NewTokens) -> bool {
    let is_live = f.store.access_grant(&tokens.access, f.now()).await.unwrap().is_some();
    assert_eq!(f.store.held_subscription(&tokens.access, f.now()).await.unwrap().is_some(), is_live);
    is_live
}

fn scopes(scope: Scope) -> Scopes {
    scope.as_str().parse().unwrap()
}

async fn an_authorization_request_is_approved_once(f: &Fixture) {
    let (partner, site, owner) = parties(f).await;
    let first = make::approval(&f.entropy, f.now(), &partner, site.id, owner.id);
    let clicks = (0..10).map(|_| {
        let again = make::approval(&f.entropy, f.now(), &partner, site.id, owner.id);
        f.store.issue_code(leadgate::model::oauth::NewCode { flow: first.flow, ..again })
    });
    let issued: Vec<_> = join_all(clicks).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(issued.iter().filter(|issued| **issued == Issued::Code).count(), 1);
    assert_eq!(issued.iter().filter(|issued| **issued == Issued::AlreadyApproved).count(), 9);
}

async fn only_an_owner_approves(f: &Fixture) {
    let (partner, site, owner) = parties(f).await;
    let other_site = f.site("other.com").await;
    let other_user = f.user("other@b.com").await;
    let approve = async |partner: &Partner, site: &Site, user: &User| {
        f.store.issue_code(make::approval(&f.entropy, f.now(), partner, site.id, user.id)).await.unwrap()
    };
    assert_eq!(approve(&partner, &other_site, &owner).await, Issued::NotOwner);
    assert_eq!(approve(&partner, &site, &other_user).await, Issued::NotOwner);
    assert_eq!(approve(&partner, &site, &owner).await, Issued::Code);

    f.store.remove_partner(&partner.slug, f.now()).await.unwrap();
    assert_eq!(approve(&partner, &site, &owner).await, Issued::NotOwner);
    let partner = f.partner("cinc").await;
    f.store.remove_site(site.id, f.now()).await.unwrap();
    assert_eq!(approve(&partner, &site, &owner).await, Issued::NotOwner);
    f.store.grant_site(other_site.id, &owner.email).await.unwrap();
    f.store.remove_user(&owner.email).await.unwrap();
    assert_eq!(approve(&partner, &other_site, &owner).await, Issued::NotOwner);
}

async fn a_code_becomes_tokens_for_its_site(f: &Fixture) {
    let (partner, site, owner) = parties(f).await;
    let code = f.approve(&partner, &site, &owner).await;
    let (granted, tokens) = f.redeem(&code).await;
    assert_eq!(granted, Granted { scopes: Scopes::ALL, site: site.clone() });

    let access = f.store.access_grant(&tokens.access, f.now()).await.unwrap().unwrap();
    assert_eq!((access.grant, access.partner, access.slug), (code.grant, partner.id, partner.slug));
    assert_eq!((access.site, access.user, access.scopes), (site, owner.id, Scopes::ALL));
    assert_eq!(access.expires, tokens.access_expires);
    let last = tokens.access_expires - Duration::from_millis(1);
    assert!(f.store.access_grant(&tokens.access, last).await.unwrap().is_some());
    assert!(f.store.access_grant(&tokens.access, tokens.access_expires).await.unwrap().is_none());
}

async fn a_refused_redemption_does_not_burn_the_code(f: &Fixture) {
    let (partner, site, owner) = parties(f).await;
    let stranger = f.partner("cinc").await;
    let verifier: PkceVerifier = "v".repeat(43).parse().unwrap();
    let mut code = make::approval(&f.entropy, f.now(), &partner, site.id, owner.id);
    code.challenge = Some(verifier.challenge());
    f.store.issue_code(code.clone()).await.unwrap();

    let right = f.redemption(&code);
    let theirs = Redemption { partner: stranger.id, ..right.clone() };
    assert_eq!(redeem(f, theirs).await, Err(GrantRefused::Unknown));
    let elsewhere = Redemption { redirect_uri: "https://piesync.example/other".into(), ..right.clone() };
    assert_eq!(redeem(f, elsewhere).await, Err(GrantRefused::RedirectUri));
    let unproven = Redemption { challenge: None, ..right.clone() };
    assert_eq!(redeem(f, unproven).await, Err(GrantRefused::Verifier));
    let unknown = Redemption { code: f.redemption(&make_up(f, &partner, &site, &owner)).code, ..right.clone() };
    assert_eq!(redeem(f, unknown).await, Err(GrantRefused::Unknown));
    let late = Redemption { now: code.expires, ..right.clone() };
    assert_eq!(redeem(f, late).await, Err(GrantRefused::Expired));
    assert!(redeem(f, right).await.is_ok());
}

/// An approval that was never stored.
fn make_up(f: &Fixture, partner: &Partner, site: &Site, owner: &User) -> leadgate::model::oauth::NewCode {
    make::approval(&f.entropy, f.now(), partner, site.id, owner.id)
}

async fn a_replayed_code_ends_every_token_that_descends_from_it(f: &Fixture) {
    let (partner, site, owner) = parties(f).await;
    let code = f.approve(&partner, &site, &owner).await;
    let (_, first) = f.redeem(&code).await;
    let second = refresh(f, &partner, &first).await.unwrap();
    let (_, other_grant) = f.redeem(&f.approve(&partner, &site, &owner).await).await;
    // Long after the code has expired, too.
    f.pass(600);
    assert_eq!(redeem(f, f.redemption(&code)).await, Err(GrantRefused::Replayed));
    assert!(!works(f, &first).await && !works(f, &second).await);
    assert_eq!(refresh(f, &partner, &second).await.err(), Some(GrantRefused::Revoked));
    assert!(works(f, &other_grant).await);
}

async fn of_twenty_redemptions_at_once_one_succeeds(f: &Fixture) {
    let (partner, site, owner) = parties(f).await;
    let code = f.approve(&partner, &site, &owner).await;
    let results = join_all((0..20).map(|_| redeem(f, f.redemption(&code)))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(results.iter().filter(|result| **result == Err(GrantRefused::Replayed)).count(), 19);
}

async fn a_code_is_for_an_owner_still(f: &Fixture) {
    let (partner, site, owner) = parties(f).await;
    let code = f.approve(&partner, &site, &owner).await;
    f.store.remove_site(site.id, f.now()).await.unwrap();
    assert_eq!(redeem(f, f.redemption(&code)).await, Err(GrantRefused::Revoked));
}

async fn a_refresh_token_rotates(f: &Fixture) {
    let (partner, site, _, first) = connected(f).await;
    let rotation = rotation(f, &partner, &first);
    let second = rotation.tokens.clone();
    let granted = f.store.rotate_refresh(rotation).await.unwrap().unwrap();
    assert_eq!(granted, Granted { scopes: Scopes::ALL, site });
    // Access tokens live out their own lives.
    assert!(works(f, &first).await && works(f, &second).await);
    f.pass(1800);
    let third = refresh(f, &partner, &second).await.unwrap();
    f.pass(1801);
    assert!(!works(f, &first).await && !works(f, &second).await && works(f, &third).await);
}

async fn a_narrower_scope_is_for_one_access_token_alone(f: &Fixture) {
    let (partner, site, owner) = parties(f).await;
    let mut code = make::approval(&f.entropy, f.now(), &partner, site.id, owner.id);
    code.scopes = scopes(Scope::Send);
    f.store.issue_code(code.clone()).await.unwrap();
    let (_, small) = f.redeem(&code).await;
    let wider = Rotation { scopes: Some(Scopes::ALL), ..rotation(f, &partner, &small) };
    assert_eq!(f.store.rotate_refresh(wider).await.unwrap(), Err(GrantRefused::Scope));
    assert!(refresh(f, &partner, &small).await.is_ok(), "the refusal has not burnt the token");

    let (_, first) = f.redeem(&f.approve(&partner, &site, &owner).await).await;
    let narrower = Rotation { scopes: Some(scopes(Scope::Connect)), ..rotation(f, &partner, &first) };
    let second = narrower.tokens.clone();
    assert_eq!(f.store.rotate_refresh(narrower).await.unwrap().unwrap().scopes, scopes(Scope::Connect));
    let narrow = f.store.access_grant(&second.access, f.now()).await.unwrap().unwrap();
    assert_eq!(narrow.scopes, scopes(Scope::Connect));
    let third = refresh(f, &partner, &second).await.unwrap();
    assert_eq!(f.store.access_grant(&third.access, f.now()).await.unwrap().unwrap().scopes, Scopes::ALL);
}

async fn a_lost_answer_may_be_asked_for_again_within_a_minute(f: &Fixture) {
    let (partner, _, _, first) = connected(f).await;
    f.pass(1000);
    let lost = refresh(f, &partner, &first).await.unwrap();
    f.pass(60);
    let repeated = refresh(f, &partner, &first).await.unwrap();
    assert!(works(f, &lost).await && works(f, &repeated).await);
    let next = refresh(f, &partner, &repeated).await.unwrap();
    // The pair that got lost after all counts as the one just replaced.
    assert!(refresh(f, &partner, &lost).await.is_ok());
    assert!(works(f, &next).await);
}

async fn a_replaced_token_that_comes_late_ends_the_grant(f: &Fixture) {
    let (partner, _, _, first) = connected(f).await;
    let second = refresh(f, &partner, &first).await.unwrap();
    f.clock.advance(Duration::from_millis(60_001));
    assert_eq!(refresh(f, &partner, &first).await.err(), Some(GrantRefused::Replayed));
    assert!(!works(f, &second).await);
    assert_eq!(refresh(f, &partner, &second).await.err(), Some(GrantRefused::Revoked));
}

async fn a_token_older_than_the_last_ends_the_grant(f: &Fixture) {
    let (partner, _, _, first) = connected(f).await;
    let second = refresh(f, &partner, &first).await.unwrap();
    let third = refresh(f, &partner, &second).await.unwrap();
    assert_eq!(refresh(f, &partner, &first).await.err(), Some(GrantRefused::Replayed));
    assert!(!works(f, &third).await);
}

async fn a_refresh_is_refused_without_harm(f: &Fixture) {
    let (partner, site, _, tokens) = connected(f).await;
    let stranger = f.partner("cinc").await;
    assert_eq!(refresh(f, &stranger, &tokens).await.err(), Some(GrantRefused::Unknown));
    let made_up = make::tokens(&f.entropy, f.now());
    assert_eq!(refresh(f, &partner, &made_up).await.err(), Some(GrantRefused::Unknown));
    let late = Rotation { now: tokens.refresh_expires, ..rotation(f, &partner, &tokens) };
    assert_eq!(f.store.rotate_refresh(late).await.unwrap(), Err(GrantRefused::Expired));
    let tokens = refresh(f, &partner, &tokens).await.unwrap();

    f.store.remove_site(site.id, f.now()).await.unwrap();
    assert_eq!(refresh(f, &partner, &tokens).await.err(), Some(GrantRefused::Revoked));
}

async fn of_twenty_refreshes_at_once_none_locks_the_partner_out(f: &Fixture) {
    let (partner, _, _, tokens) = connected(f).await;
    let pairs = join_all((0..20).map(|_| refresh(f, &partner, &tokens))).await;
    for pair in &pairs {
        assert!(works(f, pair.as_ref().unwrap()).await);
    }
    // Whichever pair the partner kept, it goes on.
    f.pass(1000);
    assert!(refresh(f, &partner, pairs[7].as_ref().unwrap()).await.is_ok());
}

async fn an_access_token_dies_with_its_partner(f: &Fixture) {
    let (partner, _, _, tokens) = connected(f).await;
    f.store.remove_partner(&partner.slug, f.now()).await.unwrap();
    assert!(!works(f, &tokens).await);
    assert_eq!(refresh(f, &partner, &tokens).await.err(), Some(GrantRefused::Revoked));
}

async fn an_access_token_dies_with_its_site(f: &Fixture) {
    let (_, site, _, tokens) = connected(f).await;
    f.store.remove_site(site.id, f.now()).await.unwrap();
    assert!(!works(f, &tokens).await);
}

/// The two tokens of a pair.
fn both(tokens: &NewTokens) -> [AnyToken; 2] {
    [AnyToken::Access(tokens.access), AnyToken::Refresh(tokens.refresh)]
}

async fn shown(f: &Fixture, token: AnyToken) -> Option<LiveToken> {
    f.store.live_token(token, f.now()).await.unwrap()
}

async fn revoke(f: &Fixture, partner: &Partner, token: AnyToken) -> Option<GrantId> {
    f.store.revoke_token(Revocation { token, partner: partner.id, now: f.now() }).await.unwrap()
}

async fn a_live_token_is_shown_with_its_own_life(f: &Fixture) {
    let (partner, site, owner, first) = connected(f).await;
    let issued = f.now();
    f.pass(1000);
    let narrower = Rotation { scopes: Some(scopes(Scope::Send)), ..rotation(f, &partner, &first) };
    let second = narrower.tokens.clone();
    f.store.rotate_refresh(narrower).await.unwrap().unwrap();
    let expected = |scopes, issued, expires| {
        Some(LiveToken { partner: partner.id, user: owner.id, site: site.id, scopes, issued, expires })
    };
    let old = expected(Scopes::ALL, issued, first.access_expires);
    assert_eq!(shown(f, AnyToken::Access(first.access)).await, old);
    let narrow = expected(scopes(Scope::Send), f.now(), second.access_expires);
    assert_eq!(shown(f, AnyToken::Access(second.access)).await, narrow);
    // It can be exchanged for everything that was granted.
    let refresh = expected(Scopes::ALL, f.now(), second.refresh_expires);
    assert_eq!(shown(f, AnyToken::Refresh(second.refresh)).await, refresh);

    f.clock.advance_to(second.access_expires);
    assert_eq!(shown(f, AnyToken::Access(second.access)).await, None);
    assert_eq!(shown(f, AnyToken::Refresh(second.refresh)).await, refresh);
    f.clock.advance_to(second.refresh_expires);
    assert_eq!(shown(f, AnyToken::Refresh(second.refresh)).await, None);
    for token in both(&make::tokens(&f.entropy, f.now())) {
        assert_eq!(shown(f, token).await, None);
    }
}

async fn a_refresh_token_is_shown_as_long_as_it_would_be_honoured(f: &Fixture) {
    let (partner, _, owner, first) = connected(f).await;
    let second = refresh(f, &partner, &first).await.unwrap();
    f.pass(60);
    assert!(shown(f, AnyToken::Refresh(first.refresh)).await.is_some(), "it may be asked for again");
    f.clock.advance(Duration::from_millis(1));
    assert_eq!(shown(f, AnyToken::Refresh(first.refresh)).await, None);
    assert!(shown(f, AnyToken::Refresh(second.refresh)).await.is_some());
    f.store.remove_user(&owner.email).await.unwrap();
    for token in both(&second) {
        assert_eq!(shown(f, token).await, None);
    }
}

async fn either_token_ends_its_grant_and_no_other(f: &Fixture) {
    let (partner, site, owner) = parties(f).await;
    let (_, other) = f.redeem(&f.approve(&partner, &site, &owner).await).await;
    for which in [0, 1] {
        let code = f.approve(&partner, &site, &owner).await;
        let (_, first) = f.redeem(&code).await;
        let second = refresh(f, &partner, &first).await.unwrap();
        assert_eq!(revoke(f, &partner, both(&second)[which]).await, Some(code.grant));
        for token in [both(&first), both(&second)].concat() {
            assert_eq!(shown(f, token).await, None);
            assert_eq!(revoke(f, &partner, token).await, None, "it has ended already");
        }
        assert!(!works(f, &first).await && !works(f, &second).await);
        assert_eq!(refresh(f, &partner, &second).await.err(), Some(GrantRefused::Revoked));
        assert_eq!(redeem(f, f.redemption(&code)).await, Err(GrantRefused::Replayed));
    }
    assert!(works(f, &other).await);
    assert!(refresh(f, &partner, &other).await.is_ok());
}

async fn an_expired_access_token_still_ends_its_grant(f: &Fixture) {
    let (partner, _, _, tokens) = connected(f).await;
    f.pass(100 * 24 * 3600);
    f.purge(f.now(), 100).await;
    assert!(revoke(f, &partner, AnyToken::Access(tokens.access)).await.is_some());
    assert_eq!(refresh(f, &partner, &tokens).await.err(), Some(GrantRefused::Revoked));
}

async fn expired_access_tokens_are_forgotten_at_the_next_refresh(f: &Fixture) {
    let (partner, _, _, first) = connected(f).await;
    f.pass(1800);
    let second = refresh(f, &partner, &first).await.unwrap();
    f.pass(1800);
    let third = refresh(f, &partner, &second).await.unwrap();
    assert_eq!(revoke(f, &partner, AnyToken::Access(first.access)).await, None);
    assert!(works(f, &second).await && works(f, &third).await);
    assert!(revoke(f, &partner, AnyToken::Access(second.access)).await.is_some());
}

async fn nobody_ends_another_partners_grant(f: &Fixture) {
    let (_, _, _, tokens) = connected(f).await;
    let stranger = f.partner("cinc").await;
    for token in both(&tokens).into_iter().chain(both(&make::tokens(&f.entropy, f.now()))) {
        assert_eq!(revoke(f, &stranger, token).await, None);
    }
    assert!(works(f, &tokens).await);
}

async fn of_twenty_revocations_at_once_one_ends_the_grant(f: &Fixture) {
    let (partner, _, _, tokens) = connected(f).await;
    let ended = join_all((0..20).map(|n| revoke(f, &partner, both(&tokens)[n % 2]))).await;
    assert_eq!(ended.iter().flatten().count(), 1);
}

async fn a_refresh_beside_a_revocation_leaves_nothing_alive(f: &Fixture) {
    for _ in 0..10 {
        let (partner, site, owner) =
            (f.partner("piesync").await, f.site("www.site.com").await, f.user("a@b.com").await);
        f.store.grant_site(site.id, &owner.email).await.unwrap();
        let (_, tokens) = f.redeem(&f.approve(&partner, &site, &owner).await).await;
        let refreshes = join_all((0..5).map(|_| refresh(f, &partner, &tokens)));
        let (pairs, ended) = tokio::join!(refreshes, revoke(f, &partner, AnyToken::Refresh(tokens.refresh)));
        assert!(ended.is_some());
        for pair in pairs.iter().flatten() {
            assert!(!works(f, pair).await);
            assert_eq!(refresh(f, &partner, pair).await.err(), Some(GrantRefused::Revoked));
        }
        f.store.remove_user(&owner.email).await.unwrap();
        f.store.remove_partner(&partner.slug, f.now()).await.unwrap();
    }
}
