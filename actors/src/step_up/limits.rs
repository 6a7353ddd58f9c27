//! How often people may try: per session, and all of them together per provider (laws L9, L14).
//!
//! Kept in memory: a restart forgives, which the provider's own limits bound.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::core::name::SessionKey;
use crate::core::step_up::limit::{CHALLENGES_PER_SESSION, PER_PROVIDER, PER_SESSION, Rate, Spent};
use crate::core::step_up::poll::{POLL_EVERY, POLL_EVERY_MAX, SLOW_DOWN_BY};
use crate::core::step_up::{ContextId, Factor};
use crate::core::time::Instant;

/// The most sessions, and the most contexts, that are kept in mind: each takes less than a hundred
/// bytes. Beyond it, those that owe least are forgotten.
const KEPT_MAX: usize = 8_192;

/// How much sooner than it was told a caller may ask again: timers are not exact.
const EARLY: Duration = Duration::from_millis(500);

/// What somebody is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Ask which authenticators there are.
    Question,
    /// Have a message sent, or a factor enrolled.
    Challenge,
    /// Try a code.
    Verification,
}

/// The budgets of one framework.
#[derive(Default)]
pub(crate) struct StepLimits(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    provider: Spent,
    verifications: HashMap<SessionKey, Spent>,
    challenges: HashMap<SessionKey, Spent>,
    contexts: HashMap<ContextId, Asked>,
}

/// What is known of one context's challenge.
#[derive(Clone, Copy)]
struct Asked {
    factor: Option<Factor>,
    every: Duration,
    next_at: Instant,
    since: Instant,
}

impl Turn {
    /// Returns what one session may have of it, where that is bounded, and the name of the notes by
    /// which the machines on a store count it.
    pub(super) fn per_session(self) -> Option<(Rate, &'static str)> {
        match self {
            Self::Question => None,
            Self::Challenge => Some((CHALLENGES_PER_SESSION, "challenges")),
            Self::Verification => Some((PER_SESSION, "verifications")),
        }
    }
}

impl StepLimits {
    /// Lets somebody have a turn at this machine.
    ///
    /// # Errors
    /// Says how long to wait.
    pub(super) fn admit(&self, key: &SessionKey, turn: Turn, now: Instant) -> Result<(), Duration> {
        let mut kept = self.kept();
        let sessions = match turn {
            Turn::Question => None,
            Turn::Challenge => Some(&mut kept.challenges),
            Turn::Verification => Some(&mut kept.verifications),
        };
        if let (Some(sessions), Some((rate, _))) = (sessions, turn.per_session()) {
            make_room(sessions, |spent| spent.is_whole(now));
            sessions.entry(*key).or_default().take(rate, now)?;
        }
        kept.provider.take(PER_PROVIDER, now)
    }

    /// Takes note of a challenge that was started.
    pub(super) fn challenged(&self, id: ContextId, factor: Option<Factor>, now: Instant) {
        let mut kept = self.kept();
        let long_ago = |asked: &Asked| now.since(asked.since) > POLL_EVERY_MAX * 10;
        make_room(&mut kept.contexts, long_ago);
        let asked = Asked { factor, every: POLL_EVERY, next_at: Instant::ZERO, since: now };
        kept.contexts.insert(id, asked);
    }

    /// Returns the factor that was challenged, and the pause between two questions.
    pub(super) fn known(&self, id: ContextId) -> (Option<Factor>, Duration) {
        let kept = self.kept();
        kept.contexts.get(&id).map_or((None, POLL_EVERY), |asked| (asked.factor, asked.every))
    }

    /// Lets somebody ask whether a person has answered.
    ///
    /// # Errors
    /// Says how long to wait.
    pub(super) fn poll(&self, id: ContextId, now: Instant) -> Result<(), Duration> {
        let mut kept = self.kept();
        let fresh = Asked { factor: None, every: POLL_EVERY, next_at: Instant::ZERO, since: now };
        let asked = kept.contexts.entry(id).or_insert(fresh);
        if now + EARLY < asked.next_at {
            return Err(asked.next_at.since(now));
        }
        asked.next_at = now + asked.every;
        let (_, contexts) = ((), &mut kept.contexts);
        make_room(contexts, |asked| now.since(asked.since) > POLL_EVERY_MAX * 10);
        kept.provider.take(PER_PROVIDER, now)
    }

    /// Takes note that the provider is asked too often.
    pub(super) fn slow_down(&self, id: ContextId) {
        if let Some(asked) = self.kept().contexts.get_mut(&id) {
            asked.every = (asked.every + SLOW_DOWN_BY).min(POLL_EVERY_MAX);
            asked.next_at = asked.next_at + SLOW_DOWN_BY;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change is complete before it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what is done with where there is too much, and everything where that is not enough:
/// whoever can fill it has thousands of sessions, and meets the provider's budget instead.
fn make_room<K: Eq + Hash, V>(kept: &mut HashMap<K, V>, is_done: impl Fn(&V) -> bool) {
    if kept.len() >= KEPT_MAX {
        kept.retain(|_, value| !is_done(value));
    }
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
}
