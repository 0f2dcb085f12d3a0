//! The keys that a gateway starts with, and the proof that they are the right ones.
//!
//! At the first start a known word is sealed and kept in the database. At every later start it must open: a wrong key
//! is noticed before the first delivery fails.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Settings;
use crate::config::key_file::{self, KeyFileError};
use crate::model::Entropy;
use crate::model::seal::{Keyring, Sealed};
use crate::store::{DatabaseUrl, SharedStore, StoreError};

const WORD: &[u8] = b"leadgate";
const CONTEXT: &[u8] = b"key check";

/// There is no key, or not the right one.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The key file is gone, but secrets were encrypted with it.
    #[error(
        "the key file {} is missing, and the database holds secrets that only it can decrypt: restore it from a \
         backup, or set secret_key",
        .0.display()
    )]
    Missing(PathBuf),
    /// Several machines share the database, so they must share the key.
    #[error("secret_key must be set when the database is PostgreSQL: all gateways on it need the same key")]
    Required,
    /// The setting's keys did not encrypt this database's secrets.
    #[error(
        "secret_key is wrong: this database's secrets were encrypted with another key; if that was taken out of the list, \
         put it back and run `leadgate rekey` first"
    )]
    WrongSetting,
    /// The file's keys did not encrypt this database's secrets.
    #[error(
        "the key file {} is wrong: this database's secrets were encrypted with another key; if that was taken out of the \
         list, put it back and run `leadgate rekey` first",
        .0.display()
    )]
    WrongFile(PathBuf),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The keys of a gateway that starts. On SQLite without `secret_key`, the first start makes the key file.
pub async fn load(settings: &Settings, store: &SharedStore, entropy: &dyn Entropy) -> Result<Arc<Keyring>, KeyError> {
    let check = store.key_check().await?;
    let keys = match existing(settings, check.as_ref())? {
        Some(keys) => keys,
        None => Arc::new(key_file::create(&file_of(settings)?, entropy)?),
    };
    if check.is_none() {
        store.set_key_check(keys.seal(WORD, CONTEXT, entropy)).await?;
        // Another gateway may have been first, with another key.
        existing(settings, store.key_check().await?.as_ref())?;
    }
    Ok(keys)
}

/// The keys that [`load`] would give to a gateway; `None` if its first start would make them. Makes nothing.
pub async fn examine(settings: &Settings, store: &SharedStore) -> Result<Option<Arc<Keyring>>, KeyError> {
    existing(settings, store.key_check().await?.as_ref())
}

/// Seals the known word with the first key: from now on the others are not needed at a start.
pub async fn renew_check(keys: &Keyring, store: &SharedStore, entropy: &dyn Entropy) -> Result<(), StoreError> {
    match store.key_check().await? {
        Some(check) if !keys.is_current(&check, CONTEXT) => {
            store.replace_key_check(check, keys.seal(WORD, CONTEXT, entropy)).await
        }
        _ => Ok(()),
    }
}

/// The keys that there are, proven right; `None` when it is for the first start to make them.
fn existing(settings: &Settings, check: Option<&Sealed>) -> Result<Option<Arc<Keyring>>, KeyError> {
    let fits = |keys: &Keyring| check.is_none_or(|sealed| keys.open(sealed, CONTEXT).is_ok());
    if let Some(keys) = &settings.secret_key {
        return if fits(keys) { Ok(Some(keys.clone())) } else { Err(KeyError::WrongSetting) };
    }
    let path = file_of(settings)?;
    match key_file::read(&path)? {
        Some(keys) if fits(&keys) => Ok(Some(Arc::new(keys))),
        Some(_) => Err(KeyError::WrongFile(path)),
        None if check.is_some() => Err(KeyError::Missing(path)),
        None => Ok(None),
    }
}

/// The key file's place. There is none beside a database that several machines share.
fn file_of(settings: &Settings) -> Result<PathBuf, KeyError> {
    match &settings.database_url {
        DatabaseUrl::Sqlite(database) => Ok(key_file::beside(database)),
        DatabaseUrl::Postgres(_) => Err(KeyError::Required),
    }
}
