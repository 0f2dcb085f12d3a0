//! Users, their sessions, sites, partners and sources come and go.

use std::time::Duration;

use leadgate::model::partner::{Partner, PartnerChange, Slug};
use leadgate::model::password::{LinkKind, NewLink, PasswordChange, Proof};
use leadgate::model::person::{PasswordHash, User};
use leadgate::model::site::Site;
use leadgate::model::source::Reach;
use leadgate::model::token::{Credential, PasswordLink, Plain};
use leadgate::store::{AddSource, AddUser, NewPartner};
use proptest::prelude::*;

use super::world::{DOMAINS, EMAILS, SLUGS, Same, World, pick};
use crate::harness::make;

/// User names of the sources.
pub const USERNAMES: [&str; 3] = ["A", "a", "B"];

/// Passwords' hashes.
const PASSWORDS: [&str; 2] = ["one", "other"];

/// Something that happens to the directory; numbers are places in the pools.
#[derive(Debug, Clone)]
pub enum Step {
    AddUser { email: usize },
    SetPassword { email: usize, proof: Option<u8>, disconnect: bool },
    OfferLink { email: usize, reset: bool },
    Rehash { email: usize, old: usize, new: usize },
    RemoveUser { email: usize },
    StartSession { email: usize, seconds: u64 },
    UseSession { session: usize, seconds: u64 },
    EndSession { session: usize },
    EndSessionOf { email: usize, session: usize },
    EndSessions { email: usize, except: usize },
    AddSite { site: usize, owners: Vec<usize> },
    GrantSite { site: usize, email: usize },
    RemoveSite { site: usize },
    AddPartner { slug: usize, echo: bool, merge: bool },
    RotatePartner { slug: usize },
    ChangePartner { slug: usize, merge_updates: Option<bool>, require_pkce: Option<bool> },
    RemovePartner { slug: usize },
    AddSource { username: usize, sites: Option<Vec<usize>> },
    RemoveSource { username: usize },
}

pub fn steps() -> impl Strategy<Value = Step> {
    let (email, site, slug, username) = (0..EMAILS.len(), 0..DOMAINS.len(), 0..SLUGS.len(), 0..USERNAMES.len());
    let password = 0..PASSWORDS.len();
    let some = |pool: std::ops::Range<usize>| prop::collection::vec(pool, 0..=3);
    prop_oneof![
        3 => email.clone().prop_map(|email| Step::AddUser { email }),
        3 => (email.clone(), any::<Option<u8>>(), any::<bool>())
            .prop_map(|(email, proof, disconnect)| Step::SetPassword { email, proof, disconnect }),
        2 => (email.clone(), any::<bool>()).prop_map(|(email, reset)| Step::OfferLink { email, reset }),
        1 => (email.clone(), password.clone(), password).prop_map(|(email, old, new)| Step::Rehash { email, old, new }),
        1 => email.clone().prop_map(|email| Step::RemoveUser { email }),
        2 => (email.clone(), 1..100_u64).prop_map(|(email, seconds)| Step::StartSession { email, seconds }),
        1 => (any::<u8>(), 1..100_u64)
            .prop_map(|(session, seconds)| Step::UseSession { session: session.into(), seconds }),
        1 => any::<u8>().prop_map(|session| Step::EndSession { session: session.into() }),
        1 => (email.clone(), any::<u8>())
            .prop_map(|(email, session)| Step::EndSessionOf { email, session: session.into() }),
        1 => (email.clone(), any::<u8>())
            .prop_map(|(email, except)| Step::EndSessions { email, except: except.into() }),
        4 => (site.clone(), some(email.clone())).prop_map(|(site, owners)| Step::AddSite { site, owners }),
        3 => (site.clone(), email).prop_map(|(site, email)| Step::GrantSite { site, email }),
        1 => site.clone().prop_map(|site| Step::RemoveSite { site }),
        4 => (slug.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(slug, echo, merge)| Step::AddPartner { slug, echo, merge }),
        1 => slug.clone().prop_map(|slug| Step::RotatePartner { slug }),
        3 => (slug.clone(), any::<Option<bool>>(), any::<Option<bool>>())
            .prop_map(|(slug, merge_updates, require_pkce)| Step::ChangePartner { slug, merge_updates, require_pkce }),
        1 => slug.prop_map(|slug| Step::RemovePartner { slug }),
        2 => (username.clone(), prop::option::of(some(site)))
            .prop_map(|(username, sites)| Step::AddSource { username, sites }),
        1 => username.prop_map(|username| Step::RemoveSource { username }),
    ]
}

impl Step {
    pub async fn take(&self, world: &mut World) -> Same {
        match self {
            Step::AddUser { email } => add_user(world, *email).await,
            Step::SetPassword { email, proof, disconnect } => set_password(world, *email, *proof, *disconnect).await,
            Step::OfferLink { email, reset } => offer_link(world, *email, *reset).await,
            Step::Rehash { email, old, new } => {
                let user = world.users[*email].id;
                world.both(async |store| store.rehash_password(user, hash(*old), hash(*new)).await).await
            }
            Step::RemoveUser { email } => {
                let email = world.email(*email);
                world.both(async |store| store.remove_user(&email).await).await.map(drop)
            }
            Step::StartSession { email, seconds } => start_session(world, *email, *seconds).await,
            Step::EndSession { session } => match pick(&world.sessions, *session) {
                Some(session) => world.both(async |store| store.end_session(&session.hash).await).await,
                None => Ok(()),
            },
            Step::UseSession { session, seconds } => match pick(&world.sessions, *session) {
                Some(session) => {
                    let (now, expires) = (world.now, world.after(*seconds));
                    world.both(async |store| store.use_session(&session.hash, now, expires).await).await
                }
                None => Ok(()),
            },
            Step::EndSessionOf { email, session } => match pick(&world.sessions, *session) {
                Some(session) => {
                    let user = world.users[*email].id;
                    world.both(async |store| store.end_session_of(user, session.id).await).await
                }
                None => Ok(()),
            },
            Step::EndSessions { email, except } => {
                let (user, now) = (world.users[*email].id, world.now);
                let except = pick(&world.sessions, *except).map(|session| session.id);
                world.both(async |store| store.end_sessions(user, except, now).await).await.map(drop)
            }
            Step::AddSite { site, owners } => add_site(world, *site, owners).await,
            Step::GrantSite { site, email } => {
                let (site, email) = (world.sites[*site].id, world.email(*email));
                world.both(async |store| store.grant_site(site, &email).await).await.map(drop)
            }
            Step::RemoveSite { site } => {
                let (site, now) = (world.sites[*site].id, world.now);
                world.both(async |store| store.remove_site(site, now).await).await.map(drop)
            }
            Step::AddPartner { slug, echo, merge } => add_partner(world, *slug, *echo, *merge).await,
            Step::RotatePartner { slug } => {
                let (slug, secret) = (slug_of(*slug), Plain::<Credential>::generate(&world.entropy).hash());
                world.both(async |store| store.set_partner_secret(&slug, secret).await).await.map(drop)
            }
            Step::ChangePartner { slug, merge_updates, require_pkce } => {
                let slug = slug_of(*slug);
                let change = PartnerChange { merge_updates: *merge_updates, require_pkce: *require_pkce };
                world.both(async |store| store.change_partner(&slug, change).await).await.map(drop)
            }
            Step::RemovePartner { slug } => {
                let (slug, now) = (slug_of(*slug), world.now);
                world.both(async |store| store.remove_partner(&slug, now).await).await.map(drop)
            }
            Step::AddSource { username, sites } => add_source(world, *username, sites.as_deref()).await,
            Step::RemoveSource { username } => {
                let username = USERNAMES[*username].parse().unwrap();
                world.both(async |store| store.remove_source(&username).await).await.map(drop)
            }
        }
    }
}

async fn add_user(world: &mut World, email: usize) -> Same {
    let user = make::user(&world.entropy, world.now, EMAILS[email]);
    let user = User { name: format!("Some {email}"), operator: email == 1, ..user };
    let password = (email > 0).then(|| hash(0));
    let added = world.both(async |store| store.add_user(user.clone(), password.clone()).await).await?;
    if added == AddUser::Added {
        world.users[email] = user;
    }
    Ok(())
}

/// On the operator's word, with what may be the old password, or by one of the links.
async fn set_password(world: &World, email: usize, proof: Option<u8>, disconnect: bool) -> Same {
    let proof = match proof.map(usize::from) {
        None => Proof::Operator,
        Some(number) => match pick(&world.links, number / 2) {
            Some(link) if number % 2 == 0 => Proof::Link(link),
            _ => Proof::Old(hash(number % PASSWORDS.len())),
        },
    };
    let (user, now) = (world.users[email].id, world.now);
    let change = PasswordChange { user, proof, password: hash(email % PASSWORDS.len()), disconnect, now };
    world.both(async |store| store.set_password(change.clone()).await).await.map(drop)
}

async fn offer_link(world: &mut World, email: usize, reset: bool) -> Same {
    let hash = Plain::<PasswordLink>::generate(&world.entropy).hash();
    let (user, created, expires) = (world.users[email].id, world.now, world.after(50));
    let (kind, unless_after) = match reset {
        true => (LinkKind::Reset, Some(created - Duration::from_secs(10))),
        false => (LinkKind::Invitation, None),
    };
    let link = NewLink { hash, user, kind, created, expires };
    world.both(async |store| store.offer_link(link.clone(), unless_after).await).await?;
    world.links.push(hash);
    Ok(())
}

/// Of a user who is there: nobody else can have shown a password.
async fn start_session(world: &mut World, email: usize, seconds: u64) -> Same {
    let email = world.email(email);
    let Some((user, _)) = world.both(async |store| store.user_by_email(&email).await).await? else { return Ok(()) };
    let session = make::session(&world.entropy, world.now, user.id, world.after(seconds));
    world.both(async |store| store.start_session(session.clone()).await).await?;
    world.sessions.push(session);
    Ok(())
}

async fn add_site(world: &World, site: usize, owners: &[usize]) -> Same {
    let site = Site { created: world.now, ..world.sites[site].clone() };
    let owners: Vec<_> = owners.iter().map(|owner| world.email(*owner)).collect();
    world.both(async |store| store.add_site(site.clone(), &owners).await).await.map(drop)
}

async fn add_partner(world: &mut World, slug: usize, echo: bool, merge_updates: bool) -> Same {
    let partner = make::partner(&world.entropy, world.now, SLUGS[slug]);
    let also = format!("https://{slug}.example/also").parse().unwrap();
    let redirect_uris = [partner.redirect_uris, vec![also]].concat();
    let partner = Partner { echo, merge_updates, redirect_uris, ..partner };
    let added = world.both(async |store| store.add_partner(partner.clone()).await).await?;
    if added == NewPartner::Added {
        world.partners[slug] = partner;
    }
    Ok(())
}

async fn add_source(world: &mut World, username: usize, sites: Option<&[usize]>) -> Same {
    let reach = match sites {
        Some(sites) => Reach::Only(sites.iter().map(|site| world.sites[*site].id).collect()),
        None => Reach::All,
    };
    let source = make::source(&world.entropy, world.now, USERNAMES[username], reach);
    let added = world.both(async |store| store.add_source(source.clone()).await).await?;
    if added == AddSource::Added {
        world.sources.push(source.id);
    }
    Ok(())
}

fn hash(password: usize) -> PasswordHash {
    PasswordHash(PASSWORDS[password].into())
}

fn slug_of(slug: usize) -> Slug {
    SLUGS[slug].parse().unwrap()
}
