//! How demands for another factor are treated.

use std::path::Path;
use std::time::Duration;

use tokenward::core::policy::{Backoff, MfaPolicy};

use super::{Fault, MfaConfig, StepUp, file};

/// The bounds of `mfa.context_ttl`: below, nobody finds their phone; above, no provider still knows
/// its own `mfa_token`.
const CONTEXT_TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(30)..=Duration::from_secs(3_600);

/// The least of `mfa.probe`: a probe is a request that the provider has refused before.
const PROBE_LEAST: Duration = Duration::from_secs(60);

/// Checks the `[mfa]` table.
pub(super) fn check(path: &Path, raw: &file::MfaSettings, faults: &mut Vec<Fault>) -> MfaConfig {
    let default = Backoff::default();
    let context_ttl = raw.context_ttl.map_or(default.context_ttl, |span| span.0);
    if !CONTEXT_TTL.contains(&context_ttl) {
        let wrong = "it is not between 30s and 1h; leave it out for five minutes";
        faults.push(Fault::new(path, "mfa.context_ttl", wrong));
    }
    let probe = raw.probe.map_or(default.hold_probe, |probe| probe.0);
    if probe.is_some_and(|every| every < PROBE_LEAST) {
        let wrong = "it is below one minute, and each probe is refused until a person acts; write \
                     \"6h\", or \"off\"";
        faults.push(Fault::new(path, "mfa.probe", wrong));
    }
    MfaConfig { context_ttl, probe }
}

impl StepUp {
    /// Returns the policy of the audience.
    pub(super) fn policy(&self) -> MfaPolicy {
        let classes = |acr: &Option<String>| acr.iter().cloned().collect();
        match self {
            Self::Always { acr } => MfaPolicy::Always { classes: classes(acr) },
            Self::MaxAge { age, acr } => MfaPolicy::MaxAge { max_age: *age, classes: classes(acr) },
            Self::Provider => MfaPolicy::Provider,
            Self::Session { remember } => {
                MfaPolicy::Session { classes: Vec::new(), remember: *remember }
            }
        }
    }
}
