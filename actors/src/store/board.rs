//! The board: short-lived notes by which the machines on one store agree on what a single one of them
//! would keep in its memory, such as a display's sign-in.

use std::collections::BTreeMap;
use std::fmt;
use std::future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::seal::SealFault;
use super::{Answer, StoreError};
use crate::clock::Clock;
use crate::core::time::Instant;

/// The longest text of a note: a device names what it wants in a form of 16 KiB, and that is written as
/// JSON and sealed.
pub const NOTE_BYTES_MAX: usize = 32 * 1024;

/// How long a note is kept at most: what people wait for is over by then, and nobody removes notes.
pub const NOTE_KEEP_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How many notes a machine keeps for itself: the codes that may be open, and the links of as many
/// displays that are held; some 30 MiB of what they usually are.
const NOTES_MAX: usize = 65_536;

/// Keeps notes for a while, each under a key, of which every write replaces the one that was seen.
///
/// Every implementation passes the same contract tests (`tests/it/stores_board.rs`):
/// - A write happens where the note still has the version that was seen, or is absent where none was;
///   no two writes have one version. So of all who saw the same, one wins.
/// - A note is gone when it has been kept for as long as its last write said, and before that only where
///   the store as a whole forgets.
/// - An error means that a write may or may not have happened: who has to know reads again.
///
/// # Cancel safety
/// Dropping an answer does not undo the write that was asked for; it may or may not happen.
pub trait Board: Send + Sync {
    /// Reads a note; `None` where there is none, or no more.
    fn read(&self, key: NoteKey) -> Answer<'_, Option<Note>>;

    /// Writes a note in place of the version that was seen, to be kept for so long.
    ///
    /// # Errors
    /// [`StoreError::Note`] where the text is longer than [`NOTE_BYTES_MAX`]; else the store's own.
    fn write(&self, key: NoteKey, seen: Seen, text: Vec<u8>, keep: Duration) -> Answer<'_, Wrote>;
}

/// The version of a note that somebody has seen; `None` where there was none.
pub type Seen = Option<NoteVersion>;

/// The name of a note: a hash, so that a stolen store names nothing (law L13).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteKey(pub [u8; 32]);

/// What tells one write of a note from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoteVersion(pub [u8; 16]);

/// A note as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its version.
    pub version: NoteVersion,
    /// What it says: sealed, as everything that is stored.
    pub text: Vec<u8>,
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// It happened, and gave the note this version.
    Done(NoteVersion),
    /// It did not: somebody else has written since, and this is there.
    Moved(Option<Note>),
}

/// Why a note cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoteFault {
    /// It says what none of ours says.
    #[error("is malformed: another program uses the same keys, or the same key ring")]
    Malformed,
    /// It cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealFault),
    /// It says more than fits.
    #[error("is longer than {NOTE_BYTES_MAX} bytes: configure fewer audiences for devices")]
    TooLong,
    /// A newer version has written it.
    #[error("has the form {0}, which this version does not know: run the newer one everywhere")]
    UnknownForm(u64),
}

/// Returns how long a note is kept, or says that it does not fit.
pub(super) fn kept_for(text: &[u8], keep: Duration) -> Result<Duration, StoreError> {
    // A server counts in milliseconds, and takes none for an error.
    let keep = keep.clamp(Duration::from_millis(1), NOTE_KEEP_MAX);
    if text.len() <= NOTE_BYTES_MAX { Ok(keep) } else { Err(NoteFault::TooLong.into()) }
}

/// A board in the memory of one machine, which ends with the process.
#[derive(Debug)]
pub struct MemoryBoard {
    clock: Clock,
    pinned: Mutex<Pinned>,
}

#[derive(Debug, Default)]
struct Pinned {
    notes: BTreeMap<NoteKey, (Note, Instant)>,
    /// How many writes there were: no two have one version.
    writes: u128,
}

impl MemoryBoard {
    /// Makes an empty board.
    pub fn new(clock: Clock) -> Self {
        Self { clock, pinned: Mutex::default() }
    }

    fn pinned(&self) -> MutexGuard<'_, Pinned> {
        // Each change is complete before it can panic.
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(
        &self,
        key: NoteKey,
        seen: Seen,
        text: Vec<u8>,
        keep: Duration,
    ) -> Result<Wrote, StoreError> {
        let keep = kept_for(&text, keep)?;
        let now = self.clock.now();
        let mut pinned = self.pinned();
        let there = pinned.at(&key, now);
        if there.as_ref().map(|note| note.version) != seen {
            return Ok(Wrote::Moved(there));
        }
        if there.is_none() {
            pinned.make_room(now)?;
        }
        pinned.writes += 1;
        let version = NoteVersion(pinned.writes.to_be_bytes());
        pinned.notes.insert(key, (Note { version, text }, now + keep));
        Ok(Wrote::Done(version))
    }
}

impl Pinned {
    fn at(&self, key: &NoteKey, now: Instant) -> Option<Note> {
        let (note, until) = self.notes.get(key)?;
        (now < *until).then(|| note.clone())
    }

    fn make_room(&mut self, now: Instant) -> Result<(), StoreError> {
        if self.notes.len() >= NOTES_MAX {
            self.notes.retain(|_, (_, until)| now < *until);
        }
        let is_full = self.notes.len() >= NOTES_MAX;
        if is_full { Err(StoreError::Busy { why: "too many notes" }) } else { Ok(()) }
    }
}

impl Board for MemoryBoard {
    fn read(&self, key: NoteKey) -> Answer<'_, Option<Note>> {
        Box::pin(future::ready(Ok(self.pinned().at(&key, self.clock.now()))))
    }

    fn write(&self, key: NoteKey, seen: Seen, text: Vec<u8>, keep: Duration) -> Answer<'_, Wrote> {
        Box::pin(future::ready(self.replace(key, seen, text, keep)))
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[note]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn l14_notes_in_memory_are_bounded_and_old_ones_make_room() {
        let (clock, hand) = Clock::manual();
        let board = MemoryBoard::new(clock);
        let write = async |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            board.write(NoteKey(key), None, Vec::new(), Duration::from_secs(60)).await
        };
        for number in 0..NOTES_MAX {
            assert!(matches!(write(number).await, Ok(Wrote::Done(_))), "{number}");
        }
        assert!(matches!(write(NOTES_MAX).await, Err(StoreError::Busy { .. })));
        let (key, keep) = (NoteKey([0; 32]), Duration::from_secs(60));
        let seen = board.read(key).await.expect("read").map(|note| note.version);
        let wrote = board.write(key, seen, Vec::new(), keep).await;
        assert!(matches!(wrote, Ok(Wrote::Done(_))), "what is there can be changed");
        hand.advance(Duration::from_secs(60));
        assert!(matches!(write(NOTES_MAX).await, Ok(Wrote::Done(_))));
        assert_eq!(board.pinned().notes.len(), 1);
    }
}
