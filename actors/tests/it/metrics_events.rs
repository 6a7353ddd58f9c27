//! Which numbers move when something happens to a session.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use tokenward::core::event::{EndReason, Event, LogoutKind, Trigger};
use tokenward::core::grant::{NotSentCause, Unheard};
use tokenward::core::name::{Audience, Generation};
use tokenward::core::refusal::{EndCause, OperatorFault};
use tokenward::core::scope::ScopeSet;
use tokenward::core::step_up::Origin;
use tokenward::core::time::Instant;
use tokenward::metrics::label::{MfaClosed, MfaTrigger};
use tokenward::metrics::{Labels, Metrics, SessionMeter};

pub(crate) const NOW: Instant = Instant::from_nanos(1_000_000_000_000);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn audience(name: &str) -> Audience {
    Audience::parse(name).unwrap()
}

pub(crate) fn metrics() -> Arc<Metrics> {
    Metrics::new(Labels {
        audiences: vec!["A".into(), "B".into()],
        providers: vec!["idp".into()],
        ..Labels::default()
    })
}

/// Returns the samples that are not zero, without those of histograms and of the build: in short,
/// as `name{labels} value` without prefix and quotes.
pub(crate) fn moved(metrics: &Metrics) -> Vec<String> {
    let text = metrics.render();
    let histogram = |line: &str| {
        let name = line.split(['{', ' ']).next().unwrap_or(line);
        ["_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix))
    };
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.ends_with(" 0") && !histogram(line))
        .filter(|line| !line.contains("build_info") && !line.contains("provider_breaker"))
        .map(|line| line.replace("tokenward_", "").replace('"', ""))
        .collect()
}

/// Sums the samples of a metric.
fn number(text: &str, name: &str) -> f64 {
    let start = format!("tokenward_{name}");
    let samples = text.lines().filter(|line| {
        line.strip_prefix(start.as_str()).is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// Asserts the conservation law of challenges, and returns those that are open.
fn open_challenges(metrics: &Metrics) -> f64 {
    let text = metrics.render();
    let pending = number(&text, "mfa_challenges_pending");
    let closed = number(&text, "mfa_challenges_closed_total");
    assert_eq!(number(&text, "mfa_challenges_total") - closed, pending);
    pending
}

fn started(trigger: Trigger) -> Event {
    Event::ExchangeStarted { audience: audience("A"), trigger }
}

fn refreshed(trigger: Trigger, rotated: bool, late: bool) -> Event {
    Event::Refreshed {
        audience: audience("A"),
        trigger,
        generation: Generation(1),
        rotated,
        late,
        waiters: 3,
        took: SECOND,
    }
}

fn ended(reason: EndReason) -> Event {
    Event::Ended { reason }
}

fn postponed(code: &str) -> Event {
    Event::Postponed { audience: audience("A"), code: code.into(), wait: SECOND }
}

fn not_sent(cause: NotSentCause) -> Event {
    Event::NotSent { audience: audience("A"), cause, wait: SECOND }
}

fn in_doubt(how: Option<Unheard>) -> Event {
    Event::InDoubt { how, since: None, wait: SECOND }
}

fn held(name: &str) -> Event {
    Event::Held { audience: audience(name), origin: Origin::Provider }
}

fn released(name: &str) -> Event {
    Event::Released { audience: audience(name) }
}

/// Tells a session's meter `events`, and the metrics what each says by itself, as the actor does.
fn tell(metrics: &Arc<Metrics>, events: &[Event]) -> SessionMeter {
    let mut meter = SessionMeter::new(Arc::clone(metrics), &audience("A"));
    for event in events {
        metrics.record(event);
        meter.record(event, NOW);
    }
    meter
}

fn check(events: &[Event], expected: &[&str]) {
    let metrics = metrics();
    let meter = tell(&metrics, events);
    assert_eq!(moved(&metrics), expected, "{events:?}");
    open_challenges(&metrics);
    drop(meter);
    assert_eq!(open_challenges(&metrics), 0.0, "{events:?}");
}

#[test]
fn what_an_exchange_brings_moves_these() {
    use Trigger::{Ahead, Demand, Doubt, Forced};
    check(
        &[started(Demand), refreshed(Demand, true, true)],
        &[
            "refresh_late_total{audience=A} 1",
            "refresh_total{audience=A,trigger=demand,outcome=success} 1",
            "rotation_total{audience=A,outcome=rotated} 1",
        ],
    );
    let missing = Event::Downscoped { audience: audience("A"), missing: ScopeSet::parse("pay") };
    check(
        &[started(Ahead), missing, refreshed(Ahead, false, false)],
        &[
            "refresh_total{audience=A,trigger=proactive,outcome=success} 1",
            "rotation_total{audience=A,outcome=unchanged} 1",
            "token_scope_reduced_total{audience=A} 1",
        ],
    );
    check(
        &[started(Forced), Event::AudienceMismatched { audience: audience("A") }],
        &[
            "refresh_total{audience=A,trigger=forced,outcome=malformed} 1",
            "token_audience_mismatch_total{audience=A} 1",
        ],
    );
    let salvaged = Event::Malformed { audience: audience("A"), why: "", salvaged: true };
    check(
        &[started(Doubt), salvaged],
        &[
            "refresh_total{audience=A,trigger=proactive,outcome=malformed} 1",
            "rotation_total{audience=A,outcome=rotated} 1",
        ],
    );
}

#[test]
fn each_failure_moves_its_own_outcome() {
    let denied = Event::Denied { audience: audience("A"), code: "access_denied".into() };
    let rejected = Event::Rejected { audience: audience("A"), code: "invalid_target".into() };
    let operator = |fault| Event::OperatorMustAct { fault, code: "x".into() };
    for (event, outcome) in [
        (denied, "invalid_scope"),
        (rejected, "invalid_scope"),
        (operator(OperatorFault::InvalidClient), "invalid_client"),
        (operator(OperatorFault::UnsupportedGrant), "invalid_client"),
        (operator(OperatorFault::InvalidRequest), "invalid_client"),
        (postponed("http_429"), "rate_limited"),
        (postponed("too_many_requests"), "rate_limited"),
        (postponed("http_503"), "provider_error"),
        (postponed("server_error"), "provider_error"),
        (postponed("http_408"), "timeout"),
        (not_sent(NotSentCause::BreakerOpen), "provider_error"),
        (not_sent(NotSentCause::Connect), "network"),
        (not_sent(NotSentCause::Discovery), "provider_error"),
        (not_sent(NotSentCause::Queue), "timeout"),
        (not_sent(NotSentCause::RateLimited), "rate_limited"),
        (in_doubt(Some(Unheard::ConnectionLost)), "network"),
        (in_doubt(Some(Unheard::Deadline)), "timeout"),
        (in_doubt(Some(Unheard::GatewayTimeout)), "timeout"),
        (in_doubt(None), "provider_error"),
        (Event::StoreFailed { wait: SECOND }, "store_error"),
    ] {
        let line = format!("refresh_total{{audience=A,trigger=demand,outcome={outcome}}} 1");
        // The same fact without an exchange under way is not counted as one.
        check(&[started(Trigger::Demand), event.clone(), event], &[&line]);
    }
}

#[test]
fn what_did_not_come_to_an_exchange_is_not_counted_as_one() {
    let prevented = Event::ReusePrevented { audience: audience("A") };
    let elsewhere = Event::Elsewhere { wait: Duration::from_secs(15) };
    check(
        &[started(Trigger::Demand), prevented, elsewhere],
        &["refresh_reuse_total{audience=A,action=prevented} 1"],
    );
    check(&[started(Trigger::Demand), Event::Superseded], &[]);
    check(&[in_doubt(None)], &[]);
}

#[test]
fn each_end_is_counted_for_what_it_is() {
    let refused = |cause| ended(EndReason::Refused(cause));
    for (reason, event, kind) in [
        (EndReason::Ceiling, "expired", None),
        (EndReason::NoRefreshToken, "expired", None),
        (EndReason::LoggedOut(LogoutKind::User), "logged_out", Some("user")),
        (EndReason::LoggedOut(LogoutKind::Admin), "logged_out", Some("admin")),
        (EndReason::LoggedOut(LogoutKind::Backchannel), "logged_out", Some("backchannel")),
        (EndReason::LoggedOut(LogoutKind::Provider), "logged_out", Some("provider")),
    ] {
        let logout = kind.map(|kind| format!("logout_total{{kind={kind}}} 1"));
        let event = format!("session_events_total{{audience=A,event={event}}} 1");
        let expected: Vec<&str> = logout.as_deref().into_iter().chain([event.as_str()]).collect();
        check(&[started(Trigger::Demand), ended(reason)], &expected);
    }
    let revoked = "session_events_total{audience=A,event=revoked} 1";
    for (event, outcome) in [
        (refused(EndCause::InvalidGrant), "invalid_grant"),
        (refused(EndCause::UserBlocked), "invalid_grant"),
        (refused(EndCause::UserDeleted), "invalid_grant"),
        (ended(EndReason::SubjectChanged), "malformed"),
    ] {
        let line = format!("refresh_total{{audience=A,trigger=demand,outcome={outcome}}} 1");
        check(&[started(Trigger::Demand), event], &[&line, revoked]);
    }
    check(
        &[started(Trigger::Doubt), refused(EndCause::InvalidGrant)],
        &[
            "refresh_reuse_total{audience=A,action=detected} 1",
            "refresh_total{audience=A,trigger=proactive,outcome=reuse_detected} 1",
            revoked,
        ],
    );
    check(&[Event::Restored], &["session_events_total{audience=A,event=restored} 1"]);
}

#[test]
fn l8_every_challenge_that_opens_is_closed_once() {
    let demand = || started(Trigger::Demand);
    let required = "refresh_total{audience=A,trigger=demand,outcome=mfa_required} 1";
    check(
        &[demand(), held("A")],
        &[
            "mfa_challenges_pending{audience=A} 1",
            "mfa_challenges_total{audience=A,trigger=refresh} 1",
            required,
        ],
    );
    check(
        &[demand(), held("A"), released("A"), released("A")],
        &[
            "mfa_challenges_closed_total{audience=A,outcome=completed} 1",
            "mfa_challenges_total{audience=A,trigger=refresh} 1",
            required,
        ],
    );
    check(
        &[demand(), held("A"), held("B"), held("A"), ended(EndReason::Ceiling)],
        &[
            "mfa_challenges_closed_total{audience=A,outcome=abandoned} 1",
            "mfa_challenges_closed_total{audience=A,outcome=superseded} 1",
            "mfa_challenges_closed_total{audience=B,outcome=abandoned} 1",
            "mfa_challenges_total{audience=A,trigger=refresh} 2",
            "mfa_challenges_total{audience=B,trigger=refresh} 1",
            required,
            "session_events_total{audience=A,event=expired} 1",
        ],
    );
    let metrics = metrics();
    let b = metrics.audience("B");
    metrics.mfa_opened(b, MfaTrigger::StepUp);
    metrics.mfa_closed(b, MfaClosed::Failed);
    assert_eq!(open_challenges(&metrics), 0.0);
}
