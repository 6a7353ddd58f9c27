//! What a JWT says of itself, read without verifying it.
//!
//! Good for access tokens only: they come straight from the provider over TLS, and the API they
//! are for verifies them. What decides who somebody is goes through [`jwks`](super::jwks).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The claims of a JWT.
pub(super) type Claims = Map<String, Value>;

/// The audiences kept of a token: each is compared, and nobody has more.
const AUDIENCES_MAX: usize = 32;

/// Reads the claims of a signed JWT; `None` for anything else, an encrypted one included.
pub(super) fn unverified_claims(text: &str) -> Option<Claims> {
    let mut parts = text.split('.');
    let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    object(header)?.get("alg")?;
    object(claims)
}

/// Returns the lifetime a token gives itself: `exp` less `iat`.
pub(super) fn lifetime(claims: &Claims) -> Option<Duration> {
    let (exp, iat) = (seconds(claims, "exp")?, seconds(claims, "iat")?);
    let span = exp.checked_sub(iat)?;
    u64::try_from(span).ok().filter(|span| *span > 0).map(Duration::from_secs)
}

/// Returns `aud` as a list, whether it is one or not.
pub(super) fn audiences(claims: &Claims) -> Vec<String> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => {
            let texts = several.iter().filter_map(Value::as_str);
            texts.take(AUDIENCES_MAX).map(str::to_owned).collect()
        }
        Some(_) | None => Vec::new(),
    }
}

/// Returns a claim that is a text and not empty.
pub(super) fn text(claims: &Claims, name: &str) -> Option<String> {
    claims.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Returns a claim that is a date (RFC 7519 `NumericDate`), whole seconds.
pub(super) fn seconds(claims: &Claims, name: &str) -> Option<i64> {
    let number = claims.get(name)?;
    number.as_i64().or_else(|| {
        let fraction = number.as_f64()?;
        // Casting saturates.
        fraction.is_finite().then_some(fraction as i64)
    })
}

fn object(part: &str) -> Option<Claims> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn jwt(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    #[test]
    fn l5_the_claims_that_decide_are_read_whatever_their_shape() {
        let header = json!({"alg": "RS256"});
        for (claims, expected_aud, life) in [
            (json!({"aud": "a", "exp": 1600, "iat": 1000}), vec!["a"], Some(600)),
            (json!({"aud": ["a", 7, "b"], "exp": 1600.9, "iat": 1000}), vec!["a", "b"], Some(600)),
            (json!({"aud": 7, "exp": 1000, "iat": 1000}), vec![], None),
            (json!({"exp": i64::MAX, "iat": i64::MIN}), vec![], None),
            (json!({"exp": "1600"}), vec![], None),
        ] {
            let read = unverified_claims(&jwt(&header, &claims)).unwrap();
            assert_eq!(audiences(&read), expected_aud, "{claims}");
            assert_eq!(lifetime(&read), life.map(Duration::from_secs), "{claims}");
        }
        for opaque in ["v1.opaque", "a.b.c", "", "...", &jwt(&json!({}), &json!({}))] {
            assert!(unverified_claims(opaque).is_none(), "{opaque}");
        }
    }
}
