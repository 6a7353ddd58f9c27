//! What was offered and what was answered, second by second.

use std::fmt::Write as _;

use super::axis::{self, BOTTOM, Frame, TOP};
use super::words::count;
use crate::verdict::Picture;

const HEIGHT: f64 = 220.0;

/// Draws it.
pub(super) fn draw(picture: &Picture) -> String {
    let frame = Frame::new(picture, HEIGHT);
    let seconds = picture.slot.as_secs_f64().max(f64::MIN_POSITIVE);
    let rate = |requests: u32| f64::from(requests) / seconds;
    let columns = || picture.slots.iter().zip(&picture.offered);
    let highest = columns().map(|(slot, offered)| rate((slot.ok + slot.failed).max(*offered)));
    let top = nice(highest.fold(1.0, f64::max));
    let y = |rate: f64| frame.floor() - (HEIGHT - BOTTOM - TOP) * rate / top;
    let mut svg = frame.begin("Requests offered and answered by time");
    for share in [0.0, 0.5, 1.0] {
        axis::level(&mut svg, y(top * share), &said(top * share));
    }
    frame.backdrop(&mut svg, &picture.played);
    let (mut ok, mut bad, mut offered_line) = (String::new(), String::new(), String::new());
    for (at, (slot, &offered)) in columns().enumerate() {
        let (from, to) = axis::edges(at, picture.slot);
        let (x, width) = (frame.x(from), frame.x(to) - frame.x(from));
        let bar = (width - 1.0).max(0.5);
        let (answered, all) = (y(rate(slot.ok)), y(rate(slot.ok + slot.failed)));
        let floor = frame.floor();
        let _ = write!(ok, "M{x:.1} {answered:.1}h{bar:.1}V{floor}h-{bar:.1}z");
        if slot.failed > 0 {
            let _ = write!(bad, "M{x:.1} {all:.1}h{bar:.1}V{answered:.1}h-{bar:.1}z");
        }
        let move_or_line = if at == 0 { 'M' } else { 'L' };
        let level = y(rate(offered));
        let _ = write!(offered_line, "{move_or_line}{x:.1} {level:.1}h{width:.1}");
    }
    let _ = write!(svg, "<path class=\"h4\" d=\"{ok}\"/>");
    if !bad.is_empty() {
        let _ = write!(svg, "<path class=\"bad\" d=\"{bad}\"/>");
    }
    let _ = write!(svg, "<path class=\"line offered\" d=\"{offered_line}\"/>");
    for (at, (slot, &offered)) in columns().enumerate() {
        let told = format!(
            "{}: {:.0} per second offered, {:.0} answered, {} failed",
            axis::clock(axis::edges(at, picture.slot).0),
            rate(offered),
            rate(slot.ok),
            count(slot.failed.into())
        );
        frame.column(&mut svg, at, picture.slot, &told);
    }
    svg + "</svg>"
}

/// Returns the next number above that people count to.
fn nice(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].map(|step| step * decade);
    steps.into_iter().find(|step| *step >= value).unwrap_or(value)
}

fn said(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        _ if rate < 10.0 => format!("{rate:.1}/s"),
        _ => format!("{}/s", count(rate.round() as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_numbers_that_people_count_to() {
        for (value, top) in [(1.0, 1.0), (430.0, 500.0), (501.0, 600.0), (9_100.0, 10_000.0)] {
            assert!((nice(value) - top).abs() < 1e-6, "{value}: {}", nice(value));
        }
    }
}
