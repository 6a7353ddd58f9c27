//! Spans of time and parts of the day, as people write them.

use std::time::Duration;

use crate::model::WallTime;
use crate::power::Night;

/// A minute.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// The shortest span that makes sense for anything here: no gateway is asked more often.
const SPAN_MIN: Duration = Duration::from_secs(1);

/// The longest: a month, beyond which "off" is meant.
const SPAN_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// Reads a span such as "10m"; `usual` where there is none.
pub(super) fn span(text: Option<&str>, usual: Duration) -> Result<Duration, String> {
    text.map_or(Ok(usual), parse)
}

/// Reads a span, or "off".
pub(super) fn span_or_off(
    text: Option<&str>,
    usual: Option<Duration>,
) -> Result<Option<Duration>, String> {
    match text {
        None => Ok(usual),
        Some("off") => Ok(None),
        Some(text) => parse(text).map(Some),
    }
}

/// Reads a part of the day such as "22:00-07:00".
pub(super) fn night(text: &str) -> Result<Night, String> {
    let clock = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        WallTime::new(hour.parse().ok()?, minute.parse().ok()?)
    };
    let parts = text
        .split_once('-')
        .and_then(|(from, until)| Some(Night { from: clock(from)?, until: clock(until)? }));
    parts.ok_or_else(|| "write a part of the day such as \"22:00-07:00\"".to_owned())
}

fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].trim() {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => 0,
    };
    let seconds = digits.trim().parse().ok().and_then(|number: u64| number.checked_mul(factor));
    let span = seconds.map(Duration::from_secs).filter(|span| (SPAN_MIN..=SPAN_MAX).contains(span));
    span.ok_or_else(|| "write a span such as \"30s\", \"10m\", \"6h\" or \"1d\"".to_owned())
}
