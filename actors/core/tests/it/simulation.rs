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

#[test]
fn a_broken_schedule_shrinks_to_a_story_that_breaks_the_same_law_when_it_is_pasted() {
    // The core lets a dead connection settle for two seconds.
    let given = "law settles 12s";
    let schedules = (0..SEEDS).map(|seed| sim::schedule(seed, given));
    let schedule = schedules.into_iter().find(|one| !sim::run(one).laws.is_empty()).unwrap();
    let law = sim::run(&schedule).laws[0].clone();
    let shrunk = sim::shrink(schedule.clone());
    assert!(shrunk.rows.len() < schedule.rows.len(), "{shrunk:?}");

    let told = tell::told_anew(&sim::story(&shrunk));
    assert_eq!(told.laws[0][..12], law[..12], "{}", told.table);
    let pasted = tell::told_anew(&told.table);
    assert_eq!((pasted.table, pasted.laws), (told.table, told.laws));
}
