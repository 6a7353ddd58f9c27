//! How long a provider asks to wait.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::core::time::UnixSeconds;

/// The longest wait that is honoured: a session that cannot be refreshed for longer should be
/// seen to fail rather than sleep, and a date a year ahead is a mistake.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// From here on `x-ratelimit-reset` is a date; below it is a span (both are in use).
const RESET_IS_DATE: u64 = 1_000_000_000;

/// Reads `Retry-After` and `x-ratelimit-reset`; the longer one counts.
pub(super) fn asked(headers: &HeaderMap, now: UnixSeconds) -> Option<Duration> {
    let longest = retry_after(headers, now).max(reset(headers, now))?;
    Some(longest.min(WAIT_MAX))
}

/// Seconds, or an HTTP date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: UnixSeconds) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(Duration::from_secs(now.0)))
}

fn reset(headers: &HeaderMap, now: UnixSeconds) -> Option<Duration> {
    let text = headers.get("x-ratelimit-reset")?.to_str().ok()?.trim();
    let seconds: u64 = text.parse().ok()?;
    let span = if seconds >= RESET_IS_DATE { seconds.saturating_sub(now.0) } else { seconds };
    Some(Duration::from_secs(span))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn l7_both_headers_in_all_their_spellings() {
        let now = UnixSeconds(1_700_000_000);
        for (retry_after, reset, expected_s) in [
            ("", "", None),
            ("7", "", Some(7)),
            (" 7 ", "", Some(7)),
            ("Tue, 14 Nov 2023 22:13:50 GMT", "", Some(30)),
            ("Tue, 14 Nov 2023 22:13:10 GMT", "", Some(0)),
            ("soon", "", None),
            ("-1", "", None),
            ("", "1700000009", Some(9)),
            ("", "1699999999", Some(0)),
            ("", "12", Some(12)),
            ("3", "1700000009", Some(9)),
            ("99999999999999999999", "", None),
            ("18446744073709551615", "", Some(600)),
            ("", "9999999999", Some(600)),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("retry-after", retry_after), ("x-ratelimit-reset", reset)] {
                if !value.is_empty() {
                    headers.insert(name, HeaderValue::from_str(value).unwrap());
                }
            }
            let expected = expected_s.map(Duration::from_secs);
            assert_eq!(asked(&headers, now), expected, "{retry_after:?} {reset:?}");
        }
    }
}
