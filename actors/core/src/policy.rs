//! What the operator decided: deadlines, margins, backoff, and what each audience asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::name::Audience;
use crate::scope::ScopeSet;
use crate::step_up::{CONTEXT_TTL, Remembered, Strength};

/// The policies a session acts under; replaced as a whole when the configuration is reloaded.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// Deadlines of an exchange, by the provider's reuse window.
    pub deadlines: Deadlines,
    /// How to wait after a failure.
    pub backoff: Backoff,
    /// How long a session may live at all, by the wall clock, from its sign-in; `None` for as long
    /// as the provider lets it.
    pub lifetime: Option<Duration>,
    /// The audiences that are known.
    pub audiences: BTreeMap<Audience, AudiencePolicy>,
}

impl Policies {
    /// Returns the policy of `audience`, the default one where it is not configured.
    pub fn audience(&self, audience: &Audience) -> AudiencePolicy {
        self.audiences.get(audience).cloned().unwrap_or_default()
    }
}

/// What an audience asks for and how fresh its access token must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudiencePolicy {
    /// The scopes to ask for where the caller names none.
    pub scopes: ScopeSet,
    /// When to exchange and until when to serve.
    pub margins: Margins,
    /// Whether to refresh ahead without traffic.
    pub keep_fresh: KeepFresh,
    /// When a person must show a factor, beside what the provider demands.
    pub mfa: MfaPolicy,
}

impl Default for AudiencePolicy {
    fn default() -> Self {
        Self {
            scopes: ScopeSet::default(),
            margins: Margins::default(),
            keep_fresh: KeepFresh::WhileUsed,
            mfa: MfaPolicy::Provider,
        }
    }
}

/// When a person must show a factor for an audience. The classes are those of which any will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MfaPolicy {
    /// When the provider demands it.
    #[default]
    Provider,
    /// Once in the life of the session.
    Session {
        /// The authentication classes (`acr`).
        classes: Vec<String>,
        /// How long a factor that was shown in the same browser counts for later sessions, too;
        /// `None` where it does not.
        remember: Option<Duration>,
    },
    /// For each access token anew: none is ever fetched without a person.
    Always {
        /// The authentication classes (`acr`).
        classes: Vec<String>,
    },
    /// When the last authentication is older than this (RFC 9470).
    MaxAge {
        /// The oldest authentication that will do.
        max_age: Duration,
        /// The authentication classes (`acr`).
        classes: Vec<String>,
    },
}

impl MfaPolicy {
    /// Returns what is asked of a person; `None` where only the provider asks.
    pub fn strength(&self) -> Option<Strength> {
        let strength = |classes: &Vec<String>, max_age, factor, each_time| {
            Some(Strength { classes: classes.clone(), max_age, factor, each_time })
        };
        match self {
            Self::Provider => None,
            Self::Session { classes, .. } => strength(classes, None, true, false),
            Self::Always { classes } => strength(classes, Some(Duration::ZERO), false, true),
            Self::MaxAge { max_age, classes } => strength(classes, Some(*max_age), false, false),
        }
    }

    /// Returns how long a factor counts for later sessions of the same browser.
    pub const fn remember(&self) -> Option<Duration> {
        match self {
            Self::Session { remember, .. } => *remember,
            Self::Always { .. } | Self::MaxAge { .. } | Self::Provider => None,
        }
    }

    /// Reports whether what was shown in an earlier session is all that this asks for.
    pub fn takes(&self, remembered: &Remembered) -> bool {
        let young = self.remember().is_some_and(|longest| remembered.age < longest);
        young && self.strength().is_some_and(|strength| strength.is_met_in_kind(&remembered.proof))
    }
}

/// Whether an audience's access token is refreshed ahead of need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepFresh {
    /// For as long as the session lives, with or without traffic.
    Always,
    /// Only if the present access token was used.
    WhileUsed,
}

impl KeepFresh {
    /// Reports whether it is refreshed without traffic.
    pub const fn is_always(self) -> bool {
        matches!(self, Self::Always)
    }
}

/// The two margins before an access token's end (law L6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins {
    /// How long before its end a token is refreshed in the background.
    pub refresh_ahead: Duration,
    /// How long before its end a token stops being handed out: the time a call may travel.
    pub serve: Duration,
}

impl Default for Margins {
    fn default() -> Self {
        Self { refresh_ahead: Duration::from_secs(60), serve: Duration::from_secs(5) }
    }
}

impl Margins {
    /// Returns the margins for a token that lives for `lifetime`.
    ///
    /// Each is capped at a share of the lifetime, so that ten-second tokens are refreshed at half
    /// time and served for eight: a fixed margin longer than the life would exchange on every call.
    /// A tenth would not do: `exp` is a whole second, so a provider's own count may end a second
    /// before ours.
    pub fn capped(self, lifetime: Duration) -> Margins {
        Margins {
            refresh_ahead: self.refresh_ahead.min(lifetime / 2),
            serve: self.serve.min(lifetime / 5),
        }
    }
}

/// The deadlines of an exchange (law L3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// How long one token request may take before its connection is cut.
    pub hard: Duration,
    /// How long a lease lasts: longer than `hard`, so that the holder is done before it ends.
    pub lease: Duration,
    /// How long a caller waits for one exchange before it is told to come back.
    pub soft: Duration,
    /// How long a caller waits at most while exchanges for other audiences come first: three in a
    /// row.
    pub patience: Duration,
    /// How much of the lease must be left for a request to be sent at all.
    pub send_margin: Duration,
    /// How long the provider takes the previous refresh token after a rotation.
    pub reuse_window: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::for_reuse_window(Duration::from_secs(60))
    }
}

impl Deadlines {
    /// Returns the profile for a provider's reuse window.
    ///
    /// - 30 s and more: a lost call is waited out for 13 s and its retry still falls inside the
    ///   window, which the simulation shows to lose nothing.
    /// - less: the call is given up earlier, so that the retry has a chance to fall inside.
    /// - none: no retry is safe; a long deadline makes it likely that the reply arrives.
    pub fn for_reuse_window(reuse_window: Duration) -> Self {
        let seconds = Duration::from_secs;
        let (hard, lease, soft) = if reuse_window >= seconds(30) || reuse_window.is_zero() {
            (seconds(13), seconds(15), seconds(8))
        } else {
            (seconds(3), Duration::from_millis(4500), seconds(3))
        };
        // What is left of the lease after the hard deadline is the time a commit may take.
        Self {
            hard,
            lease,
            soft,
            patience: soft * 3,
            send_margin: hard + CLOCKS_APART,
            reuse_window,
        }
    }
}

/// By how much the clocks of two machines may differ where they judge one lease: who takes it over
/// early by this much still finds the lost call cut.
const CLOCKS_APART: Duration = Duration::from_millis(500);

/// How to wait after a failure: full jitter under an exponential ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling after the first failure.
    pub first: Duration,
    /// The highest ceiling.
    pub most: Duration,
    /// How long an operator's fault is left alone before it is looked at again.
    pub operator_fault: Duration,
    /// How often a held audience is probed without a person; `None` never.
    pub hold_probe: Option<Duration>,
    /// How long a person may use the provider's MFA API to meet one demand.
    pub context_ttl: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            most: Duration::from_secs(30),
            operator_fault: Duration::from_secs(60),
            hold_probe: Some(Duration::from_secs(6 * 3600)),
            context_ttl: CONTEXT_TTL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l6_margins_never_eat_a_short_token() {
        let seconds = Duration::from_secs;
        let margins = Margins::default();
        for (lifetime, ahead, serve) in [(3600, 60, 5.0), (10, 5, 2.0), (2, 1, 0.4)] {
            let capped = margins.capped(seconds(lifetime));
            assert_eq!(capped.refresh_ahead, seconds(ahead), "{lifetime} s");
            assert_eq!(capped.serve, Duration::from_secs_f64(serve), "{lifetime} s");
        }
    }

    #[test]
    fn l3_the_retry_of_a_lost_call_falls_inside_the_window() {
        for window in [5, 10, 29, 30, 60, 600] {
            let deadlines = Deadlines::for_reuse_window(Duration::from_secs(window));
            assert!(deadlines.hard < deadlines.lease);
            assert!(deadlines.soft <= deadlines.hard);
            assert!(deadlines.lease < deadlines.reuse_window, "{window} s");
        }
    }
}
