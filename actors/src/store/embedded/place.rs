//! The state directory and the files in it: made, locked, checked, opened.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::journal;
use super::sql::{self, APPLICATION_ID, STEPS};
use crate::clock::BootId;
use crate::store::StoreError;

const LOCK_FILE: &str = "lock";
const STORE_FILE: &str = "sessions.db";

/// Made by an operator who goes on with what is left of a damaged log.
const ACCEPT_FILE: &str = "accept-loss";

/// Two records of an ordinary session fit one page, and one record needs no overflow page.
const PAGE_BYTES: u64 = 8192;

/// How long a statement waits for a lock of SQLite's. Nobody but us should hold one; an operator
/// who looks into the file with another program may, for a moment.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);

/// Pages in the log after which it is moved into the store's file: 8 MiB, some 20 ms of work, and
/// what a start after a crash has to read.
const CHECKPOINT_PAGES: i64 = 1_000;

/// What is left of the log's file after it grew, in bytes.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;

/// The largest store that is read through at each start, which takes a tenth of a second; beyond
/// it, damage shows when it is met.
const CHECK_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Statements that each connection keeps ready: all there are.
const STATEMENTS: usize = 32;

/// A state directory that is ours, and the store in it.
pub(super) struct Place {
    pub(super) lock: File,
    pub(super) writer: Connection,
    /// The number of the present boot in this store.
    pub(super) boot: i64,
    /// Whether nothing was ever stored.
    pub(super) was_empty: bool,
    /// The store's file, for messages.
    pub(super) name: Arc<str>,
    path: PathBuf,
}

impl Place {
    /// Opens one more connection, which reads only.
    pub(super) fn reader(&self) -> Result<Connection, StoreError> {
        let reader = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        reader.map_err(|error| sql::fault(&self.name, error))
    }
}

/// Takes the directory `dir` and opens the store in it; makes either where it is missing.
pub(super) fn open(dir: &Path, boot: BootId, bytes_max: u64) -> Result<Place, StoreError> {
    let (lock, same_boot) = take(dir, boot)?;
    let path = dir.join(STORE_FILE);
    let name: Arc<str> = path.to_string_lossy().into();
    if !path.try_exists().map_err(|error| StoreError::io(Arc::clone(&name), &error))? {
        make(&path, &name)?;
    }
    let size =
        fs::metadata(&path).map_err(|error| StoreError::io(Arc::clone(&name), &error))?.len();
    if size == 0 {
        // It is put in place only when it is whole, so something else has emptied it.
        return Err(StoreError::corrupt(name, "it is empty"));
    }

    look_at_log(&path, same_boot)?;
    let sqlite = |error| sql::fault(&name, error);
    let writer = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
    check(&writer, &name, size)?;
    configure(&writer, bytes_max).map_err(sqlite)?;
    migrate(&writer, &name)?;
    let boot = number_of(&writer, boot).map_err(sqlite)?;
    let was_empty = writer
        .query_row("SELECT NOT EXISTS (SELECT 1 FROM session)", [], |row| row.get(0))
        .map_err(sqlite)?;
    Ok(Place { lock, writer, boot, was_empty, name, path })
}

/// Refuses a log of which commits are lost, unless the operator has accepted that.
fn look_at_log(path: &Path, same_boot: bool) -> Result<(), StoreError> {
    let log: Arc<str> = path.with_extension("db-wal").to_string_lossy().into();
    let failed = |error: io::Error| StoreError::io(Arc::clone(&log), &error);
    let Some(detail) = journal::damage(path, same_boot).map_err(failed)? else {
        return Ok(());
    };
    let accepted = path.with_file_name(ACCEPT_FILE);
    if !accepted.try_exists().map_err(failed)? {
        let accept = accepted.to_string_lossy().into();
        return Err(StoreError::LogDamaged { place: log, detail: detail.into(), accept });
    }
    journal::keep_copy(path).map_err(failed)?;
    tracing::warn!(log = &*log, detail, "goes on without the commits that cannot be read");
    // It speaks for this damage and for no later one.
    fs::remove_file(&accepted).map_err(failed)
}

/// Makes the directory where it is missing, and locks it for as long as the file lives; tells
/// whether it was last locked on the same boot of the same machine.
fn take(dir: &Path, boot: BootId) -> Result<(File, bool), StoreError> {
    let failed = |path: &Path, error: &io::Error| StoreError::io(path.to_string_lossy(), error);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| failed(dir, &error))?;
    let path = dir.join(LOCK_FILE);
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| {
            // It is the directory that must be made writable, not a file that is not there.
            let refused = failed(dir, &error);
            let read_only = matches!(refused, StoreError::ReadOnly { .. });
            if read_only { refused } else { failed(&path, &error) }
        })?;
    let mut last = [0; 16];
    match lock.try_lock() {
        Ok(()) => {
            let same_boot = lock.read_exact_at(&mut last, 0).is_ok() && last == boot.0;
            // Where there is no room for it the next start knows less, and refuses nothing for that.
            let _ = lock.write_all_at(&boot.0, 0);
            Ok((lock, same_boot))
        }
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::Locked { place: dir.to_string_lossy().into() })
        }
        Err(TryLockError::Error(error)) => Err(failed(&path, &error)),
    }
}

/// Makes an empty store beside its place and moves it there when it is whole.
fn make(path: &Path, name: &Arc<str>) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::io(Arc::clone(name), &error);
    let log = path.with_extension("db-wal");
    if log.try_exists().map_err(failed)? {
        let detail = "its log (-wal) is there, but the file itself is not";
        return Err(StoreError::corrupt(Arc::clone(name), detail));
    }
    let new = path.with_extension("new");
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed)?;
    let sqlite = |error| sql::fault(name, error);
    let connection = connect(&new, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES.cast_signed()).map_err(sqlite)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)?;
    migrate(&connection, name)?;
    connection.close().map_err(|(_, error)| sqlite(error))?;

    File::open(&new).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection belongs to one thread at a time, so SQLite needs no mutex.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_WAIT_MAX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

fn configure(connection: &Connection, bytes_max: u64) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    // What is wiped is overwritten where that costs no page more.
    connection.pragma_update(None, "secure_delete", "FAST")?;
    // SQLite's own limit is below what an i32 holds.
    let pages = i64::from(i32::try_from(bytes_max / PAGE_BYTES).unwrap_or(i32::MAX));
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
}

/// Looks whether the file is a store of ours and of a version that this program reads, and, where
/// it is small, whether it is whole.
fn check(connection: &Connection, name: &Arc<str>, size: u64) -> Result<(), StoreError> {
    let corrupt = |detail: &str| Err(StoreError::corrupt(Arc::clone(name), detail));
    if pragma(connection, name, "application_id")? != APPLICATION_ID {
        return corrupt("it is the database of another program");
    }
    let (found, known) = (pragma(connection, name, "user_version")?, STEPS.len() as i64);
    if found > known {
        return Err(StoreError::TooNew { place: Arc::clone(name), found, known });
    }
    if size > CHECK_BYTES_MAX {
        return Ok(());
    }
    let found: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| sql::fault(name, error))?;
    if found == "ok" { Ok(()) } else { corrupt(&found) }
}

/// Takes the steps that are missing, all or none.
fn migrate(connection: &Connection, name: &Arc<str>) -> Result<(), StoreError> {
    let taken = usize::try_from(pragma(connection, name, "user_version")?).unwrap_or(usize::MAX);
    let missing = STEPS.get(taken..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let steps = missing.concat();
    let version = STEPS.len();
    connection
        .execute_batch(&format!("BEGIN; {steps} PRAGMA user_version = {version}; COMMIT;"))
        .map_err(|error| sql::fault(name, error))
}

/// Returns the number of the present boot: a new one where the last process ran on another.
fn number_of(connection: &Connection, boot: BootId) -> rusqlite::Result<i64> {
    let last: Option<(i64, [u8; 16])> = connection
        .query_row("SELECT number, id FROM boot ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match last {
        Some((number, id)) if id == boot.0 => Ok(number),
        last => {
            // A boot that comes back after another (a directory that moved between machines) is
            // counted as new: its moments are not known to be ours.
            let number = last.map_or(1, |(number, _)| number + 1);
            connection.execute("INSERT INTO boot VALUES (?1, ?2)", params![number, boot.0])?;
            connection.execute("DELETE FROM boot WHERE number < ?1", params![number])?;
            Ok(number)
        }
    }
}

fn pragma(connection: &Connection, name: &Arc<str>, which: &str) -> Result<i64, StoreError> {
    connection
        .pragma_query_value(None, which, |row| row.get(0))
        .map_err(|error| sql::fault(name, error))
}
