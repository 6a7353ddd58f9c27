//! Why a step up does not go on, and who must act.

use std::time::Duration;

use super::view::Verified;
use crate::core::event::EndReason;
use crate::core::snapshot::Hold;
use crate::core::step_up::{FaultClass, Meaning, Report, StatusProfile};
use crate::provider::step_up::MfaApiError;

/// Why a step up does not go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MfaFault {
    /// The handle does not open: it was changed, or given to another session; start again.
    #[error("the MFA handle is not valid")]
    TokenInvalid,
    /// The time to meet the demand is over; start again.
    #[error("the time to show another factor is over")]
    TokenExpired,
    /// There is no such demand: it was met, replaced or released.
    #[error("there is no such demand for another factor")]
    TokenNotFound,
    /// The demand admits no such factor; the person chooses another.
    #[error("this factor does not meet the demand")]
    NoAvailableFactors,
    /// The person has to enrol a factor first.
    #[error("a factor has to be enrolled first")]
    EnrollRequired,
    /// The code is wrong; the person may try again.
    #[error("the code is wrong")]
    WrongCode,
    /// The challenge is spent or unknown; a new one may be started.
    #[error("the challenge is spent; start a new one")]
    ChallengeInvalid,
    /// The person said no.
    #[error("the request was rejected on the other device")]
    Rejected,
    /// The person has not answered yet.
    #[error("the person has not answered yet")]
    Pending {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The person has not answered yet, and is asked for too often.
    #[error("the person has not answered yet; ask less often")]
    SlowDown {
        /// When to ask again.
        retry_after: Duration,
    },
    /// One more factor is wanted.
    #[error("another factor is required for {}", .0.audience)]
    Required(Box<Hold>),
    /// Too many tries; the person waits.
    #[error("too many attempts")]
    TooManyAttempts {
        /// For how long.
        retry_after: Duration,
    },
    /// The authenticators cannot be listed; the code is the provider's `error`.
    #[error("the provider does not list the authenticators ({0})")]
    Authenticators(String),
    /// The challenge cannot be started; the code is the provider's `error`.
    #[error("the provider does not start the challenge ({0})")]
    Challenge(String),
    /// The factor cannot be enrolled; the code is the provider's `error`.
    #[error("the provider does not enrol the factor ({0})")]
    Enrollment(String),
    /// The verification is refused; the code is the provider's `error`.
    #[error("the provider does not accept the verification ({0})")]
    Verify(String),
    /// The caller's request is wrong.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// Only a redirect meets this demand.
    #[error("this demand is met by a redirect to the provider only")]
    RedirectOnly,
    /// Somebody else came back from the provider.
    #[error("somebody else signed in at the provider")]
    WrongPerson,
    /// The person came back without what was demanded.
    #[error("the authentication at the provider was not what was asked for ({why})")]
    NotMet {
        /// What it lacks.
        why: &'static str,
    },
    /// The provider refused the code of the redirect; the person tries again.
    #[error("the provider refused the code ({0})")]
    CodeRefused(String),
    /// Not now; the caller comes back.
    #[error("not at the moment ({why})")]
    NotNow {
        /// After how long.
        retry_after: Duration,
        /// The reason code of what is waited for.
        why: &'static str,
    },
    /// Our configuration does not fit the provider's; the operator must act.
    #[error("the provider refuses this client ({code}): the operator must act")]
    OperatorFault {
        /// What is wrong.
        code: &'static str,
    },
    /// There is no such session, or it has ended; the person must sign in.
    #[error("a new sign-in is needed")]
    SignInRequired {
        /// Why the session ended; `None` where there is none.
        reason: Option<EndReason>,
    },
}

impl MfaFault {
    /// Returns the class of the error, which has its code and its status.
    pub const fn class(&self) -> FaultClass {
        match self {
            Self::TokenInvalid => FaultClass::TokenInvalid,
            Self::TokenExpired => FaultClass::TokenExpired,
            Self::TokenNotFound => FaultClass::TokenNotFound,
            Self::NoAvailableFactors => FaultClass::NoAvailableFactors,
            Self::EnrollRequired => FaultClass::EnrollRequired,
            Self::WrongCode => FaultClass::WrongCode,
            Self::ChallengeInvalid => FaultClass::ChallengeInvalid,
            Self::Rejected => FaultClass::Rejected,
            Self::Pending { .. } => FaultClass::Pending,
            Self::SlowDown { .. } => FaultClass::SlowDown,
            Self::Required(_) => FaultClass::Required,
            Self::TooManyAttempts { .. } => FaultClass::TooManyAttempts,
            Self::Authenticators(_) => FaultClass::Authenticators,
            Self::Challenge(_) => FaultClass::Challenge,
            Self::Enrollment(_) => FaultClass::Enrollment,
            Self::Verify(_) => FaultClass::Verify,
            Self::InvalidRequest(_) => FaultClass::InvalidRequest,
            Self::RedirectOnly => FaultClass::RedirectOnly,
            Self::WrongPerson => FaultClass::WrongPerson,
            Self::NotMet { .. } => FaultClass::NotMet,
            Self::CodeRefused(_) => FaultClass::CodeRefused,
            Self::NotNow { .. } => FaultClass::NotNow,
            Self::OperatorFault { .. } => FaultClass::OperatorFault,
            Self::SignInRequired { .. } => FaultClass::SignInRequired,
        }
    }

    /// Returns the `error` that callers are told.
    pub const fn code(&self) -> &'static str {
        self.class().code()
    }

    /// Returns the HTTP status it is told with.
    pub const fn status(&self, profile: StatusProfile) -> u16 {
        self.class().status(profile)
    }

    /// Returns when it may be worth trying again, where that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Pending { retry_after }
            | Self::SlowDown { retry_after }
            | Self::TooManyAttempts { retry_after }
            | Self::NotNow { retry_after, .. } => Some(*retry_after),
            Self::TokenInvalid
            | Self::TokenExpired
            | Self::TokenNotFound
            | Self::NoAvailableFactors
            | Self::EnrollRequired
            | Self::WrongCode
            | Self::ChallengeInvalid
            | Self::Rejected
            | Self::Required(_)
            | Self::Authenticators(_)
            | Self::Challenge(_)
            | Self::Enrollment(_)
            | Self::Verify(_)
            | Self::InvalidRequest(_)
            | Self::RedirectOnly
            | Self::WrongPerson
            | Self::NotMet { .. }
            | Self::CodeRefused(_)
            | Self::OperatorFault { .. }
            | Self::SignInRequired { .. } => None,
        }
    }
}

/// How long a person is sent away whom the provider has locked out without saying for how long:
/// the time in which the strictest provider known gives back one try.
const LOCKED_OUT_FOR: Duration = Duration::from_secs(6 * 60);

/// Says what came of a verification; `every` is the pause between two questions about a push.
pub(super) fn verified(report: Report, every: Duration) -> Result<Verified, MfaFault> {
    told(report, every, MfaFault::Verify)
}

/// Says what came of a redirect.
pub(super) fn returned(report: Report) -> Result<Verified, MfaFault> {
    told(report, Duration::ZERO, MfaFault::CodeRefused)
}

fn told(
    report: Report,
    every: Duration,
    otherwise: fn(String) -> MfaFault,
) -> Result<Verified, MfaFault> {
    Err(match report {
        Report::Verified { need, recovery_code } => {
            let (audience, scopes) = (need.audience, need.scopes);
            return Ok(Verified { audience, scopes, recovery_code });
        }
        Report::Pending => MfaFault::Pending { retry_after: every },
        Report::SlowDown => {
            MfaFault::SlowDown { retry_after: every + crate::core::step_up::poll::SLOW_DOWN_BY }
        }
        Report::WrongCode => MfaFault::WrongCode,
        Report::Rejected => MfaFault::Rejected,
        Report::ChallengeInvalid => MfaFault::ChallengeInvalid,
        Report::ContextExpired => MfaFault::TokenExpired,
        Report::ContextInvalid => MfaFault::TokenInvalid,
        Report::ContextNotFound | Report::NothingHeld => MfaFault::TokenNotFound,
        Report::EnrollRequired => MfaFault::EnrollRequired,
        Report::Chained(hold) => MfaFault::Required(hold),
        Report::TooManyAttempts { wait } => {
            MfaFault::TooManyAttempts { retry_after: wait.unwrap_or(LOCKED_OUT_FOR) }
        }
        Report::BadRequest(code) => otherwise(code),
        Report::Unusable(why) => otherwise(why.to_owned()),
        Report::WrongPerson => MfaFault::WrongPerson,
        Report::NotMet(why) => MfaFault::NotMet { why },
        Report::NotNow { retry_after, why } => MfaFault::NotNow { retry_after, why },
        Report::OperatorFault(fault) => MfaFault::OperatorFault { code: fault.code() },
        Report::Ended(reason) => MfaFault::SignInRequired { reason: Some(reason) },
    })
}

/// Says why the MFA API did not do what was asked.
pub(super) fn of_api(error: MfaApiError, otherwise: fn(String) -> MfaFault) -> MfaFault {
    match error {
        MfaApiError::Refused(refusal, meaning) => match meaning {
            Meaning::TokenExpired => MfaFault::TokenExpired,
            Meaning::TokenInvalid => MfaFault::TokenInvalid,
            Meaning::EnrollRequired => MfaFault::EnrollRequired,
            Meaning::TooManyAttempts => {
                MfaFault::TooManyAttempts { retry_after: refusal.wait.unwrap_or(LOCKED_OUT_FOR) }
            }
            Meaning::BadRequest
            | Meaning::ChallengeInvalid
            | Meaning::CodeInvalid
            | Meaning::Fault(_)
            | Meaning::InteractionRequired
            | Meaning::LoginRequired
            | Meaning::NotMfa
            | Meaning::Pending
            | Meaning::ReauthRequired
            | Meaning::Rejected
            | Meaning::Required
            | Meaning::RequiredInteractive
            | Meaning::SlowDown
            | Meaning::Transient => otherwise(refusal.code()),
        },
        MfaApiError::NotNow { why, wait } => {
            let retry_after = wait.unwrap_or_default().max(Duration::from_secs(1));
            MfaFault::NotNow { retry_after, why }
        }
        MfaApiError::Malformed(why) => otherwise(why.to_owned()),
        MfaApiError::Operator(fault) => MfaFault::OperatorFault { code: fault.code() },
    }
}
