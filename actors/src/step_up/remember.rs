//! What a browser may be told of a factor that was shown in it, for its later sign-ins.

use std::sync::Arc;
use std::time::Duration;

use super::MfaFault;
use crate::access::Tokenward;
use crate::core::name::{Audience, SessionKey};
use crate::core::step_up::Proof;
use crate::core::time::UnixSeconds;

/// What a person has shown, to be sealed into the browser in which it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Who has shown it (`sub`), by the name that the session's issuer has for the person.
    pub subject: Arc<str>,
    /// When, by the wall clock, which is all that outlives a session.
    pub at: UnixSeconds,
    /// How long the audience's policy lets it count.
    pub remember: Duration,
    /// What was shown.
    pub proof: Proof,
}

impl Tokenward {
    /// Returns how long a factor that is shown for `audience` counts for later sessions of the same
    /// browser; `None` where the policy lets none count.
    pub fn remembers(&self, audience: &Audience) -> Option<Duration> {
        self.shared.policies().audience(audience).mfa.remember()
    }

    /// Returns what the person has shown in this session that may be remembered for `audience`.
    ///
    /// # Errors
    /// [`MfaFault::SignInRequired`] and [`MfaFault::NotNow`].
    pub async fn to_remember(
        &self,
        key: &SessionKey,
        audience: &Audience,
    ) -> Result<Option<Shown>, MfaFault> {
        let policy = self.shared.policies().audience(audience).mfa;
        let (Some(remember), Some(strength)) = (policy.remember(), policy.strength()) else {
            return Ok(None);
        };
        let snapshot = self.snapshot_of(key).await?;
        let (now, UnixSeconds(wall)) = (self.shared.clock.now(), self.shared.clock.unix());
        let last = snapshot.proofs.len().saturating_sub(1);
        let shown = snapshot.proofs.iter().enumerate().rev().find_map(|(place, proof)| {
            let age = match proof.at {
                Some(at) => now.since(at),
                // Providers may leave auth_time out (OpenID Connect Core §2); what came last came
                // with the step-up that has just gone through.
                None if place == last => Duration::ZERO,
                None => return None,
            };
            strength.is_met_in_kind(proof).then(|| Shown {
                subject: Arc::clone(&snapshot.subject),
                at: UnixSeconds(wall.saturating_sub(age.as_secs())),
                remember,
                proof: Proof { at: None, ..proof.clone() },
            })
        });
        Ok(shown)
    }
}
