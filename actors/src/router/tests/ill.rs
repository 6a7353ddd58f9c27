//! A store in memory whose tombstones can be made to fail.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::clock::Clock;
use crate::core::event::EndReason;
use crate::core::lease::{Begin, Begun, Commit, Verdict};
use crate::core::name::SessionKey;
use crate::core::time::Instant;
use crate::store::{
    Answer, Body, DuePage, IndexKey, Loaded, Mark, Memory, Row, Store, StoreError, Tombstone,
};

/// Keeps sessions like [`Memory`]; can be told to write no tombstones.
pub(super) struct Ill {
    memory: Memory,
    illness: AtomicU8,
}

/// What becomes of a tombstone.
#[derive(Clone, Copy)]
pub(super) enum Illness {
    /// It is written.
    None,
    /// It is not, as on a full disk; reading goes on.
    Fails,
    /// Whoever writes it panics.
    Panics,
}

impl Ill {
    pub(super) fn new(clock: Clock) -> Self {
        Self { memory: Memory::new(clock), illness: AtomicU8::new(Illness::None as u8) }
    }

    pub(super) fn falls(&self, illness: Illness) {
        self.illness.store(illness as u8, Ordering::SeqCst);
    }
}

impl Store for Ill {
    fn end(&self, key: SessionKey, reason: EndReason) -> Answer<'_, Option<Row>> {
        let illness = self.illness.load(Ordering::SeqCst);
        assert!(illness != Illness::Panics as u8, "the store was told to panic");
        if illness == Illness::Fails as u8 {
            let full = StoreError::Full { place: "a test's store".into() };
            return Box::pin(std::future::ready(Err(full)));
        }
        self.memory.end(key, reason)
    }

    fn create(&self, key: SessionKey, row: Row) -> Answer<'_, ()> {
        self.memory.create(key, row)
    }

    fn load(&self, key: SessionKey) -> Answer<'_, Loaded> {
        self.memory.load(key)
    }

    fn begin(&self, key: SessionKey, ask: Begin) -> Answer<'_, Begun> {
        self.memory.begin(key, ask)
    }

    fn commit(&self, key: SessionKey, commit: Commit, body: Body) -> Answer<'_, Verdict> {
        self.memory.commit(key, commit, body)
    }

    fn engrave(&self, key: SessionKey, words: Vec<u8>) -> Answer<'_, ()> {
        self.memory.engrave(key, words)
    }

    fn tombstone(&self, first: SessionKey, last: SessionKey) -> Answer<'_, Option<Tombstone>> {
        self.memory.tombstone(first, last)
    }

    fn tombstones(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        self.memory.tombstones(after, limit)
    }

    fn inter(&self, tombstone: Tombstone) -> Answer<'_, bool> {
        self.memory.inter(tombstone)
    }

    fn due(&self, until: Instant, after: Option<Mark>, limit: usize) -> Answer<'_, DuePage> {
        self.memory.due(until, after, limit)
    }

    fn in_doubt(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        self.memory.in_doubt(after, limit)
    }

    fn find(&self, by: IndexKey) -> Answer<'_, Vec<SessionKey>> {
        self.memory.find(by)
    }

    fn list(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        self.memory.list(after, limit)
    }

    fn count(&self) -> Answer<'_, u64> {
        self.memory.count()
    }

    fn purge(&self, limit: usize) -> Answer<'_, usize> {
        self.memory.purge(limit)
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.memory.ping()
    }
}
