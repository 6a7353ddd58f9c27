//! How often anybody may try: from one place, and from all places together (RFC 8628 §5.1).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::step_up::limit::{Rate, Spent};
use crate::time::Instant;

/// Wrong user codes of one place: a person who mistypes meets no end, and a machine that guesses
/// has two tries a minute.
pub const GUESSES_PER_PLACE: Rate = Rate { burst: 10, every: Duration::from_secs(30) };

/// Wrong user codes of all places, at one gateway: at one a second, somebody who guesses with a thousand machines
/// at one open code among 2.5 · 10¹⁰ needs four centuries to have an even chance.
pub const GUESSES: Rate = Rate { burst: 60, every: Duration::from_secs(1) };

/// New codes of one place: a building whose displays all start after a power cut, and then one in
/// five seconds.
pub const CODES_PER_PLACE: Rate = Rate { burst: 64, every: Duration::from_secs(5) };

/// New codes of all places: what is open is bounded beside this.
pub const CODES: Rate = Rate { burst: 1_000, every: Duration::from_millis(50) };

/// The places that are kept in mind: each takes less than a hundred bytes.
const PLACES_MAX: usize = 8_192;

/// The budgets of all places, each known by `P`.
#[derive(Clone, Debug)]
pub struct Tries<P> {
    per_place: Rate,
    in_total: Rate,
    places: BTreeMap<P, Spent>,
    total: Spent,
}

impl<P: Ord + Copy> Tries<P> {
    /// Starts with nothing spent.
    pub fn new(per_place: Rate, in_total: Rate) -> Self {
        Self { per_place, in_total, places: BTreeMap::new(), total: Spent::default() }
    }

    /// Spends a try of a place.
    ///
    /// # Errors
    /// Says how long to wait.
    pub fn take(&mut self, place: P, now: Instant) -> Result<(), Duration> {
        self.make_room(now);
        self.places.entry(place).or_default().take(self.per_place, now)?;
        self.total.take(self.in_total, now)
    }

    /// Gives back a try that was spent and was none.
    pub fn give_back(&mut self, place: P) {
        if let Some(spent) = self.places.get_mut(&place) {
            spent.give_back(self.per_place);
        }
        self.total.give_back(self.in_total);
    }

    /// Forgets who owes nothing where there are too many, and everybody where that is not enough:
    /// whoever has so many places meets the budget of all of them.
    fn make_room(&mut self, now: Instant) {
        if self.places.len() >= PLACES_MAX {
            self.places.retain(|_, spent| !spent.is_whole(now));
        }
        if self.places.len() >= PLACES_MAX {
            self.places.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64) -> Instant {
        Instant::from_nanos(1_000_000_000_000) + Duration::from_secs(second)
    }

    #[test]
    fn a_place_is_stopped_and_others_go_on_until_all_together_are_too_many() {
        let rate = |burst| Rate { burst, every: Duration::from_secs(10) };
        let mut tries = Tries::new(rate(2), rate(5));
        for _ in 0..9 {
            assert_eq!(tries.take(1, second(0)), Ok(()));
            tries.give_back(1);
        }
        for _ in 0..2 {
            assert_eq!(tries.take(1, second(0)), Ok(()));
        }
        assert_eq!(tries.take(1, second(0)), Err(Duration::from_secs(10)));
        for place in 2..5 {
            assert_eq!(tries.take(place, second(0)), Ok(()), "{place}");
        }
        assert_eq!(tries.take(9, second(0)), Err(Duration::from_secs(10)), "all together");
        tries.give_back(10);
        assert_eq!(tries.take(10, second(0)), Ok(()), "one of them was none");
        assert_eq!(tries.take(1, second(20)), Ok(()));
    }

    #[test]
    fn l14_the_places_that_are_kept_in_mind_are_bounded() {
        let mut tries = Tries::new(GUESSES_PER_PLACE, CODES);
        for place in 0..20_000_u32 {
            // Most of them are refused by the budget of all.
            let _ = tries.take(place, second(0));
        }
        assert!(tries.places.len() <= PLACES_MAX);
    }
}
