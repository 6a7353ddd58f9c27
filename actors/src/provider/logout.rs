//! Logout that the provider announces (OpenID Connect Back-Channel Logout 1.0): what a logout
//! token must say, and that each is used once. Pure: the time is an argument.

use std::collections::{HashSet, VecDeque};

use serde_json::Value;

use crate::core::time::UnixSeconds;
use crate::provider::error::IdTokenFault;
use crate::provider::id_token::{self, Expected, SKEW_S};
use crate::provider::jwt::{self, Claims};

/// The event that makes a JWT a logout token (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The oldest logout token accepted: providers retry for a few minutes, and a replay must not
/// outlive the memory of [`Replays`].
const AGE_MAX_S: i64 = 300;

/// The logout tokens remembered: at 33 a second for five minutes.
const REMEMBERED_MAX: usize = 10_000;

/// The longest `jti` remembered.
const JTI_BYTES_MAX: usize = 256;

/// Whom a provider logs out. One of the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutClaims {
    /// The person.
    pub subject: Option<String>,
    /// The provider's session.
    pub provider_session: Option<String>,
    /// The logout token's own name, for [`forget_logout`](super::Provider::forget_logout).
    pub jti: String,
}

/// Checks the claims of a logout token whose signature has passed (§2.6).
pub(super) fn check(claims: &Claims, expected: Expected<'_>) -> Result<LogoutClaims, IdTokenFault> {
    id_token::addressed_to_us(claims, expected)?;
    let is_event =
        claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object);
    if !is_event || claims.contains_key("nonce") {
        return Err(IdTokenFault::NoLogoutToken);
    }
    let now = id_token::seconds(expected.now);
    let issued_at = jwt::seconds(claims, "iat").ok_or(IdTokenFault::Expired)?;
    id_token::not_too_early(claims, now)?;
    let until = jwt::seconds(claims, "exp").unwrap_or(i64::MAX);
    if now.saturating_sub(issued_at) > AGE_MAX_S || now >= until.saturating_add(SKEW_S) {
        return Err(IdTokenFault::Expired);
    }
    let jti = jwt::text(claims, "jti").filter(|jti| jti.len() <= JTI_BYTES_MAX);
    let claims = LogoutClaims {
        subject: jwt::text(claims, "sub"),
        provider_session: jwt::text(claims, "sid"),
        jti: jti.ok_or(IdTokenFault::Replayed)?,
    };
    match (&claims.subject, &claims.provider_session) {
        (None, None) => Err(IdTokenFault::NobodyToLogOut),
        (Some(_), _) | (_, Some(_)) => Ok(claims),
    }
}

/// The logout tokens that were used lately.
#[derive(Debug, Default)]
pub(super) struct Replays {
    seen: HashSet<String>,
    order: VecDeque<(UnixSeconds, String)>,
}

impl Replays {
    /// Remembers a logout token; reports whether it is a new one.
    pub(super) fn admit(&mut self, jti: &str, now: UnixSeconds) -> bool {
        self.forget_old(now);
        if !self.seen.insert(jti.to_owned()) {
            return false;
        }
        self.order.push_back((now, jti.to_owned()));
        true
    }

    /// Forgets a logout token whose logout could not be carried out: the provider sends it again.
    pub(super) fn forget(&mut self, jti: &str) {
        self.seen.remove(jti);
        self.order.retain(|(_, own)| own != jti);
    }

    fn forget_old(&mut self, now: UnixSeconds) {
        // A token from the future of our clock stays acceptable for longer by the skew.
        let keep_s = 2 * AGE_MAX_S.unsigned_abs();
        while let Some((at, _)) = self.order.front() {
            if self.order.len() < REMEMBERED_MAX && at.0.saturating_add(keep_s) > now.0 {
                break;
            }
            if let Some((_, jti)) = self.order.pop_front() {
                self.seen.remove(&jti);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    #[test]
    fn l10_only_a_logout_token_logs_out() {
        use IdTokenFault::*;
        let (sid, sub) = (json!({"sub": null}), json!({"sid": null}));
        for (change, expected) in [
            (json!({}), None),
            (sid, None),
            (sub, None),
            (json!({"sub": null, "sid": null}), Some(NobodyToLogOut)),
            (json!({"iss": "https://other"}), Some(Issuer)),
            (json!({"aud": "d"}), Some(Audience)),
            (json!({"events": {}}), Some(NoLogoutToken)),
            (json!({"events": [EVENT]}), Some(NoLogoutToken)),
            (json!({"nonce": "n"}), Some(NoLogoutToken)),
            (json!({"iat": null}), Some(Expired)),
            (json!({"iat": NOW.0 - 300}), None),
            (json!({"iat": NOW.0 - 301}), Some(Expired)),
            (json!({"iat": NOW.0 + 61}), Some(TooEarly)),
            (json!({"exp": NOW.0 - 59}), None),
            (json!({"exp": NOW.0 - 60}), Some(Expired)),
            (json!({"jti": null}), Some(Replayed)),
        ] {
            let mut claims = json!({
                "iss": "https://idp", "aud": "c", "iat": NOW.0, "jti": "j", "sub": "alice",
                "sid": "s", "events": { EVENT: {} },
            });
            for (name, value) in change.as_object().unwrap() {
                claims[name] = value.clone();
            }
            let expected_by_us = Expected { issuer: "https://idp", client_id: "c", now: NOW };
            let checked = check(claims.as_object().unwrap(), expected_by_us);
            assert_eq!(checked.err(), expected, "{change}");
        }
    }

    #[test]
    fn a_logout_token_is_used_once_and_the_memory_is_bounded() {
        let mut replays = Replays::default();
        assert!(replays.admit("a", NOW));
        assert!(!replays.admit("a", NOW));
        replays.forget("a");
        assert!(replays.admit("a", NOW), "a failed logout may be sent again");
        for number in 0..REMEMBERED_MAX {
            assert!(replays.admit(&number.to_string(), NOW));
        }
        assert!(replays.order.len() <= REMEMBERED_MAX && replays.seen.len() <= REMEMBERED_MAX);
        let later = UnixSeconds(NOW.0 + 601);
        assert!(replays.admit("b", later));
        assert_eq!(replays.order.len(), 1, "what is too old to be accepted is forgotten");
    }
}
