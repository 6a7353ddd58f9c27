//! Notes as they go through the door of a store: named by the key ring, sealed, and with the time by
//! which all machines on the store judge them.

use std::time::Duration;

use zeroize::Zeroizing;

use super::board::{Note, NoteFault, NoteKey, NoteVersion, Seen, Wrote};
use super::seal::Purpose;
use super::shared_time::micros;
use super::{StoreError, Vault};
use crate::core::time::{Present, Stamp};

/// How often a change is decided anew because somebody else was first: few have to do with one note, and
/// each of them changes it once or twice.
pub const CHANGES: usize = 8;

/// A note that was opened.
pub struct OpenNote {
    /// Which write of it this is.
    pub version: NoteVersion,
    /// What it says.
    pub text: Zeroizing<Vec<u8>>,
}

/// What came of writing a note.
pub enum WroteNote {
    /// It is written.
    Done(NoteVersion),
    /// Somebody else has written since, and this is there.
    Moved(Option<OpenNote>),
}

/// What a note is to say, and for how long.
pub type Change = (Zeroizing<Vec<u8>>, Duration);

impl Vault {
    /// Names a note about something of a kind: every machine with the same key ring gives one name.
    pub fn note_key(&self, kind: &str, about: &[&[u8]]) -> NoteKey {
        NoteKey(self.ring().name_of(kind, about))
    }

    /// Reads a note; `None` where there is none.
    ///
    /// # Errors
    /// Where the store fails, or the note cannot be opened.
    pub async fn note(&self, key: NoteKey) -> Result<Option<OpenNote>, StoreError> {
        let note = self.board().read(key).await?;
        note.map(|note| self.opened(key, &note)).transpose()
    }

    /// Writes a note in place of the version that was seen: see [`super::Board::write`].
    ///
    /// # Errors
    /// Where the store fails: the note may or may not be written then. Where what somebody else has
    /// written meanwhile cannot be opened.
    ///
    /// # Cancel safety
    /// The note may or may not be written when the future is dropped.
    pub async fn write_note(
        &self,
        key: NoteKey,
        seen: Seen,
        text: &[u8],
        keep: Duration,
    ) -> Result<WroteNote, StoreError> {
        let sealed = self.ring().seal(Purpose::Note, &key.0, text).map_err(NoteFault::from)?;
        Ok(match self.board().write(key, seen, sealed, keep).await? {
            Wrote::Done(version) => WroteNote::Done(version),
            Wrote::Moved(None) => WroteNote::Moved(None),
            Wrote::Moved(Some(note)) => WroteNote::Moved(Some(self.opened(key, &note)?)),
        })
    }

    /// Changes a note as `decide` says, which is told what it says so far and is asked anew where somebody
    /// else was first; answers what was decided last, or `None` where somebody else always was.
    ///
    /// # Errors
    /// As [`Vault::write_note`], and what `decide` says.
    ///
    /// # Cancel safety
    /// The note may or may not be changed when the future is dropped.
    pub async fn change_note<T>(
        &self,
        key: NoteKey,
        mut decide: impl FnMut(Option<&[u8]>) -> Result<(T, Option<Change>), StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut seen = self.note(key).await?;
        for _ in 0..CHANGES {
            let (decided, change) = decide(seen.as_ref().map(|note| note.text.as_slice()))?;
            let Some((text, keep)) = change else { return Ok(Some(decided)) };
            let version = seen.map(|note| note.version);
            match self.write_note(key, version, &text, keep).await? {
                WroteNote::Done(_) => return Ok(Some(decided)),
                WroteNote::Moved(there) => seen = there,
            }
        }
        Ok(None)
    }

    /// Returns the present by the time that the machines on the store have in common.
    pub fn present(&self) -> Present {
        let now = micros(self.clock().now());
        match self.shared_time() {
            None => Present::exactly(Stamp(now.unsigned_abs())),
            Some(shared) => {
                let ahead = |by: i64| Stamp(u64::try_from(now.saturating_add(by)).unwrap_or(0));
                let (earliest, latest) = (ahead(shared.ahead_min), ahead(shared.ahead_max));
                let known_from = Stamp(u64::try_from(shared.known_from).unwrap_or(0));
                Present { earliest, latest, known_from }
            }
        }
    }

    fn opened(&self, key: NoteKey, note: &Note) -> Result<OpenNote, StoreError> {
        let text = self.ring().open_sealed(Purpose::Note, &key.0, &note.text);
        Ok(OpenNote { version: note.version, text: text.map_err(NoteFault::from)? })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::store::Memory;
    use crate::store::seal::KeyRing;

    #[tokio::test]
    async fn l13_a_note_opens_under_its_own_name_and_with_the_ring_that_named_it() {
        let (clock, _hand) = Clock::manual();
        let ring = Arc::new(KeyRing::ephemeral().expect("randomness"));
        let vault = Vault::new(Arc::new(Memory::new(clock.clone())), ring, clock.clone());
        let key = vault.note_key("code", &[b"a", b"b"]);
        for (kind, about) in [("link", [&b"a"[..], b"b"]), ("code", [b"ab", b""])] {
            assert_ne!(vault.note_key(kind, &about), key, "{kind}");
        }
        let keep = Duration::from_secs(60);
        vault.write_note(key, None, b"s3cret", keep).await.expect("written");
        vault.ring().rotate().expect("rotated");
        assert_eq!(vault.note_key("code", &[b"a", b"b"]), key, "a new key changes no name");
        let opened = vault.note(key).await.expect("opened").expect("there");
        assert_eq!(opened.text.as_slice(), b"s3cret");

        let bytes = vault.board().read(key).await.expect("read").expect("there").text;
        assert!(!bytes.windows(6).any(|part| part == b"s3cret"));
        let other = NoteKey([7; 32]);
        vault.board().write(other, None, bytes, keep).await.expect("moved by a thief");
        let refused = vault.note(other).await.err();
        let tampered = NoteFault::Seal(crate::store::seal::SealFault::Tampered);
        assert_eq!(refused, Some(StoreError::Note(tampered)));
    }
}
