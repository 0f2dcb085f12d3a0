//! The key file: on SQLite without `secret_key`, the key lies beside the database, readable by its owner alone.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::model::Entropy;
use crate::model::seal::Keyring;

/// The key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system said no.
    #[error("cannot {verb} the key file {}: {cause}", path.display())]
    Io {
        /// "read" or "create".
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
    /// Others than its owner may read it, or write it.
    #[error("the key file {} is open to other users: run `chmod 600` on it", .0.display())]
    Permissions(PathBuf),
    /// It does not hold a key.
    #[error("the key file {} does not hold a key of 64 hex digits: restore it from a backup", .0.display())]
    Contents(PathBuf),
}

/// The key file of a database file: its name with `.key` at the end.
pub fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".key");
    name.into()
}

/// Reads the keys; `None` if there is no such file.
pub fn read(path: &Path) -> Result<Option<Keyring>, KeyFileError> {
    let io_error = |cause| KeyFileError::Io { verb: "read", path: path.to_owned(), cause };
    let mode = match std::fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode(),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(io_error(cause)),
    };
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Permissions(path.to_owned()));
    }
    let bytes = std::fs::read(path).map_err(io_error)?;
    let keys = std::str::from_utf8(&bytes).ok().and_then(|text| Keyring::parse(text.trim()).ok());
    keys.map(Some).ok_or_else(|| KeyFileError::Contents(path.to_owned()))
}

/// Makes a new key and its file. The file appears whole or not at all, and never replaces another: of two processes
/// that start at once, the second reads the key of the first.
pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Keyring, KeyFileError> {
    let io_error = |cause| KeyFileError::Io { verb: "create", path: path.to_owned(), cause };
    match write_new(path, &Keyring::generate(entropy)) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(io_error(cause)),
        _ => {}
    }
    read(path)?.ok_or_else(|| io_error(io::ErrorKind::NotFound.into()))
}

fn write_new(path: &Path, key: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Temporary files are born with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{key}")?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    // Without its directory entry on disk, the key could be lost after secrets were sealed with it.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OsEntropy;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("leadgate.db"));
        assert!(path.ends_with("leadgate.db.key"));
        assert!(read(&path).unwrap().is_none());
        let made = create(&path, &OsEntropy).unwrap();
        let again = create(&path, &OsEntropy).unwrap();
        assert_eq!(made.tag("same", b""), again.tag("same", b""));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_file_that_others_can_read_or_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, &OsEntropy).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Permissions(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Contents(_))));
    }
}
