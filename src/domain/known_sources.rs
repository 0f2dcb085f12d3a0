//! Sources that were admitted before. They send nearly all leads, always with the same name and password: so who they are is
//! not looked up again before each change, but within it (`LeadCommand::presumes`).
//!
//! Where somebody has guessed wrong, or who was presumed to be admitted was not, everybody is looked up for a while: so a
//! throttled guess is answered alike whether it was right or not, and a source that is gone causes no work.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use crate::model::Timestamp;
use crate::model::source::{Presumption, Source, Username};
use crate::model::throttle::BucketKey;

/// Sources that are remembered at most, and buckets; when there are more, all are forgotten and looked up again.
const REMEMBERED: usize = 1024;

/// What they were when they were looked up last. They may be gone since.
#[derive(Clone, Default)]
pub struct KnownSources(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    sources: HashMap<Username, Arc<Source>>,
    /// Buckets that lack a guess, at most until then.
    lacking: HashMap<BucketKey, Timestamp>,
}

impl KnownSources {
    /// The source that had this name.
    pub(super) fn named(&self, username: &Username) -> Option<Arc<Source>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).sources.get(username).cloned()
    }

    /// Whether any of these buckets is known to lack a guess at `now`.
    pub(super) fn is_any_lacking(&self, buckets: &[BucketKey], now: Timestamp) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        buckets.iter().any(|bucket| known.lacking.get(bucket).is_some_and(|until| *until > now))
    }

    /// Remembers a source, instead of one that had its name before.
    pub(super) fn remember(&self, source: Source) {
        let mut known = self.known();
        if known.sources.len() >= REMEMBERED {
            known.sources.clear();
        }
        known.sources.insert(source.username.clone(), Arc::new(source));
    }

    /// Takes note that these buckets lack a guess, at most until then.
    pub(super) fn note_lacking(&self, buckets: impl IntoIterator<Item = BucketKey>, until: Timestamp) {
        let mut known = self.known();
        for bucket in buckets {
            if known.lacking.len() >= REMEMBERED {
                *known = Known::default();
            }
            known.lacking.insert(bucket, until);
        }
    }

    /// Forgets what did not hold.
    pub(super) fn forget(&self, presumed: Presumption, until: Timestamp) {
        self.known().sources.retain(|_, source| source.id != presumed.source);
        self.note_lacking(presumed.full, until);
    }

    fn known(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
