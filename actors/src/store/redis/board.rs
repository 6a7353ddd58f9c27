//! The board of a Redis: each note is one key, which the server drops by itself.

use std::time::Duration;

use super::reply::{Reply, span};
use super::script::{READ_NOTE, WRITE_NOTE};
use super::{Redis, random};
use crate::store::board::kept_for;
use crate::store::{Answer, Board, Note, NoteKey, NoteVersion, Seen, StoreError, Wrote};

impl Board for Redis {
    fn read(&self, key: NoteKey) -> Answer<'_, Option<Note>> {
        Box::pin(async move {
            let keys = vec![self.names.note(&key)];
            let mut reply = self.run_on(&READ_NOTE, keys, &key.0, Vec::new()).await?;
            match reply.word()?.as_str() {
                "note" => note(&mut reply),
                "none" => Ok(None),
                _ => Err(reply.strange()),
            }
        })
    }

    fn write(&self, key: NoteKey, seen: Seen, text: Vec<u8>, keep: Duration) -> Answer<'_, Wrote> {
        Box::pin(async move {
            let keep = kept_for(&text, keep)?;
            let version = NoteVersion(random());
            let seen = seen.map(|NoteVersion(seen)| seen.to_vec()).unwrap_or_default();
            let own = vec![seen, version.0.to_vec(), text, span(keep)];
            let keys = vec![self.names.note(&key)];
            let mut reply = self.run_on(&WRITE_NOTE, keys, &key.0, own).await?;
            match reply.word()?.as_str() {
                "written" => Ok(Wrote::Done(version)),
                "moved" => note(&mut reply).map(Wrote::Moved),
                _ => Err(reply.strange()),
            }
        })
    }
}

/// Reads the note that an answer ends with, where there is one.
fn note(reply: &mut Reply<'_>) -> Result<Option<Note>, StoreError> {
    let Some(version) = reply.maybe_bytes()? else { return Ok(None) };
    let version = version.try_into().map(NoteVersion).map_err(|_| reply.strange())?;
    Ok(Some(Note { version, text: reply.bytes()? }))
}
