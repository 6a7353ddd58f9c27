//! What an ID token's claims must say (OpenID Connect Core §3.1.3.7), once its signature has
//! passed. Pure: the time is an argument.

use std::time::Duration;

use serde_json::Value;

use crate::core::snapshot::Authentication;
use crate::core::time::UnixSeconds;
use crate::provider::error::IdTokenFault;
use crate::provider::jwt::{self, Claims};

/// How far the provider's clock and ours may differ: what a machine without NTP loses in a month.
pub(super) const SKEW_S: i64 = 60;

/// A session must live this much longer than its sign-in took, or it was born expired (IPSIE).
const CEILING_LEEWAY_S: u64 = 30;

/// The latest ceiling believed, in Unix seconds; anything above is milliseconds.
const CEILING_MAX: u64 = 9_999_999_999;

/// The methods kept of `amr`.
const METHODS_MAX: usize = 16;

/// What the claims are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) now: UnixSeconds,
}

/// Who signed in, as the ID token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider's name for the person (`sub`).
    pub subject: String,
    /// The provider's name for its own session (`sid`).
    pub provider_session: Option<String>,
    /// When and how the person authenticated.
    pub authentication: Authentication,
    /// When the session must end (`session_expiry`).
    pub ceiling: Option<UnixSeconds>,
    /// The person's e-mail address, for showing.
    pub email: Option<String>,
    /// The person's name, for showing.
    pub name: Option<String>,
}

/// Checks what every ID token must say, and returns whom it names.
pub(super) fn check(claims: &Claims, expected: Expected<'_>) -> Result<Identity, IdTokenFault> {
    addressed_to_us(claims, expected)?;
    let subject = jwt::text(claims, "sub").ok_or(IdTokenFault::Subject)?;
    let exp = jwt::seconds(claims, "exp").ok_or(IdTokenFault::Expired)?;
    let now = seconds(expected.now);
    if now >= exp.saturating_add(SKEW_S) {
        return Err(IdTokenFault::Expired);
    }
    jwt::seconds(claims, "iat").ok_or(IdTokenFault::TooEarly)?;
    not_too_early(claims, now)?;
    Ok(Identity {
        subject,
        provider_session: jwt::text(claims, "sid"),
        authentication: authentication(claims),
        ceiling: claims.get("session_expiry").and_then(ceiling),
        email: jwt::text(claims, "email"),
        name: jwt::text(claims, "name"),
    })
}

/// Checks what the ID token of a sign-in must say besides; the device grant has no nonce.
pub(super) fn check_sign_in(
    claims: &Claims,
    nonce: Option<&str>,
    max_age: Option<Duration>,
    now: UnixSeconds,
) -> Result<(), IdTokenFault> {
    if nonce.is_some() && jwt::text(claims, "nonce").as_deref() != nonce {
        return Err(IdTokenFault::Nonce);
    }
    let Some(max_age) = max_age else {
        return Ok(());
    };
    let max_age = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
    let since = jwt::seconds(claims, "auth_time").ok_or(IdTokenFault::AuthTime)?;
    if seconds(now).saturating_sub(since) > max_age.saturating_add(SKEW_S) {
        return Err(IdTokenFault::AuthTime);
    }
    Ok(())
}

/// Checks `iss`, `aud` and `azp`.
pub(super) fn addressed_to_us(claims: &Claims, expected: Expected<'_>) -> Result<(), IdTokenFault> {
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
        return Err(IdTokenFault::Issuer);
    }
    let audiences = jwt::audiences(claims);
    if !audiences.iter().any(|audience| audience == expected.client_id) {
        return Err(IdTokenFault::Audience);
    }
    match claims.get("azp") {
        Some(party) if party.as_str() == Some(expected.client_id) => Ok(()),
        None if audiences.len() == 1 => Ok(()),
        Some(_) | None => Err(IdTokenFault::AuthorizedParty),
    }
}

/// Checks `iat` and `nbf`, where they are there.
pub(super) fn not_too_early(claims: &Claims, now: i64) -> Result<(), IdTokenFault> {
    let early = ["iat", "nbf"].iter().any(|name| {
        let from = jwt::seconds(claims, name).unwrap_or(i64::MIN);
        from > now.saturating_add(SKEW_S)
    });
    if early { Err(IdTokenFault::TooEarly) } else { Ok(()) }
}

/// Reads a session ceiling: Unix seconds, as a number or in quotes; anything else is none, so
/// that a provider's slip does not lock everybody out.
pub(super) fn ceiling(claim: &Value) -> Option<UnixSeconds> {
    let seconds = match claim.as_str() {
        Some(text) => text.parse().ok()?,
        None => claim.as_u64()?,
    };
    (1..=CEILING_MAX).contains(&seconds).then_some(UnixSeconds(seconds))
}

/// Reports whether a session that may last until `ceiling` is over as it begins, by the
/// provider's own clock.
pub(super) fn born_expired(ceiling: UnixSeconds, claims: &Claims, now: UnixSeconds) -> bool {
    let issued_at = jwt::seconds(claims, "iat").and_then(|iat| u64::try_from(iat).ok());
    ceiling.0 <= issued_at.unwrap_or(now.0).saturating_add(CEILING_LEEWAY_S)
}

/// Returns a date as claims have it.
pub(super) fn seconds(at: UnixSeconds) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

fn authentication(claims: &Claims) -> Authentication {
    let methods = claims.get("amr").and_then(Value::as_array).into_iter().flatten();
    Authentication {
        at: jwt::seconds(claims, "auth_time")
            .and_then(|at| u64::try_from(at).ok())
            .map(UnixSeconds),
        class: jwt::text(claims, "acr"),
        methods: methods.filter_map(Value::as_str).take(METHODS_MAX).map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn checked(change: Value) -> Result<Identity, IdTokenFault> {
        let mut claims = json!({
            "iss": "https://idp", "aud": "c", "sub": "alice", "exp": NOW.0 + 600, "iat": NOW.0,
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let expected = Expected { issuer: "https://idp", client_id: "c", now: NOW };
        check(claims.as_object().unwrap(), expected)
    }

    #[test]
    fn l12_every_claim_is_held_against_what_is_expected() {
        use IdTokenFault::*;
        let at = |seconds: i64| NOW.0 as i64 + seconds;
        for (change, expected) in [
            (json!({}), None),
            (json!({"iss": "https://idp/"}), Some(Issuer)),
            (json!({"iss": ["https://idp"]}), Some(Issuer)),
            (json!({"aud": "d"}), Some(Audience)),
            (json!({"aud": ["c"]}), None),
            (json!({"aud": ["c", "d"]}), Some(AuthorizedParty)),
            (json!({"aud": ["c", "d"], "azp": "c"}), None),
            (json!({"azp": "d"}), Some(AuthorizedParty)),
            (json!({"azp": null}), Some(AuthorizedParty)),
            (json!({"sub": ""}), Some(Subject)),
            (json!({"sub": 7}), Some(Subject)),
            (json!({"exp": at(-59)}), None),
            (json!({"exp": at(-60)}), Some(Expired)),
            (json!({"exp": "soon"}), Some(Expired)),
            // Seed 004: "ID token used too early" is a clock that differs, within reason.
            (json!({"iat": at(60), "nbf": at(60)}), None),
            (json!({"iat": at(61)}), Some(TooEarly)),
            (json!({"iat": null}), Some(TooEarly)),
            (json!({"nbf": at(61)}), Some(TooEarly)),
        ] {
            assert_eq!(checked(change.clone()).err(), expected, "{change}");
        }
    }

    #[test]
    fn a_sign_in_must_be_this_one_and_recent_enough() {
        let age = Some(Duration::from_secs(300));
        for (claims, max_age, expected) in [
            (json!({"nonce": "n"}), None, None),
            (json!({"nonce": "m"}), None, Some(IdTokenFault::Nonce)),
            (json!({}), None, Some(IdTokenFault::Nonce)),
            (json!({"nonce": "n"}), age, Some(IdTokenFault::AuthTime)),
            (json!({"nonce": "n", "auth_time": 0}), age, Some(IdTokenFault::AuthTime)),
            (json!({"nonce": "n", "auth_time": NOW.0 - 360}), age, None),
            (json!({"nonce": "n", "auth_time": NOW.0 - 361}), age, Some(IdTokenFault::AuthTime)),
        ] {
            let checked = check_sign_in(claims.as_object().unwrap(), Some("n"), max_age, NOW);
            assert_eq!(checked.err(), expected, "{claims} {max_age:?}");
        }
    }

    #[test]
    fn the_ceiling_follows_the_vectors() {
        for (claim, expected) in [
            (json!(null), None),
            (json!("1712345678"), Some(1_712_345_678)),
            (json!(1_712_345_678), Some(1_712_345_678)),
            (json!("1712345678000"), None),
            (json!("10000000000"), None),
            (json!("9999999999"), Some(9_999_999_999)),
            (json!("0"), None),
            (json!("-1712345678"), None),
            (json!(-1), None),
            (json!({}), None),
        ] {
            assert_eq!(ceiling(&claim), expected.map(UnixSeconds), "{claim}");
        }
        let claims = json!({"iat": 1_700_000_000});
        for (ceiling, expected) in
            [(1_700_003_600, false), (1_700_000_030, true), (1_700_000_031, false)]
        {
            let rejected = born_expired(UnixSeconds(ceiling), claims.as_object().unwrap(), NOW);
            assert_eq!(rejected, expected, "{ceiling}");
        }
    }
}
