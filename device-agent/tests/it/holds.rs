//! A demand for another factor: asked once, and then the ways out (seed 000).

use std::time::Duration;

use tokenward_device::agent::{Errand, Input, Stage, Told};

use super::world::{Change, DAY, HOUR, MINUTE, SECOND, World};

fn is_held(world: &World) -> bool {
    matches!(world.agent.stage(), Stage::Held(_))
}

#[test]
fn l8_a_held_display_without_probes_asks_once_in_a_week() {
    let mut world = World::signed_in(None).at(Duration::ZERO, Change::RuleForAll);
    world.run(7 * DAY);
    assert!(is_held(&world));
    assert_eq!((world.counted.fetches, world.counted.held), (1, 1));
    assert_eq!(world.agent.wake_at(), None, "nothing is planned");
}

#[test]
fn l8_a_probe_finds_a_rule_that_was_mended() {
    let mut world = World::signed_in(Some(6 * HOUR))
        .at(Duration::ZERO, Change::RuleForAll)
        .at(20 * HOUR, Change::Mended);
    world.run(20 * HOUR);
    let probes = world.counted.held - 1;
    assert!((2..=3).contains(&probes), "{probes} probes in 20 h");
    world.run(28 * HOUR);
    assert_eq!(world.agent.stage(), &Stage::Online);
    assert_eq!(world.counted.held - 1, probes, "the next probe is the one that finds it");
}

#[test]
fn a_release_and_a_person_are_answered_at_once() {
    for change in [Change::FactorShown, Change::Asked] {
        let mut world = World::signed_in(None)
            .at(HOUR, Change::RuleForAll)
            .at(2 * HOUR, Change::Pushed)
            .at(3 * HOUR, Change::Mended)
            .at(3 * HOUR + MINUTE, change.clone());
        world.run(3 * HOUR + MINUTE);
        assert!(is_held(&world), "{change:?}");
        world.run(3 * HOUR + MINUTE + SECOND);
        assert_eq!(world.agent.stage(), &Stage::Online, "{change:?}");
        assert_eq!(world.counted.held, 1, "{change:?}");
    }
}

#[test]
fn a_push_is_told_and_forgotten_with_its_demand() {
    let mut world = World::signed_in(None)
        .at(Duration::ZERO, Change::RuleForAll)
        .at(MINUTE, Change::Pushed)
        .at(2 * MINUTE, Change::Asked);
    let pushing =
        |world: &World| matches!(world.agent.stage(), Stage::Held(hold) if hold.is_pushing);
    world.run(MINUTE);
    assert!(pushing(&world));
    world.run(3 * MINUTE);
    assert!(is_held(&world) && !pushing(&world), "the demand is a new one");
}

#[test]
fn releases_that_are_none_are_believed_less_and_less() {
    let mut world = World::signed_in(None).at(Duration::ZERO, Change::RuleForAll);
    for minute in 1..=24 * 60 {
        world = world.at(minute * MINUTE, Change::FalseRelease);
    }
    world.run(DAY);
    assert!(world.counted.held <= 20, "{} questions for 1440 releases", world.counted.held);
}

#[test]
fn a_hold_that_is_told_is_looked_at_once_and_shown() {
    let mut world = World::signed_in(None).at(90 * SECOND, Change::RuleForAll);
    world.run(90 * SECOND);
    world.give(Input::Told(Told::Held));
    world.give(Input::Told(Told::Held));
    world.run(91 * SECOND);
    assert!(is_held(&world));
    assert_eq!(world.counted.held, 1);
}

#[test]
fn a_release_that_nobody_heard_is_seen_when_the_stream_is_back() {
    let mut world = World::signed_in(None)
        .at(Duration::ZERO, Change::RuleForAll)
        .at(HOUR, Change::NetworkCut)
        .at(2 * HOUR, Change::FactorShown)
        .at(3 * HOUR, Change::NetworkUp);
    world.run(4 * HOUR);
    assert_eq!(world.agent.stage(), &Stage::Online);
    assert_eq!(world.counted.held, 1);
    assert!(world.begun.iter().any(|(_, errand)| *errand == Errand::Look));
}

#[test]
fn a_person_who_leans_on_the_button_floods_nobody() {
    let mut world = World::signed_in(None).at(Duration::ZERO, Change::RuleForAll);
    world.run(MINUTE);
    for _ in 0..1_000 {
        world.give(Input::Asked);
    }
    world.run(MINUTE + SECOND);
    assert!(world.counted.fetches <= 2, "{}", world.counted.fetches);
}
