//! What is made of a caller's words before a session is asked.

use super::MfaFault;
use super::limits::Turn;
use crate::access::Tokenward;
use crate::core::name::SessionKey;
use crate::core::session::{Need, Want};
use crate::core::snapshot::Hold;
use crate::core::step_up::Strength;
use crate::core::time::Instant;

impl Tokenward {
    pub(super) fn admit(&self, key: &SessionKey, turn: Turn) -> Result<(), MfaFault> {
        let now = self.shared.clock.now();
        let admitted = self.shared.steps.admit(key, turn, now);
        admitted.map_err(|retry_after| MfaFault::TooManyAttempts { retry_after })
    }

    pub(super) fn want(&self, need: &Need) -> Want {
        let deadlines = self.shared.policies().deadlines;
        let now: Instant = self.shared.clock.now();
        Want {
            waiter: self.shared.next_waiter(),
            need: self.resolved_need(need),
            replaces: None,
            deadline: now + deadlines.soft,
            latest: now + deadlines.patience,
        }
    }

    pub(super) fn resolved_need(&self, need: &Need) -> Need {
        let mut need = need.clone();
        if need.scopes.is_empty() {
            need.scopes = self.shared.policies().audience(&need.audience).scopes;
        }
        need
    }

    /// What a redirect must ask for: what is demanded and, where the provider demands, what the
    /// audience's policy asks besides.
    pub(super) fn strength_of(&self, hold: &Hold) -> Strength {
        let by_policy = || self.shared.policies().audience(&hold.audience).mfa.strength();
        if hold.strength == Strength::default() {
            return by_policy().unwrap_or_default();
        }
        hold.strength.clone()
    }
}
