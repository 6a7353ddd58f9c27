//! Who waits for a person: the holds that this process knows of, for operators.
//!
//! Each session's actor shows its own holds here, so that nobody looks through all sessions to
//! find the few that wait. A hold that this process has not met since its start is not listed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::access::Tokenward;
use crate::core::name::SessionKey;
use crate::core::snapshot::Snapshot;
use crate::core::time::Instant;

/// How many sessions with holds are listed, at some 200 bytes each: more than anybody reads, and
/// the metrics count all of them.
const SESSIONS_MAX: usize = 4_096;

/// A hold of a session, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The session's public id.
    pub session: String,
    /// The provider's name for the person.
    pub subject: String,
    /// The API.
    pub audience: String,
    /// Who demands the factor: `provider`, `policy` or `upstream`.
    pub by: &'static str,
    /// How many seconds ago the factor was first demanded.
    pub since_s: u64,
}

/// The roll of the sessions with holds.
#[derive(Debug, Default)]
pub(crate) struct WaitingRoom(Mutex<HashMap<SessionKey, Shown>>);

#[derive(Debug)]
struct Shown {
    subject: Arc<str>,
    holds: Vec<(Arc<str>, &'static str, Instant)>,
}

/// One session's place in the roll, kept by its actor. It outlives the actor: a session that is put
/// to rest waits all the same.
#[derive(Debug, Default)]
pub(crate) struct WaitingPlace {
    /// Whether the roll may have something of this session.
    shown: bool,
}

impl WaitingPlace {
    /// Shows what a session holds; `over` says that it has ended.
    pub(crate) fn look(
        &mut self,
        room: &WaitingRoom,
        key: &SessionKey,
        snapshot: &Snapshot,
        over: bool,
    ) {
        let waits = !over && !snapshot.holds.is_empty();
        if waits {
            room.show(key, snapshot);
        } else if self.shown {
            room.roll().remove(key);
        }
        self.shown = waits;
    }

    /// The place of a session that may have waited before it came to rest.
    pub(crate) fn restored() -> Self {
        Self { shown: true }
    }
}

impl WaitingRoom {
    fn show(&self, key: &SessionKey, snapshot: &Snapshot) {
        let mut roll = self.roll();
        if roll.len() >= SESSIONS_MAX && !roll.contains_key(key) {
            return;
        }
        let holds = snapshot.holds.iter();
        let holds = holds
            .map(|hold| (Arc::from(hold.audience.as_str()), hold.origin.code(), hold.since))
            .collect();
        roll.insert(*key, Shown { subject: Arc::clone(&snapshot.subject), holds });
    }

    fn roll(&self) -> MutexGuard<'_, HashMap<SessionKey, Shown>> {
        // No holder stops half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tokenward {
    /// Lists the holds that wait for a person, the oldest first, `most` at most; beside them how
    /// many are known.
    pub fn waiting(&self, most: usize) -> (Vec<Waiting>, usize) {
        let now = self.shared.clock.now();
        let roll = self.shared.waiting.roll();
        let mut all: Vec<_> = roll
            .iter()
            .flat_map(|(key, shown)| shown.holds.iter().map(move |hold| (key, shown, hold)))
            .collect();
        all.sort_unstable_by_key(|(key, _, (_, _, since))| (*since, **key));
        let known = all.len();
        let told = all.into_iter().take(most).map(|(key, shown, (audience, by, since))| Waiting {
            session: key.id(),
            subject: shown.subject.to_string(),
            audience: audience.to_string(),
            by,
            since_s: now.since(*since).as_secs(),
        });
        (told.collect(), known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::name::Audience;
    use crate::core::scope::ScopeSet;
    use crate::core::session::Need;
    use crate::core::snapshot::Hold;
    use crate::core::step_up::{Origin, Strength};

    fn snapshot(held: bool) -> Snapshot {
        let audience = Audience::parse("urn:a").unwrap();
        let need = Need { audience: audience.clone(), scopes: ScopeSet::parse("") };
        let mut snapshot = Snapshot::new("urn:p".into(), "ada".into(), audience, None);
        if held {
            let strength = Strength::default();
            snapshot.holds.push(Hold::of(&need, Origin::Provider, strength, Instant::ZERO));
        }
        snapshot
    }

    #[test]
    fn l14_the_roll_is_bounded_and_forgets_who_is_free() {
        let (room, key) = (WaitingRoom::default(), SessionKey([1; 32]));
        let mut place = WaitingPlace::default();
        place.look(&room, &key, &snapshot(true), false);
        assert_eq!(room.roll().len(), 1);
        // Put to rest, brought back, and free by then.
        let mut place = WaitingPlace::restored();
        place.look(&room, &key, &snapshot(false), false);
        assert_eq!(room.roll().len(), 0);
        place.look(&room, &key, &snapshot(true), false);
        place.look(&room, &key, &snapshot(true), true);
        assert_eq!(room.roll().len(), 0, "an ended session waits for nobody");
        for number in 0..=u32::try_from(SESSIONS_MAX).unwrap() {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            let mut place = WaitingPlace::default();
            place.look(&room, &SessionKey(key), &snapshot(true), false);
        }
        assert_eq!(room.roll().len(), SESSIONS_MAX);
    }
}
