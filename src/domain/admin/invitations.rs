//! Inviting people: a link with which they set their password themselves.

use super::{Admin, AdminError, Result};
use crate::domain::links::LinkMaker;
use crate::egress::MailError;
use crate::model::password::LinkKind;
use crate::model::person::{Email, User};
use crate::model::{SiteId, UserId};
use crate::store::AddUser;

/// A link that was made for somebody.
pub struct Invitation {
    /// Who is invited.
    pub user: User,
    /// The link; whoever has it can set the password.
    pub link: String,
    /// What became of sending it by mail; `None`: no mail is set up.
    pub mailed: Option<std::result::Result<(), MailError>>,
}

impl Admin {
    /// Makes a link with which this person sets a password. Somebody new is added first, without a password, and with this
    /// name; and is made an owner of these sites.
    pub async fn invite(&self, email: Email, name: String, sites: &[SiteId]) -> Result<Invitation> {
        for site in sites {
            self.site(*site).await?;
        }
        let user = self.user_or_new(email, name).await?;
        for site in sites {
            self.grant_site(*site, &user.email).await?;
        }
        let (store, entropy) = (&*self.store, &*self.entropy);
        let maker = LinkMaker { store, entropy, public_url: &self.public_url, now: self.clock.now() };
        let link = maker.make(&user, LinkKind::Invitation, None).await?;
        let link = link.ok_or_else(|| AdminError::NoSuchUser(user.email.clone()))?;
        let mailed = match &self.mailer {
            Some(mailer) => Some(mailer.send(&maker.letter(&user, LinkKind::Invitation, &link)).await),
            None => None,
        };
        Ok(Invitation { user, link: link.url, mailed })
    }

    async fn user_or_new(&self, email: Email, name: String) -> Result<User> {
        if let Some((user, _)) = self.store.user_by_email(&email).await? {
            return Ok(user);
        }
        let id = UserId::random(&*self.entropy);
        let user = User { id, email, name, operator: false, created: self.clock.now() };
        match self.store.add_user(user.clone(), None).await? {
            AddUser::Added => Ok(user),
            // Somebody else was faster.
            AddUser::EmailTaken => self.user(&user.email).await,
        }
    }
}
