//! What the commands need beside, or without, a running gateway: the store and the operator's verbs.

use std::sync::Arc;

use super::{StartError, keys};
use crate::config::Settings;
use crate::domain::admin::Admin;
use crate::domain::rekey::{Rekey, Report};
use crate::egress::Mailer;
use crate::model::{Entropy, OsEntropy, SystemClock};
use crate::store::{self, DatabaseUrl, OpenError, Purpose, SharedStore};

/// Opens the database for one command; a gateway may be serving it at the same time. The caller closes the store.
pub async fn admin(settings: &Settings) -> Result<Admin, OpenError> {
    let store = store::open(&settings.database_url, Purpose::Command).await?;
    Ok(Admin {
        store,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        public_url: settings.public_url.as_str().to_owned(),
        mailer: settings.mail.clone().map(Mailer::new),
    })
}

/// Brings the database up to date. Returns the names of the migrations that were applied, in order.
pub async fn migrate(settings: &Settings) -> Result<Vec<String>, OpenError> {
    store::migrate(&settings.database_url).await
}

/// What would keep a gateway from starting with these settings. Changes nothing; that there is no database yet is no
/// problem, if it can be made.
pub async fn examine(settings: &Settings) -> Vec<String> {
    let mut problems = examine_database(settings).await;
    if let Some(route) = &settings.mail {
        problems.extend(Mailer::new(route.clone()).try_out().await.err().map(|error| error.to_string()));
    }
    problems
}

async fn examine_database(settings: &Settings) -> Vec<String> {
    if let DatabaseUrl::Sqlite(path) = &settings.database_url
        && !path.exists()
    {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        let missing = directory.filter(|directory| !directory.is_dir());
        return Vec::from_iter(missing.map(|missing| format!("the directory {} does not exist", missing.display())));
    }
    let store = match store::open(&settings.database_url, Purpose::Check).await {
        Ok(store) => store,
        Err(error) => return vec![error.to_string()],
    };
    let mut problems = Vec::new();
    match store.ping().await {
        Ok(()) => problems.extend(examine_secrets(settings, &store).await),
        Err(error) => problems.push(error.to_string()),
    }
    store.close().await;
    problems
}

/// What is wrong with the key.
async fn examine_secrets(settings: &Settings, store: &SharedStore) -> Option<String> {
    let keys = match keys::examine(settings, store).await {
        Ok(keys) => keys?,
        Err(error) => return Some(error.to_string()),
    };
    let rekey = Rekey { store: store.clone(), keys, entropy: Arc::new(OsEntropy) };
    match rekey.count_unreadable().await {
        Ok(0) => None,
        Ok(count) => Some(format!(
            "{count} subscriptions' secrets were encrypted with a key that is not in secret_key: put it back and run \
             `leadgate rekey`, or have the partners set their subscriptions anew"
        )),
        Err(error) => Some(error.to_string()),
    }
}

/// Seals everything anew with the first key, also while gateways serve. Tells `watch` of how many secrets how many are done.
pub async fn rekey(settings: &Settings, watch: &(dyn Fn(u64, Report) + Send + Sync)) -> Result<Report, StartError> {
    let store = store::open(&settings.database_url, Purpose::Command).await?;
    let done = rekey_in(settings, &store, watch).await;
    store.close().await;
    done
}

async fn rekey_in(
    settings: &Settings,
    store: &SharedStore,
    watch: &(dyn Fn(u64, Report) + Send + Sync),
) -> Result<Report, StartError> {
    // Before the first start there is nothing that a key has sealed.
    let Some(keys) = keys::examine(settings, store).await? else { return Ok(Report::default()) };
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let total = store.count_secrets().await?;
    let rekey = Rekey { store: store.clone(), keys: keys.clone(), entropy: entropy.clone() };
    let report = rekey.run(&|report| watch(total, report)).await?;
    if report.unreadable == 0 {
        keys::renew_check(&keys, store, &*entropy).await?;
    }
    Ok(report)
}
