//! What was asked of a provider and how it went, for whoever counts.

use std::time::Duration;

use serde::Serialize;

use crate::core::grant::Unheard;

/// Hears of every HTTP request to a provider, and of what was noticed in its answers.
///
/// Called on the path of an exchange: an implementation must not block.
pub trait Observer: Send + Sync + 'static {
    /// Takes one request that has ended.
    fn requested(&self, request: Requested);

    /// Takes a refresh that the provider has refused.
    fn refused(&self, refused: &Refused<'_>) {
        let _ = refused;
    }

    /// Takes something odd in an answer that was usable all the same.
    fn noticed(&self, oddity: Oddity) {
        let _ = oddity;
    }
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn requested(&self, _: Requested) {}
}

/// One HTTP request to a provider that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requested {
    /// What was asked.
    pub endpoint: Endpoint,
    /// How it went.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// A refresh that the provider has refused, with what an operator asks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Refused<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The `error` member, shortened.
    pub error: Option<&'a str>,
    /// The `error_description` member, shortened.
    pub error_description: Option<&'a str>,
    /// The API that was asked for.
    pub audience: &'a str,
    /// The scopes that were asked for.
    pub scope: &'a str,
}

/// The endpoints of a provider, as the metrics tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Where a device asks for a code.
    DeviceAuthorization,
    /// The metadata document.
    Discovery,
    /// The signing keys.
    Jwks,
    /// The enrolment of a factor, and the list of what is enrolled.
    MfaAssociate,
    /// The challenge of a factor.
    MfaChallenge,
    /// The revocation endpoint.
    Revocation,
    /// The token endpoint.
    Token,
}

impl Endpoint {
    /// Returns the metric label.
    pub const fn code(self) -> &'static str {
        match self {
            Self::DeviceAuthorization => "device_authorization",
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
            Self::MfaAssociate => "mfa_associate",
            Self::MfaChallenge => "mfa_challenge",
            Self::Revocation => "revocation",
            Self::Token => "token",
        }
    }
}

/// How a request to a provider went, as the metrics tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was answered as hoped.
    Ok,
    /// It was refused by the provider's rules.
    OauthError,
    /// It was refused because there were too many.
    RateLimited,
    /// The provider is ill.
    ServerError,
    /// There was no connection, or it broke.
    Network,
    /// There was no answer in time.
    Timeout,
    /// The answer could not be understood.
    Malformed,
}

impl Outcome {
    /// Returns the metric label.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OauthError => "oauth_error",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
        }
    }

    pub(super) const fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Ok,
            429 => Self::RateLimited,
            500.. => Self::ServerError,
            _ => Self::OauthError,
        }
    }

    pub(super) const fn of_unheard(how: Unheard) -> Self {
        match how {
            Unheard::ConnectionLost => Self::Network,
            Unheard::Deadline | Unheard::GatewayTimeout => Self::Timeout,
        }
    }
}

/// Something odd in an answer that was usable all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Oddity {
    /// The ID token of a refresh did not pass, and was left out; the old one stays.
    IdTokenDropped,
    /// The ID token's `session_expiry` is no Unix time in seconds, and was ignored.
    CeilingIgnored,
    /// A refresh token came only to light in an answer that was unusable otherwise.
    RefreshTokenSalvaged,
    /// The provider's signing keys or metadata could not be fetched in the background; those held, if
    /// any, are used on.
    NotRenewed,
}

impl Oddity {
    /// Returns the reason code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::IdTokenDropped => "id_token_dropped",
            Self::CeilingIgnored => "ceiling_ignored",
            Self::RefreshTokenSalvaged => "refresh_token_salvaged",
            Self::NotRenewed => "not_renewed",
        }
    }
}
