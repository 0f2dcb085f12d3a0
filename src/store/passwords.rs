//! Passwords, and the links that set them.

use async_trait::async_trait;

use super::{Recalling, Result};
use crate::model::password::{NewLink, PasswordChange, PasswordSet};
use crate::model::person::{PasswordHash, User};
use crate::model::token::{Hashed, PasswordLink};
use crate::model::{Timestamp, UserId};

/// Passwords. What is kept of them is in [`super::Directory::user_by_email`].
#[async_trait]
pub trait Passwords: Send + Sync {
    /// Sets a password, if what allows it still does. All sessions and links of the person end with it. If asked, the
    /// applications that the person connected are disconnected: the grants that it gave end; the subscriptions that were set with
    /// them, and what waits for those, are cancelled ([`super::Signal::Recalled`] is sent for each).
    async fn set_password(&self, change: PasswordChange) -> Result<Recalling<PasswordSet>>;

    /// Replaces a password's hash by a better one of the same password, if it is still `old`.
    async fn rehash_password(&self, user: UserId, old: PasswordHash, new: PasswordHash) -> Result<()>;

    /// Keeps a link, and with that ends an older one of the same kind. Not if that was made later than `unless_after`, and not for
    /// a person who was removed meanwhile: `false`.
    async fn offer_link(&self, link: NewLink, unless_after: Option<Timestamp>) -> Result<bool>;

    /// Whose password this link sets, if it is alive.
    async fn link_user(&self, link: &Hashed<PasswordLink>, now: Timestamp) -> Result<Option<User>>;
}
