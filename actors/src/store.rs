//! Where sessions outlive the process: what every store promises, and the [`Vault`] before it.
//!
//! A store keeps, per session, a [`Head`] that it understands and a sealed record that it does
//! not. It applies the rules of [`crate::core::lease`] to the head inside one transaction, and it
//! answers only when the write would survive a power cut. Everything secret is sealed before it
//! gets here (law L13): the [`Vault`] encodes ([`record`]) and seals ([`seal`]), so that a store
//! can be lost or copied without giving anything away.
//!
#![doc = include_str!("../manual/stores.md")]

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::core::event::EndReason;
use crate::core::lease::{Begin, Begun, Commit, Head, Verdict};
use crate::core::name::SessionKey;
use crate::core::time::Instant;

pub use self::board::{
    Board, MemoryBoard, NOTE_BYTES_MAX, NOTE_KEEP_MAX, Note, NoteFault, NoteKey, NoteVersion, Seen,
    Wrote,
};
pub use self::due::{DuePage, Mark};
pub use self::embedded::Embedded;
pub use self::fault::{Remedy, StoreError};
pub use self::memory::Memory;
pub use self::migrate::{MoveFault, Moved};
pub use self::news::{News, Tiding};
pub use self::notes::{CHANGES, Change, OpenNote, WroteNote};
pub use self::shared_time::SharedTime;
pub use self::vault::{Epitaph, Restored, Vault, Wiped};

mod board;
mod due;
pub mod embedded;
mod fault;
#[cfg(test)]
mod hostile;
mod memory;
mod metered;
mod migrate;
mod news;
mod notes;
pub mod record;
#[cfg(feature = "redis")]
pub mod redis;
pub mod seal;
mod shared_time;
mod vault;

/// A store's answer: boxed, so that stores can be chosen at run time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// How many sessions one page of any listing holds at most: a few pages of memory, and a bounded
/// time during which a reader holds its connection.
pub const PAGE_MAX: usize = 1_024;

/// How long a tombstone is kept: far longer than any exchange can be late (seconds), and long
/// enough that an operator who is asked tomorrow can still see why a session ended.
pub const TOMBSTONE_KEEP: Duration = Duration::from_secs(24 * 3600);

/// Keeps sessions across restarts.
///
/// Every implementation passes the same contract tests (`tests/it/stores.rs`):
/// - An answer to a write is given only when the write is durable, in the sense of the store's
///   own documentation. An error means "not known to be durable": the write may still be found
///   later, as after a lost reply, and the caller must be content with either.
/// - [`Store::begin`] and [`Store::commit`] decide by [`crate::core::lease`] and by nothing else,
///   atomically per session. Epochs only grow, across ends too.
/// - A tombstone refuses every write for ever (law L10). A session that the store does not know,
///   or does not know any more, has ended.
/// - Moments are kept with the boot they belong to; those of another boot come back as `None`.
/// - Every listing is bounded by [`PAGE_MAX`] and is paged.
///
/// # Cancel safety
/// Dropping an answer does not undo the write that was asked for; it may or may not happen.
pub trait Store: Send + Sync + 'static {
    /// Stores a new session.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where the key is taken, by a living session or by a tombstone.
    fn create(&self, key: SessionKey, row: Row) -> Answer<'_, ()>;

    /// Reads a session.
    fn load(&self, key: SessionKey) -> Answer<'_, Loaded>;

    /// Takes the lease by writing the intent to spend the refresh token (laws L1 and L2).
    fn begin(&self, key: SessionKey, ask: Begin) -> Answer<'_, Begun>;

    /// Writes what an exchange brought, if it moves forward (law L11).
    fn commit(&self, key: SessionKey, commit: Commit, body: Body) -> Answer<'_, Verdict>;

    /// Ends a session: writes the tombstone and wipes the record (law L10).
    ///
    /// Answers what was wiped, so that the newest refresh token can be revoked even where another
    /// machine wrote it; `None` where the session had ended before, whose reason stays.
    fn end(&self, key: SessionKey, reason: EndReason) -> Answer<'_, Option<Row>>;

    /// Writes last words on a tombstone, in place of earlier ones; where there is no tombstone
    /// nothing happens.
    fn engrave(&self, key: SessionKey, words: Vec<u8>) -> Answer<'_, ()>;

    /// Finds the first tombstone with a key from `first` to `last`.
    fn tombstone(&self, first: SessionKey, last: SessionKey) -> Answer<'_, Option<Tombstone>>;

    /// Lists sessions of which there is a tombstone, in the order of their keys.
    fn tombstones(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>>;

    /// Writes a tombstone that was in another store, with its age where that is known; answers
    /// whether it did. Where anything is known of the session, nothing happens.
    fn inter(&self, tombstone: Tombstone) -> Answer<'_, bool>;

    /// Lists the sessions whose due time is unknown (written before the last boot) or not after
    /// `until`, the unknown ones first, then the earliest.
    ///
    /// `after` continues where a page ended. A session that is written meanwhile may move behind
    /// the mark or before it: only a listing from the start is complete.
    fn due(&self, until: Instant, after: Option<Mark>, limit: usize) -> Answer<'_, DuePage>;

    /// Lists the sessions with an unresolved intent, in the order of their keys.
    fn in_doubt(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>>;

    /// Lists living sessions of one person or one provider session, at most [`PAGE_MAX`].
    ///
    /// Who ends them all asks again until none is left: an ended session is not found.
    fn find(&self, by: IndexKey) -> Answer<'_, Vec<SessionKey>>;

    /// Lists living sessions in the order of their keys.
    fn list(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>>;

    /// Counts living sessions.
    fn count(&self) -> Answer<'_, u64>;

    /// Removes up to `limit` tombstones that are older than [`TOMBSTONE_KEEP`]; answers how many.
    fn purge(&self, limit: usize) -> Answer<'_, usize>;

    /// Proves that the store can still write, by one durable write.
    fn ping(&self) -> Answer<'_, ()>;

    /// Returns the time that all machines on this store have in common; `None` where it belongs to
    /// one machine, or has not been heard from.
    fn shared_time(&self) -> Option<SharedTime> {
        None
    }

    /// Listens to what other machines change in this store; `None` where it belongs to one machine.
    fn news(&self) -> Option<News> {
        None
    }

    /// Returns the board on which the machines on this store leave notes for each other; `None` where
    /// it belongs to one machine.
    fn board(&self) -> Option<&dyn Board> {
        None
    }
}

/// One living session, as stores keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the store understands.
    pub head: Head,
    /// What it keeps without understanding.
    pub body: Body,
}

/// What a write replaces as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The record, sealed.
    pub sealed: Vec<u8>,
    /// When the session must be woken without a caller; `None` never, or, when read, a moment
    /// before the last boot.
    pub due: Option<Instant>,
    /// Finds the session by its person.
    pub by_subject: IndexKey,
    /// Finds the session by the provider's own session.
    pub by_provider_session: Option<IndexKey>,
}

/// What a store has under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// A living session.
    Living(Box<Row>),
    /// A tombstone.
    Ended(EndReason),
    /// Nothing: never created, or ended longer ago than [`TOMBSTONE_KEEP`].
    Absent,
}

/// What is left of a session that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its key.
    pub key: SessionKey,
    /// Why it ended.
    pub reason: EndReason,
    /// When it ended; `None` where that was before the last boot.
    pub at: Option<Instant>,
    /// What [`Store::engrave`] wrote; empty where nothing was.
    pub words: Vec<u8>,
}

/// A name by which sessions are found: a hash, so that a stolen store names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKey(pub [u8; 32]);

impl IndexKey {
    /// Makes the name of the person whom `issuer` calls `subject`.
    pub fn subject(issuer: &str, subject: &str) -> Self {
        Self::hash("subject", issuer, subject)
    }

    /// Makes the name of the session that `issuer` calls `provider_session` (`sid`).
    pub fn provider_session(issuer: &str, provider_session: &str) -> Self {
        Self::hash("provider session", issuer, provider_session)
    }

    fn hash(kind: &str, issuer: &str, name: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [kind, issuer, name] {
            // With its length before it, no part can be read as the end of the one before.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// Returns the head of a session that ends: nobody holds its lease any more, and no epoch that was
/// ever given can be given again.
fn bury(head: &Head) -> Head {
    Head { epoch: head.epoch.next(), intent: None, tombstone: true, ..*head }
}

/// Returns from when a tombstone counts that was in another store: one whose age is unknown is kept as
/// if its session had just ended.
fn age(at: Option<Instant>, now: Instant) -> Instant {
    at.map_or(now, |at| at.min(now))
}

/// Decides a [`Store::begin`] and writes the intent into `head` where it is granted.
fn lease(head: &mut Head, ask: &Begin, now: Instant) -> Begun {
    let begun = crate::core::lease::begin(head, ask, now);
    if let Begun::Leased { intent, .. } = begun {
        head.epoch = intent.epoch;
        head.intent = Some(intent);
    }
    begun
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l13_index_keys_tell_kinds_and_parts_apart() {
        let all = [
            IndexKey::subject("https://a", "b"),
            IndexKey::subject("https://ab", ""),
            IndexKey::subject("https://a", "B"),
            IndexKey::provider_session("https://a", "b"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
        }
        assert_eq!(all[0], IndexKey::subject("https://a", "b"));
    }
}
