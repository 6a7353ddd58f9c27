//! What a provider's "no" means while a person steps up (laws L7 and L8).
//!
//! The same `error` means different things to different questions: `invalid_grant` ends a session
//! where a refresh token was sent, and is a typing error where a code was.

use crate::refusal::{OperatorFault, Refusal};

/// What the provider was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A refresh.
    Refresh,
    /// An authorization without a person (`prompt=none`).
    Silent,
    /// The list of authenticators.
    Authenticators,
    /// A challenge.
    Challenge,
    /// An enrolment.
    Associate,
    /// A verification by one-time code.
    Otp,
    /// A verification by something the person did elsewhere.
    Oob,
    /// A verification by recovery code.
    Recovery,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A factor is demanded.
    Required,
    /// A factor is demanded of somebody who has none yet.
    EnrollRequired,
    /// A factor is demanded that only a visible sign-in can ask for.
    RequiredInteractive,
    /// A factor is demanded without the means to show it: only a new sign-in helps.
    ReauthRequired,
    /// Nobody is signed in at the provider.
    LoginRequired,
    /// The provider must ask the person something.
    InteractionRequired,
    /// The mfa_token's time is over.
    TokenExpired,
    /// The mfa_token is none.
    TokenInvalid,
    /// The code is wrong.
    CodeInvalid,
    /// The challenge is spent or unknown: no fault of the person.
    ChallengeInvalid,
    /// The person said no.
    Rejected,
    /// The person has not answered yet.
    Pending,
    /// The person has not answered yet, and the provider is asked too often.
    SlowDown,
    /// Too many tries of this person.
    TooManyAttempts,
    /// The request is wrong.
    BadRequest,
    /// The provider is busy or ill: no failure of the person.
    Transient,
    /// The configuration is wrong.
    Fault(OperatorFault),
    /// It has nothing to do with factors.
    NotMfa,
}

impl Asked {
    /// Finds what was asked by its usual name; `None` for an unknown one.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.rsplit('/').next().unwrap_or(name) {
            "refresh_token" => Self::Refresh,
            "silent_auth" => Self::Silent,
            "authenticators" => Self::Authenticators,
            "challenge" => Self::Challenge,
            "associate" | "enroll" => Self::Associate,
            "mfa-otp" => Self::Otp,
            "mfa-oob" => Self::Oob,
            "mfa-recovery-code" => Self::Recovery,
            _ => return None,
        })
    }

    const fn verifies(self) -> bool {
        matches!(self, Self::Otp | Self::Oob | Self::Recovery)
    }

    const fn is_mfa(self) -> bool {
        !matches!(self, Self::Refresh | Self::Silent)
    }
}

/// Decides what `refusal` means as an answer to `asked`.
pub fn meaning(asked: Asked, refusal: &Refusal) -> Meaning {
    // Older endpoints of one provider put a prefix before the same words.
    let error = refusal.error.as_deref().map(|error| error.strip_prefix("a0.").unwrap_or(error));
    match error {
        Some("mfa_required") => demanded(asked, refusal),
        Some("mfa_registration_required" | "association_required")
        | Some("unsupported_challenge_type") => Meaning::EnrollRequired,
        Some("mfa_invalid_code") => Meaning::CodeInvalid,
        Some("login_required" | "interaction_required") if refusal.demands_factor_in_words() => {
            Meaning::RequiredInteractive
        }
        Some("login_required") if asked == Asked::Silent => Meaning::LoginRequired,
        Some("consent_required" | "interaction_required" | "account_selection_required")
            if asked == Asked::Silent =>
        {
            Meaning::InteractionRequired
        }
        Some(error) if asked.is_mfa() => of_mfa(asked, error, refusal),
        Some("server_error" | "temporarily_unavailable") => Meaning::Transient,
        Some(_) => Meaning::NotMfa,
        None => by_status(asked, refusal.status),
    }
}

fn demanded(asked: Asked, refusal: &Refusal) -> Meaning {
    let demand = refusal.mfa.as_ref();
    if asked == Asked::Silent {
        return Meaning::RequiredInteractive;
    }
    match demand {
        Some(demand) if demand.mfa_token.is_some() => {
            if demand.challenge.is_empty() && !demand.enroll.is_empty() {
                Meaning::EnrollRequired
            } else {
                Meaning::Required
            }
        }
        Some(_) | None => Meaning::ReauthRequired,
    }
}

fn of_mfa(asked: Asked, error: &str, refusal: &Refusal) -> Meaning {
    let of_mfa_token = || {
        if refusal.describes("expired") { Meaning::TokenExpired } else { Meaning::TokenInvalid }
    };
    match error {
        "authorization_pending" => Meaning::Pending,
        "slow_down" => Meaning::SlowDown,
        "expired_token" => Meaning::TokenExpired,
        "invalid_token" => of_mfa_token(),
        "invalid_grant" | "invalid_request" if refusal.describes("mfa_token") => of_mfa_token(),
        "invalid_grant" if refusal.describes("rejected") => Meaning::Rejected,
        "invalid_grant" if refusal.describes("oob_code") => Meaning::ChallengeInvalid,
        "invalid_grant" if asked.verifies() => Meaning::CodeInvalid,
        "access_denied" => Meaning::Rejected,
        "too_many_attempts" => Meaning::TooManyAttempts,
        "invalid_client" | "unauthorized_client" => Meaning::Fault(OperatorFault::InvalidClient),
        "unsupported_grant_type" => Meaning::Fault(OperatorFault::UnsupportedGrant),
        "too_many_requests" | "server_error" | "temporarily_unavailable" => Meaning::Transient,
        // The body outranks the status, but a word nobody knows from an ill provider decides
        // nothing.
        _ if refusal.status >= 500 || refusal.status == 429 => Meaning::Transient,
        _ => Meaning::BadRequest,
    }
}

fn by_status(asked: Asked, status: u16) -> Meaning {
    match status {
        408 | 425 | 429 | 500.. => Meaning::Transient,
        401 if asked.is_mfa() && !asked.verifies() => Meaning::TokenInvalid,
        _ if asked.is_mfa() => Meaning::BadRequest,
        _ => Meaning::NotMfa,
    }
}

impl Meaning {
    /// Returns the reason code shown to operators.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Required => "mfa_required",
            Self::EnrollRequired => "mfa_enroll_required",
            Self::RequiredInteractive => "mfa_required_interactive",
            Self::ReauthRequired => "reauth_required",
            Self::LoginRequired => "login_required",
            Self::InteractionRequired => "interaction_required",
            Self::TokenExpired => "mfa_token_expired",
            Self::TokenInvalid => "mfa_token_invalid",
            Self::CodeInvalid => "mfa_code_invalid",
            Self::ChallengeInvalid => "mfa_challenge_invalid",
            Self::Rejected => "mfa_rejected",
            Self::Pending => "mfa_pending",
            Self::SlowDown => "slow_down",
            Self::TooManyAttempts => "mfa_rate_limited",
            Self::BadRequest => "mfa_bad_request",
            Self::Transient => "transient",
            Self::Fault(_) => "operator_fault",
            Self::NotMfa => "not_mfa",
        }
    }

    /// Reports whether the mfa_token is of no use any more: the provider must be asked for another.
    pub const fn restarts_flow(self) -> bool {
        matches!(self, Self::TokenExpired | Self::TokenInvalid)
    }

    /// Reports whether a new challenge is needed, with the same mfa_token.
    pub const fn restarts_challenge(self) -> bool {
        matches!(self, Self::ChallengeInvalid | Self::Rejected)
    }

    /// Reports whether the same question may be worth asking again without the person's doing.
    pub const fn may_be_repeated(self) -> bool {
        matches!(self, Self::Pending | Self::SlowDown | Self::Transient)
    }
}
