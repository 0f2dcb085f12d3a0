//! The database file: found or made, told from files that are not ours, and locked against a second server.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::migrate::{APPLICATION_ID, KNOWN, schema_version};
use super::statements;
use crate::store::OpenError;

/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait before a lock is tried again for which SQLite does not wait.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// The shortest file that can be a database, in bytes.
const SHORTEST_PAGE: u64 = 512;

/// Where a database lies.
#[derive(Debug, Clone)]
pub(super) struct Location {
    /// As the operator wrote it, for messages.
    shown: String,
    /// Absolute, so that SQLite sees neither `:memory:` nor `file:` in it.
    path: PathBuf,
}

/// What the file holds, as far as its first look tells.
pub(super) enum Contents {
    /// Nothing yet.
    Empty,
    /// A database of ours with this schema version, which is not newer than [`KNOWN`].
    Ours(u32),
}

/// The right to serve a database.
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Closing the file would do, if a child process that is just being started did not hold it open for a moment longer.
    fn drop(&mut self) {
        // It fails only where locks cannot be had at all.
        let _ = self.0.unlock();
    }
}

impl Location {
    /// Resolves a path as it was configured.
    pub(super) fn new(path: &Path) -> Result<Self, OpenError> {
        let shown = path.display().to_string();
        let absolute = std::path::absolute(path)
            .map_err(|error| OpenError::NotWritable { path: shown.clone(), cause: error.to_string() })?;
        Ok(Self { shown, path: absolute })
    }

    /// Keeps every other server out, for as long as the lock is held.
    pub(super) fn lock(&self) -> Result<Lock, OpenError> {
        let mut name = OsString::from(&self.path);
        name.push(".lock");
        let file = private().create(true).truncate(false).open(&name).map_err(|error| self.not_writable(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(self.shown.clone())),
            Err(TryLockError::Error(error)) => Err(self.not_writable(&error)),
        }
    }

    /// Makes an empty file that only its owner can read, unless there is one; SQLite gives its side files the same mode.
    pub(super) fn create(&self) -> Result<(), OpenError> {
        match private().create_new(true).open(&self.path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(self.not_writable(&error)),
        }
    }

    /// Opens a connection that can write, and looks at what the file holds. Changes nothing.
    pub(super) fn connect(&self) -> Result<(Connection, Contents), OpenError> {
        let metadata = std::fs::metadata(&self.path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => OpenError::Missing(self.shown.clone()),
            _ => self.not_writable(&error),
        })?;
        // SQLite takes some files that are shorter than its shortest page for empty ones, and would write over them.
        if !metadata.is_file() || (1..SHORTEST_PAGE).contains(&metadata.len()) {
            return Err(OpenError::NotADatabase(self.shown.clone()));
        }
        // Where nobody may write, somebody protected the file on purpose; root could write to it all the same.
        if metadata.permissions().readonly() {
            return Err(self.not_writable(&ErrorKind::PermissionDenied.into()));
        }
        if !self.begins_like_sqlite().map_err(|error| self.not_writable(&error))? {
            return Err(OpenError::NotADatabase(self.shown.clone()));
        }
        let connection = self.open().map_err(|error| self.failed(&error))?;
        let contents = self.look(&connection)?;
        Ok((connection, contents))
    }

    /// Whether the file is empty or begins as SQLite's do. SQLite itself takes a file of a few bytes for an empty one,
    /// and would write over it.
    fn begins_like_sqlite(&self) -> std::io::Result<bool> {
        let mut beginning = Vec::new();
        File::open(&self.path)?.take(16).read_to_end(&mut beginning)?;
        Ok(beginning.is_empty() || beginning == b"SQLite format 3\0")
    }

    /// Opens a further connection, to a file that [`Location::connect`] has looked at.
    pub(super) fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        statements::keep_compiled(&connection)?;
        Ok(connection)
    }

    /// Tells a database of ours from an empty file and from everything else; as of one moment, since others may be just making it.
    fn look(&self, connection: &Connection) -> Result<Contents, OpenError> {
        let look = || {
            let moment = connection.unchecked_transaction()?;
            let application = moment.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0))?;
            let tables = moment.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
            let ours = if application == APPLICATION_ID { Some(schema_version(&moment)?) } else { None };
            Ok((ours, application == 0 && tables == 0))
        };
        let (ours, is_empty) = look().map_err(|error| self.failed(&error))?;
        if connection.is_readonly(rusqlite::MAIN_DB).map_err(|error| self.failed(&error))? {
            return Err(self.not_writable(&ErrorKind::PermissionDenied.into()));
        }
        match ours {
            Some(found) if found > KNOWN => Err(OpenError::Newer { path: self.shown.clone(), found, known: KNOWN }),
            Some(found) => Ok(Contents::Ours(found)),
            None if is_empty => Ok(Contents::Empty),
            None => Err(OpenError::NotADatabase(self.shown.clone())),
        }
    }

    /// Refuses a database that has yet to be migrated.
    pub(super) fn require_current(&self, contents: &Contents) -> Result<(), OpenError> {
        match *contents {
            Contents::Ours(KNOWN) => Ok(()),
            Contents::Ours(found) => Err(OpenError::Older { path: self.shown.clone(), found, known: KNOWN }),
            Contents::Empty => Err(OpenError::Older { path: self.shown.clone(), found: 0, known: KNOWN }),
        }
    }

    /// The system gives us no thread to work on this file with.
    pub(super) fn no_thread(&self, error: std::io::Error) -> OpenError {
        self.failed(&rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }

    /// What an error of the engine means to someone who opens this file.
    pub(super) fn failed(&self, error: &rusqlite::Error) -> OpenError {
        let (path, cause) = (self.shown.clone(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => OpenError::NotADatabase(path),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                OpenError::NotWritable { path, cause }
            }
            _ => OpenError::Failed { path, cause },
        }
    }

    fn not_writable(&self, error: &std::io::Error) -> OpenError {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let cause = match error.kind() {
            ErrorKind::NotFound => format!("the directory {} does not exist", directory.display()),
            ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        OpenError::NotWritable { path: self.shown.clone(), cause }
    }
}

/// Has changes written to a log beside the file (WAL). A file that has no log yet must be had alone for that, and SQLite does
/// not always wait for it as it does for other locks, because two who do could wait for each other: so it is tried again.
pub(super) fn keep_a_wal(connection: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.execute_batch("PRAGMA journal_mode = WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                std::thread::sleep(TRY_AGAIN);
            }
            done => return done,
        }
    }
}

/// Options for a file that only its owner can read or write.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
