//! What an answer means.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde::Deserialize;
use serde_json::Value;

use crate::board::{Heard, Seen};

#[derive(Deserialize)]
struct Served {
    access_token_seen: SeenToken,
}

#[derive(Deserialize)]
struct SeenToken {
    sub: String,
    /// A string or an array of strings (RFC 7519 §4.1.3).
    aud: Value,
    seconds_left: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    error: String,
}

/// Understands an answer of the gateway, or of an API behind it.
pub(super) fn understand(status: u16, headers: &HeaderMap, body: &[u8]) -> Heard {
    let problem = || serde_json::from_slice::<Problem>(body).unwrap_or_default().error;
    match status {
        200..=299 => served(body).map_or(Heard::Nonsense, Heard::Served),
        401 if problem() == "login_required" => Heard::SignIn,
        403 if problem() == "mfa_required" => Heard::Held,
        429 | 503 if headers.contains_key(RETRY_AFTER) => Heard::Postponed,
        _ => Heard::Other(status),
    }
}

fn served(body: &[u8]) -> Option<Seen> {
    let Served { access_token_seen } = serde_json::from_slice(body).ok()?;
    let SeenToken { sub, aud, seconds_left } = access_token_seen;
    let audiences = match aud {
        Value::String(audience) => vec![audience],
        Value::Array(all) => {
            all.into_iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    Some(Seen { subject: sub, audiences, seconds_left })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn answers_are_told_apart_by_what_they_say() {
        let seen = r#"{"access_token_seen":{"sub":"ada","aud":["a","b"],"seconds_left":7,"x":1}}"#;
        let token = Seen {
            subject: "ada".to_owned(),
            audiences: vec!["a".to_owned(), "b".to_owned()],
            seconds_left: 7,
        };
        for (status, later, body, expected) in [
            (200, false, seen, Heard::Served(token)),
            (200, false, "<p>hello</p>", Heard::Nonsense),
            (401, false, r#"{"error":"login_required"}"#, Heard::SignIn),
            (401, false, r#"{"error":"invalid_token"}"#, Heard::Other(401)),
            (403, false, r#"{"error":"mfa_required"}"#, Heard::Held),
            (403, false, r#"{"error":"insufficient_scope"}"#, Heard::Other(403)),
            (503, true, "", Heard::Postponed),
            (503, false, "", Heard::Other(503)),
            (302, false, "", Heard::Other(302)),
        ] {
            let mut headers = HeaderMap::new();
            if later {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            assert_eq!(understand(status, &headers, body.as_bytes()), expected, "{status} {body}");
        }
    }
}
