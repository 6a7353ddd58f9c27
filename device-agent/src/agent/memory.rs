//! What a display remembers, and how old that is.

use std::time::Duration;

use tokenward::SessionHandle;
use tokenward::core::time::Instant;

use super::stage::Stage;
use super::{Agent, Effect, Errand};
use crate::content::Content;

/// What survives a restart.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The credential; `None` while nobody has signed the display in.
    pub handle: Option<SessionHandle>,
    /// What was shown last.
    pub kept: Option<Kept>,
}

/// A content that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it says.
    pub content: Content,
    /// The name of this version of it (RFC 9110 §8.8.3).
    pub etag: Option<String>,
    /// The wall clock's seconds when it was fetched, where the clock was right.
    pub fetched_unix: Option<u64>,
}

impl Agent {
    /// Returns how long ago the shown content was fetched or confirmed; `None` where nobody knows.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        if let Some(at) = self.confirmed_at {
            return Some(now.since(at));
        }
        let fetched = self.memory.kept.as_ref()?.fetched_unix?;
        let (seconds, at) = self.wall?;
        Some(Duration::from_secs(seconds.checked_sub(fetched)?) + now.since(at))
    }

    pub(super) fn confirmed(&mut self, now: Instant) {
        self.confirmed_at = Some(now);
        let fetched_unix = self.wall_at(now);
        if let Some(kept) = &mut self.memory.kept {
            // Not worth a write: after a restart an age that is too great does no harm.
            kept.fetched_unix = fetched_unix.or(kept.fetched_unix);
        }
        self.stage = Stage::Online;
        // Displays that were switched on together come apart.
        let spread = self.dice.up_to(self.rhythm.every / 10);
        // What an event planned while the errand was under way stays planned.
        self.due.get_or_insert((now + self.rhythm.every + spread, Errand::Fetch));
    }

    /// Remembers a content; what says the same is not written to the disk again.
    pub(super) fn keep(&mut self, now: Instant, content: Content, etag: Option<String>) {
        let is_known = self.memory.kept.as_ref().is_some_and(|kept| kept.content == content);
        let fetched_unix = self.wall_at(now);
        self.memory.kept = Some(Kept { content, etag, fetched_unix });
        if !is_known {
            self.effects.push_back(Effect::Save);
        }
    }

    fn wall_at(&self, now: Instant) -> Option<u64> {
        self.wall.map(|(seconds, at)| seconds + now.since(at).as_secs())
    }
}
