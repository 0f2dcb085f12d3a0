//! Sources that were admitted before. They send nearly all leads, always with the same name and password: so who they are is
//! not looked up again before each change, but within it (`LeadCommand::presumes`).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::source::{Source, Username};

/// Sources that are remembered at most; when there are more, all are forgotten and looked up again.
const REMEMBERED: usize = 1024;

/// What they were when they were looked up last. They may be gone since.
#[derive(Clone, Default)]
pub struct KnownSources(Arc<RwLock<HashMap<Username, Arc<Source>>>>);

impl KnownSources {
    /// The source that had this name.
    pub(super) fn named(&self, username: &Username) -> Option<Arc<Source>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(username).cloned()
    }

    /// Remembers a source, instead of one that had its name before.
    pub(super) fn remember(&self, source: Source) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(source.username.clone(), Arc::new(source));
    }
}
