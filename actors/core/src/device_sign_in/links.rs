//! Short links from a display that is held to the page on which its person confirms.
//!
//! A link is made once per hold and lives as long as the hold: a display that waits for a person
//! asks nobody anything meanwhile, and what it shows must still be true the next morning. It opens
//! nothing but the chance to show a factor of the session's own person for that one hold.

use std::collections::BTreeMap;
use std::time::Duration;

use super::user_code::UserCode;
use crate::name::SessionKey;
use crate::session::Need;
use crate::time::Instant;

/// How long a link is kept after it was told last: a held display asks anew several times a day, and
/// is told it again.
pub const LINK_KEPT: Duration = Duration::from_secs(2 * 24 * 3_600);

/// How long a gateway goes by what it knows of a link before it writes it down anew: far less than it
/// is kept, and far more than the pause between two questions.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);

/// How far the beginnings of one hold may be apart as machines tell them. Each knows the common time
/// to a network trip, and a hold that is written by one and read by the next moves by as much: a
/// thousand times in a day where tokens live for a minute. Another demand within this has the same link.
const SINCE_APART: Duration = Duration::from_secs(60);

/// The sessions whose links are kept in mind: as many displays wait for people at once.
const SESSIONS_MAX: usize = 4_096;

/// The links of one session: a display reads one API, or a few.
const PER_SESSION_MAX: usize = 8;

/// The hold that a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The session.
    pub session: SessionKey,
    /// What is held.
    pub need: Need,
    /// When it was demanded first: another demand is another hold.
    pub since: Instant,
}

impl Linked {
    /// Reports whether this is the same hold, perhaps as another machine tells it.
    pub fn is_same(&self, other: &Self) -> bool {
        self.session == other.session && self.need == other.need && self.began_with(other.since)
    }

    fn began_with(&self, since: Instant) -> bool {
        self.since.since(since).max(since.since(self.since)) < SINCE_APART
    }
}

/// The links that this gateway has told lately.
#[derive(Debug, Default)]
pub struct Links {
    by_session: BTreeMap<SessionKey, Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    user: UserCode,
    linked: Linked,
    /// When it was written down last.
    at: Instant,
}

impl Links {
    /// Returns the link of a hold, where it was written down lately.
    pub fn of(&self, linked: &Linked, now: Instant) -> Option<UserCode> {
        let own = self.by_session.get(&linked.session)?;
        let known = own.iter().find(|known| known.linked.is_same(linked))?;
        (now.since(known.at) < KNOWN_FOR).then_some(known.user)
    }

    /// Takes note of the link of a hold, in place of the one of an earlier hold for the same need.
    pub fn put(&mut self, user: UserCode, linked: Linked, now: Instant) {
        if self.by_session.len() >= SESSIONS_MAX {
            // It is found again where all machines see it.
            self.by_session.clear();
        }
        let own = self.by_session.entry(linked.session).or_default();
        own.retain(|known| known.linked.need != linked.need);
        if own.len() >= PER_SESSION_MAX {
            own.remove(0);
        }
        own.push(Known { user, linked, at: now });
    }

    /// Forgets a link whose hold is gone.
    pub fn remove(&mut self, linked: &Linked) {
        if let Some(own) = self.by_session.get_mut(&linked.session) {
            own.retain(|known| known.linked.need != linked.need);
            if own.is_empty() {
                self.by_session.remove(&linked.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Audience;
    use crate::scope::ScopeSet;

    fn at(second: u64) -> Instant {
        Instant::from_nanos(1_000_000_000_000) + Duration::from_secs(second)
    }

    fn linked(session: u32, audience: &str, since: u64) -> Linked {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&session.to_be_bytes());
        let audience = Audience::parse(audience).expect("an audience");
        let need = Need { audience, scopes: ScopeSet::default() };
        Linked { session: SessionKey(key), need, since: at(since) }
    }

    fn user(number: u32) -> UserCode {
        let bytes: Vec<u8> = (0..8).map(|at| (number >> (4 * at) & 15) as u8).collect();
        UserCode::of_random(&bytes).expect("fair bytes")
    }

    #[test]
    fn l12_a_hold_is_the_same_however_machines_tell_its_beginning_and_the_next_is_another() {
        for (session, audience, since, same) in [
            (7, "A", 100, true),
            (7, "A", 41, true),
            (7, "A", 159, true),
            (7, "A", 40, false),
            (7, "A", 160, false),
            (7, "B", 100, false),
            (8, "A", 100, false),
        ] {
            let other = linked(session, audience, since);
            assert_eq!(linked(7, "A", 100).is_same(&other), same, "{other:?}");
            assert_eq!(other.is_same(&linked(7, "A", 100)), same, "{other:?}");
        }
    }

    #[test]
    fn a_link_is_known_for_a_while_and_the_next_hold_has_another() {
        let mut links = Links::default();
        links.put(user(1), linked(7, "A", 1), at(1));
        assert_eq!(links.of(&linked(7, "A", 2), at(3_600)), Some(user(1)));
        assert_eq!(links.of(&linked(7, "A", 2), at(3_601)), None, "it is to be written anew");
        assert_eq!(links.of(&linked(7, "B", 1), at(1)), None);
        links.put(user(2), linked(7, "B", 1), at(1));
        links.put(user(3), linked(7, "A", 900), at(900));
        assert_eq!(links.of(&linked(7, "A", 1), at(900)), None, "the former hold's");
        assert_eq!(links.of(&linked(7, "B", 1), at(900)), Some(user(2)));
        links.remove(&linked(7, "A", 900));
        assert_eq!(links.of(&linked(7, "A", 900), at(900)), None);
    }

    #[test]
    fn l14_links_are_bounded_for_one_session_and_for_all() {
        let mut links = Links::default();
        for number in 0..100 {
            links.put(user(number), linked(1, &format!("A{number}"), 1), at(1));
        }
        assert_eq!(links.by_session.values().map(Vec::len).sum::<usize>(), PER_SESSION_MAX);
        for number in 0..5_000 {
            links.put(user(number), linked(2 + number, "A", 1), at(1));
        }
        assert!(links.by_session.len() <= SESSIONS_MAX);
        assert_eq!(links.of(&linked(5_001, "A", 1), at(1)), Some(user(4_999)));
    }
}
