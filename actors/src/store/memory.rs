//! A store that ends with the process.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    Answer, Body, DuePage, IndexKey, Loaded, Mark, PAGE_MAX, Row, Store, StoreError,
    TOMBSTONE_KEEP, Tombstone, age, bury, lease,
};
use crate::clock::Clock;
use crate::core::event::EndReason;
use crate::core::lease::{self as rules, Begin, Begun, Commit, Head, Verdict};
use crate::core::name::SessionKey;
use crate::core::time::Instant;

/// Keeps sessions in memory: **nothing is durable**, every session ends with the process.
///
/// For tests, and for embedders whose sessions need not outlive a restart: a family whose last
/// refresh token is forgotten stays alive at the provider until it expires there. It never fails
/// and never waits, so that it runs under tokio's paused time.
#[derive(Debug)]
pub struct Memory {
    clock: Clock,
    kept: Mutex<BTreeMap<SessionKey, Kept>>,
}

#[derive(Debug)]
struct Kept {
    head: Head,
    state: State,
}

#[derive(Debug)]
enum State {
    Living(Body),
    Ended { reason: EndReason, at: Instant, words: Vec<u8> },
}

impl Memory {
    /// Makes an empty store.
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<SessionKey, Kept>> {
        // Each change is one assignment, so a panic in between leaves nothing half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(
        &self,
        after: Option<SessionKey>,
        limit: usize,
        wanted: impl Fn(&Kept) -> bool,
    ) -> Vec<SessionKey> {
        self.kept()
            .iter()
            .filter(|(key, _)| after.is_none_or(|after| **key > after))
            .filter(|(_, kept)| wanted(kept))
            .map(|(key, _)| *key)
            .take(limit.min(PAGE_MAX))
            .collect()
    }
}

impl Kept {
    fn body(&self) -> Option<&Body> {
        match &self.state {
            State::Living(body) => Some(body),
            State::Ended { .. } => None,
        }
    }
}

fn answer<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Answer<'a, T> {
    Box::pin(future::ready(result))
}

impl Store for Memory {
    fn create(&self, key: SessionKey, row: Row) -> Answer<'_, ()> {
        let mut kept = self.kept();
        if kept.contains_key(&key) {
            return answer(Err(StoreError::exists(&key)));
        }
        kept.insert(key, Kept { head: row.head, state: State::Living(row.body) });
        answer(Ok(()))
    }

    fn load(&self, key: SessionKey) -> Answer<'_, Loaded> {
        answer(Ok(match self.kept().get(&key) {
            None => Loaded::Absent,
            Some(Kept { head, state: State::Living(body) }) => {
                Loaded::Living(Box::new(Row { head: *head, body: body.clone() }))
            }
            Some(Kept { state: State::Ended { reason, .. }, .. }) => Loaded::Ended(*reason),
        }))
    }

    fn begin(&self, key: SessionKey, ask: Begin) -> Answer<'_, Begun> {
        let now = self.clock.now();
        answer(Ok(match self.kept().get_mut(&key) {
            None => Begun::Ended,
            Some(kept) => lease(&mut kept.head, &ask, now),
        }))
    }

    fn commit(&self, key: SessionKey, commit: Commit, body: Body) -> Answer<'_, Verdict> {
        let mut kept = self.kept();
        let Some(kept) = kept.get_mut(&key) else {
            return answer(Ok(Verdict::Ended));
        };
        let verdict = rules::commit(&kept.head, &commit);
        if let Verdict::Accept(after) = verdict {
            *kept = Kept { head: after, state: State::Living(body) };
        }
        answer(Ok(verdict))
    }

    fn end(&self, key: SessionKey, reason: EndReason) -> Answer<'_, Option<Row>> {
        let at = self.clock.now();
        let mut kept = self.kept();
        let Some(kept) = kept.get_mut(&key) else {
            return answer(Ok(None));
        };
        let State::Living(body) = &kept.state else {
            return answer(Ok(None));
        };
        let wiped = Row { head: kept.head, body: body.clone() };
        let state = State::Ended { reason, at, words: Vec::new() };
        *kept = Kept { head: bury(&kept.head), state };
        answer(Ok(Some(wiped)))
    }

    fn engrave(&self, key: SessionKey, engraved: Vec<u8>) -> Answer<'_, ()> {
        if let Some(Kept { state: State::Ended { words, .. }, .. }) = self.kept().get_mut(&key) {
            *words = engraved;
        }
        answer(Ok(()))
    }

    fn tombstone(&self, first: SessionKey, last: SessionKey) -> Answer<'_, Option<Tombstone>> {
        let kept = self.kept();
        let found = kept.range(first..=last).find_map(|(key, kept)| match &kept.state {
            State::Living(_) => None,
            State::Ended { reason, at, words } => {
                Some(Tombstone { key: *key, reason: *reason, at: Some(*at), words: words.clone() })
            }
        });
        answer(Ok(found))
    }

    fn tombstones(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        answer(Ok(self.keys(after, limit, |kept| kept.body().is_none())))
    }

    fn inter(&self, tombstone: Tombstone) -> Answer<'_, bool> {
        let Tombstone { key, reason, at, words } = tombstone;
        let mut kept = self.kept();
        let Entry::Vacant(place) = kept.entry(key) else {
            return answer(Ok(false));
        };
        let at = age(at, self.clock.now());
        place.insert(Kept { head: bury(&Head::new()), state: State::Ended { reason, at, words } });
        answer(Ok(true))
    }

    fn due(&self, until: Instant, after: Option<Mark>, limit: usize) -> Answer<'_, DuePage> {
        let mut due: Vec<(Mark, SessionKey, Instant)> = self
            .kept()
            .iter()
            .filter_map(|(key, kept)| Some((key, kept.body()?.due?)))
            .filter(|(_, at)| *at <= until)
            .map(|(key, at)| (mark(key, at), *key, at))
            .filter(|(mark, ..)| after.is_none_or(|after| *mark > after))
            .collect();
        due.sort_unstable();
        let limit = limit.min(PAGE_MAX);
        let more = due.len() > limit;
        due.truncate(limit);
        let next = due.last().filter(|_| more).map(|(mark, ..)| *mark);
        let sessions = due.into_iter().map(|(_, key, at)| (key, Some(at))).collect();
        answer(Ok(DuePage { sessions, next }))
    }

    fn in_doubt(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        answer(Ok(self.keys(after, limit, |kept| kept.head.intent.is_some())))
    }

    fn find(&self, by: IndexKey) -> Answer<'_, Vec<SessionKey>> {
        let is_named = |body: &Body| body.by_subject == by || body.by_provider_session == Some(by);
        answer(Ok(self.keys(None, PAGE_MAX, |kept| kept.body().is_some_and(is_named))))
    }

    fn list(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        answer(Ok(self.keys(after, limit, |kept| kept.body().is_some())))
    }

    fn count(&self) -> Answer<'_, u64> {
        let living = self.kept().values().filter(|kept| kept.body().is_some()).count();
        answer(Ok(living as u64))
    }

    fn purge(&self, limit: usize) -> Answer<'_, usize> {
        let now = self.clock.now();
        let mut kept = self.kept();
        let old: Vec<SessionKey> = kept
            .iter()
            .filter(|(_, kept)| match kept.state {
                State::Living(_) => false,
                State::Ended { at, .. } => now.since(at) >= TOMBSTONE_KEEP,
            })
            .map(|(key, _)| *key)
            .take(limit.min(PAGE_MAX))
            .collect();
        old.iter().for_each(|key| drop(kept.remove(key)));
        answer(Ok(old.len()))
    }

    fn ping(&self) -> Answer<'_, ()> {
        answer(Ok(()))
    }
}

/// Orders by time, then by the key's first half; keys are hashes, so the half tells them apart.
fn mark(key: &SessionKey, at: Instant) -> Mark {
    let part = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&key.0[from..from + 8]);
        i64::from_be_bytes(bytes)
    };
    Mark([i64::try_from(at.as_nanos()).unwrap_or(i64::MAX), part(0), part(8)])
}
