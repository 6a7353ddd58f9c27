//! The errors of stepping up by name, and the HTTP status that each is told with.

/// An error that a caller of the step-up endpoints may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultClass {
    /// One more factor, or the first, is wanted.
    Required,
    /// The handle does not open.
    TokenInvalid,
    /// The handle's context is over.
    TokenExpired,
    /// The handle's context was used, replaced or released.
    TokenNotFound,
    /// The demand admits no such factor.
    NoAvailableFactors,
    /// The person has to enrol a factor first.
    EnrollRequired,
    /// The authenticators could not be listed.
    Authenticators,
    /// The challenge could not be started.
    Challenge,
    /// The factor could not be enrolled.
    Enrollment,
    /// The verification failed in some other way.
    Verify,
    /// The code is wrong.
    WrongCode,
    /// The challenge is spent or unknown.
    ChallengeInvalid,
    /// The person said no.
    Rejected,
    /// The person has not answered yet.
    Pending,
    /// The person has not answered yet, and is asked for too often.
    SlowDown,
    /// Too many tries.
    TooManyAttempts,
    /// The request is wrong.
    InvalidRequest,
    /// Only a redirect meets this demand.
    RedirectOnly,
    /// Somebody else came back.
    WrongPerson,
    /// What came back is too weak or too old.
    NotMet,
    /// The provider refused the code of a redirect.
    CodeRefused,
    /// Not now.
    NotNow,
    /// The operator must act.
    OperatorFault,
    /// A new sign-in is needed.
    SignInRequired,
}

/// Which statuses callers expect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusProfile {
    /// As the SDKs' documentation has them: invalid 400, expired 401, not found 404.
    #[default]
    Documented,
    /// As the SDKs' code has them: a handle that does not open is 401.
    Sdk,
}

impl FaultClass {
    /// Every class there is.
    pub const ALL: [FaultClass; 24] = [
        Self::Required,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::TokenNotFound,
        Self::NoAvailableFactors,
        Self::EnrollRequired,
        Self::Authenticators,
        Self::Challenge,
        Self::Enrollment,
        Self::Verify,
        Self::WrongCode,
        Self::ChallengeInvalid,
        Self::Rejected,
        Self::Pending,
        Self::SlowDown,
        Self::TooManyAttempts,
        Self::InvalidRequest,
        Self::RedirectOnly,
        Self::WrongPerson,
        Self::NotMet,
        Self::CodeRefused,
        Self::NotNow,
        Self::OperatorFault,
        Self::SignInRequired,
    ];

    /// Returns the `error` that callers are told.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Required => "mfa_required",
            Self::TokenInvalid => "mfa_token_invalid",
            Self::TokenExpired => "mfa_token_expired",
            Self::TokenNotFound => "mfa_token_not_found",
            Self::NoAvailableFactors => "mfa_no_available_factors",
            Self::EnrollRequired => "mfa_enroll_required",
            Self::Authenticators => "mfa_get_authenticators_error",
            Self::Challenge => "mfa_challenge_error",
            Self::Enrollment => "mfa_enrollment_error",
            Self::Verify => "mfa_verify_error",
            Self::WrongCode => "mfa_code_invalid",
            Self::ChallengeInvalid => "mfa_challenge_invalid",
            Self::Rejected => "mfa_rejected",
            Self::Pending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::TooManyAttempts => "too_many_attempts",
            Self::InvalidRequest => "invalid_request",
            Self::RedirectOnly => "mfa_redirect_only",
            Self::WrongPerson => "wrong_subject",
            Self::NotMet => "step_up_insufficient",
            Self::CodeRefused => "step_up_refused",
            Self::NotNow => "temporarily_unavailable",
            Self::OperatorFault => "server_error",
            Self::SignInRequired => "login_required",
        }
    }

    /// Finds the class that is told as `code`.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    /// Returns the HTTP status it is told with.
    pub const fn status(self, profile: StatusProfile) -> u16 {
        match (self, profile) {
            (Self::TokenInvalid, StatusProfile::Sdk) => 401,
            (Self::TokenExpired | Self::SignInRequired, _) => 401,
            (Self::Required | Self::Rejected | Self::WrongPerson | Self::NotMet, _) => 403,
            (Self::TokenNotFound, _) => 404,
            (Self::RedirectOnly, _) => 409,
            (Self::TooManyAttempts, _) => 429,
            (Self::OperatorFault, _) => 502,
            (Self::NotNow, _) => 503,
            (
                Self::TokenInvalid
                | Self::NoAvailableFactors
                | Self::EnrollRequired
                | Self::Authenticators
                | Self::Challenge
                | Self::Enrollment
                | Self::Verify
                | Self::WrongCode
                | Self::ChallengeInvalid
                | Self::Pending
                | Self::SlowDown
                | Self::InvalidRequest
                | Self::CodeRefused,
                _,
            ) => 400,
        }
    }
}
