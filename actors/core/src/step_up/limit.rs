//! How often a person may try, and all people of one provider together (law L9).

use std::time::Duration;

use crate::time::Instant;

/// A budget that refills with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How much may be spent at once.
    pub burst: u32,
    /// How long one takes to come back.
    pub every: Duration,
}

/// Verifications of one session: half of what the strictest provider known takes before it locks
/// the person out (ten, then one in six minutes), so that a guesser meets us first; back within
/// minutes, so that a person who mistyped is not sent away.
pub const PER_SESSION: Rate = Rate { burst: 5, every: Duration::from_secs(60) };

/// Verifications and challenges of all sessions of one provider: guessing with many stolen
/// sessions at once stays below what a free tenant's token endpoint takes (30 a second).
pub const PER_PROVIDER: Rate = Rate { burst: 60, every: Duration::from_millis(50) };

/// Challenges of one session: each may send a message that somebody pays for.
pub const CHALLENGES_PER_SESSION: Rate = Rate { burst: 5, every: Duration::from_secs(60) };

/// How much of a budget is spent, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// When everything will have come back.
    free_at: Instant,
}

impl Spent {
    /// Makes what is spent of a budget that is whole again at `free_at`.
    pub const fn until(free_at: Instant) -> Self {
        Self { free_at }
    }

    /// Returns when everything will have come back.
    pub const fn free_at(&self) -> Instant {
        self.free_at
    }

    /// Spends one at `now`.
    ///
    /// # Errors
    /// Says how long to wait for the next.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let debt = self.free_at.max(now) + rate.every;
        let allowed = now + rate.every * rate.burst;
        if debt > allowed {
            return Err(debt.since(allowed));
        }
        self.free_at = debt;
        Ok(())
    }

    /// Takes one back that was spent and was none.
    pub fn give_back(&mut self, rate: Rate) {
        self.free_at = self.free_at - rate.every;
    }

    /// Reports whether nothing is spent any more, so that it need not be kept.
    pub fn is_whole(&self, now: Instant) -> bool {
        self.free_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l9_a_burst_is_allowed_and_then_the_rate() {
        let (rate, second) = (Rate { burst: 3, every: Duration::from_secs(10) }, |s| {
            Instant::from_nanos(1_000_000_000_000) + Duration::from_secs(s)
        });
        let mut spent = Spent::default();
        for _ in 0..3 {
            assert_eq!(spent.take(rate, second(0)), Ok(()));
        }
        assert_eq!(spent.take(rate, second(0)), Err(Duration::from_secs(10)));
        assert_eq!(spent.take(rate, second(4)), Err(Duration::from_secs(6)));
        spent.give_back(rate);
        assert_eq!(spent.take(rate, second(4)), Ok(()), "one of them was none");
        assert_eq!(spent.take(rate, second(10)), Ok(()));
        assert!(!spent.is_whole(second(39)) && spent.is_whole(second(40)));
    }
}
