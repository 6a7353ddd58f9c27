//! A store that loses saves.

use std::sync::atomic::{AtomicU32, Ordering};

use tokenward::core::event::EndReason;
use tokenward::core::lease::{Begin, Begun, Commit, Verdict};
use tokenward::core::name::SessionKey;
use tokenward::core::time::Instant;
use tokenward::store::{
    Answer, Body, DuePage, IndexKey, Loaded, Mark, Memory, Row, Store, StoreError, Tombstone,
};

/// A store in memory whose first saves fail.
pub(crate) struct FailingSaves {
    store: Memory,
    left: AtomicU32,
}

impl FailingSaves {
    pub(crate) fn new(store: Memory, times: u32) -> Self {
        Self { store, left: AtomicU32::new(times) }
    }
}

impl Store for FailingSaves {
    fn commit(&self, key: SessionKey, commit: Commit, body: Body) -> Answer<'_, Verdict> {
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
            return Box::pin(async { Err(StoreError::Busy { why: "the test" }) });
        }
        self.store.commit(key, commit, body)
    }

    fn create(&self, key: SessionKey, row: Row) -> Answer<'_, ()> {
        self.store.create(key, row)
    }

    fn load(&self, key: SessionKey) -> Answer<'_, Loaded> {
        self.store.load(key)
    }

    fn begin(&self, key: SessionKey, ask: Begin) -> Answer<'_, Begun> {
        self.store.begin(key, ask)
    }

    fn end(&self, key: SessionKey, reason: EndReason) -> Answer<'_, Option<Row>> {
        self.store.end(key, reason)
    }

    fn engrave(&self, key: SessionKey, words: Vec<u8>) -> Answer<'_, ()> {
        self.store.engrave(key, words)
    }

    fn tombstone(&self, first: SessionKey, last: SessionKey) -> Answer<'_, Option<Tombstone>> {
        self.store.tombstone(first, last)
    }

    fn tombstones(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        self.store.tombstones(after, limit)
    }

    fn inter(&self, tombstone: Tombstone) -> Answer<'_, bool> {
        self.store.inter(tombstone)
    }

    fn due(&self, until: Instant, after: Option<Mark>, limit: usize) -> Answer<'_, DuePage> {
        self.store.due(until, after, limit)
    }

    fn in_doubt(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        self.store.in_doubt(after, limit)
    }

    fn find(&self, by: IndexKey) -> Answer<'_, Vec<SessionKey>> {
        self.store.find(by)
    }

    fn list(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        self.store.list(after, limit)
    }

    fn count(&self) -> Answer<'_, u64> {
        self.store.count()
    }

    fn purge(&self, limit: usize) -> Answer<'_, usize> {
        self.store.purge(limit)
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.store.ping()
    }
}
