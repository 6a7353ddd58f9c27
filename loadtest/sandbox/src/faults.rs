//! The fault injector: what may be armed and what is played next.

use std::sync::Mutex;

use serde::Deserialize;

use crate::hold;

pub(crate) mod deform;

/// Faults armed at once; arming is a deliberate act of a test.
const ARMED_MAX: usize = 1_000;

/// The longest a fault may delay an answer.
pub(crate) const SLOW_MAX_MS: u64 = 600_000;

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The token endpoint.
    Token,
    /// The authorization endpoint.
    Authorize,
    /// The key set.
    Jwks,
    /// The discovery document.
    Discovery,
    /// The revocation endpoint.
    Revoke,
    /// The endpoint that challenges a second factor.
    MfaChallenge,
    /// The sample APIs.
    Api,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The work is done, then the connection is closed without a byte of an answer.
    CutAfterCommit,
    /// The connection is closed and nothing is done.
    CutBeforeCommit,
    /// 429 with the vendor's rate limit headers.
    RateLimited,
    /// A status (default 503) with a plain body.
    Status,
    /// A delay.
    Slow,
    /// The right headers and half of the body, then the connection is cut.
    HalfBody,
    /// 200 with a body that is no JSON.
    #[serde(rename = "garbage_200")]
    Garbage200,
    /// 400 with an empty body.
    #[serde(rename = "empty_400")]
    Empty400,
    /// 200 without a usable access token, yet with the new refresh token.
    #[serde(rename = "malformed_200_with_refresh_token")]
    Malformed200WithRefreshToken,
    /// An OAuth error in JSON: `error`, `error_description`, `status` (default 403).
    OauthError,
    /// 401 with `invalid_token`, as an API that distrusts a good token.
    Unauthorized,
}

/// Whether a fault strikes before or after the work is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Nothing was changed.
    Before,
    /// Tokens were rotated, codes used.
    After,
}

/// A fault to arm, as `POST /faults` takes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where it strikes.
    pub endpoint: Endpoint,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How often it strikes; absent with a `rate` means for ever, absent without means once.
    #[serde(default)]
    pub times: Option<u32>,
    /// The share of requests it strikes, 0 to 1.
    #[serde(default)]
    pub rate: Option<f64>,
    /// Strikes only this grant (`refresh_token`, `authorization_code`, `device_code`) or API name.
    #[serde(default)]
    pub only: Option<String>,
    /// Overrides when it strikes.
    #[serde(default)]
    pub when: Option<When>,
    /// The status of `status` and `oauth_error`.
    #[serde(default)]
    pub status: Option<u16>,
    /// The delay of `slow`, in milliseconds.
    #[serde(default)]
    pub ms: Option<u64>,
    /// Seconds until `x-ratelimit-reset` (default 1).
    #[serde(default)]
    pub reset_s: Option<u64>,
    /// Sends Retry-After with `rate_limited` and `status`, in seconds.
    #[serde(default)]
    pub retry_after_s: Option<u64>,
    /// The code of `oauth_error` (default `access_denied`).
    #[serde(default)]
    pub error: Option<String>,
    /// The description of `oauth_error`.
    #[serde(default)]
    pub error_description: Option<String>,
}

/// The armed faults, in the order they were armed.
#[derive(Debug, Default)]
pub struct Faults {
    armed: Mutex<Vec<Fault>>,
}

impl Fault {
    /// Describes a fault that strikes once.
    #[must_use]
    pub fn once(endpoint: Endpoint, kind: FaultKind) -> Self {
        Self {
            endpoint,
            kind,
            times: None,
            rate: None,
            only: None,
            when: None,
            status: None,
            ms: None,
            reset_s: None,
            retry_after_s: None,
            error: None,
            error_description: None,
        }
    }

    /// Returns when it strikes.
    #[must_use]
    pub fn when(&self) -> When {
        self.when.unwrap_or(match self.kind {
            FaultKind::CutBeforeCommit
            | FaultKind::RateLimited
            | FaultKind::Status
            | FaultKind::Slow
            | FaultKind::Empty400
            | FaultKind::OauthError
            | FaultKind::Unauthorized => When::Before,
            FaultKind::CutAfterCommit
            | FaultKind::HalfBody
            | FaultKind::Garbage200
            | FaultKind::Malformed200WithRefreshToken => When::After,
        })
    }

    fn refusal(&self) -> Option<&'static str> {
        if self.rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
            return Some("rate must lie between 0 and 1");
        }
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Some("status must lie between 200 and 599");
        }
        if self.ms.is_some_and(|ms| ms > SLOW_MAX_MS) {
            return Some("ms must be at most 600000");
        }
        (self.kind == FaultKind::Slow && self.ms.is_none()).then_some("slow needs ms")
    }
}

impl Faults {
    /// Arms a fault.
    ///
    /// # Errors
    /// The sentence to tell the caller, when the fault makes no sense or too many are armed.
    pub fn arm(&self, mut fault: Fault) -> Result<(), &'static str> {
        if let Some(refusal) = fault.refusal() {
            return Err(refusal);
        }
        if fault.rate.is_none() && fault.times.is_none() {
            fault.times = Some(1);
        }
        let mut armed = hold(&self.armed);
        if armed.len() >= ARMED_MAX {
            return Err("too many faults are armed; DELETE /faults first");
        }
        armed.push(fault);
        Ok(())
    }

    /// Disarms everything.
    pub fn clear(&self) {
        hold(&self.armed).clear();
    }

    /// Takes the fault to play for a request; `roll` is a random number in 0..1.
    pub(crate) fn take(&self, endpoint: Endpoint, only: &str, roll: f64) -> Option<Fault> {
        let mut armed = hold(&self.armed);
        let strikes = |fault: &Fault| {
            fault.endpoint == endpoint
                && fault.only.as_deref().is_none_or(|wanted| wanted == only)
                && fault.rate.is_none_or(|rate| roll < rate)
        };
        armed.retain(|fault| fault.times != Some(0));
        let struck = armed.iter_mut().find(|fault| strikes(fault))?;
        struck.times = struck.times.map(|times| times.saturating_sub(1));
        Some(struck.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(faults: &Faults, asks: &[(Endpoint, &str, f64)]) -> Vec<Option<FaultKind>> {
        let take = |ask: &(Endpoint, &str, f64)| faults.take(ask.0, ask.1, ask.2);
        asks.iter().map(|ask| take(ask).map(|fault| fault.kind)).collect()
    }

    #[test]
    fn faults_strike_in_order_as_often_as_told() {
        use Endpoint::{Jwks, Token};
        use FaultKind::{Empty400, Garbage200, Slow};
        let faults = Faults::default();
        let arm = |fault: Fault| faults.arm(fault).unwrap();
        arm(Fault { times: Some(2), ..Fault::once(Token, Empty400) });
        arm(Fault { only: Some("refresh_token".into()), ..Fault::once(Token, Garbage200) });
        arm(Fault { rate: Some(0.5), ms: Some(1), ..Fault::once(Jwks, Slow) });
        let told = words(
            &faults,
            &[
                (Jwks, "", 0.5),
                (Jwks, "", 0.49),
                (Token, "refresh_token", 0.0),
                (Token, "device_code", 0.0),
                (Token, "device_code", 0.0),
                (Token, "refresh_token", 0.0),
                (Token, "refresh_token", 0.0),
                (Jwks, "", 0.0),
            ],
        );
        assert_eq!(
            told,
            [
                None,
                Some(Slow),
                Some(Empty400),
                Some(Empty400),
                None,
                Some(Garbage200),
                None,
                Some(Slow),
            ]
        );
        faults.clear();
        assert_eq!(words(&faults, &[(Jwks, "", 0.0)]), [None]);
    }

    #[test]
    fn senseless_faults_are_refused() {
        let faults = Faults::default();
        let plain = || Fault::once(Endpoint::Token, FaultKind::Status);
        for fault in [
            Fault { rate: Some(1.5), ..plain() },
            Fault { rate: Some(f64::NAN), ..plain() },
            Fault { status: Some(99), ..plain() },
            Fault { kind: FaultKind::Slow, ..plain() },
            Fault { ms: Some(u64::MAX), ..plain() },
        ] {
            assert!(faults.arm(fault.clone()).is_err(), "{fault:?}");
        }
    }
}
