//! What is counted of MFA challenges.
//!
//! A challenge is a demand for a factor that a person can meet. Each one that is opened is closed once, so that
//! `tokenward_mfa_challenges_total − Σ tokenward_mfa_challenges_closed_total` is always
//! `tokenward_mfa_challenges_pending`.

use std::time::Duration;

use super::label::{MfaAttempt, MfaClosed, MfaMethod, MfaTrigger};
use super::{AudienceIndex, Metrics};
use crate::core::step_up::Factor;

impl Metrics {
    /// Counts a challenge that is opened.
    pub fn mfa_opened(&self, audience: AudienceIndex, trigger: MfaTrigger) {
        let row = self.at_audience(audience);
        row.mfa_challenges.of(trigger).increment(1);
        row.mfa_pending.increment(1.0);
    }

    /// Counts the end of an open challenge.
    pub fn mfa_closed(&self, audience: AudienceIndex, outcome: MfaClosed) {
        let row = self.at_audience(audience);
        row.mfa_closed.of(outcome).increment(1);
        row.mfa_pending.decrement(1.0);
    }

    /// Counts holds of sessions that are not in memory.
    pub(crate) fn mfa_held(&self, audiences: &[AudienceIndex], each: f64) {
        for audience in audiences {
            self.at_audience(*audience).mfa_held.increment(each);
        }
    }

    /// Counts a verification that was submitted.
    pub fn mfa_attempt(&self, audience: AudienceIndex, method: MfaMethod, outcome: MfaAttempt) {
        self.at_audience(audience).mfa_attempts.of((method, outcome)).increment(1);
    }

    /// Counts the time from opening a challenge to passing it.
    pub fn mfa_duration(&self, audience: AudienceIndex, method: MfaMethod, took: Duration) {
        self.at_audience(audience).mfa_duration.of(method).record(took.as_secs_f64());
    }
}

impl MfaMethod {
    /// Returns the label of a factor.
    pub(super) const fn of(factor: Option<Factor>) -> Self {
        match factor {
            Some(Factor::Otp) => Self::Otp,
            Some(Factor::Push) => Self::Push,
            Some(Factor::Sms) => Self::Sms,
            Some(Factor::Voice) => Self::Voice,
            Some(Factor::Email) => Self::Email,
            Some(Factor::Webauthn) => Self::Webauthn,
            Some(Factor::RecoveryCode) => Self::RecoveryCode,
            None => Self::Unknown,
        }
    }
}

impl MfaAttempt {
    /// Sorts the reason codes of failed verifications; see `core::step_up::Report`.
    pub(super) fn of_code(code: &str) -> Self {
        match code {
            "wrong_code" | "challenge_invalid" => Self::InvalidCode,
            "rejected" | "wrong_subject" | "acr_not_met" | "auth_time_too_old" => Self::Rejected,
            "context_expired" | "context_invalid" | "context_not_found" => Self::Expired,
            "too_many_attempts" => Self::RateLimited,
            _ => Self::ProviderError,
        }
    }
}
