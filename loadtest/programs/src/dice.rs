//! Chance that can be repeated.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A small generator (SplitMix64, Steele and others 2014): equal seeds give equal runs, as far as
/// the machine's own timing allows.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Makes one that repeats with its seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Draws a seed from the randomness of the standard library's hash maps.
    #[must_use]
    pub fn random_seed() -> u64 {
        RandomState::new().build_hasher().finish()
    }

    /// Returns the next number.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 up to, but without, `bound`; 0 where the bound is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        // The high half of a product with 32 random bits (Lemire): below the bound, so a u32.
        (((self.roll() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Returns a gap of a Poisson process in which one event is expected in each unit of time.
    pub fn exponential(&mut self) -> f64 {
        // 53 random bits, moved off zero, whose logarithm is finite.
        let uniform = ((self.roll() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -uniform.ln()
    }

    /// Returns a duration of `least` up to `most`, in microseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.roll() % span.saturating_add(1).max(1))
    }

    /// Returns one of the choices.
    pub fn pick<T: Copy, const N: usize>(&mut self, choices: &[T; N]) -> T {
        const { assert!(N > 0, "nothing to choose from") };
        // The remainder is below N, which is a usize.
        choices[(self.roll() % N as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_repeats_with_its_seed_and_keeps_its_bounds() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            [dice.roll(), dice.roll(), dice.roll()]
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
        let mut dice = Dice::new(1);
        let (least, most) = (Duration::from_micros(5), Duration::from_micros(7));
        for _ in 0..100 {
            assert!((least..=most).contains(&dice.between(least, most)));
        }
        let mut seen = [0; 3];
        for _ in 0..300 {
            seen[dice.below(3) as usize] += 1;
            assert!(dice.exponential() > 0.0);
        }
        assert!(seen.iter().all(|&count| count > 50), "{seen:?}");
        assert_eq!(dice.below(0), 0);
    }
}
