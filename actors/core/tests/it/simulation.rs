//! The simulation as a test: enough seeds to find a clumsy change, few enough to run each time.

use super::sim;
use super::tell;
use super::world::oracle::Tally;

/// The seeds that every run of the tests looks at.
const SEEDS: u64 = 2_000;

#[test]
fn l1_to_l14_no_schedule_breaks_a_law() {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let schedule = sim::schedule(seed, "");
        let outcome = sim::run(&schedule);
        tally.add(&outcome.tally);
        if !outcome.laws.is_empty() {
            let told = tell::told_anew(&sim::story(&sim::shrink(schedule)));
            panic!("seed {seed}: {}\n{}", outcome.laws[0], told.table);
        }
    }
    assert!(tally.granted > SEEDS, "worlds in which nothing happens prove nothing");
}
