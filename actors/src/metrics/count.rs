//! What is counted of access tokens, sessions, the store, actors, providers and the configuration.

use std::time::Duration;

use super::exemplar::Exemplar;
use super::label::{
    Actor, BreakerState, Endpoint, LogoutLabel, MfaAttempt, MfaMethod, ProviderOutcome,
    RefreshClass, RestartReason, ReuseAction, RotationOutcome, SessionEvent, SessionState, StoreOp,
    StoreOutcome, TokenResult,
};
use super::{AudienceIndex, Metrics, ProviderIndex};
use crate::core::event::{EndReason, Event, LogoutKind};
use crate::core::name::Audience;
use crate::core::time::UnixSeconds;

impl Metrics {
    /// Counts what `event` says by itself, whoever tells it; to be called once for each event.
    ///
    /// - `Refreshed`: `tokenward_rotation_total{rotated|unchanged}`, `tokenward_refresh_waiters`,
    ///   and `tokenward_refresh_late_total` where the old access token had ended.
    /// - `Malformed` with a salvaged refresh token: `tokenward_rotation_total{rotated}`.
    /// - `Downscoped`: `tokenward_token_scope_reduced_total`.
    /// - `AudienceMismatched`: `tokenward_token_audience_mismatch_total`.
    /// - `ReusePrevented`: `tokenward_refresh_reuse_total{prevented}`.
    /// - `Ended` by somebody: `tokenward_logout_total`.
    /// - `Verified`, `VerificationFailed`: `tokenward_mfa_attempts_total`, and
    ///   `tokenward_mfa_duration_seconds` for the former.
    ///
    /// What follows from the other events is counted by the session's
    /// [`SessionMeter`](super::SessionMeter), which knows what set an exchange off, and when.
    pub fn record(&self, event: &Event) {
        match event {
            Event::AudienceMismatched { audience } => {
                self.at(audience).audience_mismatches.increment(1);
            }
            Event::Downscoped { audience, .. } => self.at(audience).scope_reduced.increment(1),
            Event::Ended { reason: EndReason::LoggedOut(kind) } => {
                self.single.logouts.of(logout_label(*kind)).increment(1);
            }
            Event::Malformed { audience, salvaged: true, .. } => {
                self.at(audience).rotations.of(RotationOutcome::Rotated).increment(1);
            }
            Event::Refreshed { audience, rotated, late, waiters, .. } => {
                let row = self.at(audience);
                let rotation =
                    if *rotated { RotationOutcome::Rotated } else { RotationOutcome::Unchanged };
                row.rotations.of(rotation).increment(1);
                row.refresh_waiters.record(f64::from(*waiters));
                row.refresh_late.increment(u64::from(*late));
            }
            Event::ReusePrevented { audience } => {
                self.at(audience).reuse.of(ReuseAction::Prevented).increment(1);
            }
            Event::Verified { audience, factor, took } => {
                let (audience, method) = (self.audience(audience.as_str()), MfaMethod::of(*factor));
                self.mfa_attempt(audience, method, MfaAttempt::Success);
                self.mfa_duration(audience, method, *took);
            }
            Event::VerificationFailed { audience, factor, code } => {
                let audience = self.audience(audience.as_str());
                self.mfa_attempt(audience, MfaMethod::of(*factor), MfaAttempt::of_code(code));
            }
            Event::Abandoned { .. }
            | Event::Challenged { .. }
            | Event::Denied { .. }
            | Event::Elsewhere { .. }
            | Event::Ended { .. }
            | Event::ExchangeStarted { .. }
            | Event::Held { .. }
            | Event::InDoubt { .. }
            | Event::Malformed { salvaged: false, .. }
            | Event::NotSent { .. }
            | Event::OperatorMustAct { .. }
            | Event::Postponed { .. }
            | Event::Rejected { .. }
            | Event::Released { .. }
            | Event::Restored
            | Event::SaveDelayed { .. }
            | Event::SignedIn { .. }
            | Event::StoreFailed { .. }
            | Event::Superseded => {}
        }
    }

    /// Counts a wish for an access token, and how long the caller waited where it had to.
    ///
    /// `waited` is `None` where the published snapshot answered: such a wait would only fill the
    /// lowest bucket, at ten times the cost of the counter.
    pub fn token_request(
        &self,
        audience: AudienceIndex,
        result: TokenResult,
        waited: Option<Duration>,
    ) {
        let row = self.at_audience(audience);
        row.token_requests.of(result).increment(1);
        if let Some(waited) = waited {
            row.token_wait.record(waited.as_secs_f64());
        }
    }

    /// Counts the life left in an access token that is injected.
    pub fn token_remaining(&self, audience: AudienceIndex, left: Duration) {
        self.at_audience(audience).token_remaining.record(left.as_secs_f64());
    }

    /// Keeps the trace of a refresh that succeeded, beside the time that it took.
    pub fn refresh_exemplar(&self, audience: AudienceIndex, took: Duration, exemplar: Exemplar) {
        let shelf = self.at_audience(audience).traces.of(RefreshClass::Success);
        shelf.put(exemplar, took.as_secs_f64());
    }

    /// Counts a try to store what an exchange brought that failed; it is tried again.
    pub fn save_failed(&self, audience: AudienceIndex) {
        self.at_audience(audience).rotations.of(RotationOutcome::PersistFailed).increment(1);
    }

    /// Counts the time from receiving a rotated refresh token to having it stored durably.
    pub fn persist(&self, took: Duration) {
        self.store.persist.record(took.as_secs_f64());
    }

    /// Counts an operation on the store.
    pub fn store_operation(&self, op: StoreOp, outcome: StoreOutcome, took: Duration) {
        self.store.operations.of((op, outcome)).increment(1);
        self.store.duration.of(op).record(took.as_secs_f64());
    }

    /// Adds sessions in a state, or takes them away.
    ///
    /// A [`SessionMeter`](super::SessionMeter) does this for sessions that are in memory.
    pub fn sessions(&self, audience: AudienceIndex, state: SessionState, change: i32) {
        self.at_audience(audience).sessions.of(state).increment(f64::from(change));
    }

    /// Counts something that happened to a session whose primary audience is `audience`.
    ///
    /// A [`SessionMeter`](super::SessionMeter) does this for what its session says; whoever creates
    /// a session, or puts one to rest, counts that here.
    pub fn session_event(&self, audience: AudienceIndex, event: SessionEvent) {
        self.at_audience(audience).session_events.of(event).increment(1);
    }

    /// Counts an HTTP request to a provider.
    pub fn provider_request(
        &self,
        provider: ProviderIndex,
        endpoint: Endpoint,
        outcome: ProviderOutcome,
        took: Duration,
    ) {
        let row = self.at_provider(provider);
        row.requests.of((endpoint, outcome)).increment(1);
        row.duration.of(endpoint).record(took.as_secs_f64());
    }

    /// Shows the state of the circuit breaker towards a provider.
    pub fn breaker(&self, provider: ProviderIndex, state: BreakerState) {
        let row = self.at_provider(provider);
        for each in BreakerState::ALL {
            row.breaker.of(*each).set(if *each == state { 1.0 } else { 0.0 });
        }
    }

    /// Counts an actor that its supervisor started again.
    pub fn actor_restart(&self, actor: Actor, reason: RestartReason) {
        self.single.restarts.of((actor, reason)).increment(1);
    }

    /// Adds messages that wait in the mailboxes of actors of a kind, or takes them away.
    pub fn mailbox(&self, actor: Actor, change: i32) {
        self.single.mailbox.of(actor).increment(f64::from(change));
    }

    /// Counts the time that a message waited in a mailbox.
    pub fn message_wait(&self, actor: Actor, waited: Duration) {
        self.single.message_wait.of(actor).record(waited.as_secs_f64());
    }

    /// Shows that the configuration was accepted, at start or by a reload.
    pub fn config_accepted(&self, at: UnixSeconds) {
        self.single.reload_successful.set(1.0);
        // Exact until the year 285,000,000.
        self.single.reload_timestamp.set(at.0 as f64);
    }

    /// Shows that a reloaded configuration was refused; the old one stays.
    pub fn config_refused(&self) {
        self.single.reload_successful.set(0.0);
    }

    fn at(&self, audience: &Audience) -> &super::AudienceRow {
        self.at_audience(self.audience(audience.as_str()))
    }
}

const fn logout_label(kind: LogoutKind) -> LogoutLabel {
    match kind {
        LogoutKind::Admin => LogoutLabel::Admin,
        LogoutKind::Backchannel => LogoutLabel::Backchannel,
        LogoutKind::Provider => LogoutLabel::Provider,
        LogoutKind::User => LogoutLabel::User,
    }
}
