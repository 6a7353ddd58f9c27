//! What a provider answered, as meaning instead of bytes.

use std::time::Duration;

use crate::refusal::Refusal;
use crate::scope::ScopeSet;
use crate::secret::{AccessToken, IdToken, Passcode, RefreshToken};
use crate::step_up::Proof;
use crate::time::UnixSeconds;

/// What became of one token request that was sent, or was meant to be.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A 200 that keeps every promise of RFC 6749 §5.1.
    Granted(Box<Grant>),
    /// A 200 that cannot be used, but may carry the new refresh token all the same.
    Malformed(Malformed),
    /// An answer that says no.
    Refused(Refusal),
    /// The request left, and no whole answer came: the provider may have rotated.
    Unheard(Unheard),
    /// The request never left: nothing was spent.
    NotSent(NotSent),
}

/// A checked success: every field is usable as it is.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The new access token; never empty.
    pub access_token: AccessToken,
    /// How long it lives from the moment of receipt; `None` where the provider did not say.
    pub lifetime: Option<Duration>,
    /// What was granted; `None` where the provider left it out, which means "as asked"
    /// (RFC 6749 §5.1).
    pub granted: Option<ScopeSet>,
    /// The new refresh token; `None` where the provider does not rotate: the old one stays.
    pub refresh_token: Option<RefreshToken>,
    /// The new ID token, already verified; `None` where the reply had none: the old one stays.
    pub id_token: Option<IdToken>,
    /// What the access token says of itself, where it is a JWT.
    pub claims: Option<AccessClaims>,
    /// The session ceiling the ID token carries (IPSIE `session_expiry`), if any.
    pub ceiling: Option<UnixSeconds>,
    /// How the person authenticated, as a verified ID token says; `None` without one.
    pub proof: Option<Proof>,
    /// The recovery code that replaces the one which was used, if any.
    pub recovery_code: Option<Passcode>,
}

/// The claims of a JWT access token that decide whether it may be used (law L5).
///
/// Read without verifying the signature: the token came straight from the provider over TLS, and
/// the API it is for will verify it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessClaims {
    /// `aud`, as a list; empty where the token has none.
    pub audiences: Vec<String>,
    /// `sub`, if any.
    pub subject: Option<String>,
    /// The issuer that an ID token beside it was verified against; `None` without one. Never the
    /// access token's own `iss`, which some providers spell differently.
    pub issuer: Option<String>,
}

/// A 200 that breaks RFC 6749 §5.1.
#[derive(Clone, Debug)]
pub struct Malformed {
    /// The refresh token that could be salvaged: it replaces the spent one (law L2).
    pub refresh_token: Option<RefreshToken>,
    /// What is wrong, in words fit for an operator; never the reply's own text.
    pub why: &'static str,
}

/// How an answer was lost after the request had begun to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// The hard deadline passed.
    Deadline,
    /// The connection ended before the reply was whole: no late request can follow on it.
    ConnectionLost,
    /// A gateway in between gave up waiting (504): the provider may still be at it.
    GatewayTimeout,
}

/// Why a request did not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSent {
    /// The cause.
    pub cause: NotSentCause,
    /// How long the provider, or the breaker before it, asks everybody to wait.
    pub wait: Option<Duration>,
}

/// What kept a request from leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSentCause {
    /// The circuit breaker towards the provider is open.
    BreakerOpen,
    /// No connection could be made: refused, no route, DNS, TLS.
    Connect,
    /// Discovery has not succeeded yet, so the token endpoint is unknown.
    Discovery,
    /// Too many requests to this provider wait for their turn.
    Queue,
    /// The provider asked everybody to wait (429), and that time has not passed.
    RateLimited,
}

impl NotSentCause {
    /// Returns the reason code shown to operators.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::Connect => "connect",
            Self::Discovery => "discovery",
            Self::Queue => "queue",
            Self::RateLimited => "rate_limited",
        }
    }
}

impl Unheard {
    /// Returns the reason code shown to operators.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ConnectionLost => "connection_lost",
            Self::Deadline => "deadline",
            Self::GatewayTimeout => "gateway_timeout",
        }
    }
}
