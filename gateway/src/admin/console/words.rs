//! Numbers and spans as people read them.

/// Writes a count with thin spaces between thousands.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut written = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            written.push('\u{202f}');
        }
        written.push(digit);
    }
    written
}

/// Writes how long something lasts: coarse, so that it does not change with each look.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..10 => "a few seconds".to_owned(),
        10..60 => format!("{} s", seconds / 10 * 10),
        60..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Writes a part of a whole; `None` where there is no whole.
pub(super) fn percent(part: u64, whole: u64) -> Option<String> {
    if whole == 0 {
        return None;
    }
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    Some(match tenths {
        1_000.. => "100\u{a0}%".to_owned(),
        tenths => format!("{}.{}\u{a0}%", tenths / 10, tenths % 10),
    })
}

/// Writes how often something happens.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        none if none <= 0.0 => "0/s".to_owned(),
        rare if rare < 10.0 => format!("{rare:.1}/s"),
        often => format!("{often:.0}/s"),
    }
}

/// Writes a moment as machines read it (RFC 3339), for a browser to put into its person's own time.
pub(super) fn moment(at_ms: u64) -> String {
    let (days, of_day) = (at_ms / 86_400_000, at_ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, millis) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Writes a moment's time of day, for who has no script.
pub(super) fn of_day(at_ms: u64) -> String {
    let of_day = at_ms % 86_400_000 / 1_000;
    format!("{:02}:{:02}:{:02} UTC", of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

/// Turns days since 1970-01-01 into a date of the Gregorian calendar, whose years begin in March
/// here so that the leap day is the last one.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + (month <= 2) as u64, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(span(3), "a few seconds");
        assert_eq!(
            (span(59), span(61), span(7_300)),
            ("50 s".into(), "1 min".into(), "2 h".into())
        );
        assert_eq!(percent(1, 0), None);
        assert_eq!(percent(999, 1_000).unwrap(), "99.9\u{a0}%");
        assert_eq!(percent(9_999, 10_000).unwrap(), "99.9\u{a0}%", "nothing is rounded to perfect");
        assert_eq!(percent(5, 5).unwrap(), "100\u{a0}%");
        assert_eq!((rate(0.04), rate(12.6)), ("0.0/s".into(), "13/s".into()));
    }

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(moment(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(moment(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(moment(1_795_377_600_000), "2026-11-22T20:00:00.000Z");
        assert_eq!(of_day(1_795_377_600_000), "20:00:00 UTC");
    }
}
