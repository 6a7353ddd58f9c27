//! One session's share of the metrics.

use std::sync::Arc;
use std::time::Duration;

use super::label::{
    MfaClosed, MfaTrigger, RefreshClass, RefreshOutcome, RefreshTrigger, ReuseAction, SessionEvent,
    SessionState,
};
use super::{AudienceIndex, Metrics};
use crate::core::event::{EndReason, Event, Trigger};
use crate::core::grant::{NotSentCause, Unheard};
use crate::core::name::Audience;
use crate::core::refusal::EndCause;
use crate::core::session::{Session, State};
use crate::core::step_up::Origin;
use crate::core::time::Instant;

/// Counts what one session in memory does, and takes its share out of the gauges when it goes.
///
/// Kept by the session's actor: whatever ends the actor, a panic too, drops the meter with it, so
/// that the gauges cannot drift.
///
/// ```
/// # use std::sync::Arc;
/// # use tokenward::core::{name::Audience, policy::Policies, snapshot::Snapshot, time::Instant};
/// use tokenward::core::session::{Effect, Input, Session};
/// use tokenward::metrics::{Labels, Metrics, SessionMeter};
///
/// # let now = Instant::ZERO;
/// # let primary = Audience::parse("https://api.example")?;
/// # let snapshot = Snapshot::new("https://idp.example/".into(), "alice".into(), primary.clone(), None);
/// # let metrics = Metrics::new(Labels { audiences: vec![primary.to_string()], ..Labels::default() });
/// # let mut session = Session::new(snapshot, Arc::new(Policies::default()), 7, now);
/// let mut meter = SessionMeter::new(metrics, &primary);
/// session.handle(now, Input::Alarm);
/// while let Some(effect) = session.next_effect() {
///     if let Effect::Emit(event) = effect {
///         meter.record(&event, now);
///     }
/// }
/// meter.look(&session);
/// # Ok::<(), tokenward::core::name::NameFault>(())
/// ```
pub struct SessionMeter {
    metrics: Arc<Metrics>,
    home: AudienceIndex,
    /// The exchange that is under way.
    trip: Option<Trip>,
    /// The audiences with an open challenge.
    challenged: Vec<AudienceIndex>,
    shown: Shown,
}

struct Trip {
    audience: AudienceIndex,
    trigger: Trigger,
    since: Instant,
}

/// What the gauges hold of this session.
#[derive(Default)]
struct Shown {
    state: Option<SessionState>,
    exchanging: Option<AudienceIndex>,
    in_doubt: bool,
    held: Vec<AudienceIndex>,
}

impl SessionMeter {
    /// Starts to count for a session at home under `primary`.
    pub fn new(metrics: Arc<Metrics>, primary: &Audience) -> Self {
        let home = metrics.audience(primary.as_str());
        Self { metrics, home, trip: None, challenged: Vec::new(), shown: Shown::default() }
    }

    /// Counts what follows from `event` with what came before; to be called once for each event of
    /// the session, in order. [`Metrics::record`] counts the rest of it.
    ///
    /// An exchange counts once in `tokenward_refresh_total`, under what set it off (`ahead` and
    /// `doubt` are `proactive`: nobody waits for them), and in `tokenward_refresh_duration_seconds`:
    ///
    /// | event | outcome |
    /// |---|---|
    /// | `Refreshed` | `success` |
    /// | `Held` | `mfa_required` |
    /// | `Denied`, `Rejected` | `invalid_scope` |
    /// | `Ended` because the provider refused | `invalid_grant`; `reuse_detected` after a doubt |
    /// | `OperatorMustAct` | `invalid_client` |
    /// | `Postponed` | `rate_limited`, `timeout` or `provider_error`, by its code |
    /// | `NotSent` | `network`, `provider_error`, `rate_limited` or `timeout`, by its cause |
    /// | `InDoubt` | `network`, `timeout` or `provider_error`, by how the answer was lost |
    /// | `Malformed`, `AudienceMismatched`, `Ended` by a changed subject | `malformed` |
    /// | `StoreFailed` | `store_error` |
    /// | `Elsewhere`, `ReusePrevented`, `Superseded`, any other `Ended` | none: it did not come to an exchange |
    ///
    /// A provider does not say whether it refuses a refresh token as reused. A token that is
    /// refused when it is sent once more after a doubt was in all likelihood, and is counted in
    /// `tokenward_refresh_reuse_total{detected}`.
    pub fn record(&mut self, event: &Event, now: Instant) {
        match event {
            // A step up is no refresh.
            Event::ExchangeStarted { trigger: Trigger::StepUp, .. } => self.trip = None,
            Event::ExchangeStarted { audience, trigger } => {
                let audience = self.metrics.audience(audience.as_str());
                self.trip = Some(Trip { audience, trigger: *trigger, since: now });
            }
            Event::Refreshed { took, .. } => self.arrive(RefreshOutcome::Success, *took),
            Event::Held { audience, origin: Origin::Provider } => {
                self.land(RefreshOutcome::MfaRequired, now);
                self.challenge(audience, MfaTrigger::Refresh);
            }
            Event::Held { audience, origin: Origin::Policy | Origin::Upstream } => {
                self.challenge(audience, MfaTrigger::StepUp);
            }
            Event::Abandoned { audience } => {
                self.close(self.metrics.audience(audience.as_str()), MfaClosed::Expired);
            }
            Event::Denied { .. } | Event::Rejected { .. } => {
                self.land(RefreshOutcome::InvalidScope, now);
            }
            Event::AudienceMismatched { .. } | Event::Malformed { .. } => {
                self.land(RefreshOutcome::Malformed, now);
            }
            Event::NotSent { cause, .. } => self.land(of_not_sent(*cause), now),
            Event::OperatorMustAct { .. } => self.land(RefreshOutcome::InvalidClient, now),
            Event::Postponed { code, .. } => self.land(of_code(code), now),
            Event::InDoubt { how, .. } => self.land(of_unheard(*how), now),
            Event::StoreFailed { .. } => self.land(RefreshOutcome::StoreError, now),
            Event::Elsewhere { .. } | Event::ReusePrevented { .. } | Event::Superseded => {
                self.trip = None;
            }
            Event::Ended { reason } => self.end(*reason, now),
            Event::Released { audience } => {
                self.close(self.metrics.audience(audience.as_str()), MfaClosed::Completed);
            }
            Event::Restored => self.metrics.session_event(self.home, SessionEvent::Restored),
            Event::Challenged { .. }
            | Event::Downscoped { .. }
            | Event::SaveDelayed { .. }
            | Event::SignedIn { .. }
            | Event::Verified { .. }
            | Event::VerificationFailed { .. } => {}
        }
    }

    /// Shows in the gauges how the session is; to be called after each input.
    pub fn look(&mut self, session: &Session) {
        let held = session.snapshot().holds.iter();
        let held =
            held.map(|hold| self.metrics.audience(hold.audience.as_str())).collect::<Vec<_>>();
        let state = session.state();
        let (exchanging, in_doubt) = match state {
            State::Exchanging { need, trigger, .. } => {
                let audience = self.metrics.audience(need.audience.as_str());
                (Some(audience), *trigger == Trigger::Doubt)
            }
            State::InDoubt { .. } => (None, !session.is_elsewhere()),
            State::Fresh
            | State::Backoff { .. }
            | State::OperatorFault { .. }
            | State::Ended(_) => (None, false),
        };
        let elsewhere = session.is_elsewhere() && held.is_empty();
        let state =
            if elsewhere { SessionState::Refreshing } else { shown_state(state, !held.is_empty()) };
        let state = Some(state);
        self.show(Shown { state, exchanging, in_doubt, held });
    }

    fn show(&mut self, next: Shown) {
        let (metrics, last) = (&self.metrics, &self.shown);
        if last.state != next.state {
            if let Some(state) = last.state {
                metrics.sessions(self.home, state, -1);
            }
            if let Some(state) = next.state {
                metrics.sessions(self.home, state, 1);
            }
        }
        if last.exchanging != next.exchanging {
            if let Some(audience) = last.exchanging {
                metrics.at_audience(audience).refresh_in_flight.decrement(1.0);
            }
            if let Some(audience) = next.exchanging {
                metrics.at_audience(audience).refresh_in_flight.increment(1.0);
            }
        }
        match (last.in_doubt, next.in_doubt) {
            (false, true) => metrics.single.in_doubt.increment(1.0),
            (true, false) => metrics.single.in_doubt.decrement(1.0),
            (false, false) | (true, true) => {}
        }
        if last.held != next.held {
            for audience in &last.held {
                metrics.at_audience(*audience).mfa_held.decrement(1.0);
            }
            for audience in &next.held {
                metrics.at_audience(*audience).mfa_held.increment(1.0);
            }
        }
        self.shown = next;
    }

    fn land(&mut self, outcome: RefreshOutcome, now: Instant) {
        let took = self.trip.as_ref().map_or(Duration::ZERO, |trip| now.since(trip.since));
        self.arrive(outcome, took);
    }

    fn arrive(&mut self, outcome: RefreshOutcome, took: Duration) {
        // A session that is brought to life in doubt says so without an exchange of its own.
        if let Some(Trip { audience, trigger, .. }) = self.trip.take() {
            let row = self.metrics.at_audience(audience);
            row.refreshes.of((of_trigger(trigger), outcome)).increment(1);
            row.refresh_duration.of(class(outcome)).record(took.as_secs_f64());
        }
    }

    fn end(&mut self, reason: EndReason, now: Instant) {
        let event = match reason {
            EndReason::Refused(cause) => {
                self.refused(cause, now);
                SessionEvent::Revoked
            }
            EndReason::SubjectChanged => {
                self.land(RefreshOutcome::Malformed, now);
                SessionEvent::Revoked
            }
            EndReason::Ceiling | EndReason::NoRefreshToken => SessionEvent::Expired,
            EndReason::LoggedOut(_) => SessionEvent::LoggedOut,
        };
        self.trip = None;
        self.metrics.session_event(self.home, event);
        self.close_all(MfaClosed::Abandoned);
    }

    fn refused(&mut self, cause: EndCause, now: Instant) {
        let again = self.trip.as_ref().filter(|trip| trip.trigger == Trigger::Doubt);
        match (cause, again) {
            (
                EndCause::InvalidGrant | EndCause::ReplyLost | EndCause::ReplyLostTooLong,
                Some(trip),
            ) => {
                let row = self.metrics.at_audience(trip.audience);
                row.reuse.of(ReuseAction::Detected).increment(1);
                self.land(RefreshOutcome::ReuseDetected, now);
            }
            (
                EndCause::InvalidGrant
                | EndCause::ReplyLost
                | EndCause::ReplyLostTooLong
                | EndCause::UserBlocked
                | EndCause::UserDeleted,
                _,
            ) => {
                self.land(RefreshOutcome::InvalidGrant, now);
            }
        }
    }

    fn challenge(&mut self, audience: &Audience, trigger: MfaTrigger) {
        let audience = self.metrics.audience(audience.as_str());
        self.close(audience, MfaClosed::Superseded);
        self.metrics.mfa_opened(audience, trigger);
        self.challenged.push(audience);
    }

    fn close(&mut self, audience: AudienceIndex, outcome: MfaClosed) {
        if let Some(place) = self.challenged.iter().position(|open| *open == audience) {
            self.challenged.swap_remove(place);
            self.metrics.mfa_closed(audience, outcome);
        }
    }

    fn close_all(&mut self, outcome: MfaClosed) {
        for audience in std::mem::take(&mut self.challenged) {
            self.metrics.mfa_closed(audience, outcome);
        }
    }
}

impl Drop for SessionMeter {
    fn drop(&mut self) {
        // Whoever comes next counts what is still open anew.
        self.close_all(MfaClosed::Expired);
        self.show(Shown::default());
    }
}

/// A hold outweighs what goes on beside it: it lasts until a person acts.
const fn shown_state(state: &State, held: bool) -> SessionState {
    match state {
        State::Ended(_) => SessionState::LoginRequired,
        State::Backoff { .. }
        | State::Exchanging { .. }
        | State::Fresh
        | State::InDoubt { .. }
        | State::OperatorFault { .. }
            if held =>
        {
            SessionState::MfaPending
        }
        State::Fresh => SessionState::Fresh,
        State::Exchanging { .. } => SessionState::Refreshing,
        State::Backoff { .. } | State::InDoubt { .. } | State::OperatorFault { .. } => {
            SessionState::Backoff
        }
    }
}

const fn of_trigger(trigger: Trigger) -> RefreshTrigger {
    match trigger {
        // A step up is no refresh, and makes no trip.
        Trigger::Ahead | Trigger::Doubt | Trigger::StepUp => RefreshTrigger::Proactive,
        Trigger::Demand => RefreshTrigger::Demand,
        Trigger::Forced => RefreshTrigger::Forced,
    }
}

const fn of_not_sent(cause: NotSentCause) -> RefreshOutcome {
    match cause {
        NotSentCause::BreakerOpen | NotSentCause::Discovery => RefreshOutcome::ProviderError,
        NotSentCause::Connect => RefreshOutcome::Network,
        // It waited too long for its turn.
        NotSentCause::Queue => RefreshOutcome::Timeout,
        NotSentCause::RateLimited => RefreshOutcome::RateLimited,
    }
}

const fn of_unheard(how: Option<Unheard>) -> RefreshOutcome {
    match how {
        Some(Unheard::ConnectionLost) => RefreshOutcome::Network,
        Some(Unheard::Deadline | Unheard::GatewayTimeout) => RefreshOutcome::Timeout,
        None => RefreshOutcome::ProviderError,
    }
}

/// Sorts the codes of a busy or ill provider; see `core::refusal` for where they come from.
fn of_code(code: &str) -> RefreshOutcome {
    match code {
        "http_429" | "slow_down" | "too_many_attempts" | "too_many_requests" => {
            RefreshOutcome::RateLimited
        }
        "http_408" | "http_504" => RefreshOutcome::Timeout,
        _ => RefreshOutcome::ProviderError,
    }
}

const fn class(outcome: RefreshOutcome) -> RefreshClass {
    match outcome {
        RefreshOutcome::Success => RefreshClass::Success,
        RefreshOutcome::InvalidGrant
        | RefreshOutcome::InvalidScope
        | RefreshOutcome::MfaRequired
        | RefreshOutcome::ReuseDetected => RefreshClass::Denied,
        RefreshOutcome::InvalidClient
        | RefreshOutcome::Malformed
        | RefreshOutcome::Network
        | RefreshOutcome::ProviderError
        | RefreshOutcome::RateLimited
        | RefreshOutcome::StoreError
        | RefreshOutcome::Timeout => RefreshClass::Error,
    }
}
