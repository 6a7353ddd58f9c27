//! The picture of a run: time from left to right, latency upwards, and the darker the more answers.
//! A target that stalls stands out as a tower.

use std::fmt::Write as _;

use super::axis::{self, Frame, TOP};
use super::words::{count, us};
use crate::record::{ROW_FLOOR_US, ROWS, ROWS_A_DECADE, Slot};
use crate::verdict::Picture;

/// How many shades there are.
const SHADES: usize = 6;
/// The height of a row, and the fewest rows that are shown, so that a calm run is no thin line.
const ROW_HEIGHT: f64 = 13.0;
const ROWS_MIN: usize = 12;
/// The strip above the rows, in which failures are marked.
const STRIP: f64 = 16.0;

/// Draws it.
pub(super) fn draw(picture: &Picture) -> String {
    let (lowest, highest) = shown(&picture.slots);
    let height = TOP + STRIP + axis::BOTTOM + ROW_HEIGHT * (highest - lowest + 1) as f64;
    let frame = Frame::new(picture, height);
    let mut svg = frame.begin("Answers by time and latency; the figures are in the tables below");
    let y = |row: usize| frame.floor() - ROW_HEIGHT * (row as f64 - lowest as f64);
    for row in (lowest..=highest + 1).filter(|row| row.is_multiple_of(5)) {
        // The upper edge of row n is the floor times a fifth of a decade for each row.
        axis::level(&mut svg, y(row + 1), &axis::time(edge_us(row)));
    }
    frame.backdrop(&mut svg, &picture.played);
    let most = picture.slots.iter().flat_map(|slot| slot.rows).max().unwrap_or(0);
    let mut shades = vec![String::new(); SHADES];
    for (at, slot) in picture.slots.iter().enumerate() {
        let (from, to) = axis::edges(at, picture.slot);
        let (x, width) = (frame.x(from), frame.x(to) - frame.x(from));
        for row in (lowest..=highest).filter(|&row| slot.rows[row] > 0) {
            let path = &mut shades[shade(slot.rows[row], most)];
            let top = y(row + 1);
            let _ = write!(path, "M{x:.1} {top:.0}h{width:.1}v{ROW_HEIGHT}h-{width:.1}z");
        }
    }
    for (number, path) in shades.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let _ = write!(svg, "<path class=\"h{}\" d=\"{path}\"/>", number + 1);
    }
    failures(&frame, picture, &mut svg);
    for (at, slot) in picture.slots.iter().enumerate() {
        frame.column(&mut svg, at, picture.slot, &told(picture, at, slot));
    }
    svg + "</svg>"
}

/// Marks the columns in which requests failed, above everything else.
fn failures(frame: &Frame, picture: &Picture, svg: &mut String) {
    let mut path = String::new();
    for (at, slot) in picture.slots.iter().enumerate().filter(|(_, slot)| slot.failed > 0) {
        let (from, to) = axis::edges(at, picture.slot);
        let (x, width) = (frame.x(from), frame.x(to) - frame.x(from));
        // The taller the more of them failed.
        let share = f64::from(slot.failed) / f64::from(slot.failed + slot.ok);
        let height = 3.0 + (STRIP - 5.0) * share;
        let _ = write!(path, "M{x:.1} {TOP}h{width:.1}v{height:.1}h-{width:.1}z");
    }
    if !path.is_empty() {
        let _ = write!(svg, "<path class=\"bad\" d=\"{path}\"/>");
    }
}

fn told(picture: &Picture, at: usize, slot: &Slot) -> String {
    let moment = axis::clock(axis::edges(at, picture.slot).0);
    let due = picture.offered.get(at).copied().unwrap_or_default();
    let failed = match slot.failed {
        0 => String::new(),
        failed => format!(", {} failed", count(failed.into())),
    };
    format!(
        "{moment}: {} due, {} answered{failed}; half within {}, slowest {}",
        count(due.into()),
        count(slot.ok.into()),
        us(half(slot)),
        us(slot.most_us)
    )
}

/// The half of a column's answers, to the upper edge of its row.
fn half(slot: &Slot) -> u64 {
    let mut left = u64::from(slot.ok).div_ceil(2);
    for (row, &answers) in slot.rows.iter().enumerate() {
        if u64::from(answers) >= left && left > 0 {
            return edge_us(row);
        }
        left = left.saturating_sub(answers.into());
    }
    0
}

fn edge_us(row: usize) -> u64 {
    (ROW_FLOOR_US * 10_f64.powf(row as f64 / ROWS_A_DECADE)).round() as u64
}

/// Returns the lowest and the highest row that have answers, with room above for a calm run.
fn shown(slots: &[Slot]) -> (usize, usize) {
    let used = |row: &usize| slots.iter().any(|slot| slot.rows[*row] > 0);
    let lowest = (0..ROWS).find(used).unwrap_or(0);
    let highest = (0..ROWS).rev().find(used).unwrap_or(0);
    let highest = highest.max(lowest + ROWS_MIN - 1).min(ROWS - 1);
    (lowest.min(highest + 1 - ROWS_MIN), highest)
}

/// Shades go up with the logarithm: one answer is to be seen beside ten thousand.
fn shade(answers: u32, most: u32) -> usize {
    let share = f64::from(answers).ln_1p() / f64::from(most.max(1)).ln_1p();
    ((share * SHADES as f64).ceil() as usize).clamp(1, SHADES) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_is_to_be_seen_beside_ten_thousand() {
        assert_eq!((shade(1, 10_000), shade(10_000, 10_000), shade(1, 1)), (0, 5, 5));
    }

    #[test]
    fn a_calm_run_is_no_thin_line() {
        let mut slot = Slot::default();
        slot.rows[3] = 9;
        assert_eq!(shown(&[slot.clone()]), (3, 14));
        slot.rows[3] = 0;
        slot.rows[27] = 1;
        assert_eq!(shown(&[slot]), (16, 27));
        assert_eq!(shown(&[]), (0, 11));
    }
}
