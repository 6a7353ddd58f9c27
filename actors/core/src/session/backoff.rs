//! How long a session waits after a failure.

use std::time::Duration;

use crate::policy::Backoff;

/// Chance without a source of chance: a seeded sequence (xorshift64*), so that the same seed and
/// the same inputs give the same session.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Starts a sequence; every seed is good.
    pub const fn new(seed: u64) -> Self {
        // The one state that xorshift never leaves is zero.
        Self((seed ^ 0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a duration between zero and `most`.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let draw = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        let share = (u128::from(draw) * most.as_nanos()) >> 32;
        Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

/// Returns how long to wait after the `failures`-th failure in a row: full jitter under a doubling
/// ceiling, and never less than the provider asked for.
///
/// What the provider asked for is not followed exactly: everybody who was told the same second
/// would come back in it.
pub fn wait(policy: &Backoff, failures: u32, asked: Option<Duration>, dice: &mut Dice) -> Duration {
    let doubled = policy.first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let ceiling = doubled.min(policy.most);
    match asked {
        Some(asked) => asked + dice.up_to(policy.first),
        None => dice.up_to(ceiling),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_and_ends() {
        let (policy, mut dice) = (Backoff::default(), Dice::new(1));
        for (failures, ceiling_ms) in [(1, 500), (2, 1_000), (3, 2_000), (8, 30_000), (999, 30_000)]
        {
            let longest = (0..200)
                .map(|_| wait(&policy, failures, None, &mut dice).as_millis())
                .max()
                .unwrap();
            assert!(longest <= ceiling_ms, "{failures}: {longest}");
            assert!(longest > ceiling_ms / 2, "{failures}: {longest} is no full jitter");
        }
    }

    #[test]
    fn l7_the_provider_is_not_asked_again_before_the_time_it_named() {
        let (policy, mut dice) = (Backoff::default(), Dice::new(1));
        let asked = Duration::from_secs(40);
        let longest = asked + policy.first;
        for _ in 0..100 {
            let wait = wait(&policy, 1, Some(asked), &mut dice);
            assert!((asked..=longest).contains(&wait), "{wait:?}");
        }
    }
}
