//! Programs that talk to the gateway: integration partners, and sources of leads. Their secrets are shown once.

use super::directory::found;
use super::{Admin, AdminError, Result};
use crate::model::partner::{ClientId, Partner, PartnerChange, RedirectUri, Slug};
use crate::model::source::{Reach, Source, Username};
use crate::model::token::{Credential, Plain};
use crate::model::{PartnerId, SourceId};
use crate::store::{AddSource, NewPartner};

/// What a partner needs to know, once.
#[derive(Debug)]
pub struct PartnerCredentials {
    /// Its path segment.
    pub slug: Slug,
    /// Its OAuth `client_id`.
    pub client_id: ClientId,
    /// Its OAuth client secret.
    pub client_secret: Plain<Credential>,
}

/// How a partner is dealt with.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    /// It is sent the changes that it made itself, too.
    pub echo: bool,
    /// Updates of one lead that would wait behind each other are sent as one.
    pub merge_updates: bool,
    /// Its authorization requests must carry a PKCE challenge.
    pub require_pkce: bool,
}

impl Default for Wishes {
    /// Every change is sent, in a request of its own, and PKCE is the partner's choice.
    fn default() -> Self {
        Self { echo: true, merge_updates: false, require_pkce: false }
    }
}

/// What a source needs to know, once.
#[derive(Debug)]
pub struct SourceCredentials {
    /// Its login name.
    pub username: Username,
    /// Its password.
    pub password: Plain<Credential>,
}

impl Admin {
    /// Adds a partner.
    pub async fn add_partner(
        &self,
        slug: Slug,
        name: String,
        redirect_uris: Vec<RedirectUri>,
        wishes: Wishes,
    ) -> Result<PartnerCredentials> {
        let client_secret = Plain::generate(&*self.entropy);
        let partner = Partner {
            id: PartnerId::random(&*self.entropy),
            slug: slug.clone(),
            name,
            client_id: ClientId::generate(&*self.entropy),
            secret: client_secret.hash(),
            redirect_uris,
            echo: wishes.echo,
            merge_updates: wishes.merge_updates,
            require_pkce: wishes.require_pkce,
            created: self.clock.now(),
        };
        let client_id = partner.client_id.clone();
        match self.store.add_partner(partner).await? {
            NewPartner::Added => Ok(PartnerCredentials { slug, client_id, client_secret }),
            NewPartner::SlugTaken => Err(AdminError::SlugTaken(slug)),
        }
    }

    /// All partners, by slug.
    pub async fn partners(&self) -> Result<Vec<Partner>> {
        Ok(self.store.partners().await?)
    }

    /// Gives a partner another client secret; the old one is worthless at once, its tokens live on.
    pub async fn rotate_partner_secret(&self, slug: &Slug) -> Result<PartnerCredentials> {
        let missing = || AdminError::NoSuchPartner(slug.clone());
        let partner = self.store.partner_by_slug(slug).await?.ok_or_else(missing)?;
        let client_secret = Plain::generate(&*self.entropy);
        found(self.store.set_partner_secret(slug, client_secret.hash()).await?, missing)?;
        Ok(PartnerCredentials { slug: partner.slug, client_id: partner.client_id, client_secret })
    }

    /// Changes how a partner is dealt with. Returns the partner as it is now.
    pub async fn change_partner(&self, slug: &Slug, change: PartnerChange) -> Result<Partner> {
        let missing = || AdminError::NoSuchPartner(slug.clone());
        found(self.store.change_partner(slug, change).await?, missing)?;
        self.store.partner_by_slug(slug).await?.ok_or_else(missing)
    }

    /// Removes a partner, its tokens and its subscriptions.
    pub async fn remove_partner(&self, slug: &Slug) -> Result<()> {
        let removed = self.store.remove_partner(slug, self.clock.now()).await?;
        found(self.once_let_go(removed).await, || AdminError::NoSuchPartner(slug.clone()))
    }

    /// Adds a source of leads.
    pub async fn add_source(&self, username: Username, reach: Reach) -> Result<SourceCredentials> {
        let password = Plain::generate(&*self.entropy);
        let source = Source {
            id: SourceId::random(&*self.entropy),
            username: username.clone(),
            password: password.hash(),
            reach,
            created: self.clock.now(),
        };
        match self.store.add_source(source).await? {
            AddSource::Added => Ok(SourceCredentials { username, password }),
            AddSource::UsernameTaken => Err(AdminError::UsernameTaken(username.as_str().to_owned())),
            AddSource::NoSuchSite(site) => Err(AdminError::NoSuchSite(site)),
        }
    }

    /// All sources, by user name.
    pub async fn sources(&self) -> Result<Vec<Source>> {
        Ok(self.store.sources().await?)
    }

    /// Removes a source.
    pub async fn remove_source(&self, username: &Username) -> Result<()> {
        let removed = self.store.remove_source(username).await?;
        found(removed, || AdminError::NoSuchSource(username.as_str().to_owned()))
    }
}
