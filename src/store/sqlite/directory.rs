//! Carries the directory's operations to the threads that do them.

use async_trait::async_trait;

use super::writer::Durability::Full;
use super::{SqliteStore, partners, sites, sources, users};
use crate::model::partner::{ClientId, Partner, PartnerChange, Slug};
use crate::model::person::{Email, PasswordHash, User};
use crate::model::site::Site;
use crate::model::source::{Source, Username};
use crate::model::token::{Credential, Hashed};
use crate::model::{SiteId, Timestamp, UserId};
use crate::store::{AddSource, AddUser, Directory, NewPartner, NewSite, Recalling, Removed, Result};

#[async_trait]
impl Directory for SqliteStore {
    async fn add_user(&self, user: User, password: Option<PasswordHash>) -> Result<AddUser> {
        self.write(Full, move |tx| users::add(tx, &user, password.as_ref())).await
    }

    async fn users(&self) -> Result<Vec<User>> {
        self.read(users::all).await
    }

    async fn remove_user(&self, email: &Email) -> Result<Removed> {
        let email = email.clone();
        self.write(Full, move |tx| users::remove(tx, &email)).await
    }

    async fn user_by_email(&self, email: &Email) -> Result<Option<(User, Option<PasswordHash>)>> {
        self.look_up(|db| users::by_email(db, email))
    }

    async fn add_site(&self, site: Site, owners: &[Email]) -> Result<NewSite> {
        let owners = owners.to_vec();
        self.write(Full, move |tx| sites::add(tx, &site, &owners)).await
    }

    async fn grant_site(&self, site: SiteId, owner: &Email) -> Result<NewSite> {
        let owner = owner.clone();
        self.write(Full, move |tx| sites::grant(tx, site, &owner)).await
    }

    async fn sites(&self) -> Result<Vec<Site>> {
        self.read(sites::all).await
    }

    async fn site(&self, site: SiteId) -> Result<Option<Site>> {
        self.look_up(|db| sites::find(db, site))
    }

    async fn sites_of(&self, user: UserId) -> Result<Vec<Site>> {
        self.read(move |db| sites::of_owner(db, user)).await
    }

    async fn owners_of(&self, site: SiteId) -> Result<Vec<User>> {
        self.read(move |db| sites::owners(db, site)).await
    }

    async fn remove_site(&self, site: SiteId, now: Timestamp) -> Result<Recalling<Removed>> {
        self.write(Full, move |tx| sites::remove(tx, site, now)).await
    }

    async fn add_partner(&self, partner: Partner) -> Result<NewPartner> {
        self.write(Full, move |tx| partners::add(tx, &partner)).await
    }

    async fn partners(&self) -> Result<Vec<Partner>> {
        self.read(partners::all).await
    }

    async fn partner_by_slug(&self, slug: &Slug) -> Result<Option<Partner>> {
        self.look_up(|db| partners::by_slug(db, slug))
    }

    async fn partner_by_client_id(&self, client_id: &ClientId) -> Result<Option<Partner>> {
        self.look_up(|db| partners::by_client_id(db, client_id))
    }

    async fn set_partner_secret(&self, slug: &Slug, secret: Hashed<Credential>) -> Result<Removed> {
        let slug = slug.clone();
        self.write(Full, move |tx| partners::set_secret(tx, &slug, &secret)).await
    }

    async fn change_partner(&self, slug: &Slug, change: PartnerChange) -> Result<Removed> {
        let slug = slug.clone();
        self.write(Full, move |tx| partners::change(tx, &slug, change)).await
    }

    async fn remove_partner(&self, slug: &Slug, now: Timestamp) -> Result<Recalling<Removed>> {
        let slug = slug.clone();
        self.write(Full, move |tx| partners::remove(tx, &slug, now)).await
    }

    async fn add_source(&self, source: Source) -> Result<AddSource> {
        self.write(Full, move |tx| sources::add(tx, &source)).await
    }

    async fn sources(&self) -> Result<Vec<Source>> {
        self.read(sources::all).await
    }

    async fn source_by_username(&self, username: &Username) -> Result<Option<Source>> {
        self.look_up(|db| sources::by_username(db, username))
    }

    async fn remove_source(&self, username: &Username) -> Result<Removed> {
        let username = username.clone();
        self.write(Full, move |tx| sources::remove(tx, &username)).await
    }
}
