//! What is made of a caller's words before a session is asked.

use super::{MfaFault, fault};
use crate::access::Tokenward;
use crate::core::name::SessionKey;
use crate::core::session::{Need, Want};
use crate::core::snapshot::Hold;
use crate::core::step_up::{Context, Strength};
use crate::core::time::Instant;
use crate::provider::step_up::MfaApiError;
use crate::session::SessionMessage;

impl Tokenward {
    /// Says why the MFA API did not do what was asked, and tells the session where the provider
    /// does not know the context any more.
    pub(super) fn refused(
        &self,
        key: &SessionKey,
        context: &Context,
        error: MfaApiError,
        otherwise: fn(String) -> MfaFault,
    ) -> MfaFault {
        let fault = fault::of_api(error, otherwise);
        if matches!(fault, MfaFault::TokenExpired | MfaFault::TokenInvalid) {
            self.deliver(key, SessionMessage::Forsaken(context.id()));
        }
        fault
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
