//! The schema, the statements, and what SQLite's refusals mean.

use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Marks the file as ours: "TkWd".
pub(super) const APPLICATION_ID: i64 = 0x546b_5764;

/// The steps from an empty file to the present schema; a file's version is the number of steps it
/// has taken. Steps are only ever added.
pub(super) const STEPS: [&str; 1] = [STEP_1];

/// Moments are pairs of a boot's number, as the one row of `boot` gives it, and its nanoseconds.
/// A living session has a `by_subject`, a tombstone has an `ended`. The indexes hold only the rows
/// they are for, so that most writes do not touch them.
const STEP_1: &str = "
CREATE TABLE session (
  id INTEGER PRIMARY KEY,
  key BLOB NOT NULL UNIQUE,
  generation INTEGER NOT NULL,
  parent INTEGER,
  born_in INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  intent_epoch INTEGER,
  intent_owner BLOB,
  intent_consumes INTEGER,
  intent_boot INTEGER,
  intent_since INTEGER,
  intent_until INTEGER,
  intent_settle INTEGER,
  intent_again INTEGER,
  due_boot INTEGER,
  due_at INTEGER,
  ended TEXT,
  ended_boot INTEGER,
  ended_at INTEGER,
  by_subject BLOB,
  by_provider_session BLOB,
  checksum INTEGER NOT NULL,
  sealed BLOB
) STRICT;
CREATE INDEX session_in_doubt ON session (key) WHERE intent_epoch IS NOT NULL;
CREATE INDEX session_due ON session (due_boot, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX session_ended ON session (ended_boot, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX session_by_subject ON session (by_subject) WHERE by_subject IS NOT NULL;
CREATE INDEX session_by_provider_session ON session (by_provider_session)
  WHERE by_provider_session IS NOT NULL;
CREATE TABLE boot (number INTEGER PRIMARY KEY, id BLOB NOT NULL) STRICT;
CREATE TABLE pulse (beats INTEGER NOT NULL) STRICT;
INSERT INTO pulse VALUES (0);
";

pub(super) const SELECT: &str = "SELECT id, checksum, generation, parent, born_in, epoch, \
     intent_epoch, intent_owner, intent_consumes, intent_boot, intent_since, intent_until, \
     intent_settle, intent_again, due_boot, due_at, ended, ended_boot, ended_at, by_subject, \
     by_provider_session, sealed FROM session WHERE key = ?1";

pub(super) const INSERT: &str = "INSERT INTO session (checksum, generation, parent, born_in, \
     epoch, intent_epoch, intent_owner, intent_consumes, intent_boot, intent_since, intent_until, \
     intent_settle, intent_again, due_boot, due_at, ended, ended_boot, ended_at, by_subject, \
     by_provider_session, sealed, key) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
     ON CONFLICT (key) DO NOTHING";

/// The head alone: no index but that of the intents is touched.
pub(super) const UPDATE_HEAD: &str = "UPDATE session SET checksum = ?, generation = ?, parent = ?, \
     born_in = ?, epoch = ?, intent_epoch = ?, intent_owner = ?, intent_consumes = ?, \
     intent_boot = ?, intent_since = ?, intent_until = ?, intent_settle = ?, intent_again = ? \
     WHERE id = ?";

/// Head, due time and record: the indexes of names are left alone, whose pages would have to be
/// written too.
pub(super) const UPDATE_BODY: &str = "UPDATE session SET checksum = ?, generation = ?, parent = ?, \
     born_in = ?, epoch = ?, intent_epoch = ?, intent_owner = ?, intent_consumes = ?, \
     intent_boot = ?, intent_since = ?, intent_until = ?, intent_settle = ?, intent_again = ?, \
     due_boot = ?, due_at = ?, sealed = ? WHERE id = ?";

pub(super) const UPDATE_ALL: &str = "UPDATE session SET checksum = ?, generation = ?, parent = ?, \
     born_in = ?, epoch = ?, intent_epoch = ?, intent_owner = ?, intent_consumes = ?, \
     intent_boot = ?, intent_since = ?, intent_until = ?, intent_settle = ?, intent_again = ?, \
     due_boot = ?, due_at = ?, ended = ?, ended_boot = ?, ended_at = ?, by_subject = ?, \
     by_provider_session = ?, sealed = ? WHERE id = ?";

/// Row values compare from the left, so one range takes all of the earlier boots and the present
/// one up to a moment.
pub(super) const DUE: &str = "SELECT key, due_boot, due_at, id FROM session \
     WHERE due_at IS NOT NULL AND (due_boot, due_at, id) > (?1, ?2, ?3) \
     AND (due_boot, due_at) <= (?4, ?5) ORDER BY due_boot, due_at, id LIMIT ?6";

pub(super) const IN_DOUBT: &str = "SELECT key FROM session \
     WHERE intent_epoch IS NOT NULL AND key > ?1 ORDER BY key LIMIT ?2";

pub(super) const FIND: &str = "SELECT key FROM session WHERE by_subject = ?1 \
     UNION ALL SELECT key FROM session WHERE by_provider_session = ?1 LIMIT ?2";

pub(super) const LIST: &str =
    "SELECT key FROM session WHERE key > ?1 AND ended IS NULL ORDER BY key LIMIT ?2";

/// Living sessions are those with a name.
pub(super) const COUNT: &str = "SELECT count(*) FROM session WHERE by_subject IS NOT NULL";

pub(super) const PURGE: &str = "DELETE FROM session WHERE id IN (SELECT id FROM session \
     WHERE ended_at IS NOT NULL AND (ended_boot, ended_at) <= (?1, ?2) \
     ORDER BY ended_boot, ended_at LIMIT ?3)";

/// Last words take the place of the record that the end has wiped.
pub(super) const ENGRAVE: &str =
    "UPDATE session SET sealed = ?1 WHERE key = ?2 AND ended IS NOT NULL";

pub(super) const TOMBSTONE: &str = "SELECT key FROM session \
     WHERE key BETWEEN ?1 AND ?2 AND ended IS NOT NULL ORDER BY key LIMIT 1";

pub(super) const TOMBSTONES: &str =
    "SELECT key FROM session WHERE key > ?1 AND ended IS NOT NULL ORDER BY key LIMIT ?2";

pub(super) const PING: &str = "UPDATE pulse SET beats = beats + 1";

/// Says what SQLite did not want at `place`.
pub(super) fn fault(place: &str, error: rusqlite::Error) -> StoreError {
    let place = Arc::from(place);
    let detail = Arc::from(error.to_string());
    let Some(code) = error.sqlite_error_code() else {
        // The statements are ours, so a value of the wrong kind is not what was written.
        return StoreError::Corrupt { place, detail };
    };
    if code == ErrorCode::DiskFull {
        StoreError::Full { place }
    } else if code == ErrorCode::ReadOnly {
        StoreError::ReadOnly { place }
    } else if matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) {
        StoreError::Corrupt { place, detail }
    } else if matches!(code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) {
        StoreError::Busy { why: "another program reads or writes the store's file" }
    } else {
        StoreError::Io { place, detail }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn l14_no_listing_reads_the_whole_store() {
        let connection = Connection::open_in_memory().expect("memory");
        STEPS.iter().for_each(|step| connection.execute_batch(step).expect("the schema is SQL"));
        for (statement, index) in [
            (SELECT, "sqlite_autoindex_session_1"),
            (DUE, "session_due"),
            (IN_DOUBT, "session_in_doubt"),
            (FIND, "session_by_provider_session"),
            (LIST, "sqlite_autoindex_session_1"),
            (COUNT, "session_by_subject"),
            (PURGE, "session_ended"),
            (ENGRAVE, "sqlite_autoindex_session_1"),
            (TOMBSTONE, "sqlite_autoindex_session_1"),
            (TOMBSTONES, "sqlite_autoindex_session_1"),
        ] {
            let mut plan =
                connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).expect("SQL");
            for parameter in 1..=plan.parameter_count() {
                plan.raw_bind_parameter(parameter, 1).expect("a parameter");
            }
            let mut rows = plan.raw_query();
            let mut steps = Vec::new();
            while let Some(row) = rows.next().expect("a plan") {
                steps.push(row.get::<_, String>(3).expect("a step"));
            }
            let steps = steps.join("; ");
            assert!(steps.contains(index), "{statement}: {steps}");
            assert!(!steps.contains("TEMP B-TREE"), "{statement}: {steps}");
            assert!(!steps.contains("SCAN session;"), "{statement}: {steps}");
        }
    }
}
