//! Short links from a display that is held to the page on which its person confirms.
//!
//! A link is made once per hold and lives as long as the hold: a display that waits for a person
//! asks nobody anything meanwhile, and what it shows must still be true the next morning. It opens
//! nothing but the chance to show a factor of the session's own person for that one hold.

use std::collections::BTreeMap;

use super::user_code::UserCode;
use crate::name::SessionKey;
use crate::session::Need;
use crate::time::Instant;

/// The links that are kept: as many displays wait for people at once. The oldest goes first.
pub const LINKS_MAX: usize = 4_096;

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

/// The links that are open.
#[derive(Debug, Default)]
pub struct Links {
    by_user: BTreeMap<UserCode, (u64, Linked)>,
    by_session: BTreeMap<SessionKey, Vec<UserCode>>,
    /// How many were made so far: what is made later is younger.
    made: u64,
}

impl Links {
    /// Returns the link of a hold, where it has one.
    pub fn of(&self, linked: &Linked) -> Option<UserCode> {
        let own = self.by_session.get(&linked.session)?;
        let is_its = |user: &&UserCode| self.look(**user).is_some_and(|known| known == linked);
        own.iter().find(is_its).copied()
    }

    /// Makes the link of a hold, in place of the one of an earlier hold for the same need.
    ///
    /// False where the code is in use: draw another.
    #[must_use]
    pub fn put(&mut self, user: UserCode, linked: Linked) -> bool {
        if self.by_user.contains_key(&user) {
            return false;
        }
        let own = self.by_session.get(&linked.session).cloned().unwrap_or_default();
        for known in &own {
            if self.look(*known).is_some_and(|known| known.need == linked.need) {
                self.remove(*known);
            }
        }
        if let Some(first) = own.first().filter(|_| own.len() >= PER_SESSION_MAX) {
            self.remove(*first);
        }
        if self.by_user.len() >= LINKS_MAX {
            let oldest = self.by_user.iter().min_by_key(|(_, (made, _))| *made);
            if let Some(oldest) = oldest.map(|(user, _)| *user) {
                self.remove(oldest);
            }
        }
        self.made += 1;
        self.by_session.entry(linked.session).or_default().push(user);
        self.by_user.insert(user, (self.made, linked));
        true
    }

    /// Returns what a link is for; whether that is still held is not known here.
    pub fn look(&self, user: UserCode) -> Option<&Linked> {
        self.by_user.get(&user).map(|(_, linked)| linked)
    }

    /// Forgets a link whose hold is gone.
    pub fn remove(&mut self, user: UserCode) {
        let Some((_, linked)) = self.by_user.remove(&user) else { return };
        if let Some(own) = self.by_session.get_mut(&linked.session) {
            own.retain(|known| *known != user);
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

    fn linked(session: u32, audience: &str, since: u64) -> Linked {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&session.to_be_bytes());
        let audience = Audience::parse(audience).expect("an audience");
        let need = Need { audience, scopes: ScopeSet::default() };
        Linked { session: SessionKey(key), need, since: Instant::from_nanos(since) }
    }

    fn user(number: u32) -> UserCode {
        let bytes: Vec<u8> = (0..8).map(|at| (number >> (4 * at) & 15) as u8).collect();
        UserCode::of_random(&bytes).expect("fair bytes")
    }

    #[test]
    fn a_hold_has_one_link_and_the_next_hold_another() {
        let mut links = Links::default();
        assert!(links.put(user(1), linked(7, "A", 1)));
        assert!(!links.put(user(1), linked(8, "A", 1)), "the code is in use");
        assert_eq!(links.of(&linked(7, "A", 1)), Some(user(1)));
        assert_eq!(links.of(&linked(7, "B", 1)), None);
        assert!(links.put(user(2), linked(7, "B", 1)));
        assert_eq!(links.of(&linked(7, "A", 9)), None, "it was held anew");
        assert!(links.put(user(3), linked(7, "A", 9)));
        assert_eq!(links.look(user(1)), None, "the former hold's link opens nothing");
        assert_eq!(links.look(user(2)), Some(&linked(7, "B", 1)));
        links.remove(user(3));
        assert_eq!(links.of(&linked(7, "A", 9)), None);
    }

    #[test]
    fn l14_links_are_bounded_for_one_session_and_for_all() {
        let mut links = Links::default();
        for number in 0..100 {
            assert!(links.put(user(number), linked(1, &format!("A{number}"), 1)));
        }
        assert_eq!(links.by_user.len(), PER_SESSION_MAX);
        for number in 0..5_000 {
            assert!(links.put(user(100 + number), linked(2 + number, "A", 1)));
        }
        assert!(links.by_user.len() <= LINKS_MAX && links.by_session.len() <= LINKS_MAX);
        assert!(links.look(user(5_099)).is_some() && links.look(user(99)).is_none());
    }
}
