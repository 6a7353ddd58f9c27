//! The door to a store: sessions go in as snapshots and are encoded, sealed and indexed here.

use std::path::Path;
use std::sync::Arc;

use super::board::{Board, MemoryBoard};
use super::metered::Metered;
use super::record::{self, RecordFault};
use super::seal::{KeyRing, Purpose, RingFault};
use super::{
    Body, DuePage, Embedded, IndexKey, Loaded, Mark, News, Row, SharedTime, Store, StoreError,
    Tombstone,
};
use crate::clock::{BootId, Clock};
use crate::core::event::EndReason;
use crate::core::lease::{Begin, Begun, Commit, Head, Verdict};
use crate::core::name::SessionKey;
use crate::core::snapshot::Snapshot;
use crate::core::time::Instant;
use crate::events::LifecycleEvent;
use crate::metrics::Metrics;

/// The key ring's file in the state directory.
pub(super) const RING_FILE: &str = "keys.json";

/// A store with the keys that open it; a clone is another door to the same one.
#[derive(Clone)]
pub struct Vault {
    store: Arc<dyn Store>,
    ring: Arc<KeyRing>,
    clock: Clock,
    /// Where notes are left that no other machine is to read.
    own_board: Arc<MemoryBoard>,
}

/// What a vault has of a session.
#[derive(Clone, Debug)]
pub enum Restored {
    /// The session lives.
    Living(Box<Snapshot>),
    /// The session has ended.
    Ended(EndReason),
    /// There is no such session, or it ended long ago.
    Absent,
}

/// What the end of a session wiped.
#[derive(Clone, Debug)]
pub enum Wiped {
    /// The session as it was last written: its refresh token is the one to revoke.
    Living(Box<Snapshot>),
    /// A record that could not be opened; the session has ended all the same.
    Unreadable(StoreError),
    /// Nothing: the session had ended before, or never was.
    Nothing,
}

/// What a vault has of a session that has ended.
#[derive(Clone, Debug)]
pub struct Epitaph {
    /// The session.
    pub key: SessionKey,
    /// Why it ended.
    pub reason: EndReason,
    /// When it ended; `None` where that was before the last boot.
    pub at: Option<Instant>,
    /// Its last facts, oldest first; empty where they were not written.
    pub facts: Vec<LifecycleEvent>,
}

impl Vault {
    /// Joins a store with the ring that seals what goes into it.
    pub fn new(store: Arc<dyn Store>, ring: Arc<KeyRing>, clock: Clock) -> Self {
        let own_board = Arc::new(MemoryBoard::new(clock.clone()));
        Self { store, ring, clock, own_board }
    }

    /// Opens the embedded store and its key ring in the state directory `dir`, which is made
    /// where it is missing.
    ///
    /// # Errors
    /// Says what is wrong with the directory. A missing key ring beside a store that holds
    /// sessions is an error, because a new ring would sign everybody out.
    pub fn embedded(dir: &Path, clock: Clock) -> Result<Self, StoreError> {
        let store = Embedded::open(dir, clock.clone())?;
        let path = dir.join(RING_FILE);
        let ring = match KeyRing::open(&path) {
            Err(RingFault::Missing(_)) if store.was_empty() => KeyRing::open_or_create(&path)?,
            opened => opened?,
        };
        Ok(Self::new(Arc::new(store), Arc::new(ring), clock))
    }

    /// Counts what is asked of the store, and how long it takes.
    #[must_use]
    pub fn metered(mut self, metrics: &Arc<Metrics>) -> Self {
        self.store = Arc::new(Metered::new(self.store, Arc::clone(metrics), self.clock.clone()));
        self
    }

    /// Reports whether other machines may use the store too.
    pub fn is_shared(&self) -> bool {
        self.store.shared_time().is_some()
    }

    /// Listens to what other machines change: see [`Store::news`].
    pub fn news(&self) -> Option<News> {
        self.store.news()
    }

    /// Returns the ring, which also seals what browsers carry.
    pub fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// Returns the clock by which moments are stored.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Writes a moment so that every machine on the store can place it: whose clock it is of, and
    /// nanoseconds of it.
    pub fn stamp(&self, at: Instant) -> (BootId, u64) {
        match self.store.shared_time() {
            Some(shared) => (shared.id, shared.stamp(at).unsigned_abs().saturating_mul(1_000)),
            None => (self.clock.boot(), at.as_nanos()),
        }
    }

    /// Places what [`Vault::stamp`] wrote, as the earliest it can mean; `None` where nobody knows.
    pub fn placed(&self, whose: BootId, nanos: u64) -> Option<Instant> {
        if whose == self.clock.boot() {
            return Some(Instant::from_nanos(nanos));
        }
        let shared = self.store.shared_time().filter(|shared| shared.id == whose)?;
        shared.earliest(i64::try_from(nanos / 1_000).ok()?)
    }

    /// Reads a session.
    ///
    /// # Errors
    /// Where the store fails, or the record cannot be opened or read.
    pub async fn load(&self, key: SessionKey) -> Result<Restored, StoreError> {
        match self.store.load(key).await? {
            Loaded::Living(row) => {
                self.open(&key, &row).map(|snapshot| Restored::Living(Box::new(snapshot)))
            }
            Loaded::Ended(reason) => Ok(Restored::Ended(reason)),
            Loaded::Absent => Ok(Restored::Absent),
        }
    }

    /// Stores a new session, at the beginning of its family.
    ///
    /// # Errors
    /// As [`Store::create`], and where the session does not fit its record.
    ///
    /// # Cancel safety
    /// The session may or may not be stored when the future is dropped.
    pub async fn create(
        &self,
        key: SessionKey,
        snapshot: &Snapshot,
        due: Option<Instant>,
    ) -> Result<(), StoreError> {
        let body = self.seal(&key, snapshot, due)?;
        self.store.create(key, Row { head: snapshot.head, body }).await
    }

    /// Takes the lease: see [`Store::begin`].
    ///
    /// # Errors
    /// Where the store fails: the token must not be spent then.
    ///
    /// # Cancel safety
    /// The intent may be written when the future is dropped: the session is in doubt then.
    pub async fn begin(&self, key: SessionKey, ask: Begin) -> Result<Begun, StoreError> {
        self.store.begin(key, ask).await
    }

    /// Writes what an exchange brought: see [`Store::commit`].
    ///
    /// The head of `snapshot` is not written; the store's own moves forward, and comes back in
    /// [`Verdict::Accept`].
    ///
    /// # Errors
    /// Where the store fails, or the session does not fit its record. It may be tried again: a
    /// write that did happen answers [`Verdict::Superseded`] to its own repetition.
    ///
    /// # Cancel safety
    /// The write may or may not happen when the future is dropped.
    pub async fn commit(
        &self,
        key: SessionKey,
        commit: Commit,
        snapshot: &Snapshot,
        due: Option<Instant>,
    ) -> Result<Verdict, StoreError> {
        let body = self.seal(&key, snapshot, due)?;
        self.store.commit(key, commit, body).await
    }

    /// Ends a session: see [`Store::end`].
    ///
    /// # Errors
    /// Where the store fails. A record that cannot be read does not keep a session from ending.
    ///
    /// # Cancel safety
    /// The session may or may not have ended when the future is dropped.
    pub async fn end(&self, key: SessionKey, reason: EndReason) -> Result<Wiped, StoreError> {
        let Some(row) = self.store.end(key, reason).await? else {
            return Ok(Wiped::Nothing);
        };
        Ok(match self.open(&key, &row) {
            Ok(snapshot) => Wiped::Living(Box::new(snapshot)),
            Err(error) => Wiped::Unreadable(error),
        })
    }

    /// Writes the last facts of a session on its tombstone, sealed.
    ///
    /// # Errors
    /// Where the store fails; the session has ended all the same.
    pub async fn engrave(
        &self,
        key: SessionKey,
        facts: &[LifecycleEvent],
    ) -> Result<(), StoreError> {
        let plain = serde_json::to_vec(facts)
            .map_err(|_| StoreError::record(&key, RecordFault::Malformed("last words")))?;
        let sealed = self
            .ring
            .seal(Purpose::Epitaph, &key.0, &plain)
            .map_err(|fault| StoreError::seal(&key, fault))?;
        self.store.engrave(key, sealed).await
    }

    /// Finds the first tombstone with a key from `first` to `last`.
    ///
    /// # Errors
    /// Where the store fails. Last words that cannot be read are left out.
    pub async fn epitaph(
        &self,
        first: SessionKey,
        last: SessionKey,
    ) -> Result<Option<Epitaph>, StoreError> {
        let Some(found) = self.store.tombstone(first, last).await? else {
            return Ok(None);
        };
        let Tombstone { key, reason, at, words } = found;
        let plain = self.ring.open_sealed(Purpose::Epitaph, &key.0, &words).ok();
        let facts = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        Ok(Some(Epitaph { key, reason, at, facts: facts.unwrap_or_default() }))
    }

    /// Lists the sessions to be woken: see [`Store::due`].
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn due(
        &self,
        until: Instant,
        after: Option<Mark>,
        limit: usize,
    ) -> Result<DuePage, StoreError> {
        self.store.due(until, after, limit).await
    }

    /// Lists the sessions with an unresolved intent: see [`Store::in_doubt`].
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn in_doubt(
        &self,
        after: Option<SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>, StoreError> {
        self.store.in_doubt(after, limit).await
    }

    /// Finds the living sessions of a person: see [`Store::find`].
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn of_subject(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Vec<SessionKey>, StoreError> {
        self.store.find(IndexKey::subject(issuer, subject)).await
    }

    /// Finds the living sessions of a session at the provider (`sid`): see [`Store::find`].
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn of_provider_session(
        &self,
        issuer: &str,
        provider_session: &str,
    ) -> Result<Vec<SessionKey>, StoreError> {
        self.store.find(IndexKey::provider_session(issuer, provider_session)).await
    }

    /// Lists living sessions: see [`Store::list`].
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn list(
        &self,
        after: Option<SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>, StoreError> {
        self.store.list(after, limit).await
    }

    /// Counts living sessions.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn count(&self) -> Result<u64, StoreError> {
        self.store.count().await
    }

    /// Removes old tombstones: see [`Store::purge`].
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn purge(&self, limit: usize) -> Result<usize, StoreError> {
        self.store.purge(limit).await
    }

    /// Proves that the store can still write.
    ///
    /// # Errors
    /// Where it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(super) fn shared_time(&self) -> Option<SharedTime> {
        self.store.shared_time()
    }

    pub(super) fn board(&self) -> &dyn Board {
        self.store.board().unwrap_or(&*self.own_board)
    }

    fn seal(
        &self,
        key: &SessionKey,
        snapshot: &Snapshot,
        due: Option<Instant>,
    ) -> Result<Body, StoreError> {
        let plain = record::encode(snapshot, &self.clock, self.store.shared_time().as_ref())
            .map_err(|fault| StoreError::record(key, fault))?;
        let sealed = self
            .ring
            .seal(Purpose::Record, &key.0, &plain)
            .map_err(|fault| StoreError::seal(key, fault))?;
        let issuer = &snapshot.provider;
        Ok(Body {
            sealed,
            due,
            by_subject: IndexKey::subject(issuer, &snapshot.subject),
            by_provider_session: snapshot
                .provider_session
                .as_deref()
                .map(|sid| IndexKey::provider_session(issuer, sid)),
        })
    }

    fn open(&self, key: &SessionKey, row: &Row) -> Result<Snapshot, StoreError> {
        let plain = self
            .ring
            .open_sealed(Purpose::Record, &key.0, &row.body.sealed)
            .map_err(|fault| StoreError::seal(key, fault))?;
        let head = head_at(row.head, &self.clock);
        record::decode(&plain, head, &self.clock, self.store.shared_time().as_ref())
            .map_err(|fault| StoreError::record(key, fault))
    }
}

/// Returns `head` with moments that lie in the future forgotten: a clock that went back (a machine
/// restored from a snapshot of its memory) makes their age unknown.
fn head_at(mut head: Head, clock: &Clock) -> Head {
    if let Some(intent) = &mut head.intent
        && intent.since.is_some_and(|since| since > clock.now())
    {
        (intent.since, intent.until) = (None, None);
    }
    head
}
