//! Asking the user: what to show next, and what the answer does.

use super::authorize::{Answer, Asking};
use super::error::AuthorizationError;
use crate::domain::Gateway;
use crate::model::oauth::{Issued, NewCode};
use crate::model::person::User;
use crate::model::site::Site;
use crate::model::token::Plain;
use crate::model::{GrantId, SiteId, time};
use crate::store::Result;

/// What a user who arrives with an authorization request is shown.
#[derive(Debug, Clone)]
pub enum Step {
    /// Nobody is logged in.
    LogIn,
    /// The user owns no site: nothing can be approved.
    NoSite(User),
    /// The user owns several sites.
    ChooseSite(User, Vec<Site>),
    /// The user owns one site, or has chosen this one, and is asked.
    Decide(User, Site),
}

/// What became of an approval.
#[derive(Debug, Clone)]
pub enum Approval {
    /// The partner is sent a code.
    Given(Answer),
    /// This request was approved before.
    Repeated,
    /// The user does not own the site any more.
    NotOwner,
}

impl Gateway {
    /// What comes next for this user, who may have chosen a site. A choice that is none of the user's own sites counts
    /// for nothing.
    pub async fn next_step(&self, user: Option<User>, chosen: Option<SiteId>) -> Result<Step> {
        let Some(user) = user else { return Ok(Step::LogIn) };
        let mut sites = self.store.sites_of(user.id).await?;
        if let Some(index) = sites.iter().position(|site| Some(site.id) == chosen) {
            return Ok(Step::Decide(user, sites.swap_remove(index)));
        }
        Ok(match sites.len() {
            0 => Step::NoSite(user),
            1 => Step::Decide(user, sites.remove(0)),
            _ => Step::ChooseSite(user, sites),
        })
    }

    /// Whether the user owns the site.
    pub async fn owns(&self, user: &User, site: SiteId) -> Result<bool> {
        let sites = self.store.sites_of(user.id).await?;
        Ok(sites.iter().any(|own| own.id == site))
    }

    /// The user said yes: stores a grant and its code, and says where to take the code.
    pub async fn approve(&self, asking: &Asking, user: &User, site: SiteId) -> Result<Approval> {
        let code = Plain::generate(&*self.entropy);
        let now = self.clock.now();
        let request = &asking.request;
        let issued = self.store.issue_code(NewCode {
            flow: request.flow,
            grant: GrantId::random(&*self.entropy),
            code: code.hash(),
            partner: asking.partner.id,
            user: user.id,
            site,
            scopes: request.scopes,
            redirect_uri: request.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            now,
            expires: time::after(now, self.policy.code_ttl),
        });
        match issued.await? {
            Issued::Code => {
                tracing::info!(partner = %asking.partner.slug, user = %user.id, %site, "approved");
                Ok(Approval::Given(asking.address.code(&code)))
            }
            Issued::AlreadyApproved => Ok(Approval::Repeated),
            Issued::NotOwner => Ok(Approval::NotOwner),
        }
    }

    /// The user said no, or turned back.
    pub fn deny(&self, asking: &Asking) -> Answer {
        tracing::info!(partner = %asking.partner.slug, "denied");
        asking.address.error(AuthorizationError::AccessDenied)
    }
}
