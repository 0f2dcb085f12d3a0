//! Codes and tokens are issued, spent, spent again, revoked, and shown to the wrong ones.

use leadgate::model::Scopes;
use leadgate::model::oauth::{NewCode, NewTokens, PkceVerifier, Redemption, Revocation, Rotation};
use leadgate::model::token::AnyToken;
use proptest::prelude::*;

use super::world::{DOMAINS, EMAILS, Pair, SLUGS, Same, World, often_the_first, pick};
use crate::harness::make;

/// Lives of codes and access tokens; a refresh token lives ten times as long as its access token.
const LIFE: u64 = 90;

/// Something that is done with codes and tokens.
#[derive(Debug, Clone)]
pub enum Step {
    Issue {
        partner: usize,
        site: usize,
        email: usize,
        narrow: bool,
        pkce: bool,
        again: Option<usize>,
    },
    /// The newest code, or another one; by whom it was issued to, or another; with what was asked for, or something else.
    Redeem {
        code: Option<usize>,
        by: Option<usize>,
        elsewhere: bool,
        verifier: Option<u8>,
    },
    Rotate {
        token: Option<usize>,
        by: Option<usize>,
        narrow: Option<bool>,
    },
    /// By either token of a pair.
    Revoke {
        token: Option<usize>,
        by: Option<usize>,
        access: bool,
    },
}

pub fn steps() -> impl Strategy<Value = Step> {
    let (email, site, slug) = (often_the_first(EMAILS.len()), often_the_first(DOMAINS.len()), 0..SLUGS.len());
    let number = || any::<u8>().prop_map(usize::from);
    let other = || prop::option::weighted(0.3, number());
    let seldom = |pool: std::ops::Range<usize>| prop::option::weighted(0.1, pool);
    let elsewhere = prop::bool::weighted(0.2);
    let issued = (slug.clone(), site, email, prop::bool::weighted(0.3), prop::bool::weighted(0.3), seldom(0..10));
    prop_oneof![
        3 => issued.prop_map(|(partner, site, email, narrow, pkce, again)| {
            Step::Issue { partner, site, email, narrow, pkce, again }
        }),
        4 => (other(), seldom(slug.clone()), elsewhere, prop::option::weighted(0.3, 0..2_u8))
            .prop_map(|(code, by, elsewhere, verifier)| Step::Redeem { code, by, elsewhere, verifier }),
        4 => (other(), seldom(slug.clone()), prop::option::weighted(0.4, any::<bool>()))
            .prop_map(|(token, by, narrow)| Step::Rotate { token, by, narrow }),
        1 => (other(), seldom(slug), any::<bool>())
            .prop_map(|(token, by, access)| Step::Revoke { token, by, access }),
    ]
}

impl Step {
    pub async fn take(&self, world: &mut World) -> Same {
        match *self {
            Step::Issue { partner, site, email, narrow, pkce, again } => {
                let (partner, site, user) = (&world.partners[partner], world.sites[site].id, world.users[email].id);
                let mut code = make::approval(&world.entropy, world.now, partner, site, user);
                code.scopes = if narrow { narrow_scopes() } else { Scopes::ALL };
                code.challenge = pkce.then(|| verifier(0).challenge());
                code.expires = world.after(LIFE);
                if let Some(known) = again.and_then(|again| pick(&world.codes, again)) {
                    code.flow = known.flow;
                }
                world.both(async |store| store.issue_code(code.clone()).await).await?;
                world.codes.push(code);
            }
            Step::Redeem { code, by, elsewhere, verifier: shown } => {
                let Some(code) = newest_or(&world.codes, code) else { return Ok(()) };
                let redemption = redemption(world, &code, by, elsewhere, shown);
                let tokens = redemption.tokens.clone();
                let partner = redemption.partner;
                let granted = world.both(async |store| store.redeem_code(redemption.clone()).await).await?;
                if granted.is_ok() {
                    world.tokens.push(Pair { access: tokens.access, refresh: tokens.refresh, partner });
                }
            }
            Step::Rotate { token, by, narrow } => {
                let Some(Pair { refresh, partner: holder, .. }) = newest_or(&world.tokens, token) else {
                    return Ok(());
                };
                let partner = by.map_or(holder, |by| world.partners[by].id);
                let scopes = narrow.map(|narrow| if narrow { narrow_scopes() } else { Scopes::ALL });
                let (tokens, now) = (tokens(world), world.now);
                let rotation = Rotation { refresh, partner, scopes, tokens: tokens.clone(), now };
                let granted = world.both(async |store| store.rotate_refresh(rotation.clone()).await).await?;
                if granted.is_ok() {
                    world.tokens.push(Pair { access: tokens.access, refresh: tokens.refresh, partner });
                }
            }
            Step::Revoke { token, by, access } => {
                let Some(pair) = newest_or(&world.tokens, token) else { return Ok(()) };
                let partner = by.map_or(pair.partner, |by| world.partners[by].id);
                let token = if access { AnyToken::Access(pair.access) } else { AnyToken::Refresh(pair.refresh) };
                let revocation = Revocation { token, partner, now: world.now };
                world.both(async |store| store.revoke_token(revocation).await).await?;
            }
        }
        Ok(())
    }
}

fn redemption(world: &World, code: &NewCode, by: Option<usize>, elsewhere: bool, shown: Option<u8>) -> Redemption {
    let partner = by.map_or(code.partner, |by| world.partners[by].id);
    // What was asked for, unless the step says otherwise.
    let challenge = match shown {
        Some(number) => Some(verifier(number).challenge()),
        None => code.challenge.clone(),
    };
    let redirect_uri = match elsewhere {
        false => code.redirect_uri.as_str().to_owned(),
        true => "https://elsewhere.example/cb".into(),
    };
    Redemption { code: code.code, partner, redirect_uri, challenge, tokens: tokens(world), now: world.now }
}

fn tokens(world: &World) -> NewTokens {
    NewTokens {
        access_expires: world.after(LIFE),
        refresh_expires: world.after(LIFE * 10),
        ..make::tokens(&world.entropy, world.now)
    }
}

fn narrow_scopes() -> Scopes {
    "leadrouter:connect".parse().unwrap()
}

fn verifier(number: u8) -> PkceVerifier {
    number.to_string().repeat(43).parse().unwrap()
}

fn newest_or<T: Clone>(from: &[T], other: Option<usize>) -> Option<T> {
    other.map_or_else(|| from.last().cloned(), |other| pick(from, other))
}
