//! The store of one machine: SQLite in the state directory.
//!
//! Writes queue up before one thread, which puts up to [`GROUP_MAX`] of them into one transaction
//! and answers them together after it is on the disk (`WAL`, `synchronous=FULL`): many sessions
//! share the price of one flush. Each write is judged by itself; one that is refused does not
//! touch its neighbours. Reads go by connections of their own and never wait for a flush.
//!
//! Waiting in the queue and for the disk is bounded by tokio's timer, so that tests with tokio's
//! paused time use [`super::Memory`] instead.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use self::lane::{Lane, Pen, Urgency};
use self::reserve::Reserve;
use super::{Answer, Body, DuePage, IndexKey, Loaded, Mark, Row, Store, StoreError, Tombstone};
use crate::clock::Clock;
use crate::core::event::EndReason;
use crate::core::lease::{Begin, Begun, Commit, Verdict};
use crate::core::name::SessionKey;
use crate::core::time::Instant;

mod columns;
mod journal;
mod lane;
mod place;
mod reserve;
mod rows;
mod sql;

pub use self::lane::GROUP_MAX;

/// Threads that read: one page of a long listing and one session at a time beside each other.
const READERS: usize = 2;

/// Keeps sessions in the state directory of this machine.
///
/// Durable means: it survives the death of the process and, as far as the disk keeps what it says
/// it has flushed, a power cut. The directory belongs to one process at a time.
#[derive(Debug)]
pub struct Embedded {
    /// `None` only while the store is dropped.
    lanes: Option<Lanes>,
    /// The writer's is the last.
    threads: Vec<JoinHandle<()>>,
    was_empty: bool,
    /// Locked for as long as the store lives: dropped after the threads have ended.
    _lock: File,
}

#[derive(Debug)]
struct Lanes {
    writes: Lane,
    reads: Lane,
}

impl Embedded {
    /// Opens the store in the state directory `dir`; both are made where they are missing.
    ///
    /// # Errors
    /// Says what is wrong with the directory or the store in it, and leaves it as it is.
    pub fn open(dir: &Path, clock: Clock) -> Result<Self, StoreError> {
        Self::open_limited(dir, clock, u64::MAX)
    }

    /// Opens the store as [`Embedded::open`] does, and keeps it from growing beyond `bytes_max`.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn open_limited(dir: &Path, clock: Clock, bytes_max: u64) -> Result<Self, StoreError> {
        let place = place::open(dir, clock.boot(), bytes_max)?;
        let readers = (0..READERS).map(|_| place.reader()).collect::<Result<Vec<_>, _>>()?;
        let pen = |connection| Pen {
            connection,
            clock: clock.clone(),
            boot: place.boot,
            place: Arc::clone(&place.name),
        };

        // A store with a limit of its own leaves room on the disk.
        let reserve = (bytes_max == u64::MAX).then(|| Reserve::lay(dir, clock.now()));
        let (writes, writer) = lane::writer(pen(place.writer), reserve)?;
        let (reads, mut threads) = lane::readers(readers.into_iter().map(pen).collect())?;
        threads.push(writer);
        Ok(Self {
            lanes: Some(Lanes { writes, reads }),
            threads,
            was_empty: place.was_empty,
            _lock: place.lock,
        })
    }

    /// Reports whether nothing had ever been stored when the store was opened.
    pub(super) fn was_empty(&self) -> bool {
        self.was_empty
    }

    fn writes(&self) -> Option<&Lane> {
        self.lanes.as_ref().map(|lanes| &lanes.writes)
    }

    fn reads(&self) -> Option<&Lane> {
        self.lanes.as_ref().map(|lanes| &lanes.reads)
    }
}

/// Waits for the writes that were asked for, so that who opens the directory next finds them.
impl Drop for Embedded {
    fn drop(&mut self) {
        let writer = self.threads.pop();
        let Some(Lanes { writes, reads }) = self.lanes.take() else { return };
        drop(reads);
        for reader in self.threads.drain(..) {
            // A thread that panicked has said so, and has nothing more to do.
            let _ = reader.join();
        }
        drop(writes);
        // The last connection to close moves the log into the file, which a reader may not.
        let _ = writer.map(JoinHandle::join);
    }
}

impl Store for Embedded {
    fn create(&self, key: SessionKey, row: Row) -> Answer<'_, ()> {
        lane::ask(self.writes(), Urgency::CanWait, move |rows| rows.create(&key, &row))
    }

    fn load(&self, key: SessionKey) -> Answer<'_, Loaded> {
        lane::ask(self.reads(), Urgency::CanWait, move |rows| rows.load(&key))
    }

    fn begin(&self, key: SessionKey, ask: Begin) -> Answer<'_, Begun> {
        lane::ask(self.writes(), Urgency::CanWait, move |rows| rows.begin(&key, &ask))
    }

    fn commit(&self, key: SessionKey, commit: Commit, body: Body) -> Answer<'_, Verdict> {
        lane::ask(self.writes(), Urgency::CannotWait, move |rows| rows.commit(&key, &commit, &body))
    }

    fn end(&self, key: SessionKey, reason: EndReason) -> Answer<'_, Option<Row>> {
        lane::ask(self.writes(), Urgency::CannotWait, move |rows| rows.end(&key, reason))
    }

    fn engrave(&self, key: SessionKey, words: Vec<u8>) -> Answer<'_, ()> {
        lane::ask(self.writes(), Urgency::CanWait, move |rows| rows.engrave(&key, &words))
    }

    fn tombstone(&self, first: SessionKey, last: SessionKey) -> Answer<'_, Option<Tombstone>> {
        lane::ask(self.reads(), Urgency::CanWait, move |rows| rows.tombstone(&first, &last))
    }

    fn tombstones(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        lane::ask(self.reads(), Urgency::CanWait, move |rows| rows.tombstones(after, limit))
    }

    fn inter(&self, tombstone: Tombstone) -> Answer<'_, bool> {
        lane::ask(self.writes(), Urgency::CanWait, move |rows| rows.inter(&tombstone))
    }

    fn due(&self, until: Instant, after: Option<Mark>, limit: usize) -> Answer<'_, DuePage> {
        lane::ask(self.reads(), Urgency::CanWait, move |rows| rows.due(until, after, limit))
    }

    fn in_doubt(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        lane::ask(self.reads(), Urgency::CanWait, move |rows| rows.in_doubt(after, limit))
    }

    fn find(&self, by: IndexKey) -> Answer<'_, Vec<SessionKey>> {
        lane::ask(self.reads(), Urgency::CanWait, move |rows| rows.find(by))
    }

    fn list(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        lane::ask(self.reads(), Urgency::CanWait, move |rows| rows.list(after, limit))
    }

    fn count(&self) -> Answer<'_, u64> {
        lane::ask(self.reads(), Urgency::CanWait, |rows| rows.count())
    }

    fn purge(&self, limit: usize) -> Answer<'_, usize> {
        lane::ask(self.writes(), Urgency::CanWait, move |rows| rows.purge(limit))
    }

    fn ping(&self) -> Answer<'_, ()> {
        lane::ask(self.writes(), Urgency::CanWait, |rows| rows.ping())
    }
}
