//! A week in the life of a display, in a moment.

use tokenward_device::agent::Stage;

use super::world::{Change, DAY, HOUR, MINUTE, World};

#[test]
fn a_week_with_every_mishap_of_the_seed() {
    let mut world = World::new(Some(6 * HOUR))
        // A power cut: the clock is at the epoch, and the network comes late.
        .dark()
        .at(3 * MINUTE, Change::NetworkUp)
        .at(4 * MINUTE, Change::ClockRight)
        .at(10 * MINUTE, Change::Consents)
        .at(DAY / 2, Change::Quote("Learn."))
        // The owner switches a rule on for everything, goes on holiday, and mends it.
        .at(DAY, Change::RuleForAll)
        .at(2 * DAY, Change::Mended)
        // The rule again; a person meets it on a phone.
        .at(3 * DAY, Change::RuleForAll)
        .at(3 * DAY + HOUR, Change::Pushed)
        .at(3 * DAY + HOUR + MINUTE, Change::FactorShown)
        // The provider is busy for an hour, and the network is away for a day.
        .at(4 * DAY, Change::Busy(Some(30 * MINUTE)))
        .at(4 * DAY + HOUR, Change::WellAgain)
        .at(4 * DAY + 2 * HOUR, Change::NetworkCut)
        .at(5 * DAY + 2 * HOUR, Change::NetworkUp)
        // The session is revoked, and a person comes the next day.
        .at(6 * DAY, Change::Revoked)
        .at(6 * DAY + 12 * HOUR, Change::Asked)
        .at(6 * DAY + 12 * HOUR + MINUTE, Change::Consents);
    world.run(3 * DAY);
    let probes = world.counted.held - 1;
    assert!(probes <= 4, "one refusal and a slow probe now and then: {probes}");
    world.run(4 * DAY);
    assert_eq!(world.counted.held - 1, probes + 1, "one refusal for the second rule");
    world.run(7 * DAY);
    assert_eq!(world.agent.stage(), &Stage::Online);
    let counted = &world.counted;
    assert_eq!(counted.codes, 1 + 4 + 1, "two sign-ins, and four that nobody used");
    assert_eq!(counted.early, 0, "nobody who named a time was asked before it");
    assert_eq!(counted.saves, 5, "two handles, one end, two contents");
    let per_day = counted.fetches / 7;
    assert!(per_day < 250, "{per_day} looks a day");
}
