//! Stepping up: how a person meets a demand for another factor (laws L8 and L9).
//!
//! A demand holds exactly one audience with its scopes ([`Hold`]). It is met
//! in one of two ways, and both end in one exchange like any other (law L2):
//!
//! - by the provider's MFA API, while the hold's [`Context`] lasts: [`Way::Verify`];
//! - by a redirect to the provider that comes back with a code: [`Way::Return`] (RFC 9470).
//!
//! Where to read on: [`classify`] for what a provider's "no" means here, [`strength`] for what an
//! audience's policy asks of a person, [`context`] for what a caller's handle is good for.

use crate::event::EndReason;
use crate::name::WaiterId;
use crate::refusal::OperatorFault;
use crate::secret::{MfaToken, Passcode};
use crate::session::Need;
use crate::snapshot::Hold;
use crate::time::Instant;
use std::time::Duration;

pub mod classify;
pub mod context;
pub mod factor;
pub mod fault;
pub mod fields;
pub mod limit;
pub mod poll;
pub mod strength;

pub use self::classify::{Asked, Meaning};
pub use self::context::{CONTEXT_TTL, Context, ContextId};
pub use self::factor::Factor;
pub use self::fault::{FaultClass, StatusProfile};
pub use self::fields::{Evidence, Fields};
pub use self::strength::{Origin, Proof, Remembered, Strength};

/// The most steps up that wait for their turn in one session: as many as a person has tabs open.
/// Each is one exchange.
pub const STEPS_MAX: usize = 8;

/// A person's try to meet a demand.
#[derive(Clone, Debug)]
pub struct StepUp {
    /// Who waits for what comes of it.
    pub waiter: WaiterId,
    /// How.
    pub way: Way,
    /// When whoever waits must be told to come back, if it has not left by then.
    pub deadline: Instant,
}

/// How a demand is to be met.
#[derive(Clone, Debug)]
pub enum Way {
    /// By the provider's MFA API.
    Verify {
        /// The context of the demand.
        context: ContextId,
        /// What is shown.
        evidence: Evidence,
        /// The factor, as far as it is known; for counting.
        factor: Option<Factor>,
    },
    /// By a redirect that has come back with a code.
    Return {
        /// What is held.
        need: Need,
        /// The code.
        code: Code,
    },
}

/// What a redirect came back with, and what it was sent away with.
#[derive(Clone, Debug)]
pub struct Code {
    /// The code.
    pub code: Passcode,
    /// The PKCE secret (RFC 7636).
    pub code_verifier: Passcode,
    /// The address the browser was sent back to.
    pub redirect_uri: String,
    /// What the ID token must repeat.
    pub nonce: String,
}

/// What a flight does at the provider.
#[derive(Clone, Debug)]
pub enum Errand {
    /// Spend the refresh token.
    Refresh,
    /// Show a factor.
    Verify {
        /// The provider's name for the demand.
        mfa_token: MfaToken,
        /// What is shown.
        evidence: Evidence,
        /// The factor, as far as it is known.
        factor: Option<Factor>,
    },
    /// Exchange the code that a redirect brought.
    Code(Box<Code>),
}

/// What came of a step up.
#[derive(Clone, Debug)]
pub enum Report {
    /// The demand is met; everything is durable.
    Verified {
        /// What was held.
        need: Need,
        /// The recovery code that replaces the one that was used: to be shown once.
        recovery_code: Option<Passcode>,
    },
    /// The provider has not heard from the person yet.
    Pending,
    /// The provider has not heard from the person yet, and is asked too often.
    SlowDown,
    /// The code is wrong; another may be tried.
    WrongCode,
    /// The person said no.
    Rejected,
    /// The challenge is spent or unknown; a new one may be started.
    ChallengeInvalid,
    /// The context is over.
    ContextExpired,
    /// The provider does not know its own mfa_token any more.
    ContextInvalid,
    /// There is no such context: it was used, replaced or released.
    ContextNotFound,
    /// The person has to enrol a factor first.
    EnrollRequired,
    /// One more factor is wanted.
    Chained(Box<Hold>),
    /// The provider has seen too many tries of this person.
    TooManyAttempts {
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// The provider finds the request wrong; the code is its `error`.
    BadRequest(String),
    /// Somebody else came back from the provider.
    WrongPerson,
    /// The person came back without what was demanded.
    NotMet(&'static str),
    /// Nothing is held for this.
    NothingHeld,
    /// Not within the time: nobody knows whether it went through, or it has not left yet.
    NotNow {
        /// When it may be worth asking again.
        retry_after: Duration,
        /// The reason code of what is waited for.
        why: &'static str,
    },
    /// The provider's reply was of no use; the code says how.
    Unusable(&'static str),
    /// The configuration is wrong: the operator must act.
    OperatorFault(OperatorFault),
    /// The session is over.
    Ended(EndReason),
}

impl Report {
    /// Returns the reason code shown to operators.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Verified { .. } => "verified",
            Self::Pending => "pending",
            Self::SlowDown => "slow_down",
            Self::WrongCode => "wrong_code",
            Self::Rejected => "rejected",
            Self::ChallengeInvalid => "challenge_invalid",
            Self::ContextExpired => "context_expired",
            Self::ContextInvalid => "context_invalid",
            Self::ContextNotFound => "context_not_found",
            Self::EnrollRequired => "enroll_required",
            Self::Chained(_) => "chained",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::BadRequest(_) => "bad_request",
            Self::WrongPerson => "wrong_subject",
            Self::NotMet(why) | Self::Unusable(why) => why,
            Self::NothingHeld => "nothing_held",
            Self::NotNow { why, .. } => why,
            Self::OperatorFault(fault) => fault.code(),
            Self::Ended(reason) => reason.code(),
        }
    }
}

impl Errand {
    /// Reports whether this spends the refresh token, as far as the provider lets on.
    pub const fn is_refresh(&self) -> bool {
        matches!(self, Self::Refresh)
    }
}
