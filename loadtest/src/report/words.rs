//! Figures as people say them.

use crate::progress::spoken_us;

/// Says microseconds.
pub(super) fn us(us: u64) -> String {
    spoken_us(us)
}

/// Says a number with its thousands apart.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut said = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

/// Says a share.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let share = if whole > 0 { part as f64 / whole as f64 * 100.0 } else { 0.0 };
    match share {
        0.0..0.01 => "less than 0.01 %".to_owned(),
        0.01..1.0 => format!("{share:.2} %"),
        _ => format!("{share:.1} %"),
    }
}

/// Says an amount of memory.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        megabytes @ 0.0..10.0 => format!("{megabytes:.1} MB"),
        megabytes @ 10.0..1_000.0 => format!("{megabytes:.0} MB"),
        megabytes => format!("{:.1} GB", megabytes / 1e3),
    }
}

/// The figures of a comparison.
pub(super) mod figure {
    use super::{bytes, us};
    use crate::compare::Figure;

    /// Says what a figure is.
    pub(in super::super) const fn words(figure: Figure) -> &'static str {
        match figure {
            Figure::P50 => "half of the answers within",
            Figure::P90 => "9 of 10 within",
            Figure::P99 => "99 of 100 within",
            Figure::Rps => "answers per second",
            Figure::Cpu => "processor time for each",
            Figure::Rss => "memory",
        }
    }

    /// Says its value.
    pub(in super::super) fn spoken(figure: Figure, value: f64) -> String {
        // Figures are not negative.
        let whole = value.round() as u64;
        match figure {
            Figure::P50 | Figure::P90 | Figure::P99 => us(whole),
            Figure::Rps => format!("{value:.0}"),
            Figure::Cpu => format!("{value:.1} µs"),
            Figure::Rss => bytes(whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_said_as_people_do() {
        assert_eq!(
            [0, 999, 1_000, 24_012, 1_234_567].map(count).join(" "),
            "0 999 1,000 24,012 1,234,567"
        );
        assert_eq!([40, 1_540, 12_345, 1_500_000].map(us).join(" "), "40 µs 1.5 ms 12 ms 1.5 s");
        assert_eq!(percent(1, 1_000), "0.10 %");
        assert_eq!(percent(1, 100_000), "less than 0.01 %");
        assert_eq!(
            [1_500_000, 38_900_000, 25_276_514_304].map(bytes).join(" "),
            "1.5 MB 39 MB 25.3 GB"
        );
    }
}
