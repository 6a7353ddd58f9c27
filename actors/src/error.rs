//! Why a caller gets no access token, and who must act.

use std::sync::Arc;
use std::time::Duration;

use crate::core::event::EndReason;
use crate::core::scope::ScopeSet;
use crate::core::session::{Answer, Offer};
use crate::core::snapshot::Hold;

/// Why there is no access token for a call.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccessError {
    /// The provider decided against it; the provider's administrator must act.
    #[error("the provider denied access to this audience ({code})")]
    Denied {
        /// The provider's `error`.
        code: String,
    },
    /// The provider grants less than was asked; the person must consent, or the caller ask less.
    #[error("the provider did not grant: {missing}")]
    Downscoped {
        /// What is lacking.
        missing: ScopeSet,
    },
    /// A person must show another factor.
    #[error("another factor is required for {}", .0.audience)]
    MfaRequired(Box<Hold>),
    /// Not now; the caller should come back.
    #[error("no access token at the moment ({why})")]
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
    /// The audience or the scopes were refused; the operator must act.
    #[error("the provider refuses this audience or its scopes ({code})")]
    Rejected {
        /// The provider's `error`.
        code: String,
    },
    /// There is no such session, or it has ended; the person must sign in.
    #[error("a new sign-in is needed ({})", .reason.map_or("unknown_session", EndReason::code))]
    SignInRequired {
        /// Why the session ended; `None` where there is none.
        reason: Option<EndReason>,
    },
    /// The API refused the newest access token there is; another is not asked for yet.
    #[error("there is no newer access token than the refused one")]
    Unchanged,
    /// The provider's reply was of no use; the operator must act.
    #[error("the provider's access token cannot be used ({why})")]
    Unusable {
        /// What is wrong with it.
        why: &'static str,
    },
}

impl AccessError {
    /// Makes the error that `answer` is; `Err` gives back an answer that is none.
    pub(crate) fn of(answer: Answer) -> Result<Self, Arc<Offer>> {
        Ok(match answer {
            Answer::Busy => Self::NotNow { retry_after: BUSY_FOR, why: "busy" },
            Answer::Denied(code) => Self::Denied { code },
            Answer::Downscoped { missing } => Self::Downscoped { missing },
            Answer::Ended(reason) => Self::SignInRequired { reason: Some(reason) },
            Answer::Granted(offer) => return Err(offer),
            Answer::MfaRequired(hold) => Self::MfaRequired(hold),
            Answer::NotNow { retry_after, why } => Self::NotNow { retry_after, why },
            Answer::OperatorFault(fault) => Self::OperatorFault { code: fault.code() },
            Answer::Rejected(code) => Self::Rejected { code },
            Answer::Unchanged => Self::Unchanged,
            Answer::Unusable(why) => Self::Unusable { why },
        })
    }
}

/// How long a caller is sent away where a queue is full: the time in which one empties.
pub(crate) const BUSY_FOR: Duration = Duration::from_secs(1);
