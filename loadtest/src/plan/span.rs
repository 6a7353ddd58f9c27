//! Times as people write them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A time such as `"250ms"`, `"10s"` or `"2m"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
pub struct Span(pub Duration);

/// The units with their milliseconds; the longer spelling of an ending goes first.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let (unit, ms) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
        let count: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        count.checked_mul(ms).map(|ms| Self(Duration::from_millis(ms)))
    }

    /// Returns whole milliseconds.
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is no time; write it as \"250ms\", \"10s\" or \"2m\""
            ))
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.millis() {
            ms if ms % 60_000 == 0 && ms > 0 => write!(f, "{} min", ms / 60_000),
            ms if ms % 1_000 == 0 => write!(f, "{} s", ms / 1_000),
            ms => write!(f, "{ms} ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        let ms = |text| Span::parse(text).map(Span::millis);
        assert_eq!(ms("250ms"), Some(250));
        assert_eq!(ms("10s"), Some(10_000));
        assert_eq!(ms("2 m"), Some(120_000));
        for wrong in
            ["10", "s", "-1s", "1.5s", "1d", "99999999999999999999h", "18446744073709551615h"]
        {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
    }
}
