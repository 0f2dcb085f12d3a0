//! Who there is: users, sites, partners, sources.

use async_trait::async_trait;

use super::{Recalling, Result};
use crate::model::partner::{ClientId, Partner, PartnerChange, Slug};
use crate::model::person::{Email, PasswordHash, User};
use crate::model::site::Site;
use crate::model::source::{Source, Username};
use crate::model::token::{Credential, Hashed};
use crate::model::{SiteId, Timestamp, UserId};

/// What became of adding a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddUser {
    /// Added.
    Added,
    /// The e-mail is taken.
    EmailTaken,
}

/// What became of adding a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddSource {
    /// Added.
    Added,
    /// The user name is taken.
    UsernameTaken,
    /// One of the sites does not exist.
    NoSuchSite(SiteId),
}

/// What became of adding a site or giving it an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewSite {
    /// Done.
    Done,
    /// The UUID is taken, or belongs to a removed site whose data is still being deleted.
    UuidTaken,
    /// There is no such site.
    NoSuchSite,
    /// There is no user with this e-mail.
    NoSuchUser(Email),
}

/// What became of adding a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewPartner {
    /// Added.
    Added,
    /// The slug is taken.
    SlugTaken,
}

/// Whether there was something to remove or change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// Yes, and it is done.
    Yes,
    /// There is no such thing.
    NotFound,
}

/// Who there is. The commands write here; requests read.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Adds a person.
    async fn add_user(&self, user: User, password: Option<PasswordHash>) -> Result<AddUser>;
    /// Everybody, by e-mail.
    async fn users(&self) -> Result<Vec<User>>;
    /// Removes a person, its sessions, its ownerships and the grants that it gave.
    async fn remove_user(&self, email: &Email) -> Result<Removed>;
    /// The person with this e-mail, and its password's hash if it has one.
    async fn user_by_email(&self, email: &Email) -> Result<Option<(User, Option<PasswordHash>)>>;

    /// Adds a site with its owners.
    async fn add_site(&self, site: Site, owners: &[Email]) -> Result<NewSite>;
    /// Makes a person an owner of a site.
    async fn grant_site(&self, site: SiteId, owner: &Email) -> Result<NewSite>;
    /// All sites, by domain.
    async fn sites(&self) -> Result<Vec<Site>>;
    /// A site.
    async fn site(&self, site: SiteId) -> Result<Option<Site>>;
    /// The sites that a person owns, by domain.
    async fn sites_of(&self, user: UserId) -> Result<Vec<Site>>;
    /// The owners of a site, by e-mail.
    async fn owners_of(&self, site: SiteId) -> Result<Vec<User>>;
    /// Removes a site at `now`: grants end, subscriptions and what waits for them are cancelled, at once. Its leads
    /// are deleted by [`super::Store::purge`].
    async fn remove_site(&self, site: SiteId, now: Timestamp) -> Result<Recalling<Removed>>;

    /// Adds a partner.
    async fn add_partner(&self, partner: Partner) -> Result<NewPartner>;
    /// All partners, by slug.
    async fn partners(&self) -> Result<Vec<Partner>>;
    /// The partner with this slug.
    async fn partner_by_slug(&self, slug: &Slug) -> Result<Option<Partner>>;
    /// The partner with this `client_id`.
    async fn partner_by_client_id(&self, client_id: &ClientId) -> Result<Option<Partner>>;
    /// Gives a partner another secret. Its tokens live on.
    async fn set_partner_secret(&self, slug: &Slug, secret: Hashed<Credential>) -> Result<Removed>;
    /// Changes how a partner is dealt with: what it is sent, from the next change of a lead on; what is asked of it, from the next
    /// authorization request on.
    async fn change_partner(&self, slug: &Slug, change: PartnerChange) -> Result<Removed>;
    /// Removes a partner at `now`: its grants and tokens end, its subscriptions and what waits for them are cancelled.
    async fn remove_partner(&self, slug: &Slug, now: Timestamp) -> Result<Recalling<Removed>>;

    /// Adds a source.
    async fn add_source(&self, source: Source) -> Result<AddSource>;
    /// All sources, by user name.
    async fn sources(&self) -> Result<Vec<Source>>;
    /// The source with this user name.
    async fn source_by_username(&self, username: &Username) -> Result<Option<Source>>;
    /// Removes a source.
    async fn remove_source(&self, username: &Username) -> Result<Removed>;
}
