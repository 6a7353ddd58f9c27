//! The statements: each of them is one step of the contract, inside whatever transaction is open.
//!
//! A job writes with one statement at most, the last thing it does: what fails leaves nothing
//! half done.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};

use super::columns::{Columns, IntentColumns, Stamp};
use super::sql;
use crate::clock::Clock;
use crate::core::event::EndReason;
use crate::core::lease::{self as rules, Begin, Begun, Commit, Head, Verdict};
use crate::core::name::SessionKey;
use crate::core::time::Instant;
use crate::store::{
    Body, DuePage, IndexKey, Loaded, Mark, PAGE_MAX, Row, StoreError, TOMBSTONE_KEEP, Tombstone,
    age, bury, lease,
};

/// The sessions, as a connection sees them.
pub(super) struct Rows<'c> {
    pub(super) connection: &'c Connection,
    pub(super) clock: &'c Clock,
    /// The number of the present boot in this store.
    pub(super) boot: i64,
    /// The store's file, for messages.
    pub(super) place: &'c Arc<str>,
}

/// A row that was found, with its record where it has one.
struct Found {
    id: i64,
    columns: Columns,
    sealed: Option<Vec<u8>>,
}

impl Rows<'_> {
    pub(super) fn create(&self, key: &SessionKey, row: &Row) -> Result<(), StoreError> {
        let mut columns = Columns::new(&row.head, self.boot);
        self.fill(&mut columns, &row.body);
        match self.write(sql::INSERT, key, &columns, Some(&row.body.sealed), &key.0)? {
            0 => Err(StoreError::exists(key)),
            _ => Ok(()),
        }
    }

    pub(super) fn load(&self, key: &SessionKey) -> Result<Loaded, StoreError> {
        let Some(found) = self.find_row(key)? else {
            return Ok(Loaded::Absent);
        };
        match found.columns.end_reason() {
            None => self.living(key, found).map(|row| Loaded::Living(Box::new(row))),
            Some(Ok(reason)) => Ok(Loaded::Ended(reason)),
            Some(Err(code)) => Err(self.unheard_of(key, code)),
        }
    }

    pub(super) fn begin(&self, key: &SessionKey, ask: &Begin) -> Result<Begun, StoreError> {
        let Some(Found { id, mut columns, .. }) = self.find_row(key)? else {
            return Ok(Begun::Ended);
        };
        let mut head = columns.head(self.boot);
        let begun = lease(&mut head, ask, self.clock.now());
        match begun {
            Begun::Leased { .. } => {
                columns.set_head(&head, self.boot);
                self.write(sql::UPDATE_HEAD, key, &columns, None, &id)?;
            }
            Begun::Busy(_) | Begun::Moved | Begun::Ended => {}
        }
        Ok(begun)
    }

    pub(super) fn commit(
        &self,
        key: &SessionKey,
        commit: &Commit,
        body: &Body,
    ) -> Result<Verdict, StoreError> {
        let Some(Found { id, mut columns, .. }) = self.find_row(key)? else {
            return Ok(Verdict::Ended);
        };
        let verdict = rules::commit(&columns.head(self.boot), commit);
        match verdict {
            Verdict::Accept(after) => {
                let names = columns.names();
                columns.set_head(&after, self.boot);
                self.fill(&mut columns, body);
                let statement =
                    if columns.names() == names { sql::UPDATE_BODY } else { sql::UPDATE_ALL };
                self.write(statement, key, &columns, Some(&body.sealed), &id)?;
            }
            Verdict::Superseded | Verdict::Ended => {}
        }
        Ok(verdict)
    }

    pub(super) fn end(
        &self,
        key: &SessionKey,
        reason: EndReason,
    ) -> Result<Option<Row>, StoreError> {
        // Damage does not keep a session from ending, so the checksum is not asked.
        let Some((Found { id, columns, sealed }, _)) = self.read_row(key)? else {
            return Ok(None);
        };
        if columns.ended.is_some() {
            return Ok(None);
        }
        let (by_subject, by_provider_session) =
            columns.names().unwrap_or((IndexKey([0; 32]), None));
        let head = columns.head(self.boot);
        let wiped = Row {
            head,
            body: Body {
                sealed: sealed.unwrap_or_default(),
                due: self.moment(columns.due),
                by_subject,
                by_provider_session,
            },
        };
        let tombstone = Columns {
            ended: Some((reason.code().to_owned(), Stamp::new(self.clock.now(), self.boot))),
            ..Columns::new(&bury(&head), self.boot)
        };
        self.write(sql::UPDATE_ALL, key, &tombstone, None, &id)?;
        Ok(Some(wiped))
    }

    pub(super) fn engrave(&self, key: &SessionKey, words: &[u8]) -> Result<(), StoreError> {
        self.execute(sql::ENGRAVE, params![words, key.0]).map(drop)
    }

    pub(super) fn tombstone(
        &self,
        first: &SessionKey,
        last: &SessionKey,
    ) -> Result<Option<Tombstone>, StoreError> {
        let found =
            self.many(sql::TOMBSTONE, params![first.0, last.0], |row| row.get(0).map(SessionKey))?;
        let Some(key) = found.first() else { return Ok(None) };
        let Some(Found { columns, sealed, .. }) = self.find_row(key)? else { return Ok(None) };
        let reason = match columns.end_reason() {
            None => return Ok(None),
            Some(reason) => reason.map_err(|code| self.unheard_of(key, code))?,
        };
        let at = self.moment(columns.ended.as_ref().map(|(_, at)| *at));
        Ok(Some(Tombstone { key: *key, reason, at, words: sealed.unwrap_or_default() }))
    }

    pub(super) fn tombstones(
        &self,
        after: Option<SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>, StoreError> {
        self.keys_after(sql::TOMBSTONES, after, limit)
    }

    pub(super) fn inter(&self, tombstone: &Tombstone) -> Result<bool, StoreError> {
        let Tombstone { key, reason, at, words } = tombstone;
        let at = Stamp::new(age(*at, self.clock.now()), self.boot);
        let columns = Columns {
            ended: Some((reason.code().to_owned(), at)),
            ..Columns::new(&bury(&Head::new()), self.boot)
        };
        let words = Some(words).filter(|words| !words.is_empty());
        self.write(sql::INSERT, key, &columns, words, &key.0).map(|written| written == 1)
    }

    pub(super) fn due(
        &self,
        until: Instant,
        after: Option<Mark>,
        limit: usize,
    ) -> Result<DuePage, StoreError> {
        let Mark([boot, at, id]) = after.unwrap_or(Mark([i64::MIN; 3]));
        let limit = limit.min(PAGE_MAX);
        let until = Stamp::new(until, self.boot).nanos;
        let mut page =
            self.many(sql::DUE, params![boot, at, id, self.boot, until, rows(limit + 1)], |row| {
                let (key, boot, nanos): (_, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((SessionKey(key), Stamp { boot, nanos }, Mark([boot, nanos, row.get(3)?])))
            })?;
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| more).map(|(.., mark)| *mark);
        let sessions = page.into_iter().map(|(key, due, _)| (key, due.on(self.boot))).collect();
        Ok(DuePage { sessions, next })
    }

    pub(super) fn in_doubt(
        &self,
        after: Option<SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>, StoreError> {
        self.keys_after(sql::IN_DOUBT, after, limit)
    }

    pub(super) fn list(
        &self,
        after: Option<SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>, StoreError> {
        self.keys_after(sql::LIST, after, limit)
    }

    pub(super) fn find(&self, by: IndexKey) -> Result<Vec<SessionKey>, StoreError> {
        self.many(sql::FIND, params![by.0, rows(PAGE_MAX)], |row| row.get(0).map(SessionKey))
    }

    pub(super) fn count(&self) -> Result<u64, StoreError> {
        let count = self.many(sql::COUNT, params![], |row| row.get::<_, i64>(0))?;
        Ok(count.first().map_or(0, |count| count.unsigned_abs()))
    }

    pub(super) fn purge(&self, limit: usize) -> Result<usize, StoreError> {
        let now = self.clock.now();
        // What was written before the boot is at least as old as the boot.
        if now.since(Instant::ZERO) < TOMBSTONE_KEEP {
            return Ok(0);
        }
        let until = Stamp::new(now - TOMBSTONE_KEEP, self.boot).nanos;
        self.execute(sql::PURGE, params![self.boot, until, rows(limit.min(PAGE_MAX))])
    }

    pub(super) fn ping(&self) -> Result<(), StoreError> {
        self.execute(sql::PING, params![]).map(drop)
    }

    fn keys_after(
        &self,
        statement: &str,
        after: Option<SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>, StoreError> {
        // The empty blob is before every key.
        let after = after.map(|key| key.0.to_vec()).unwrap_or_default();
        let limit = rows(limit.min(PAGE_MAX));
        self.many(statement, params![after, limit], |row| row.get(0).map(SessionKey))
    }

    fn fill(&self, columns: &mut Columns, body: &Body) {
        columns.due = body.due.map(|due| Stamp::new(due, self.boot));
        columns.by_subject = Some(body.by_subject.0);
        columns.by_provider_session = body.by_provider_session.map(|name| name.0);
    }

    fn living(&self, key: &SessionKey, found: Found) -> Result<Row, StoreError> {
        let names = found.columns.names();
        let Some(((by_subject, by_provider_session), sealed)) = names.zip(found.sealed) else {
            return Err(self.damaged(key, "a living session has no record"));
        };
        Ok(Row {
            head: found.columns.head(self.boot),
            body: Body {
                sealed,
                due: self.moment(found.columns.due),
                by_subject,
                by_provider_session,
            },
        })
    }

    fn find_row(&self, key: &SessionKey) -> Result<Option<Found>, StoreError> {
        match self.read_row(key)? {
            Some((found, checksum)) if found.columns.checksum(key) != checksum => {
                Err(self.damaged(key, "its checksum does not fit"))
            }
            found => Ok(found.map(|(found, _)| found)),
        }
    }

    fn read_row(&self, key: &SessionKey) -> Result<Option<(Found, i64)>, StoreError> {
        let mut statement =
            self.connection.prepare_cached(sql::SELECT).map_err(|error| self.fault(error))?;
        statement
            .query_row(params![key.0], |row| Ok((read_found(row)?, row.get(1)?)))
            .optional()
            .map_err(|error| self.fault(error))
    }

    fn moment(&self, stamp: Option<Stamp>) -> Option<Instant> {
        stamp.and_then(|stamp| stamp.on(self.boot))
    }

    /// Writes `columns`, as many of them as `statement` takes, to the row that `which` names.
    fn write(
        &self,
        statement: &str,
        key: &SessionKey,
        columns: &Columns,
        sealed: Option<&Vec<u8>>,
        which: &dyn ToSql,
    ) -> Result<usize, StoreError> {
        let checksum = columns.checksum(key);
        let (head, due) = (columns.head_values(), columns.due_values());
        let (end, names) = (columns.end_values(), columns.name_values());
        let rest: &[&[Value]] = match statement {
            sql::UPDATE_HEAD => &[],
            sql::UPDATE_BODY => &[&due],
            _ => &[&due, &end, &names],
        };
        let mut values: Vec<&dyn ToSql> = vec![&checksum];
        values.extend(head.iter().map(|value| value as &dyn ToSql));
        values.extend(rest.iter().copied().flatten().map(|value| value as &dyn ToSql));
        if statement != sql::UPDATE_HEAD {
            values.push(&sealed);
        }
        values.push(which);
        self.execute(statement, params_from_iter(values))
    }

    fn execute(&self, statement: &str, params: impl rusqlite::Params) -> Result<usize, StoreError> {
        let mut statement =
            self.connection.prepare_cached(statement).map_err(|error| self.fault(error))?;
        statement.execute(params).map_err(|error| self.fault(error))
    }

    fn many<T>(
        &self,
        statement: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement =
            self.connection.prepare_cached(statement).map_err(|error| self.fault(error))?;
        statement
            .query_map(params, read)
            .and_then(Iterator::collect)
            .map_err(|error| self.fault(error))
    }

    fn unheard_of(&self, key: &SessionKey, code: &str) -> StoreError {
        self.damaged(key, &format!("it ended for a reason this version does not know: {code}"))
    }

    fn damaged(&self, key: &SessionKey, detail: &str) -> StoreError {
        let place = format!("session {} in {}", key.id(), self.place);
        StoreError::corrupt(place, detail)
    }

    fn fault(&self, error: rusqlite::Error) -> StoreError {
        sql::fault(self.place, error)
    }
}

fn read_found(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    let intent = match row.get(6)? {
        None => None,
        Some(epoch) => Some(IntentColumns {
            epoch,
            owner: row.get(7)?,
            consumes: row.get(8)?,
            boot: row.get(9)?,
            since: row.get(10)?,
            until: row.get(11)?,
            settle: row.get(12)?,
            again: row.get(13)?,
        }),
    };
    let stamp = |boot, nanos| -> rusqlite::Result<Option<Stamp>> {
        let boot: Option<i64> = row.get(boot)?;
        Ok(boot.zip(row.get(nanos)?).map(|(boot, nanos)| Stamp { boot, nanos }))
    };
    Ok(Found {
        id: row.get(0)?,
        columns: Columns {
            generation: row.get(2)?,
            parent: row.get(3)?,
            born_in: row.get(4)?,
            epoch: row.get(5)?,
            intent,
            due: stamp(14, 15)?,
            ended: row.get::<_, Option<String>>(16)?.zip(stamp(17, 18)?),
            by_subject: row.get(19)?,
            by_provider_session: row.get(20)?,
        },
        sealed: row.get(21)?,
    })
}

/// Returns a bound as SQLite takes it; each is far below its range.
fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
