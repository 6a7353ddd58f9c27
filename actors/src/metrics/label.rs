//! The closed sets of label values: a value that is not listed here cannot be exposed.

use super::table::Closed;

/// Declares a closed set of label values as an enum; `code` is the value in the exposition.
macro_rules! closed {
    ($(#[$doc:meta])* $name:ident { $($(#[$more:meta])* $variant:ident => $code:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(
                #[doc = concat!("Is exposed as `", $code, "`.")]
                $(#[$more])*
                $variant
            ),+
        }

        impl $name {
            /// Every value, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The texts of [`Self::ALL`], in the same order.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// Returns the text in the exposition.
            pub const fn code(self) -> &'static str {
                Self::CODES[self as usize]
            }
        }

        impl Closed for $name {
            const COUNT: usize = Self::ALL.len();

            fn at(self) -> usize {
                self as usize
            }

            fn values() -> Vec<&'static [&'static str]> {
                vec![Self::CODES]
            }
        }
    };
}

closed! {
    /// Whose answer a client got.
    AnsweredBy { Upstream => "upstream", Gateway => "gateway" }
}

closed! {
    /// The methods that are told apart; clients may send any text, so the rest is one value.
    HttpMethod {
        Get => "GET", Head => "HEAD", Post => "POST", Put => "PUT", Patch => "PATCH",
        Delete => "DELETE", Options => "OPTIONS", Other => "other",
    }
}

closed! {
    /// How a request ended for its client.
    HttpOutcome {
        Ok => "ok",
        ClientError => "client_error",
        /// The upstream answered 5xx.
        ServerError => "server_error",
        /// The gateway itself answered 5xx.
        GatewayError => "gateway_error",
        /// The client went away.
        Canceled => "canceled",
    }
}

closed! {
    /// Why an upstream request had no HTTP answer.
    UpstreamError {
        Connect => "connect", Dns => "dns", Tls => "tls", Timeout => "timeout", Reset => "reset",
        Body => "body",
        /// Too many requests waited for a connection.
        Pool => "pool",
    }
}

closed! {
    /// Why an upstream request was sent again.
    UpstreamRetry { Unauthorized => "unauthorized", Connect => "connect", Status => "status" }
}

closed! {
    /// How the wish for an access token was met.
    TokenResult {
        /// From the published snapshot, without waiting.
        Hit => "hit",
        /// By an exchange that this caller set off.
        Refreshed => "refreshed",
        /// By an exchange that was under way.
        Coalesced => "coalesced",
        /// With a token past its refresh-ahead margin, as the early refresh had failed.
        Stale => "stale",
        MfaRequired => "mfa_required", LoginRequired => "login_required", Error => "error",
    }
}

closed! {
    /// What set a refresh off.
    RefreshTrigger {
        /// The access token neared its end, or an exchange in doubt had to be resolved.
        Proactive => "proactive",
        /// A caller waited.
        Demand => "demand",
        /// The API refused the access token.
        Forced => "forced",
    }
}

closed! {
    /// How a refresh ended.
    RefreshOutcome {
        Success => "success", MfaRequired => "mfa_required", InvalidGrant => "invalid_grant",
        ReuseDetected => "reuse_detected",
        /// The operator must act: credentials, grant type or request are wrong.
        InvalidClient => "invalid_client",
        /// The provider decided against this audience or these scopes; the session lives.
        InvalidScope => "invalid_scope",
        RateLimited => "rate_limited", ProviderError => "provider_error", Network => "network",
        Timeout => "timeout", Malformed => "malformed", StoreError => "store_error",
    }
}

closed! {
    /// How a refresh ended, in three words.
    RefreshClass {
        Success => "success",
        /// The provider said no, and meant it.
        Denied => "denied",
        /// Something was broken.
        Error => "error",
    }
}

closed! {
    /// What became of a refresh token.
    RotationOutcome {
        Rotated => "rotated", Unchanged => "unchanged",
        /// A try to store it failed; it is kept in memory and tried again.
        PersistFailed => "persist_failed",
    }
}

closed! {
    /// Who noticed that a refresh token would be used twice.
    ReuseAction { Prevented => "prevented", Detected => "detected" }
}

closed! {
    /// Where sessions are stored.
    Backend { Memory => "memory", Embedded => "embedded", Redis => "redis" }
}

closed! {
    /// What was asked of a provider.
    Endpoint {
        Token => "token", MfaChallenge => "mfa_challenge", MfaAssociate => "mfa_associate",
        DeviceAuthorization => "device_authorization", Revocation => "revocation",
        Discovery => "discovery", Jwks => "jwks",
    }
}

closed! {
    /// How an HTTP request to a provider went.
    ProviderOutcome {
        Ok => "ok", OauthError => "oauth_error", RateLimited => "rate_limited",
        ServerError => "server_error", Network => "network", Timeout => "timeout",
        Malformed => "malformed",
    }
}

closed! {
    /// The state of the circuit breaker towards a provider.
    BreakerState { Closed => "closed", HalfOpen => "half_open", Open => "open" }
}

closed! {
    /// Why a person was asked for a factor.
    MfaTrigger { Refresh => "refresh", StepUp => "step_up", Login => "login" }
}

closed! {
    /// The factor a person was asked for.
    MfaMethod {
        Otp => "otp", Push => "push", Sms => "sms", Voice => "voice", Email => "email",
        Webauthn => "webauthn", RecoveryCode => "recovery_code", Unknown => "unknown",
    }
}

closed! {
    /// What a verification came to.
    MfaAttempt {
        Success => "success", InvalidCode => "invalid_code", Rejected => "rejected",
        Expired => "expired", RateLimited => "rate_limited", ProviderError => "provider_error",
    }
}

closed! {
    /// How a challenge ended.
    MfaClosed {
        Completed => "completed", Failed => "failed", Expired => "expired",
        /// The session ended first.
        Abandoned => "abandoned",
        /// A newer challenge took its place.
        Superseded => "superseded",
    }
}

closed! {
    /// How a session is.
    SessionState {
        Fresh => "fresh", Refreshing => "refreshing",
        /// It waits for a provider or a store that is ill, for the operator, or out of doubt.
        Backoff => "backoff",
        /// At least one of its audiences is held.
        MfaPending => "mfa_pending",
        /// It is over.
        LoginRequired => "login_required",
    }
}

closed! {
    /// What happened to a session.
    SessionEvent {
        Created => "created", Restored => "restored", Expired => "expired", Revoked => "revoked",
        LoggedOut => "logged_out",
        /// It was put to rest in the store.
        Evicted => "evicted",
    }
}

closed! {
    /// The kinds of actors.
    Actor {
        Router => "router", Session => "session", Store => "store", Provider => "provider",
        Janitor => "janitor",
    }
}

closed! {
    /// Why an actor was started again.
    RestartReason { Panic => "panic", Error => "error", Timeout => "timeout" }
}

closed! {
    /// What was asked of the store.
    StoreOp {
        Get => "get", Put => "put", CompareAndSwap => "compare_and_swap", Delete => "delete",
        Scan => "scan", Lease => "lease",
    }
}

closed! {
    /// What the store answered.
    StoreOutcome {
        Ok => "ok", Conflict => "conflict", NotFound => "not_found", Timeout => "timeout",
        Error => "error",
    }
}

closed! {
    /// How a display's fetch went.
    DeviceFetch {
        Ok => "ok", MfaRequired => "mfa_required", Unauthorized => "unauthorized",
        Offline => "offline", Error => "error",
    }
}

closed! {
    /// How a write to a display went.
    DisplayWrite {
        Ok => "ok", Nack => "nack", BusError => "bus_error", Timeout => "timeout",
        Skipped => "skipped",
    }
}

closed! {
    /// The labels whose values come from the configuration.
    ConfiguredLabel { Route => "route", Audience => "audience", Provider => "provider" }
}

closed! {
    /// Who ended a session.
    LogoutLabel {
        User => "user", Admin => "admin", Backchannel => "backchannel", Provider => "provider",
    }
}

closed! {
    /// What came of a letter to a webhook: `failed` is tried again, `dropped` never was.
    WebhookOutcome {
        Delivered => "delivered", Failed => "failed", GivenUp => "given_up", Dropped => "dropped",
    }
}

closed! {
    /// Why a stream was closed by the gateway.
    StreamEnd { Logout => "logout", Expiry => "expiry", Drain => "drain" }
}

/// A status code as it is exposed: itself where it is on the list, else its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(u8);

impl Code {
    /// The texts, listed codes first and the five classes last.
    pub const CODES: &'static [&'static str] = &[
        "200", "201", "204", "206", "301", "302", "304", "400", "401", "403", "404", "409", "413",
        "422", "429", "499", "500", "502", "503", "504", "1xx", "2xx", "3xx", "4xx", "5xx",
    ];

    /// Returns the value for an HTTP status.
    ///
    /// A status that HTTP does not know counts as a server's error (RFC 9110 §15).
    pub const fn of(status: http::StatusCode) -> Self {
        Self(match status.as_u16() {
            200 => 0,
            201 => 1,
            204 => 2,
            206 => 3,
            301 => 4,
            302 => 5,
            304 => 6,
            400 => 7,
            401 => 8,
            403 => 9,
            404 => 10,
            409 => 11,
            413 => 12,
            422 => 13,
            429 => 14,
            499 => 15,
            500 => 16,
            502 => 17,
            503 => 18,
            504 => 19,
            other => match other / 100 {
                1 => 20,
                2 => 21,
                3 => 22,
                4 => 23,
                _ => 24,
            },
        })
    }

    /// Returns the text in the exposition.
    pub const fn code(self) -> &'static str {
        Self::CODES[self.0 as usize]
    }
}

impl Closed for Code {
    const COUNT: usize = Self::CODES.len();

    fn at(self) -> usize {
        usize::from(self.0)
    }

    fn values() -> Vec<&'static [&'static str]> {
        vec![Self::CODES]
    }
}

impl HttpMethod {
    /// Returns the value for a request's method.
    pub fn of(method: &http::Method) -> Self {
        let known = Self::ALL.iter().find(|known| known.code() == method.as_str());
        known.copied().unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_itself_or_its_class() {
        for status in 100..=999 {
            let text = Code::of(http::StatusCode::from_u16(status).unwrap()).code();
            let class = format!("{}xx", (status / 100).min(5));
            let listed = Code::CODES.contains(&status.to_string().as_str());
            let expected = if listed { status.to_string() } else { class };
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn what_a_client_calls_a_method_is_no_label() {
        let of = |text: &[u8]| HttpMethod::of(&http::Method::from_bytes(text).unwrap());
        assert_eq!(of(b"PATCH"), HttpMethod::Patch);
        for other in [&b"get"[..], b"PROPFIND", b"other"] {
            assert_eq!(of(other), HttpMethod::Other);
        }
    }
}
