//! What the commands need beside, or without, a running gateway: the store and the operator's verbs.

use std::sync::Arc;

use super::keys;
use crate::config::Settings;
use crate::domain::admin::Admin;
use crate::egress::Mailer;
use crate::model::{OsEntropy, SystemClock};
use crate::store::{self, DatabaseUrl, OpenError, Purpose};

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
        Ok(()) => problems.extend(keys::examine(settings, &store).await.err().map(|error| error.to_string())),
        Err(error) => problems.push(error.to_string()),
    }
    store.close().await;
    problems
}
