//! Times and tables for people.

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// Writes milliseconds since the Unix epoch as `2026-01-31 14:05:09`, in UTC.
pub(super) fn moment(at_ms: u64) -> String {
    let seconds = at_ms / 1_000;
    let (year, month, day) = civil(seconds / DAY_S);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Writes a time span with its largest unit and one more: `2 h 5 min`.
pub(super) fn span(seconds: u64) -> String {
    let (small, large) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3_600 => ((seconds % 60, "s"), (seconds / 60, "min")),
        3_600..DAY_S => ((seconds % 3_600 / 60, "min"), (seconds / 3_600, "h")),
        DAY_S.. => ((seconds % DAY_S / 3_600, "h"), (seconds / DAY_S, "d")),
    };
    match small.0 {
        0 => format!("{} {}", large.0, large.1),
        rest => format!("{} {} {rest} {}", large.0, large.1, small.1),
    }
}

/// Writes rows in columns that are as wide as their widest cell; the last one runs free.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the date of a day since the Unix epoch (the proleptic Gregorian calendar, counted in
/// eras of 400 years that begin in March, so that leap days come last).
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        for (at_ms, shown) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399_000, "2000-02-28 23:59:59"),
            (951_782_400_999, "2000-02-29 00:00:00"),
            (1_767_225_599_000, "2025-12-31 23:59:59"),
            (4_107_542_400_000, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(moment(at_ms), shown);
        }
        for (seconds, shown) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (7_500, "2 h 5 min"),
            (172_800, "2 d"),
        ] {
            assert_eq!(span(seconds), shown);
        }
    }
}
