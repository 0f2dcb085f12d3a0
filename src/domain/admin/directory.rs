//! People and the sites that they own.

use super::{Admin, AdminError, Result};
use crate::model::password::{PasswordChange, PasswordSet, Proof};
use crate::model::person::{Email, PasswordHash, User};
use crate::model::session::LiveSession;
use crate::model::site::{Site, SiteDomain};
use crate::model::{SiteId, UserId};
use crate::store::{AddUser, NewSite, Removed};

/// A site with its owners, by e-mail.
#[derive(Debug, Clone)]
pub struct OwnedSite {
    /// The site.
    pub site: Site,
    /// Who may connect partners to it.
    pub owners: Vec<Email>,
}

impl Admin {
    /// Adds a person who can log in.
    pub async fn add_user(&self, email: Email, name: String, operator: bool, password: PasswordHash) -> Result<User> {
        let id = UserId::random(&*self.entropy);
        let user = User { id, email, name, operator, created: self.clock.now() };
        match self.store.add_user(user.clone(), Some(password)).await? {
            AddUser::Added => Ok(user),
            AddUser::EmailTaken => Err(AdminError::EmailTaken(user.email)),
        }
    }

    /// The person with this e-mail.
    pub async fn user(&self, email: &Email) -> Result<User> {
        let found = self.store.user_by_email(email).await?;
        found.map(|(user, _)| user).ok_or_else(|| AdminError::NoSuchUser(email.clone()))
    }

    /// Sets a person's password and ends all its sessions; if asked, also disconnects what the person connected.
    pub async fn set_password(&self, user: &User, password: PasswordHash, disconnect: bool) -> Result<()> {
        let now = self.clock.now();
        let change = PasswordChange { user: user.id, proof: Proof::Operator, password, disconnect, now };
        let set = self.store.set_password(change).await?;
        match self.once_let_go(set).await {
            PasswordSet::Done => Ok(()),
            PasswordSet::Refused => Err(AdminError::NoSuchUser(user.email.clone())),
        }
    }

    /// The person's live sessions; those that were used last come first.
    pub async fn sessions(&self, email: &Email) -> Result<Vec<LiveSession>> {
        let user = self.user(email).await?;
        Ok(self.store.sessions_of(user.id, self.clock.now()).await?)
    }

    /// Ends all of the person's sessions. Returns how many there were.
    pub async fn log_out(&self, email: &Email) -> Result<usize> {
        let user = self.user(email).await?;
        Ok(self.store.end_sessions(user.id, None, self.clock.now()).await?)
    }

    /// Everybody, by e-mail.
    pub async fn users(&self) -> Result<Vec<User>> {
        Ok(self.store.users().await?)
    }

    /// Removes a person, its sessions and the grants that it gave.
    pub async fn remove_user(&self, email: &Email) -> Result<()> {
        found(self.store.remove_user(email).await?, || AdminError::NoSuchUser(email.clone()))
    }

    /// Adds a site with its owners; under a new UUID if none is given.
    pub async fn add_site(&self, domain: SiteDomain, id: Option<SiteId>, owners: &[Email]) -> Result<Site> {
        let id = id.unwrap_or_else(|| SiteId::random(&*self.entropy));
        let site = Site { id, domain, created: self.clock.now() };
        accepted(self.store.add_site(site.clone(), owners).await?, id)?;
        Ok(site)
    }

    /// Makes a person an owner of a site.
    pub async fn grant_site(&self, site: SiteId, owner: &Email) -> Result<Site> {
        accepted(self.store.grant_site(site, owner).await?, site)?;
        self.site(site).await
    }

    /// The site with this UUID.
    pub async fn site(&self, site: SiteId) -> Result<Site> {
        self.store.site(site).await?.ok_or(AdminError::NoSuchSite(site))
    }

    /// All sites with their owners, by domain.
    pub async fn sites(&self) -> Result<Vec<OwnedSite>> {
        let mut sites = Vec::new();
        for site in self.store.sites().await? {
            let owners = self.store.owners_of(site.id).await?.into_iter().map(|owner| owner.email).collect();
            sites.push(OwnedSite { site, owners });
        }
        Ok(sites)
    }

    /// Removes a site: at once nobody reaches it; its leads are deleted in time.
    pub async fn remove_site(&self, site: SiteId) -> Result<()> {
        let removed = self.store.remove_site(site, self.clock.now()).await?;
        found(self.once_let_go(removed).await, || AdminError::NoSuchSite(site))
    }
}

fn accepted(outcome: NewSite, site: SiteId) -> Result<()> {
    match outcome {
        NewSite::Done => Ok(()),
        NewSite::UuidTaken => Err(AdminError::UuidTaken(site)),
        NewSite::NoSuchSite => Err(AdminError::NoSuchSite(site)),
        NewSite::NoSuchUser(email) => Err(AdminError::NoSuchUser(email)),
    }
}

/// What removing or changing came to.
pub(super) fn found(outcome: Removed, otherwise: impl FnOnce() -> AdminError) -> Result<()> {
    match outcome {
        Removed::Yes => Ok(()),
        Removed::NotFound => Err(otherwise()),
    }
}
