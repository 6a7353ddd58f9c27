//! What is shown of sessions that are in memory, and of a provider's client.

use std::sync::Arc;

use tokenward::core::event::{EndReason, LogoutKind};
use tokenward::core::lease::Intent;
use tokenward::core::name::{Epoch, Generation, Owner, WaiterId};
use tokenward::core::policy::{Backoff, Policies};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::RefreshToken;
use tokenward::core::session::{Effect, Input, Need, Session, Want, step_up};
use tokenward::core::snapshot::Snapshot;
use tokenward::metrics::label::SessionState;
use tokenward::metrics::{Metrics, ProviderMeter, SessionMeter};
use tokenward::provider::observe::{Endpoint, Observer, Outcome, Requested};

use crate::metrics_events::{NOW, SECOND, audience, metrics, moved};

#[test]
fn gauges_follow_the_session_and_leave_with_it() {
    let metrics = metrics();
    let need = Need { audience: audience("B"), scopes: ScopeSet::default() };
    let held = step_up::hold(&snapshot(), &need, None, &Backoff::default(), NOW);
    let policies = Arc::new(Policies::default());
    let mut session = Session::new(held, Arc::clone(&policies), 7, NOW);
    let mut meter = SessionMeter::new(Arc::clone(&metrics), &audience("A"));

    let holding = ["mfa_held{audience=B} 1", "sessions{audience=A,state=mfa_pending} 1"];
    step(&mut session, &mut meter, Input::Alarm);
    assert_eq!(gauges(&metrics), holding);

    step(&mut session, &mut meter, want("A"));
    let flying = "refresh_in_flight{audience=A} 1";
    assert_eq!(gauges(&metrics), [holding[0], flying, holding[1]]);

    // The actor panics in the middle of it all.
    drop(meter);
    assert_eq!(gauges(&metrics), [""; 0]);

    let mut doubtful = snapshot();
    doubtful.head.intent = Some(Intent {
        epoch: Epoch(1),
        owner: Owner(1),
        consumes: Generation(0),
        since: None,
        until: None,
        settle: SECOND,
        again: false,
    });
    let mut session = Session::new(doubtful, policies, 7, NOW);
    let mut meter = SessionMeter::new(Arc::clone(&metrics), &audience("A"));
    step(&mut session, &mut meter, Input::Alarm);
    assert_eq!(gauges(&metrics), ["sessions{audience=A,state=backoff} 1", "sessions_in_doubt 1"]);

    step(&mut session, &mut meter, Input::End(EndReason::LoggedOut(LogoutKind::User)));
    assert_eq!(gauges(&metrics), ["sessions{audience=A,state=login_required} 1"]);
    drop(meter);
    assert_eq!(gauges(&metrics), [""; 0]);

    metrics.sessions(metrics.audience("B"), SessionState::Fresh, 2);
    assert_eq!(gauges(&metrics), ["sessions{audience=B,state=fresh} 2"]);
}

#[test]
fn a_provider_client_is_counted_by_its_meter() {
    let metrics = metrics();
    let meter = ProviderMeter::new(Arc::clone(&metrics), "idp");
    for endpoint in [Endpoint::Token, Endpoint::Discovery] {
        meter.requested(Requested { endpoint, outcome: Outcome::Timeout, took: SECOND });
    }
    assert_eq!(
        moved(&metrics),
        [
            "provider_requests_total{provider=idp,endpoint=discovery,outcome=timeout} 1",
            "provider_requests_total{provider=idp,endpoint=token,outcome=timeout} 1",
        ]
    );
}

/// Takes one input and shows the outcome, as the session's actor does.
fn step(session: &mut Session, meter: &mut SessionMeter, input: Input) {
    session.handle(NOW, input);
    while let Some(effect) = session.next_effect() {
        if let Effect::Emit(event) = effect {
            meter.record(&event, NOW);
        }
    }
    meter.look(session);
}

fn gauges(metrics: &Metrics) -> Vec<String> {
    let ours = |line: &String| !line.contains("_total");
    moved(metrics).into_iter().filter(ours).collect()
}

fn snapshot() -> Snapshot {
    let refresh_token = Some(RefreshToken::new("r0"));
    Snapshot::new("https://idp.example/".into(), "alice".into(), audience("A"), refresh_token)
}

fn want(name: &str) -> Input {
    Input::Want(Want {
        waiter: WaiterId(1),
        need: Need { audience: audience(name), scopes: ScopeSet::default() },
        replaces: None,
        deadline: NOW + SECOND,
        latest: NOW + SECOND,
    })
}
