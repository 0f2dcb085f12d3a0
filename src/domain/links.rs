//! Links with which people set a password: made, written down in letters, and sent.
//!
//! A link carries its token in the query, which nothing of ours logs, and which no `Referer` tells (the pages forbid it).

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::egress::Mailer;
use crate::model::mail::Letter;
use crate::model::password::{LinkKind, NewLink};
use crate::model::person::{Email, User};
use crate::model::token::Plain;
use crate::model::{Entropy, Timestamp, time};
use crate::store::{Result, Store};

use super::Gateway;
use super::guesses::{Guess, Throttled};

/// Where a link leads, behind `public_url`; the token is its query.
pub const LINK_PATH: &str = "/account/password/set/";

/// How long an invitation is good.
pub const INVITATION_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a link for a forgotten password is good.
pub const RESET_LIFE: Duration = Duration::from_secs(60 * 60);
/// So long after a link for a forgotten password the same person is sent no other: at most four in an hour.
pub const RESET_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Requests for links that may wait to be answered. Further ones are dropped: a flood must not fill the memory.
const QUEUE: usize = 256;

/// A link in the clear, on its way to whom it belongs to.
pub struct Link {
    /// The URL.
    pub url: String,
    /// From then on it is dead.
    pub expires: Timestamp,
}

/// Makes links. Time and randomness come in.
pub(super) struct LinkMaker<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) entropy: &'a dyn Entropy,
    pub(super) public_url: &'a str,
    pub(super) now: Timestamp,
}

impl LinkMaker<'_> {
    /// A new link for this person; `None` if the person is gone, or has an older one that was made later than `unless_after`.
    pub(super) async fn make(
        &self,
        user: &User,
        kind: LinkKind,
        unless_after: Option<Timestamp>,
    ) -> Result<Option<Link>> {
        let token = Plain::generate(self.entropy);
        let life = match kind {
            LinkKind::Invitation => INVITATION_LIFE,
            LinkKind::Reset => RESET_LIFE,
        };
        let expires = time::after(self.now, life);
        let link = NewLink { hash: token.hash(), user: user.id, kind, created: self.now, expires };
        let url = format!("{}{LINK_PATH}?token={}", self.public_url, token.expose());
        Ok(self.store.offer_link(link, unless_after).await?.then_some(Link { url, expires }))
    }

    /// The letter that brings a link.
    pub(super) fn letter(&self, user: &User, kind: LinkKind, link: &Link) -> Letter {
        let Link { url, expires } = link;
        let greeting = if user.name.is_empty() { "Hello,".to_owned() } else { format!("Hello {},", user.name) };
        let (subject, why) = match kind {
            LinkKind::Invitation => ("Your invitation", "You are invited to sign in with this e-mail address."),
            LinkKind::Reset => {
                ("Your new password", "Somebody, most likely you, has asked to set a new password for your account.")
            }
        };
        let until = expires.strftime("%-d %B %Y, %H:%M UTC");
        let text = format!(
            "{greeting}\n\n{why} Open this address to choose a password:\n\n{url}\n\nThe address works once, until {until}. \
             If you did not expect this letter, ignore it: nothing is changed then.\n"
        );
        let id = hex::encode(self.entropy.bytes::<16>());
        Letter { to: user.email.clone(), subject: subject.to_owned(), text, id, date: self.now }
    }
}

/// Sends links to people who have forgotten their passwords, one after the other, in the background.
#[derive(Debug, Clone)]
pub struct PostOffice {
    mailer: Mailer,
    requests: mpsc::Sender<Email>,
}

/// What became of asking for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// If there is such a person, there will be a letter.
    Noted,
    /// Too many were asked for from this address; there will be none.
    Throttled(Throttled),
}

/// The e-mail addresses for which a link was asked.
pub type ResetRequests = mpsc::Receiver<Email>;

impl PostOffice {
    /// One that sends with this mailer; and the requests, which [`Gateway::answer_reset`] answers.
    pub fn new(mailer: Mailer) -> (Self, ResetRequests) {
        let (requests, waiting) = mpsc::channel(QUEUE);
        (Self { mailer, requests }, waiting)
    }
}

impl Gateway {
    /// Whether people can be sent links.
    pub fn sends_mail(&self) -> bool {
        self.post_office.is_some()
    }

    /// Somebody at this address has forgotten their password. Whose it is makes no difference here: it is looked up in the
    /// background.
    pub async fn ask_for_reset(&self, email: &str, address: IpAddr) -> Result<Asked> {
        let guess = Guess::at_account(self, address);
        if let Err(throttled) = self.count_wrong(&guess).await? {
            return Ok(Asked::Throttled(guess.report(throttled, None)));
        }
        if let (Some(office), Ok(email)) = (&self.post_office, email.parse::<Email>())
            && office.requests.try_send(email).is_err()
        {
            tracing::warn!("too many links for forgotten passwords were asked for at once; one is not sent");
        }
        Ok(Asked::Noted)
    }

    /// Sends the person with this e-mail a link, if there is such a person and the last link was not sent just now.
    pub async fn answer_reset(&self, email: Email) {
        match self.send_reset(&email).await {
            Ok(Some(user)) => tracing::info!(user, "sent a link for a forgotten password"),
            Ok(None) => tracing::info!("a link for a forgotten password was asked for, and not sent"),
            Err(error) => tracing::error!(%error, "a link for a forgotten password cannot be sent"),
        }
    }

    async fn send_reset(
        &self,
        email: &Email,
    ) -> std::result::Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
        let Some(office) = &self.post_office else { return Ok(None) };
        let Some((user, _)) = self.store.user_by_email(email).await? else { return Ok(None) };
        let now = self.clock.now();
        let maker =
            LinkMaker { store: &*self.store, entropy: &*self.entropy, public_url: &self.policy.public_url, now };
        let unless_after = now.checked_sub(RESET_PAUSE).unwrap_or(Timestamp::MIN);
        let Some(link) = maker.make(&user, LinkKind::Reset, Some(unless_after)).await? else { return Ok(None) };
        office.mailer.send(&maker.letter(&user, LinkKind::Reset, &link)).await?;
        Ok(Some(user.id.to_string()))
    }
}
