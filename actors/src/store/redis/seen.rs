//! What this machine has seen of sessions lately, the newest of each: what it tells a server again
//! that has forgotten it.
//!
//! What was read counts as much as what was written: whoever wrote it may be dead by then.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::core::event::EndReason;
use crate::core::lease::Intent;
use crate::core::name::{Epoch, SessionKey};
use crate::core::time::Instant;
use crate::store::{Loaded, Row};

/// For how long something is remembered: longer than Sentinels take to agree on a new master and to
/// promote it, with the second that was lost before.
const REMEMBERED_FOR: Duration = Duration::from_secs(120);

/// The most sights that are remembered, and their bytes: two minutes of what a gateway's core can
/// exchange and hear of, and no more memory than a small machine has to spare.
const SIGHTS_MAX: usize = 16_384;
const BYTES_MAX: usize = 64 << 20;

/// What a sight takes beside its sealed record.
const SIGHT_BYTES: usize = 400;

/// What was seen lately.
pub(super) struct Seen {
    clock: Clock,
    album: Mutex<Album>,
}

/// What the server had of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    Living(Box<Row>),
    Ended(EndReason),
}

#[derive(Default)]
struct Album {
    sights: HashMap<SessionKey, (Instant, Sight)>,
    /// When each was seen, the oldest first; one whose moment is not that of its session's sight was
    /// followed by a newer one.
    order: VecDeque<(Instant, SessionKey)>,
    bytes: usize,
    /// The leases of this machine of which nobody knows what came.
    leases: HashMap<SessionKey, Intent>,
}

impl Seen {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, album: Mutex::default() }
    }

    /// Remembers what was read, unless something newer was.
    pub(super) fn read(&self, key: &SessionKey, loaded: &Loaded) {
        let mut album = self.album();
        let news = match (loaded, album.sights.get(key).map(|(_, known)| known)) {
            (Loaded::Absent, _) | (_, Some(Sight::Ended(_))) => return,
            (Loaded::Living(row), Some(Sight::Living(known))) if rank(row) <= rank(known) => return,
            (Loaded::Living(row), _) => Sight::Living(row.clone()),
            (Loaded::Ended(reason), _) => Sight::Ended(*reason),
        };
        album.add(*key, self.clock.now(), news);
    }

    /// Remembers what was written.
    pub(super) fn wrote(&self, key: &SessionKey, sight: Sight) {
        self.album().add(*key, self.clock.now(), sight);
    }

    /// Reports whether what a server has is older than what was seen there.
    pub(super) fn is_newer_than(&self, key: &SessionKey, loaded: &Loaded) -> bool {
        let album = self.album();
        match (album.sights.get(key).map(|(_, known)| known), loaded) {
            (None, _) | (Some(_), Loaded::Ended(_)) => false,
            (Some(Sight::Ended(_)), Loaded::Living(_)) => true,
            // A tombstone that is old enough is swept.
            (Some(Sight::Ended(_)), Loaded::Absent) => false,
            (Some(Sight::Living(_)), Loaded::Absent) => true,
            (Some(Sight::Living(known)), Loaded::Living(row)) => {
                known.head.born_in > row.head.born_in
            }
        }
    }

    /// Remembers a lease of this machine, until it is known what came of it.
    pub(super) fn leased(&self, key: &SessionKey, intent: Intent) {
        let (now, mut album) = (self.clock.now(), self.album());
        if album.leases.len() >= SIGHTS_MAX {
            album.leases.retain(|_, intent| is_fresh(intent, now));
        }
        if album.leases.len() < SIGHTS_MAX {
            album.leases.insert(*key, intent);
        }
    }

    /// Forgets a lease whose commit was answered, and those before it.
    pub(super) fn resolved(&self, key: &SessionKey, epoch: Epoch) {
        let mut album = self.album();
        if album.leases.get(key).is_some_and(|intent| intent.epoch <= epoch) {
            album.leases.remove(key);
        }
    }

    /// Returns the leases of which nobody knows what came.
    pub(super) fn leases(&self) -> Vec<(SessionKey, Intent)> {
        let (now, mut album) = (self.clock.now(), self.album());
        album.leases.retain(|_, intent| is_fresh(intent, now));
        album.leases.iter().map(|(key, intent)| (*key, *intent)).collect()
    }

    pub(super) fn of(&self, key: &SessionKey) -> Option<Sight> {
        self.album().sights.get(key).map(|(_, sight)| sight.clone())
    }

    /// Returns the sessions that were seen, the latest first: they are most likely forgotten.
    pub(super) fn latest(&self) -> Vec<SessionKey> {
        let now = self.clock.now();
        let mut album = self.album();
        album.forget(now);
        let album = &*album;
        let present = |(at, key): &(Instant, SessionKey)| {
            album.sights.get(key).is_some_and(|(seen_at, _)| seen_at == at).then_some(*key)
        };
        album.order.iter().rev().filter_map(present).collect()
    }

    fn album(&self) -> MutexGuard<'_, Album> {
        // Each change is whole before the lock is given back.
        self.album.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Album {
    fn add(&mut self, key: SessionKey, now: Instant, sight: Sight) {
        self.bytes += sight.bytes();
        if let Some((_, before)) = self.sights.insert(key, (now, sight)) {
            self.bytes -= before.bytes();
        }
        self.order.push_back((now, key));
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, key)) = self.order.front().copied() {
            let is_full = self.order.len() > SIGHTS_MAX || self.bytes > BYTES_MAX;
            if !is_full && now.since(at) <= REMEMBERED_FOR {
                return;
            }
            self.order.pop_front();
            if self.sights.get(&key).is_some_and(|(seen_at, _)| *seen_at == at)
                && let Some((_, sight)) = self.sights.remove(&key)
            {
                self.bytes -= sight.bytes();
            }
        }
    }
}

fn is_fresh(intent: &Intent, now: Instant) -> bool {
    intent.since.is_some_and(|since| now.since(since) <= REMEMBERED_FOR)
}

/// Returns what tells which of two records is the newer: no epoch is given twice; of one epoch it is
/// the record whose intent was resolved.
fn rank(row: &Row) -> (Epoch, Epoch, bool) {
    (row.head.born_in, row.head.epoch, row.head.intent.is_none())
}

impl Sight {
    fn bytes(&self) -> usize {
        match self {
            Self::Living(row) => SIGHT_BYTES + row.body.sealed.len(),
            Self::Ended(_) => SIGHT_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::lease::Head;
    use crate::core::name::Generation;
    use crate::store::{Body, IndexKey};

    fn living(generation: u64, born_in: u64, bytes: usize) -> Sight {
        let (generation, born_in) = (Generation(generation), Epoch(born_in));
        let by_subject = IndexKey([0; 32]);
        let sealed = vec![0; bytes];
        Sight::Living(Box::new(Row {
            head: Head { generation, born_in, ..Head::new() },
            body: Body { sealed, due: None, by_subject, by_provider_session: None },
        }))
    }

    #[test]
    fn l11_the_newest_of_a_session_is_remembered_for_two_minutes() {
        let (clock, hand) = Clock::manual();
        let seen = Seen::new(clock);
        let key = |number| SessionKey([number; 32]);
        let loaded = |sight| match sight {
            Sight::Living(row) => Loaded::Living(row),
            Sight::Ended(reason) => Loaded::Ended(reason),
        };
        seen.wrote(&key(1), living(5, 50, 1));
        hand.advance(Duration::from_secs(100));
        seen.wrote(&key(2), living(1, 70, 1));
        seen.read(&key(1), &loaded(living(4, 40, 1)));
        assert_eq!(seen.of(&key(1)), Some(living(5, 50, 1)), "what is older is no news");
        for (there, is_older) in [
            (loaded(living(4, 40, 1)), true),
            (Loaded::Absent, true),
            (loaded(living(5, 50, 1)), false),
            (loaded(living(4, 60, 1)), false),
            (Loaded::Ended(EndReason::Ceiling), false),
        ] {
            assert_eq!(seen.is_newer_than(&key(1), &there), is_older, "{there:?}");
        }
        seen.read(&key(1), &Loaded::Ended(EndReason::Ceiling));
        seen.read(&key(1), &loaded(living(9, 90, 1)));
        assert!(seen.is_newer_than(&key(1), &loaded(living(9, 90, 1))), "law L10");
        assert_eq!(seen.latest(), [key(1), key(2)]);
        hand.advance(Duration::from_secs(121));
        assert_eq!((seen.latest(), seen.of(&key(1))), (vec![], None));
    }

    #[test]
    fn l14_what_is_remembered_is_bounded() {
        let seen = Seen::new(Clock::manual().0);
        for number in 0..=u8::MAX {
            seen.wrote(&SessionKey([number; 32]), living(1, 1, 1 << 20));
        }
        let latest = seen.latest();
        assert!((60..64).contains(&latest.len()), "{}", latest.len());
        assert_eq!(latest[0], SessionKey([u8::MAX; 32]));
    }
}
