//! What goes wrong between us and a provider, apart from the exchange of a refresh token.

use std::time::Duration;

use crate::core::grant::{NotSent, Unheard};
use crate::core::refusal::Refusal;
use crate::provider::jwks::JwtFault;

/// Why the provider could not do what was asked of it. Never holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// The metadata could not be had; the operator checks the issuer, or waits.
    #[error("the provider's metadata cannot be used: {why}")]
    Discovery {
        /// What is wrong.
        why: String,
        /// When it is worth asking again.
        wait: Option<Duration>,
    },
    /// The provider offers no such endpoint; the operator does without, or sets it.
    #[error("the provider offers no {0}")]
    NotOffered(&'static str),
    /// The provider was not reached, or its answer was lost; it may work later.
    #[error("the provider could not be reached: {0}")]
    Unreachable(&'static str),
    /// The provider refused; the operator looks at its answer.
    #[error("the provider refused: {error} (status {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The `error` of the answer, or the status again.
        error: String,
        /// How long the provider asks to wait.
        wait: Option<Duration>,
    },
    /// Our client assertion cannot be signed; the operator checks the private key.
    #[error("the client assertion cannot be signed with the provider's private key")]
    Unsigned,
}

impl ProviderError {
    /// Returns the same error with the time after which the metadata are asked for again.
    pub(super) fn waiting(self, left: Duration) -> Self {
        if let Self::Discovery { why, .. } = self {
            Self::Discovery { why, wait: Some(left) }
        } else {
            self
        }
    }
}

/// Why a sign-in did not bring a session.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignInError {
    /// The provider cannot be used at all.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The provider refused the code; the person signs in again, or the operator must act.
    #[error("the provider refused the sign-in: {}", .0.code())]
    Refused(Refusal),
    /// The request was not sent; the person tries again after the wait.
    #[error("the sign-in cannot be completed at the moment: {}", .0.cause.code())]
    NotSent(NotSent),
    /// The answer was lost; a code is good for one try, so the person signs in again.
    #[error("the provider's answer to the sign-in was lost: {}", .0.code())]
    Unheard(Unheard),
    /// The answer cannot be used; the operator looks at the provider.
    #[error("the provider's answer to the sign-in cannot be used: {0}")]
    Malformed(&'static str),
    /// The ID token does not pass.
    #[error("the ID token of the sign-in does not pass: {0}")]
    IdToken(#[from] IdTokenFault),
    /// The session would end within seconds of its beginning (IPSIE `session_expiry`).
    #[error("the provider limits the session to a time that is already over")]
    BornExpired,
}

/// Why an ID token or a logout token does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenFault {
    /// The signature or its key does not pass.
    #[error(transparent)]
    Signature(#[from] JwtFault),
    /// There is none.
    #[error("there is none; does the sign-in ask for the scope `openid`?")]
    Missing,
    /// `iss` is not the provider.
    #[error("its issuer is another provider")]
    Issuer,
    /// `aud` is not us.
    #[error("it is meant for another client")]
    Audience,
    /// `azp` is missing among several audiences, or is not us.
    #[error("its authorized party is another client")]
    AuthorizedParty,
    /// `sub` is missing or empty.
    #[error("it names nobody")]
    Subject,
    /// `exp` is missing or has passed.
    #[error("it has expired")]
    Expired,
    /// `iat` or `nbf` is further ahead than clocks differ.
    #[error("it is from the future: compare this machine's clock with the provider's")]
    TooEarly,
    /// `nonce` is not the one of this sign-in.
    #[error("it belongs to another sign-in")]
    Nonce,
    /// `auth_time` is missing or too long ago for the `max_age` asked for.
    #[error("the person authenticated longer ago than was asked for")]
    AuthTime,
    /// A logout token without the back-channel logout event, or with a nonce.
    #[error("it is no logout token")]
    NoLogoutToken,
    /// A logout token that names neither a person nor a session.
    #[error("it names neither a person nor a session")]
    NobodyToLogOut,
    /// A logout token whose `jti` is missing or was seen before.
    #[error("it was used before")]
    Replayed,
}
