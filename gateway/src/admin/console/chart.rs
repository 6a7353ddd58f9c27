//! Charts of the last hour: one column for each minute, drawn without any script.
//!
//! A chart stretches to the width it is given; its words stand beside it, so that they do not
//! stretch with it.

use std::fmt::Write as _;

use super::ring::MINUTES;
use super::words;

/// The height of the drawing in its own units.
const HEIGHT: f64 = 100.0;

/// How much of a minute's width its column takes.
const COLUMN: f64 = 0.78;

/// The least that an axis ends at: one event is no peak.
const LOWEST_TOP: u64 = 5;

/// What a chart shows of one kind of thing.
pub(super) struct Series {
    /// What it is called.
    pub(super) name: &'static str,
    /// Its colour: a class of the style sheet.
    pub(super) colour: &'static str,
    /// How often it happened in each minute.
    pub(super) minutes: [u32; MINUTES],
}

/// Draws columns, each with the parts of its minute on top of each other, the first at the bottom.
pub(super) fn columns(what: &str, series: &[Series]) -> String {
    let sum = |minute: usize| series.iter().map(|series| u64::from(series.minutes[minute])).sum();
    let highest: u64 = (0..MINUTES).map(sum).max().unwrap_or(0);
    let top = rounded_up(highest);
    let mut drawing = String::new();
    for minute in 0..MINUTES {
        column(&mut drawing, series, minute, top);
    }
    let said = said(what, series);
    frame(&drawing, &said, &words::count(top))
}

/// Draws a line for each row of values; a minute without one is a gap.
pub(super) fn lines(
    what: &str,
    rows: &[(&'static str, [Option<f64>; MINUTES])],
    write: fn(f64) -> String,
) -> String {
    let highest = rows.iter().flat_map(|(_, values)| values.iter().flatten());
    let top = highest.fold(0.0_f64, |top, value| top.max(*value)).max(f64::MIN_POSITIVE);
    let mut drawing = String::new();
    for (colour, values) in rows {
        let mut path = String::new();
        let mut before = false;
        for (minute, value) in values.iter().enumerate() {
            let Some(value) = value else {
                before = false;
                continue;
            };
            let (x, y) = (minute as f64 + 0.5, HEIGHT - value / top * HEIGHT * 0.94);
            let step = if before { 'L' } else { 'M' };
            // A minute that stands alone is a dot: a line of no length with round ends.
            let dot = if before { "" } else { "h.01" };
            // Writing to a text cannot fail; so with every text here.
            let _ = write!(path, "{step}{x:.2} {y:.2}{dot}");
            before = true;
        }
        let _ = write!(drawing, "<path class=\"line {colour}\" d=\"{path}\"/>");
    }
    let nothing = rows.iter().all(|(_, values)| values.iter().all(Option::is_none));
    let said = format!("{what}, the last hour.");
    frame(&drawing, &said, &if nothing { "–".to_owned() } else { write(top / 0.94) })
}

fn column(drawing: &mut String, series: &[Series], minute: usize, top: u64) {
    let counts = || series.iter().map(|series| (series, series.minutes[minute]));
    if counts().all(|(_, count)| count == 0) {
        return;
    }
    let mut at = HEIGHT;
    let left = minute as f64 + (1.0 - COLUMN) / 2.0;
    drawing.push_str("<g>");
    let ago = MINUTES - 1 - minute;
    let _ = match ago {
        0 => write!(drawing, "<title>this minute"),
        ago => write!(drawing, "<title>{ago} min ago"),
    };
    for (series, count) in counts().filter(|(_, count)| *count != 0) {
        let _ = write!(drawing, ", {count} {}", series.name);
    }
    drawing.push_str("</title>");
    for (series, count) in counts().filter(|(_, count)| *count != 0) {
        let height = f64::from(count) / top.max(1) as f64 * HEIGHT;
        at -= height;
        let colour = series.colour;
        let _ = write!(
            drawing,
            "<rect class=\"{colour}\" x=\"{left:.2}\" y=\"{at:.2}\" width=\"{COLUMN}\" \
             height=\"{height:.2}\"/>"
        );
    }
    drawing.push_str("</g>");
}

/// Puts a drawing between its words. All texts are our own words and numbers.
fn frame(drawing: &str, said: &str, top: &str) -> String {
    format!(
        "<div class=\"chart\"><span class=\"top\" aria-hidden=\"true\">{top}</span>\
         <svg viewBox=\"0 0 {MINUTES} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{said}\"><path class=\"grid\" d=\"M0 .5H60M0 50H60M0 99.5H60\"/>{drawing}</svg>\
         <p class=\"axis\" aria-hidden=\"true\"><span>60 min ago</span><span>30 min</span>\
         <span>now</span></p></div>"
    )
}

/// Says in words what a chart shows, for who does not see it.
fn said(what: &str, series: &[Series]) -> String {
    let mut said = format!("{what}, the last hour:");
    for (at, series) in series.iter().enumerate() {
        let sum: u64 = series.minutes.iter().map(|count| u64::from(*count)).sum();
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(said, "{comma} {sum} {}", series.name);
    }
    said.push('.');
    said
}

/// Returns the next number that is easy to read beside an axis.
fn rounded_up(highest: u64) -> u64 {
    if highest <= LOWEST_TOP {
        return LOWEST_TOP;
    }
    let mut step = 1_u64;
    while step.saturating_mul(100) < highest {
        step = step.saturating_mul(10);
    }
    let easy = [6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100];
    let tops = easy.into_iter().map(|factor| step.saturating_mul(factor));
    tops.into_iter().find(|top| *top >= highest).unwrap_or(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_stacks_what_a_minute_had_and_says_it() {
        let mut passed = [0; MINUTES];
        (passed[58], passed[59]) = (3, 1);
        let mut failed = [0; MINUTES];
        failed[58] = 1;
        let drawn = columns(
            "Factors",
            &[
                Series { name: "passed", colour: "good", minutes: passed },
                Series { name: "failed", colour: "bad", minutes: failed },
            ],
        );
        assert!(drawn.contains("aria-label=\"Factors, the last hour: 4 passed, 1 failed.\""));
        assert!(drawn.contains("<title>1 min ago, 3 passed, 1 failed</title>"), "{drawn}");
        assert!(drawn.contains("y=\"40.00\" width=\"0.78\" height=\"60.00\""), "{drawn}");
        assert!(drawn.contains("y=\"20.00\" width=\"0.78\" height=\"20.00\""), "{drawn}");
        assert_eq!(drawn.matches("<rect").count(), 3);
    }

    #[test]
    fn an_axis_ends_at_a_number_that_is_easy_to_read() {
        for (highest, top) in [(0, 5), (4, 5), (6, 6), (21, 25), (101, 120), (999, 1_000)] {
            assert_eq!(rounded_up(highest), top, "{highest}");
        }
        assert!(rounded_up(u64::MAX) >= u64::MAX / 2);
    }
}
