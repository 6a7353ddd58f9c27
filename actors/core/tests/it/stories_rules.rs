//! Rules that one question settles: told without a world, because no schedule meets them often.

use std::sync::Arc;
use std::time::Duration;

use tokenward_core::event::{EndReason, LogoutKind, Trigger};
use tokenward_core::grant::{Grant, Reply, Unheard};
use tokenward_core::lease::{self, Begun, Intent};
use tokenward_core::name::{Audience, Epoch, Generation, Owner};
use tokenward_core::policy::{Backoff, Margins, Policies};
use tokenward_core::refusal::{Fate, Refusal};
use tokenward_core::scope::ScopeSet;
use tokenward_core::secret::{AccessToken, RefreshToken};
use tokenward_core::session::backoff::{self, Dice};
use tokenward_core::session::exchange::{Flight, Landing, Reading, Step};
use tokenward_core::session::{Effect, Input, Need, Session, State, rotation, step_up};
use tokenward_core::snapshot::{self, Lookup, Snapshot};
use tokenward_core::time::Instant;

use super::world::START;

const SETTLE: Duration = Duration::from_secs(2);

fn need(scopes: &str) -> Need {
    Need { audience: Audience::parse("A").unwrap(), scopes: ScopeSet::parse(scopes) }
}

fn stored() -> Snapshot {
    let refresh_token = Some(RefreshToken::new("r0"));
    Snapshot::new("https://t/".into(), "u1".into(), need("").audience, refresh_token)
}

fn grant(granted: Option<&str>) -> Grant {
    Grant {
        access_token: AccessToken::new("t"),
        lifetime: Some(Duration::from_secs(100)),
        granted: granted.map(ScopeSet::parse),
        refresh_token: None,
        id_token: None,
        claims: None,
        ceiling: None,
        proof: None,
        recovery_code: None,
    }
}

fn intent(until: Option<Instant>) -> Intent {
    Intent {
        epoch: Epoch(7),
        owner: Owner(2),
        consumes: Generation(0),
        since: None,
        until,
        settle: SETTLE,
        again: false,
    }
}

/// A flight whose request has left at [`START`].
fn sent() -> Flight {
    let policies = Policies::default();
    let policy = (policies.deadlines, policies.backoff);
    let mut flight = Flight::plan(stored(), need("a"), Trigger::Demand, None, policy, START);
    let begun = lease::begin(&stored().head, &flight.ask(Owner(1), SETTLE), START);
    assert!(matches!(begun, Begun::Leased { .. }));
    flight.journalled(Some(begun));
    assert!(flight.send(START).is_some());
    flight
}

fn landing(flight: &Flight) -> Landing {
    let step = flight.step();
    let Step::Land(landing) = step else { panic!("{step:?}") };
    *landing
}

#[test]
fn l7_the_refusal_of_a_token_that_was_replaced_proves_nothing() {
    let mut flight = sent();
    let error = Some("invalid_grant".to_owned());
    flight.replied(START, Reply::Refused(Refusal { status: 403, error, ..Refusal::default() }));
    let mut newer = stored();
    newer.head.generation = Generation(1);
    flight.loaded(Reading::Living(Box::new(newer)));
    assert!(matches!(landing(&flight), Landing::Moved(_)));
}

#[test]
fn l3_after_a_cut_connection_the_provider_is_given_time_to_settle() {
    let mut flight = sent();
    flight.replied(START, Reply::Unheard(Unheard::ConnectionLost));
    let Landing::Doubt { retry_at, .. } = landing(&flight) else { panic!("no doubt") };
    assert_eq!(retry_at, START + SETTLE);
}

#[test]
fn l7_a_refusal_that_names_no_error_logs_nobody_out() {
    for status in [400, 401, 403, 404] {
        let fate = Refusal { status, ..Refusal::default() }.fate();
        assert!(matches!(fate, Fate::Faults(_)), "{status}: {fate:?}");
    }
}

#[test]
fn l5_a_grant_that_is_left_out_is_as_asked() {
    for (granted, expected) in [(None, "a b"), (Some("a"), "a")] {
        let (after, _) = rotation::turn(&stored(), &need("a b"), &grant(granted), Epoch(1), START);
        assert_eq!(after.entries[0].granted, ScopeSet::parse(expected));
    }
}

#[test]
fn l6_a_token_is_not_served_at_its_margin() {
    let (after, _) = rotation::turn(&stored(), &need("a"), &grant(None), Epoch(1), START);
    let end = after.entries[0].serve_until(Margins::default());
    let found = |now: Instant| {
        let Need { audience, scopes } = need("a");
        let margins = Margins::default();
        matches!(snapshot::lookup(&after.entries, &audience, &scopes, margins, now), Lookup::Hit(_))
    };
    assert!(found(end - Duration::from_nanos(1)) && !found(end));
}

#[test]
fn l7_l14_pauses_grow_to_a_ceiling_and_differ() {
    let (policy, mut dice) = (Backoff::default(), Dice::new(1));
    let mut longest = |failures| {
        let waits = (0..200).map(|_| backoff::wait(&policy, failures, None, &mut dice));
        let (least, most) = waits.fold((Duration::MAX, Duration::ZERO), |(least, most), wait| {
            (least.min(wait), most.max(wait))
        });
        assert!(least < most / 2, "no jitter after {failures}: {least:?} to {most:?}");
        most
    };
    let [first, fourth, hundredth] = [1, 4, 100].map(&mut longest);
    assert!(first <= policy.first && fourth > policy.first * 4, "{first:?} {fourth:?}");
    assert!(hundredth <= policy.most && hundredth > policy.most / 2, "{hundredth:?}");
}

#[test]
fn l14_holds_are_bounded() {
    let mut session = stored();
    for number in 0..=step_up::HOLDS_MAX {
        let need = need(&format!("s{number}"));
        session = step_up::hold(&session, &need, None, &Backoff::default(), START);
    }
    assert_eq!(session.holds.len(), step_up::HOLDS_MAX);
    assert_eq!(session.holds[0].scopes, ScopeSet::parse("s1"), "the oldest goes");
}

#[test]
fn l3_l12_an_intent_of_an_unknown_age_is_taken_for_the_youngest() {
    let policies = Policies::default();
    let lease = policies.deadlines.lease;
    let mut snapshot = stored();
    snapshot.head.intent = Some(intent(None));
    let session = Session::new(snapshot, Arc::new(policies), 1, START);
    let State::InDoubt { retry_at, .. } = session.state() else { panic!("no doubt") };
    assert_eq!(*retry_at, START + lease);
}

#[test]
fn l3_another_machine_s_doubt_is_taken_over() {
    let mut session = Session::new(stored(), Arc::new(Policies::default()), 1, START);
    let mut newer = stored();
    let until = START + Duration::from_secs(9);
    (newer.head.epoch, newer.head.intent) = (Epoch(7), Some(intent(Some(until))));
    session.handle(START, Input::Observed(Box::new(newer)));
    let State::InDoubt { epoch, retry_at, .. } = session.state() else { panic!("no doubt") };
    assert_eq!((*epoch, *retry_at), (Epoch(7), until));
}

#[test]
fn l10_readers_of_an_ended_session_find_nothing() {
    let (after, _) = rotation::turn(&stored(), &need("a"), &grant(None), Epoch(1), START);
    let mut session = Session::new(after, Arc::new(Policies::default()), 1, START);
    session.handle(START, Input::End(EndReason::LoggedOut(LogoutKind::User)));
    let mut shown = None;
    while let Some(effect) = session.next_effect() {
        if let Effect::Publish(offers) = effect {
            shown = Some(offers.len());
        }
    }
    assert_eq!(shown, Some(0));
}

#[test]
fn l6_readers_do_not_nudge_while_a_failure_is_waited_out() {
    let (after, _) = rotation::turn(&stored(), &need("a"), &grant(None), Epoch(1), START);
    let mut session = Session::new(after, Arc::new(Policies::default()), 1, START);
    let now = START + Duration::from_secs(80);
    session.handle(now, Input::Nudged(need("a")));
    let mut shown = Vec::new();
    while let Some(effect) = session.next_effect() {
        match effect {
            Effect::Launch(mut flight) => {
                flight.journalled(None);
                let landing = Box::new(landing(&flight));
                session.handle(now, Input::Landed(flight.number, landing));
            }
            Effect::Publish(offers) => shown = offers,
            Effect::Answer(..) | Effect::Emit(_) | Effect::End { .. } | Effect::Report(..) => {}
        }
    }
    let State::Backoff { until } = session.state() else { panic!("{:?}", session.state()) };
    assert!(shown[0].refresh_from >= *until, "{shown:?}");
}
