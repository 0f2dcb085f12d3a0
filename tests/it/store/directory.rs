//! Users, sites, partners, sources.

use leadgate::model::partner::{ClientId, Partner, PartnerChange};
use leadgate::model::person::{Email, PasswordHash};
use leadgate::model::site::Site;
use leadgate::model::source::{Reach, Source};
use leadgate::model::token::{Credential, Hashed, Plain, Session};
use leadgate::model::{Timestamp, UserId};
use leadgate::store::{AddSource, AddUser, NewPartner, NewSite, Removed};

use super::fixture::{Fixture, engines};
use crate::harness::make;

engines!(
    an_email_is_taken_once_whatever_its_case,
    a_password_is_found_with_its_user,
    a_removed_user_leaves_nothing_behind,
    a_site_is_added_with_all_its_owners_or_not_at_all,
    sites_and_owners_are_listed_in_order,
    a_removed_site_is_gone_for_every_read,
    a_partner_is_found_by_slug_and_client_id,
    a_removed_partner_frees_its_slug,
    a_source_reaches_the_sites_that_it_was_given,
);

fn email(text: &str) -> Email {
    text.parse().unwrap()
}

fn password(text: &str) -> PasswordHash {
    PasswordHash(text.into())
}

async fn session(f: &Fixture, user: UserId, expires: Timestamp) -> Hashed<Session> {
    let new = make::session(&f.entropy, f.now(), user, expires);
    f.store.start_session(new.clone()).await.unwrap();
    new.hash
}

async fn an_email_is_taken_once_whatever_its_case(f: &Fixture) {
    let user = f.user("a@site.com").await;
    let again = make::user(&f.entropy, f.now(), "A@Site.com");
    assert_eq!(f.store.add_user(again, None).await.unwrap(), AddUser::EmailTaken);
    let other = f.user("Aa@site.com").await;
    assert_eq!(f.store.users().await.unwrap(), [user, other]);
}

async fn a_password_is_found_with_its_user(f: &Fixture) {
    let user = make::user(&f.entropy, f.now(), "a@site.com");
    f.store.add_user(user.clone(), Some(password("one"))).await.unwrap();
    let other = f.user("b@site.com").await;
    assert_eq!(f.store.user_by_email(&user.email).await.unwrap(), Some((user, Some(password("one")))));
    assert_eq!(f.store.user_by_email(&other.email).await.unwrap(), Some((other, None)));
    assert_eq!(f.store.user_by_email(&email("c@site.com")).await.unwrap(), None);
}

async fn a_removed_user_leaves_nothing_behind(f: &Fixture) {
    let (user, site, partner) = (f.user("a@site.com").await, f.site("www.site.com").await, f.partner("piesync").await);
    f.store.grant_site(site.id, &user.email).await.unwrap();
    let cookie = session(f, user.id, Timestamp::MAX).await;
    let code = f.approve(&partner, &site, &user).await;
    let (_, tokens) = f.redeem(&code).await;

    assert_eq!(f.store.remove_user(&user.email).await.unwrap(), Removed::Yes);
    assert_eq!(f.store.remove_user(&user.email).await.unwrap(), Removed::NotFound);
    assert_eq!(f.store.session(&cookie, f.now()).await.unwrap(), None);
    assert_eq!(f.store.owners_of(site.id).await.unwrap(), []);
    assert!(f.store.access_grant(&tokens.access, f.now()).await.unwrap().is_none());
    assert!(f.store.redeem_code(f.redemption(&code)).await.unwrap().is_err());

    // A login that was under way starts no session.
    let late = session(f, user.id, Timestamp::MAX).await;
    assert_eq!(f.store.session(&late, f.now()).await.unwrap(), None);
}

async fn a_site_is_added_with_all_its_owners_or_not_at_all(f: &Fixture) {
    let user = f.user("a@site.com").await;
    let site = make::site(&f.entropy, f.now(), "www.site.com");
    let owners = [user.email.clone(), email("nobody@site.com")];
    let refused = f.store.add_site(site.clone(), &owners).await.unwrap();
    assert_eq!(refused, NewSite::NoSuchUser(email("nobody@site.com")));
    assert_eq!(f.store.site(site.id).await.unwrap(), None);

    assert_eq!(f.store.add_site(site.clone(), &owners[..1]).await.unwrap(), NewSite::Done);
    assert_eq!(f.store.owners_of(site.id).await.unwrap(), [user]);
    let same_uuid = Site { domain: "other.com".parse().unwrap(), ..site.clone() };
    assert_eq!(f.store.add_site(same_uuid, &[]).await.unwrap(), NewSite::UuidTaken);
    assert_eq!(f.store.site(site.id).await.unwrap(), Some(site));
}

async fn sites_and_owners_are_listed_in_order(f: &Fixture) {
    let (b, a) = (f.user("b@site.com").await, f.user("a@site.com").await);
    let (z, y) = (f.site("z.com").await, f.site("y.com").await);
    for (site, owner) in [(&z, &a), (&z, &b), (&y, &b), (&y, &b)] {
        assert_eq!(f.store.grant_site(site.id, &owner.email).await.unwrap(), NewSite::Done);
    }
    assert_eq!(f.store.sites().await.unwrap(), [y.clone(), z.clone()]);
    assert_eq!(f.store.sites_of(a.id).await.unwrap(), std::slice::from_ref(&z));
    assert_eq!(f.store.sites_of(b.id).await.unwrap(), [y.clone(), z.clone()]);
    assert_eq!(f.store.owners_of(z.id).await.unwrap(), [a.clone(), b]);

    let nobody = email("nobody@site.com");
    assert_eq!(f.store.grant_site(z.id, &nobody).await.unwrap(), NewSite::NoSuchUser(nobody));
    let unknown = make::site(&f.entropy, f.now(), "x.com");
    assert_eq!(f.store.grant_site(unknown.id, &a.email).await.unwrap(), NewSite::NoSuchSite);
}

async fn a_removed_site_is_gone_for_every_read(f: &Fixture) {
    let (user, site) = (f.user("a@site.com").await, f.site("www.site.com").await);
    f.store.grant_site(site.id, &user.email).await.unwrap();
    let lead = f.lead(&site, "l@b.com").await;

    assert_eq!(f.store.remove_site(site.id, f.now()).await.unwrap().outcome, Removed::Yes);
    assert_eq!(f.store.remove_site(site.id, f.now()).await.unwrap().outcome, Removed::NotFound);
    assert_eq!(f.store.site(site.id).await.unwrap(), None);
    assert_eq!(f.store.sites().await.unwrap(), []);
    assert_eq!(f.store.sites_of(user.id).await.unwrap(), []);
    assert_eq!(f.store.owners_of(site.id).await.unwrap(), []);
    assert_eq!(f.store.lead(site.id, lead).await.unwrap(), None);
    assert_eq!(f.store.grant_site(site.id, &user.email).await.unwrap(), NewSite::NoSuchSite);
    // Its UUID is free once nothing of it is left.
    assert_eq!(f.store.add_site(site.clone(), &[]).await.unwrap(), NewSite::UuidTaken);
    f.purge(f.now(), 100).await;
    assert_eq!(f.store.add_site(site.clone(), &[]).await.unwrap(), NewSite::Done);
    assert_eq!(f.store.lead(site.id, lead).await.unwrap(), None);
}

async fn a_partner_is_found_by_slug_and_client_id(f: &Fixture) {
    let uris = ["https://p.example/b", "https://p.example/a"].map(|uri| uri.parse().unwrap());
    let made = make::partner(&f.entropy, f.now(), "piesync");
    let piesync = Partner { redirect_uris: uris.to_vec(), echo: false, require_pkce: true, ..made };
    assert_eq!(f.store.add_partner(piesync.clone()).await.unwrap(), NewPartner::Added);
    let cinc = f.partner("cinc").await;

    assert_eq!(f.store.partner_by_slug(&piesync.slug).await.unwrap(), Some(piesync.clone()));
    assert_eq!(f.store.partner_by_client_id(&cinc.client_id).await.unwrap(), Some(cinc.clone()));
    assert_eq!(f.store.partner_by_client_id(&ClientId::received("x")).await.unwrap(), None);
    assert_eq!(f.store.partners().await.unwrap(), [cinc, piesync.clone()]);
    let taken = make::partner(&f.entropy, f.now(), "piesync");
    assert_eq!(f.store.add_partner(taken).await.unwrap(), NewPartner::SlugTaken);

    let secret = Plain::<Credential>::generate(&f.entropy).hash();
    assert_eq!(f.store.set_partner_secret(&piesync.slug, secret).await.unwrap(), Removed::Yes);
    assert_eq!(
        f.store
            .change_partner(&piesync.slug, PartnerChange { require_pkce: Some(false), ..PartnerChange::default() })
            .await
            .unwrap(),
        Removed::Yes
    );
    let changed = Partner { secret, require_pkce: false, ..piesync };
    assert_eq!(f.store.partner_by_slug(&changed.slug).await.unwrap(), Some(changed));
    let nobody = "nobody".parse().unwrap();
    assert_eq!(f.store.set_partner_secret(&nobody, secret).await.unwrap(), Removed::NotFound);
    assert_eq!(
        f.store
            .change_partner(&nobody, PartnerChange { require_pkce: Some(true), ..PartnerChange::default() })
            .await
            .unwrap(),
        Removed::NotFound
    );
}

async fn a_removed_partner_frees_its_slug(f: &Fixture) {
    let old = f.partner("piesync").await;
    assert_eq!(f.store.remove_partner(&old.slug, f.now()).await.unwrap().outcome, Removed::Yes);
    assert_eq!(f.store.remove_partner(&old.slug, f.now()).await.unwrap().outcome, Removed::NotFound);
    assert_eq!(f.store.partner_by_client_id(&old.client_id).await.unwrap(), None);
    assert_eq!(f.store.partners().await.unwrap(), []);
    let secret = Plain::<Credential>::generate(&f.entropy).hash();
    assert_eq!(f.store.set_partner_secret(&old.slug, secret).await.unwrap(), Removed::NotFound);
    assert_eq!(
        f.store
            .change_partner(&old.slug, PartnerChange { require_pkce: Some(true), ..PartnerChange::default() })
            .await
            .unwrap(),
        Removed::NotFound
    );

    let new = f.partner("piesync").await;
    assert_eq!(f.store.partner_by_slug(&old.slug).await.unwrap(), Some(new));
}

async fn a_source_reaches_the_sites_that_it_was_given(f: &Fixture) {
    let (one, two) = (f.site("one.com").await, f.site("two.com").await);
    let unknown = make::site(&f.entropy, f.now(), "x.com").id;
    let everywhere = make::source(&f.entropy, f.now(), "Zillow", Reach::All);
    let mut only = make::source(&f.entropy, f.now(), "forms", Reach::Only(vec![one.id, two.id]));
    if let Reach::Only(sites) = &mut only.reach {
        sites.sort();
    }
    let nowhere = make::source(&f.entropy, f.now(), "lost", Reach::Only(vec![one.id, unknown]));

    assert_eq!(f.store.add_source(everywhere.clone()).await.unwrap(), AddSource::Added);
    assert_eq!(f.store.add_source(only.clone()).await.unwrap(), AddSource::Added);
    assert_eq!(f.store.add_source(everywhere.clone()).await.unwrap(), AddSource::UsernameTaken);
    assert_eq!(f.store.add_source(nowhere.clone()).await.unwrap(), AddSource::NoSuchSite(unknown));
    assert_eq!(f.store.source_by_username(&nowhere.username).await.unwrap(), None);
    assert_eq!(f.store.source_by_username(&only.username).await.unwrap(), Some(only.clone()));
    assert_eq!(f.store.sources().await.unwrap(), [everywhere.clone(), only.clone()]);

    // One that could send to a site that is gone does not reach all others instead.
    f.store.remove_site(one.id, f.now()).await.unwrap();
    f.store.remove_site(two.id, f.now()).await.unwrap();
    let left = Source { reach: Reach::Only(vec![]), ..only.clone() };
    assert_eq!(f.store.source_by_username(&only.username).await.unwrap(), Some(left));

    assert_eq!(f.store.remove_source(&only.username).await.unwrap(), Removed::Yes);
    assert_eq!(f.store.remove_source(&only.username).await.unwrap(), Removed::NotFound);
    assert_eq!(f.store.sources().await.unwrap(), [everywhere]);
}
