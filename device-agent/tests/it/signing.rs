//! Signing in by a code, and everything short of an answer.

use std::time::Duration;

use tokenward::core::time::Instant;
use tokenward_device::agent::{Errand, Stage, Trouble, Wants};

use super::world::{Change, DAY, HOUR, MINUTE, SECOND, World};

fn at(world: &World, wanted: Errand) -> Vec<Instant> {
    let begun = world.begun.iter().filter(|(_, errand)| *errand == wanted);
    begun.map(|(at, _)| *at).collect()
}

fn gaps(moments: &[Instant]) -> Vec<Duration> {
    moments.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

#[test]
fn a_person_signs_the_display_in_and_the_credential_is_saved_first() {
    let mut world = World::new(None).at(MINUTE, Change::Consents);
    world.run(MINUTE);
    assert!(world.agent.stage().code().is_some());
    assert_eq!(world.counted.saves, 0);
    world.run(MINUTE + 6 * SECOND);
    assert_eq!(world.agent.stage(), &Stage::Online);
    assert_eq!(world.counted.saves, 2, "the handle, then the content");
    assert_eq!((world.counted.codes, world.counted.streams), (1, 1));
}

#[test]
fn codes_that_nobody_uses_are_not_minted_for_ever() {
    let mut world = World::new(None);
    world.run(7 * DAY);
    assert_eq!(world.agent.stage(), &Stage::AskPerson(Wants::Presence));
    assert_eq!(world.counted.codes, 4);
    assert_eq!(world.agent.wake_at(), None);
    let mut world = world.at(8 * DAY, Change::Asked).at(8 * DAY + MINUTE, Change::Consents);
    world.run(8 * DAY + 2 * MINUTE);
    assert_eq!((world.agent.stage(), world.counted.codes), (&Stage::Online, 5));
}

#[test]
fn a_no_is_taken_for_an_answer() {
    let mut world = World::new(None).at(MINUTE, Change::Denies);
    world.run(DAY);
    assert_eq!(world.agent.stage(), &Stage::AskPerson(Wants::Consent));
    assert_eq!(world.counted.codes, 1);
}

#[test]
fn a_display_that_is_told_to_slow_down_does_from_then_on() {
    let mut world = World::new(None);
    world.slow_downs = 2;
    world.run(2 * MINUTE);
    let seconds: Vec<u64> =
        gaps(&at(&world, Errand::Poll)).iter().map(|gap| gap.as_secs()).collect();
    assert_eq!(seconds, [10, 15, 15, 15, 15, 15, 15]);
}

#[test]
fn a_wrong_clock_is_waited_for_and_blames_nobody() {
    let mut world = World::new(None)
        .dark()
        .at(2 * MINUTE, Change::NetworkUp)
        .at(10 * MINUTE, Change::ClockRight);
    world.run(MINUTE);
    assert_eq!(world.agent.trouble(), Some(&Trouble::Network));
    world.run(10 * MINUTE - SECOND);
    assert_eq!(world.agent.trouble(), Some(&Trouble::Clock));
    world.run(10 * MINUTE + SECOND);
    assert!(world.agent.stage().code().is_some(), "at once, when the clock is right");
}

#[test]
fn failures_are_followed_by_growing_pauses_up_to_five_minutes() {
    let mut world =
        World::signed_in(None).at(Duration::ZERO, Change::NetworkCut).at(DAY, Change::NetworkUp);
    world.run(DAY + 5 * MINUTE);
    assert_eq!(world.agent.stage(), &Stage::Online);
    let gaps = gaps(&at(&world, Errand::Fetch));
    assert!(gaps.iter().all(|gap| *gap <= 5 * MINUTE + SECOND), "{gaps:?}");
    assert!((300..1_200).contains(&gaps.len()), "{} in a day", gaps.len());
}

#[test]
fn a_gateway_that_names_a_time_is_left_alone_until_then_even_by_events() {
    let mut world = World::signed_in(None)
        .at(Duration::ZERO, Change::Busy(Some(20 * MINUTE)))
        .at(5 * MINUTE, Change::Asked)
        .at(15 * MINUTE, Change::WellAgain);
    world.run(HOUR);
    assert_eq!(world.counted.early, 0);
    let looks = at(&world, Errand::Fetch);
    assert!(looks[1].since(looks[0]) >= 20 * MINUTE, "{looks:?}");
    assert_eq!(world.agent.stage(), &Stage::Online);
}

#[test]
fn a_gateway_that_cannot_say_at_the_moment_is_asked_again_about_the_same_code() {
    let mut world = World::new(None)
        .at(MINUTE, Change::Busy(Some(2 * SECOND)))
        .at(3 * MINUTE, Change::WellAgain)
        .at(3 * MINUTE + SECOND, Change::Consents);
    world.run(2 * MINUTE);
    assert_eq!(world.agent.trouble(), Some(&Trouble::Busy));
    assert!(world.agent.stage().code().is_some(), "its code is still good");
    world.run(6 * MINUTE);
    assert_eq!((world.agent.stage(), world.counted.codes), (&Stage::Online, 1));
    assert_eq!(world.counted.early, 0);
}

#[test]
fn l10_an_end_that_is_told_forgets_the_credential_and_asks_for_a_person() {
    let mut world = World::signed_in(None).at(HOUR, Change::Revoked);
    world.run(HOUR);
    assert!(matches!(world.agent.stage(), Stage::Ended { reason: Some(_) }));
    assert!(world.agent.memory().handle.is_none());
    assert!(world.agent.memory().kept.is_some(), "the last quote stays");
    world.run(HOUR + MINUTE);
    assert!(world.agent.stage().code().is_some());
    world.run(7 * DAY);
    assert_eq!(world.counted.codes, 4, "nobody came");
}

#[test]
fn an_end_that_nobody_told_is_met_at_the_next_look() {
    let mut world = World::signed_in(None)
        .at(HOUR, Change::NetworkCut)
        .at(HOUR + SECOND, Change::Revoked)
        .at(2 * HOUR, Change::NetworkUp);
    world.run(2 * HOUR + 6 * MINUTE);
    assert!(world.agent.memory().handle.is_none());
}
