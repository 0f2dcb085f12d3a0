//! Another `secret_key`: what older keys have sealed is sealed anew with the first, in small steps, while gateways serve.

use std::sync::Arc;

use super::StoreError;
use crate::model::seal::Keyring;
use crate::model::subscription::secret_context;
use crate::model::{Entropy, SubscriptionId};
use crate::store::{Resealed, SealedSecret, SharedStore};

/// Secrets of one step: few enough that nobody waits long for the transaction.
const STEP: usize = 100;

/// What there was to do, and is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Secrets that were sealed anew.
    pub rewritten: u64,
    /// Secrets that the first key has sealed already.
    pub unchanged: u64,
    /// Secrets that no key of the list opens.
    pub unreadable: u64,
}

impl Report {
    /// How many secrets were looked at.
    pub fn total(self) -> u64 {
        self.rewritten + self.unchanged + self.unreadable
    }
}

/// Seals anew. Can be interrupted at any time, and run again: what is done is done.
pub struct Rekey {
    /// What must survive.
    pub store: SharedStore,
    /// The keys.
    pub keys: Arc<Keyring>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn Entropy>,
}

impl Rekey {
    /// Seals every subscription's secret with the first key. Tells `watch` how far it is.
    pub async fn run(&self, watch: &(dyn Fn(Report) + Send + Sync)) -> Result<Report, StoreError> {
        let (mut report, mut after) = (Report::default(), None);
        while let Some(last) = self.step(after, &mut report).await? {
            watch(report);
            after = Some(last);
        }
        Ok(report)
    }

    /// How many secrets no key of the list opens. Changes nothing.
    pub async fn count_unreadable(&self) -> Result<u64, StoreError> {
        let (mut unreadable, mut after) = (0, None);
        loop {
            let page = self.store.sealed_secrets(after, STEP).await?;
            let Some(last) = page.last() else { return Ok(unreadable) };
            after = Some(last.id);
            unreadable += page.iter().filter(|secret| self.open(secret).is_none()).count() as u64;
        }
    }

    /// Seals the next secrets anew; the last of them, or `None` if there are no more. If somebody sets one of them
    /// meanwhile, with whatever key, that one wins, and is looked at again.
    async fn step(
        &self,
        after: Option<SubscriptionId>,
        report: &mut Report,
    ) -> Result<Option<SubscriptionId>, StoreError> {
        let mut rewritten = 0;
        loop {
            let page = self.store.sealed_secrets(after, STEP).await?;
            let Some(last) = page.last().map(|secret| secret.id) else { return Ok(None) };
            let (current, stale): (Vec<_>, Vec<_>) = page.into_iter().partition(|secret| self.is_current(secret));
            let stale_count = stale.len();
            let anew: Vec<_> = stale.into_iter().filter_map(|old| self.anew(old)).collect();
            let wanted = anew.len();
            let done = if wanted > 0 { self.store.reseal(anew).await? } else { 0 };
            if done == wanted {
                report.rewritten += rewritten + done as u64;
                report.unchanged += (current.len() as u64).saturating_sub(rewritten);
                report.unreadable += (stale_count - wanted) as u64;
                return Ok(Some(last));
            }
            rewritten += done as u64;
        }
    }

    fn is_current(&self, secret: &SealedSecret) -> bool {
        self.keys.is_current(&secret.secret, &secret_context(secret.partner, secret.site))
    }

    fn open(&self, secret: &SealedSecret) -> Option<Vec<u8>> {
        self.keys.open(&secret.secret, &secret_context(secret.partner, secret.site)).ok()
    }

    fn anew(&self, old: SealedSecret) -> Option<Resealed> {
        let Some(plain) = self.open(&old) else {
            tracing::error!(subscription = %old.id, site = %old.site, "no key of the list opens this secret");
            return None;
        };
        let new = self.keys.seal(&plain, &secret_context(old.partner, old.site), &*self.entropy);
        Some(Resealed { old, new })
    }
}
