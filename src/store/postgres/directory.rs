//! Carries the directory's operations into their transactions.

use async_trait::async_trait;

use super::transaction::Durability::Full;
use super::transaction::write;
use super::{PostgresStore, partners, sites, sources, users};
use crate::model::partner::{ClientId, Partner, PartnerChange, Slug};
use crate::model::person::{Email, PasswordHash, User};
use crate::model::site::Site;
use crate::model::source::{Source, Username};
use crate::model::token::{Credential, Hashed};
use crate::model::{SiteId, Timestamp, UserId};
use crate::store::{AddSource, AddUser, Directory, NewPartner, NewSite, Recalling, Removed, Result};

#[async_trait]
impl Directory for PostgresStore {
    async fn add_user(&self, user: User, password: Option<PasswordHash>) -> Result<AddUser> {
        write!(self, Full, tx => users::add(&tx, &user, password.as_ref()))
    }

    async fn users(&self) -> Result<Vec<User>> {
        users::all(&self.database.read().await?).await
    }

    async fn remove_user(&self, email: &Email) -> Result<Removed> {
        write!(self, Full, tx => users::remove(&tx, email))
    }

    async fn user_by_email(&self, email: &Email) -> Result<Option<(User, Option<PasswordHash>)>> {
        users::by_email(&self.database.read().await?, email).await
    }

    async fn add_site(&self, site: Site, owners: &[Email]) -> Result<NewSite> {
        write!(self, Full, tx => sites::add(&tx, &site, owners))
    }

    async fn grant_site(&self, site: SiteId, owner: &Email) -> Result<NewSite> {
        write!(self, Full, tx => sites::grant(&tx, site, owner))
    }

    async fn sites(&self) -> Result<Vec<Site>> {
        sites::all(&self.database.read().await?).await
    }

    async fn site(&self, site: SiteId) -> Result<Option<Site>> {
        sites::find(&*self.database.short_read().await?, site).await
    }

    async fn sites_of(&self, user: UserId) -> Result<Vec<Site>> {
        sites::of_owner(&self.database.read().await?, user).await
    }

    async fn owners_of(&self, site: SiteId) -> Result<Vec<User>> {
        sites::owners(&self.database.read().await?, site).await
    }

    async fn remove_site(&self, site: SiteId, now: Timestamp) -> Result<Recalling<Removed>> {
        write!(self, Full, tx => sites::remove(&tx, site, now))
    }

    async fn add_partner(&self, partner: Partner) -> Result<NewPartner> {
        write!(self, Full, tx => partners::add(&tx, &partner))
    }

    async fn partners(&self) -> Result<Vec<Partner>> {
        partners::all(&self.database.read().await?).await
    }

    async fn partner_by_slug(&self, slug: &Slug) -> Result<Option<Partner>> {
        partners::by_slug(&*self.database.short_read().await?, slug).await
    }

    async fn partner_by_client_id(&self, client_id: &ClientId) -> Result<Option<Partner>> {
        partners::by_client_id(&*self.database.short_read().await?, client_id).await
    }

    async fn set_partner_secret(&self, slug: &Slug, secret: Hashed<Credential>) -> Result<Removed> {
        write!(self, Full, tx => partners::set_secret(&tx, slug, &secret))
    }

    async fn change_partner(&self, slug: &Slug, change: PartnerChange) -> Result<Removed> {
        write!(self, Full, tx => partners::change(&tx, slug, change))
    }

    async fn remove_partner(&self, slug: &Slug, now: Timestamp) -> Result<Recalling<Removed>> {
        write!(self, Full, tx => partners::remove(&tx, slug, now))
    }

    async fn add_source(&self, source: Source) -> Result<AddSource> {
        write!(self, Full, tx => sources::add(&tx, &source))
    }

    async fn sources(&self) -> Result<Vec<Source>> {
        sources::all(&self.database.read().await?).await
    }

    async fn source_by_username(&self, username: &Username) -> Result<Option<Source>> {
        self.look_ups.source(username).await
    }

    async fn remove_source(&self, username: &Username) -> Result<Removed> {
        write!(self, Full, tx => sources::remove(&tx, username))
    }
}
