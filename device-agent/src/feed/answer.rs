//! The JSON of the gateway's answers, as far as the display reads it.

use std::time::Duration;

use serde::Deserialize;
use tokenward::SessionHandle;
use tokenward::core::device_sign_in::INTERVAL;
use tokenward::core::refusal::{ERROR_BYTES_MAX, Refusal};
use tokenward::core::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use crate::agent::{Code, Coded, Demand};

/// The longest code that a device asks with: gateways of the wild give a few dozen characters.
const DEVICE_CODE_CHARS_MAX: usize = 1_024;

/// The longest code that a person types (RFC 8628 §6.1 recommends eight characters).
const USER_CODE_CHARS_MAX: usize = 20;

/// The longest link: what a QR code on the largest panel can hold at all.
const LINK_CHARS_MAX: usize = 256;

/// What the gateway says where it says no (RFC 9457, RFC 6749 §5.2).
#[derive(Default, Deserialize)]
pub(super) struct Problem {
    pub(super) error: Option<String>,
    #[serde(default)]
    step_up_uri: Option<String>,
    #[serde(default)]
    audience: Option<String>,
}

/// What the session's own address tells.
#[derive(Deserialize)]
pub(super) struct Holds {
    #[serde(default)]
    holds: Vec<Held>,
}

#[derive(Deserialize)]
struct Held {
    audience: String,
    #[serde(default)]
    step_up_uri: Option<String>,
}

/// The answer of RFC 8628 §3.2.
#[derive(Deserialize)]
pub(super) struct CodeAnswer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

/// The answer of RFC 6749 §5.1, of which a device needs one member.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    access_token: String,
}

impl Problem {
    /// Reads a body; of one that is none, nothing is known.
    pub(super) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    pub(super) fn demand(self) -> Demand {
        Demand {
            step_up_uri: self.step_up_uri.and_then(shown_link),
            audience: self.audience,
            provider: None,
        }
    }

    pub(super) fn refusal(self, status: u16, wait: Option<Duration>) -> Refusal {
        let error = self.error.filter(|error| error.len() <= ERROR_BYTES_MAX);
        Refusal { status, error, wait, ..Refusal::default() }
    }
}

impl Holds {
    /// Returns the demand of an API; of any, where it is not known which one.
    pub(super) fn about(self, audience: Option<&str>) -> Option<Demand> {
        let mut holds = self.holds.into_iter();
        let held = holds.find(|held| audience.is_none_or(|wanted| wanted == held.audience))?;
        let step_up_uri = held.step_up_uri.and_then(shown_link);
        Some(Demand { step_up_uri, audience: Some(held.audience), provider: None })
    }
}

impl CodeAnswer {
    pub(super) fn read(body: &[u8]) -> Option<Coded> {
        let answer: Self = serde_json::from_slice(body).ok()?;
        let device_code = Zeroizing::new(answer.device_code);
        let is_code = |text: &str, chars_max: usize| {
            (1..=chars_max).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !is_code(&device_code, DEVICE_CODE_CHARS_MAX)
            || !is_code(&answer.user_code, USER_CODE_CHARS_MAX)
        {
            return None;
        }
        let interval = answer.interval.map_or(INTERVAL, Duration::from_secs);
        let code = Code {
            device_code,
            user_code: answer.user_code,
            uri: shown_link(answer.verification_uri)?,
            uri_complete: answer.verification_uri_complete.and_then(shown_link),
            interval,
            pause: interval,
            expires_at: Instant::ZERO,
            spent: 0,
        };
        Some(Coded { code, expires_in: Duration::from_secs(answer.expires_in) })
    }
}

impl TokenAnswer {
    pub(super) fn read(body: &[u8]) -> Option<SessionHandle> {
        let answer: Self = serde_json::from_slice(body).ok()?;
        SessionHandle::parse(&Zeroizing::new(answer.access_token)).ok()
    }
}

/// Takes a link that a phone can open; what else a gateway may say is not shown to people.
pub(super) fn shown_link(text: String) -> Option<String> {
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let fits = text.len() <= LINK_CHARS_MAX && text.is_ascii();
    (fits && Url::parse(&text).is_ok_and(|url| is_web(&url))).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_taken_whole_or_not_at_all() {
        let good = r#"{"device_code":"dc","user_code":"WDJB-MJHT","expires_in":900,
            "verification_uri":"https://gw.example/d",
            "verification_uri_complete":"https://gw.example/d/WDJB-MJHT"}"#;
        let coded = CodeAnswer::read(good.as_bytes()).unwrap();
        assert_eq!(coded.code.interval, Duration::from_secs(5));
        assert_eq!(coded.code.uri_complete.as_deref(), Some("https://gw.example/d/WDJB-MJHT"));
        for (from, to) in [
            ("WDJB-MJHT\",", "\u{7}\","),
            ("\"dc\"", "\"\""),
            ("https://gw.example/d\",", "javascript:alert(1)\","),
            ("900", "-1"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert!(CodeAnswer::read(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_hold_is_found_by_its_api() {
        let body = r#"{"session":{},"holds":[{"audience":"urn:a","step_up_uri":"https://g/d/X"}]}"#;
        let holds = |audience| {
            let holds: Holds = serde_json::from_str(body).unwrap();
            holds.about(audience).map(|demand| demand.step_up_uri)
        };
        let found = Some(Some("https://g/d/X".to_owned()));
        assert_eq!(holds(None), found);
        assert_eq!(holds(Some("urn:a")), found);
        assert_eq!(holds(Some("urn:b")), None);
    }
}
