//! How long a provider asks to wait.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::core::time::UnixSeconds;

/// The longest wait that is honoured: a session that cannot be refreshed for longer should be
/// seen to fail rather than sleep, and a date a year ahead is a mistake.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// From here on `x-ratelimit-reset` is a date; below it is a span (both are in use).
const RESET_IS_DATE: u64 = 1_000_000_000;

/// Reads `Retry-After` and `x-ratelimit-reset`; the longer one counts.
///
/// Dates are held against the answer's own `Date` (RFC 9110 §6.6.1), and against our wall clock
/// only where there is none: by a wall clock that is an hour off, nobody would wait at all or
/// everybody for far too long (law L12).
pub(super) fn asked(headers: &HeaderMap, now: UnixSeconds) -> Option<Duration> {
    let now = date(headers).unwrap_or(now);
    let longest = retry_after(headers, now).max(reset(headers, now))?;
    Some(longest.min(WAIT_MAX))
}

/// Seconds, or an HTTP date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: UnixSeconds) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    Some(unix(text)?.saturating_sub(Duration::from_secs(now.0)))
}

fn date(headers: &HeaderMap) -> Option<UnixSeconds> {
    unix(headers.get(DATE)?.to_str().ok()?.trim()).map(|date| UnixSeconds(date.as_secs()))
}

fn unix(date: &str) -> Option<Duration> {
    httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()
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

    #[test]
    fn l12_a_wall_clock_that_is_hours_off_neither_hurries_nor_delays() {
        let answered_at = "Tue, 14 Nov 2023 22:13:20 GMT";
        for hours_off in [-48, -1, 0, 1, 48] {
            let ours = UnixSeconds(1_700_000_000_u64.saturating_add_signed(hours_off * 3600));
            for (name, value) in [
                ("retry-after", "Tue, 14 Nov 2023 22:13:29 GMT"),
                ("x-ratelimit-reset", "1700000009"),
                ("retry-after", "9"),
            ] {
                let headers = HeaderMap::from_iter([
                    (DATE, HeaderValue::from_static(answered_at)),
                    (http::HeaderName::from_static(name), HeaderValue::from_static(value)),
                ]);
                let nine = Some(Duration::from_secs(9));
                assert_eq!(asked(&headers, ours), nine, "{hours_off} h: {name}: {value}");
            }
        }
    }
}
