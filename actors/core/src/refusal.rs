//! What a provider's "no" means for the session (law L7).
//!
//! Providers disagree on statuses and agree on `error`, so the body decides and the status only
//! fills in where there is no body. The grant that was sent decides too: `invalid_grant` ends a
//! session when a refresh token was sent, and is a typing error when a one-time code was.

use std::time::Duration;

/// An answer that says no, reduced to what decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `error` of RFC 6749 §5.2, cut to [`ERROR_BYTES_MAX`]; `None` where the body had none.
    pub error: Option<String>,
    /// `error_description`, cut to [`DESCRIPTION_BYTES_MAX`].
    pub description: Option<String>,
    /// How long the provider asks to wait (`Retry-After`, `x-ratelimit-reset`).
    pub wait: Option<Duration>,
    /// What the provider demands where it demands a factor.
    pub mfa: Option<MfaDemand>,
}

/// The longest `error` that is kept: RFC 6749 names are far shorter.
pub const ERROR_BYTES_MAX: usize = 64;

/// The longest `error_description` that is kept: a sentence for an operator.
pub const DESCRIPTION_BYTES_MAX: usize = 256;

/// A demand for another factor (`mfa_required`).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MfaDemand {
    /// The provider's `mfa_token`; `None` where only a new sign-in can satisfy the demand.
    pub mfa_token: Option<crate::secret::MfaToken>,
    /// The factor types that may be challenged.
    pub challenge: Vec<String>,
    /// The factor types that may be enrolled.
    pub enroll: Vec<String>,
    /// Whether the provider listed factor types at all; where it did not, any may be tried.
    pub is_listed: bool,
}

impl std::fmt::Debug for MfaDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MfaDemand")
            .field("challenge", &self.challenge)
            .field("enroll", &self.enroll)
            .finish_non_exhaustive()
    }
}

/// What follows from a refusal of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The refresh token is dead: only a new sign-in helps.
    Ends(EndCause),
    /// The provider decided against this request: this audience is parked, the session lives.
    Denies,
    /// A person must show another factor for this audience.
    Holds,
    /// The configuration is wrong: the operator must act, nobody is logged out.
    Faults(OperatorFault),
    /// The audience or the scopes were refused: this request is hopeless, others are not.
    Rejects,
    /// The provider is busy or ill: wait and try again.
    Waits,
    /// The reply may come late from a provider that still works on it: in doubt.
    Doubts,
}

/// Why the provider will not take a refresh token any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// Expired, revoked, reused or unknown: providers do not say which.
    InvalidGrant,
    /// As [`EndCause::InvalidGrant`], of a refresh token that was sent again because the reply to
    /// its first exchange was lost, to a provider that gives no reuse window.
    ReplyLost,
    /// As [`EndCause::ReplyLost`], to a provider whose reuse window did not last or is not known.
    ReplyLostTooLong,
    /// The person is blocked.
    UserBlocked,
    /// The person was deleted.
    UserDeleted,
}

/// What is wrong between our configuration and the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperatorFault {
    /// The provider does not accept our client credentials.
    InvalidClient,
    /// The provider does not know the grant, or does not allow it to this client.
    UnsupportedGrant,
    /// The provider finds our request wrong.
    InvalidRequest,
}

impl Refusal {
    /// Decides what this answer to a refresh means.
    pub fn fate(&self) -> Fate {
        match self.error.as_deref() {
            Some("invalid_grant") => Fate::Ends(self.end_cause()),
            Some("unauthorized") if self.describes("blocked") => Fate::Ends(EndCause::UserBlocked),
            Some("mfa_required" | "a0.mfa_required") => Fate::Holds,
            Some("login_required" | "interaction_required") if self.demands_factor_in_words() => {
                Fate::Holds
            }
            Some("access_denied") => Fate::Denies,
            Some("invalid_client" | "unauthorized_client") => {
                Fate::Faults(OperatorFault::InvalidClient)
            }
            Some("unsupported_grant_type") => Fate::Faults(OperatorFault::UnsupportedGrant),
            Some("invalid_request" | "use_dpop_nonce") => {
                Fate::Faults(OperatorFault::InvalidRequest)
            }
            Some("invalid_scope" | "invalid_target") => Fate::Rejects,
            Some("too_many_requests" | "too_many_attempts" | "slow_down" | "server_error")
            | Some("temporarily_unavailable") => Fate::Waits,
            Some(_) | None => self.fate_by_status(),
        }
    }

    /// Reports whether the refresh token may have been spent all the same: a bare failure can come
    /// from the provider's edge after the provider has rotated. An `error` of its own, or a time to
    /// wait, shows that the provider itself turned the request down.
    pub fn may_have_spent(&self) -> bool {
        self.status >= 500 && self.error.is_none() && self.wait.is_none()
    }

    /// Returns the name of the refusal for operators: its `error`, or its status where it has none.
    pub fn code(&self) -> String {
        match &self.error {
            Some(error) => error.clone(),
            None => format!("http_{}", self.status),
        }
    }

    fn end_cause(&self) -> EndCause {
        if self.describes("user who doesn't exist") {
            EndCause::UserDeleted
        } else if self.describes("blocked") {
            EndCause::UserBlocked
        } else {
            EndCause::InvalidGrant
        }
    }

    fn fate_by_status(&self) -> Fate {
        match self.status {
            // Some providers answer a dead token and a wrong client secret alike, with 400 or 401
            // and nothing else: not proof enough to log anybody out.
            408 | 425 | 429 => Fate::Waits,
            400..=499 => Fate::Faults(OperatorFault::InvalidRequest),
            504 => Fate::Doubts,
            _ => Fate::Waits,
        }
    }

    /// Reports whether a sign-in is refused for want of a factor only (seed 002's spelling).
    pub(crate) fn demands_factor_in_words(&self) -> bool {
        self.describes("multifactor authentication required")
    }

    /// Reports whether the description holds `words`, which are in lower case.
    pub(crate) fn describes(&self, words: &str) -> bool {
        self.description
            .as_deref()
            .is_some_and(|description| description.to_ascii_lowercase().contains(words))
    }
}

impl EndCause {
    /// Returns the reason code shown to operators.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidGrant => "invalid_grant",
            Self::ReplyLost => "reply_lost_without_reuse_window",
            Self::ReplyLostTooLong => "reply_lost_beyond_reuse_window",
            Self::UserBlocked => "user_blocked",
            Self::UserDeleted => "user_deleted",
        }
    }
}

impl OperatorFault {
    /// Returns the reason code shown to operators.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidClient => "invalid_client",
            Self::InvalidRequest => "invalid_request",
            Self::UnsupportedGrant => "unsupported_grant",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, error: &str, description: &str) -> Refusal {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Refusal { status, error: text(error), description: text(description), ..Refusal::default() }
    }

    #[test]
    fn l7_fate_follows_the_cause_and_not_the_status() {
        use super::EndCause::{InvalidGrant, UserBlocked, UserDeleted};
        use super::OperatorFault::{InvalidClient, InvalidRequest, UnsupportedGrant};
        let mfa = "Multifactor authentication required";
        let gone = "The refresh_token was generated for a user who doesn't exist anymore.";
        for (status, error, description, fate) in [
            (403, "invalid_grant", "token revoked", Fate::Ends(InvalidGrant)),
            (401, "invalid_grant", "", Fate::Ends(InvalidGrant)),
            (403, "invalid_grant", gone, Fate::Ends(UserDeleted)),
            (403, "unauthorized", "user is blocked", Fate::Ends(UserBlocked)),
            (403, "mfa_required", mfa, Fate::Holds),
            (401, "mfa_required", "", Fate::Holds),
            (200, "login_required", mfa, Fate::Holds),
            (403, "access_denied", "Access denied", Fate::Denies),
            (500, "access_denied", "denied by action", Fate::Denies),
            (401, "invalid_client", "", Fate::Faults(InvalidClient)),
            (400, "unsupported_grant_type", "", Fate::Faults(UnsupportedGrant)),
            (400, "invalid_request", "", Fate::Faults(InvalidRequest)),
            (400, "invalid_scope", "", Fate::Rejects),
            (400, "invalid_target", "", Fate::Rejects),
            (429, "too_many_requests", "", Fate::Waits),
            (429, "", "", Fate::Waits),
            (500, "server_error", "", Fate::Waits),
            (503, "", "", Fate::Waits),
            (504, "", "", Fate::Doubts),
            (400, "", "", Fate::Faults(InvalidRequest)),
        ] {
            let refusal = refusal(status, error, description);
            assert_eq!(refusal.fate(), fate, "{refusal:?}");
        }
    }
}
