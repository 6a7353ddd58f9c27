//! A store that counts what is asked of it.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Answer, Board, Body, DuePage, IndexKey, Loaded, Mark, News, Note, NoteKey, Remedy, Row, Seen,
    SharedTime, Store, StoreError, Tombstone, Wrote,
};
use crate::clock::Clock;
use crate::core::event::EndReason;
use crate::core::lease::{Begin, Begun, Commit, Verdict};
use crate::core::name::SessionKey;
use crate::core::time::Instant;
use crate::metrics::Metrics;
use crate::metrics::label::{Actor, StoreOp, StoreOutcome};

/// Another store, with each operation counted under its kind and its outcome.
pub(super) struct Metered {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

/// One operation that was asked for and is not answered.
struct Asked<'a>(&'a Metrics);

impl Metered {
    pub(super) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>, clock: Clock) -> Self {
        Self { store, metrics, clock }
    }

    /// Counts an answer; `outcome` says what a good one means.
    fn counted<'a, T: Send + 'a>(
        &'a self,
        op: StoreOp,
        answer: Answer<'a, T>,
        outcome: fn(&T) -> StoreOutcome,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            let asked_at = self.clock.now();
            let asked = Asked::new(&self.metrics);
            let answer = answer.await;
            drop(asked);
            let outcome = match &answer {
                Ok(good) => outcome(good),
                Err(error) => refused(error),
            };
            let took = self.clock.now().since(asked_at);
            self.metrics.store_operation(op, outcome, took);
            answer
        })
    }
}

impl Store for Metered {
    fn create(&self, key: SessionKey, row: Row) -> Answer<'_, ()> {
        self.counted(StoreOp::Put, self.store.create(key, row), good)
    }

    fn load(&self, key: SessionKey) -> Answer<'_, Loaded> {
        self.counted(StoreOp::Get, self.store.load(key), |loaded| match loaded {
            Loaded::Living(_) | Loaded::Ended(_) => StoreOutcome::Ok,
            Loaded::Absent => StoreOutcome::NotFound,
        })
    }

    fn begin(&self, key: SessionKey, ask: Begin) -> Answer<'_, Begun> {
        self.counted(StoreOp::Lease, self.store.begin(key, ask), |begun| match begun {
            Begun::Leased { .. } => StoreOutcome::Ok,
            Begun::Busy(_) | Begun::Moved => StoreOutcome::Conflict,
            Begun::Ended => StoreOutcome::NotFound,
        })
    }

    fn commit(&self, key: SessionKey, commit: Commit, body: Body) -> Answer<'_, Verdict> {
        let answer = self.store.commit(key, commit, body);
        self.counted(StoreOp::CompareAndSwap, answer, |verdict| match verdict {
            Verdict::Accept(_) => StoreOutcome::Ok,
            Verdict::Superseded => StoreOutcome::Conflict,
            Verdict::Ended => StoreOutcome::NotFound,
        })
    }

    fn end(&self, key: SessionKey, reason: EndReason) -> Answer<'_, Option<Row>> {
        self.counted(StoreOp::Delete, self.store.end(key, reason), found)
    }

    fn engrave(&self, key: SessionKey, words: Vec<u8>) -> Answer<'_, ()> {
        self.counted(StoreOp::Put, self.store.engrave(key, words), good)
    }

    fn tombstone(&self, first: SessionKey, last: SessionKey) -> Answer<'_, Option<Tombstone>> {
        self.counted(StoreOp::Get, self.store.tombstone(first, last), found)
    }

    fn tombstones(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        self.counted(StoreOp::Scan, self.store.tombstones(after, limit), good)
    }

    fn inter(&self, tombstone: Tombstone) -> Answer<'_, bool> {
        self.counted(StoreOp::Put, self.store.inter(tombstone), good)
    }

    fn due(&self, until: Instant, after: Option<Mark>, limit: usize) -> Answer<'_, DuePage> {
        self.counted(StoreOp::Scan, self.store.due(until, after, limit), good)
    }

    fn in_doubt(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        self.counted(StoreOp::Scan, self.store.in_doubt(after, limit), good)
    }

    fn find(&self, by: IndexKey) -> Answer<'_, Vec<SessionKey>> {
        self.counted(StoreOp::Scan, self.store.find(by), good)
    }

    fn list(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        self.counted(StoreOp::Scan, self.store.list(after, limit), good)
    }

    fn count(&self) -> Answer<'_, u64> {
        self.counted(StoreOp::Scan, self.store.count(), good)
    }

    fn purge(&self, limit: usize) -> Answer<'_, usize> {
        self.counted(StoreOp::Delete, self.store.purge(limit), good)
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.counted(StoreOp::Put, self.store.ping(), good)
    }

    fn shared_time(&self) -> Option<SharedTime> {
        self.store.shared_time()
    }

    fn news(&self) -> Option<News> {
        self.store.news()
    }

    fn board(&self) -> Option<&dyn Board> {
        self.store.board().map(|_| self as &dyn Board)
    }
}

impl Board for Metered {
    fn read(&self, key: NoteKey) -> Answer<'_, Option<Note>> {
        match self.store.board() {
            Some(board) => self.counted(StoreOp::Get, board.read(key), found),
            None => Box::pin(future::ready(Err(StoreError::Closed))),
        }
    }

    fn write(&self, key: NoteKey, seen: Seen, text: Vec<u8>, keep: Duration) -> Answer<'_, Wrote> {
        let Some(board) = self.store.board() else {
            return Box::pin(future::ready(Err(StoreError::Closed)));
        };
        let answer = board.write(key, seen, text, keep);
        self.counted(StoreOp::CompareAndSwap, answer, |wrote| match wrote {
            Wrote::Done(_) => StoreOutcome::Ok,
            Wrote::Moved(_) => StoreOutcome::Conflict,
        })
    }
}

// === impl Asked ===

impl<'a> Asked<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.mailbox(Actor::Store, 1);
        Self(metrics)
    }
}

/// A caller who goes away takes its question with it.
impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.mailbox(Actor::Store, -1);
    }
}

fn good<T>(_answer: &T) -> StoreOutcome {
    StoreOutcome::Ok
}

fn found<T>(answer: &Option<T>) -> StoreOutcome {
    match answer {
        Some(_) => StoreOutcome::Ok,
        None => StoreOutcome::NotFound,
    }
}

fn refused(error: &StoreError) -> StoreOutcome {
    match error.remedy() {
        Remedy::Again => StoreOutcome::Timeout,
        Remedy::Operator | Remedy::Program => StoreOutcome::Error,
    }
}
