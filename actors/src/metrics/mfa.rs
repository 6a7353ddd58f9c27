//! What is counted of MFA challenges.
//!
//! A challenge is a provider's demand with what is needed to meet it (its `mfa_token`), which lives
//! in memory only. Each one that is opened is closed once, so that
//! `tokenward_mfa_challenges_total − Σ tokenward_mfa_challenges_closed_total` is always
//! `tokenward_mfa_challenges_pending`.

use std::time::Duration;

use super::label::{MfaAttempt, MfaClosed, MfaMethod, MfaTrigger};
use super::{AudienceIndex, Metrics};

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

    /// Counts a verification that was submitted.
    pub fn mfa_attempt(&self, audience: AudienceIndex, method: MfaMethod, outcome: MfaAttempt) {
        self.at_audience(audience).mfa_attempts.of((method, outcome)).increment(1);
    }

    /// Counts the time from opening a challenge to passing it.
    pub fn mfa_duration(&self, audience: AudienceIndex, method: MfaMethod, took: Duration) {
        self.at_audience(audience).mfa_duration.of(method).record(took.as_secs_f64());
    }
}
