//! Everything that can be said about a session: no outcome is silent (law L16).

use std::time::Duration;

use crate::device_sign_in::codes::DeviceKind;
use crate::grant::{NotSentCause, Unheard};
use crate::name::{Audience, Generation};
use crate::refusal::{EndCause, OperatorFault};
use crate::scope::ScopeSet;
use crate::step_up::{Factor, Origin};
use crate::time::Instant;

/// One fact about one session. Holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// When a reply's access token was meant for another audience: saved nothing of it but the
    /// refresh token.
    AudienceMismatched {
        /// The audience that was asked for.
        audience: Audience,
    },
    /// When the provider decided against one audience.
    Denied {
        /// The audience that was asked for.
        audience: Audience,
        /// The provider's `error`.
        code: String,
    },
    /// When the provider granted less than was asked.
    Downscoped {
        /// The audience that was asked for.
        audience: Audience,
        /// What it left out.
        missing: ScopeSet,
    },
    /// When the session ended.
    Ended {
        /// Why.
        reason: EndReason,
    },
    /// When an exchange left for the provider's door.
    ExchangeStarted {
        /// The audience that is asked for.
        audience: Audience,
        /// What set it off.
        trigger: Trigger,
    },
    /// When a factor is demanded of a person.
    Held {
        /// The audience that was asked for.
        audience: Audience,
        /// Who demands it.
        origin: Origin,
    },
    /// When nobody met a demand in its time.
    Abandoned {
        /// The audience that is held.
        audience: Audience,
    },
    /// When a person was asked to show a factor.
    Challenged {
        /// The audience that is held.
        audience: Audience,
        /// The factor, where it is known.
        factor: Option<Factor>,
    },
    /// When a person met a demand.
    Verified {
        /// The audience that was held.
        audience: Audience,
        /// The factor, where it is known.
        factor: Option<Factor>,
        /// From the demand on.
        took: Duration,
    },
    /// When a person tried to meet a demand and did not.
    VerificationFailed {
        /// The audience that is held.
        audience: Audience,
        /// The factor, where it is known.
        factor: Option<Factor>,
        /// The reason code.
        code: &'static str,
    },
    /// When a hold ended because a token was granted.
    Released {
        /// The audience that was held.
        audience: Audience,
    },
    /// When another machine was found to be exchanging the refresh token.
    Elsewhere {
        /// How long word of it is waited for, at the longest.
        wait: Duration,
    },
    /// When it became unknown whether the refresh token was spent.
    InDoubt {
        /// How the answer was lost; `None` where the process that waited for it died.
        how: Option<Unheard>,
        /// When the exchange began that a dead process waited for; `None` where nobody knows, and
        /// where the process that waited lives.
        since: Option<Instant>,
        /// How long until the token may be sent once more.
        wait: Duration,
    },
    /// When a 200 broke the protocol.
    Malformed {
        /// The audience that was asked for.
        audience: Audience,
        /// What is wrong with it.
        why: &'static str,
        /// Whether a refresh token was salvaged from it.
        salvaged: bool,
    },
    /// When a request did not leave.
    NotSent {
        /// The audience that is asked for.
        audience: Audience,
        /// What kept it.
        cause: NotSentCause,
        /// How long the session waits.
        wait: Duration,
    },
    /// When the configuration turned out to be wrong.
    OperatorMustAct {
        /// What is wrong.
        fault: OperatorFault,
        /// The provider's `error`, or the status where it sent none.
        code: String,
    },
    /// When the provider was busy or ill.
    Postponed {
        /// The audience that was asked for.
        audience: Audience,
        /// The provider's `error`, or the status where it sent none.
        code: String,
        /// How long the session waits.
        wait: Duration,
    },
    /// When a new access token was stored and published.
    Refreshed {
        /// The audience it is for.
        audience: Audience,
        /// What set the exchange off.
        trigger: Trigger,
        /// The generation of the refresh token that is kept.
        generation: Generation,
        /// Whether the provider gave a new refresh token.
        rotated: bool,
        /// Whether the old access token had already ended.
        late: bool,
        /// The callers that were answered by it.
        waiters: u32,
        /// From the decision to the durable save.
        took: Duration,
    },
    /// When the audience or the scopes were refused.
    Rejected {
        /// The audience that was asked for.
        audience: Audience,
        /// The provider's `error`.
        code: String,
    },
    /// When a second spending of a refresh token was kept from happening.
    ReusePrevented {
        /// The audience that was asked for.
        audience: Audience,
    },
    /// When a record was read back into memory.
    Restored,
    /// When what an exchange brought could not be written yet: it is kept in memory and tried
    /// again.
    SaveDelayed {
        /// How often it has failed.
        failures: u32,
    },
    /// When the person signed in.
    SignedIn {
        /// The device that they signed in; `None` where it is their browser, or a program.
        device: Option<DeviceKind>,
    },
    /// When the store could not be asked.
    StoreFailed {
        /// How long the session waits.
        wait: Duration,
    },
    /// When a newer refresh token was there already: the present one is dropped.
    Superseded,
}

/// What set an exchange off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The access token nears its end.
    Ahead,
    /// A caller waits.
    Demand,
    /// The API refused the access token.
    Forced,
    /// The last exchange's outcome is unknown.
    Doubt,
    /// A person shows a factor.
    StepUp,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The longest time the provider allows has passed.
    Ceiling,
    /// Somebody ended it.
    LoggedOut(LogoutKind),
    /// No access token is left and there is no refresh token to get another.
    NoRefreshToken,
    /// The provider will not take the refresh token any more.
    Refused(EndCause),
    /// A reply was for another person.
    SubjectChanged,
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogoutKind {
    /// An operator.
    Admin,
    /// The provider, by back-channel logout.
    Backchannel,
    /// The provider, by a redirect of the browser.
    Provider,
    /// The person.
    User,
}

impl Event {
    /// Returns the reason code shown to operators, in metrics and in event streams.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Abandoned { .. } => "mfa_abandoned",
            Self::AudienceMismatched { .. } => "audience_mismatched",
            Self::Challenged { .. } => "mfa_challenged",
            Self::Denied { .. } => "denied",
            Self::Downscoped { .. } => "downscoped",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Ended { .. } => "ended",
            Self::ExchangeStarted { .. } => "exchange_started",
            Self::Held { .. } => "held",
            Self::InDoubt { .. } => "in_doubt",
            Self::Malformed { .. } => "malformed",
            Self::NotSent { .. } => "not_sent",
            Self::OperatorMustAct { .. } => "operator_must_act",
            Self::Postponed { .. } => "postponed",
            Self::Refreshed { .. } => "refreshed",
            Self::Rejected { .. } => "rejected",
            Self::Released { .. } => "released",
            Self::Restored => "restored",
            Self::ReusePrevented { .. } => "reuse_prevented",
            Self::SaveDelayed { .. } => "save_delayed",
            Self::SignedIn { .. } => "signed_in",
            Self::StoreFailed { .. } => "store_failed",
            Self::Superseded => "superseded",
            Self::Verified { .. } => "mfa_verified",
            Self::VerificationFailed { .. } => "mfa_failed",
        }
    }

    /// Returns the audience the fact is about, where it is about one.
    pub const fn audience(&self) -> Option<&Audience> {
        match self {
            Self::Abandoned { audience }
            | Self::AudienceMismatched { audience }
            | Self::Challenged { audience, .. }
            | Self::Denied { audience, .. }
            | Self::Downscoped { audience, .. }
            | Self::ExchangeStarted { audience, .. }
            | Self::Held { audience, .. }
            | Self::Malformed { audience, .. }
            | Self::NotSent { audience, .. }
            | Self::Postponed { audience, .. }
            | Self::Refreshed { audience, .. }
            | Self::Rejected { audience, .. }
            | Self::Released { audience }
            | Self::ReusePrevented { audience }
            | Self::Verified { audience, .. }
            | Self::VerificationFailed { audience, .. } => Some(audience),
            Self::Elsewhere { .. }
            | Self::Ended { .. }
            | Self::InDoubt { .. }
            | Self::OperatorMustAct { .. }
            | Self::Restored
            | Self::SaveDelayed { .. }
            | Self::SignedIn { .. }
            | Self::StoreFailed { .. }
            | Self::Superseded => None,
        }
    }

    /// Returns the factor that a person was asked for or tried, where the fact is about one that is
    /// known.
    pub const fn factor(&self) -> Option<Factor> {
        if let Self::Challenged { factor, .. }
        | Self::Verified { factor, .. }
        | Self::VerificationFailed { factor, .. } = self
        {
            *factor
        } else {
            None
        }
    }
}

impl Trigger {
    /// Returns the reason code shown to operators.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Demand => "demand",
            Self::Doubt => "doubt",
            Self::Forced => "forced",
            Self::StepUp => "step_up",
        }
    }
}

impl EndReason {
    /// Returns the reason code shown to operators.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::LoggedOut(kind) => kind.code(),
            Self::NoRefreshToken => "no_refresh_token",
            Self::Refused(cause) => cause.code(),
            Self::SubjectChanged => "subject_changed",
        }
    }

    /// Finds the reason with this code; `None` for a code that this version does not know.
    pub fn from_code(code: &str) -> Option<EndReason> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// Every reason there is.
    pub const ALL: [EndReason; 12] = [
        Self::Ceiling,
        Self::LoggedOut(LogoutKind::Admin),
        Self::LoggedOut(LogoutKind::Backchannel),
        Self::LoggedOut(LogoutKind::Provider),
        Self::LoggedOut(LogoutKind::User),
        Self::NoRefreshToken,
        Self::Refused(EndCause::InvalidGrant),
        Self::Refused(EndCause::ReplyLost),
        Self::Refused(EndCause::ReplyLostTooLong),
        Self::Refused(EndCause::UserBlocked),
        Self::Refused(EndCause::UserDeleted),
        Self::SubjectChanged,
    ];
}

impl LogoutKind {
    /// Returns the reason code shown to operators.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Admin => "logged_out_by_admin",
            Self::Backchannel => "logged_out_by_backchannel",
            Self::Provider => "logged_out_by_provider",
            Self::User => "logged_out_by_user",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_reason_survives_its_code() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(EndReason::from_code("unheard_of"), None);
    }
}
