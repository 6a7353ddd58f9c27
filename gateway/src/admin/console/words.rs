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
}
