//! The curve of all answers from the fastest to the slowest, on an axis that gives each further
//! nine the same room.

use std::fmt::Write as _;

use super::axis::{self, BOTTOM, LEFT, RIGHT, TOP, WIDTH};
use super::words::us;
use crate::verdict::Verdict;

const HEIGHT: f64 = 300.0;
/// With more decades than this the half lies too near the fastest for both to be written.
const HALF_DECADES_MAX: f64 = 4.0;
/// What is written below, by the share that is slower than it.
const MARKS: [(f64, &str); 7] = [
    (1.0, "fastest"),
    (0.5, "half"),
    (0.1, "90 %"),
    (0.01, "99 %"),
    (0.001, "99.9 %"),
    (0.000_1, "99.99 %"),
    (0.000_01, "99.999 %"),
];

/// The room of the curves.
struct Room {
    decades: f64,
    /// Logarithms of the fastest and the slowest time shown, in microseconds.
    lowest: f64,
    highest: f64,
}

/// Draws it.
pub(super) fn draw(verdict: &Verdict, baseline: Option<&Verdict>) -> String {
    let detail = &verdict.detail;
    let before = baseline.map(|baseline| baseline.detail.curve.as_slice()).unwrap_or_default();
    let curves = [("service", &detail.service_curve[..]), ("before", before)];
    let curves = [curves[0], curves[1], ("response", &detail.curve[..])];
    let room = Room::of(&curves.map(|(_, curve)| curve));
    let mut svg = axis::begin(HEIGHT, "Answers from the fastest to the slowest");
    for decade in room.lowest.ceil() as i32..=room.highest.floor() as i32 {
        let value = 10_f64.powi(decade);
        axis::level(&mut svg, room.y(value), &axis::time(value as u64));
    }
    for (slower, said) in MARKS.into_iter().filter(|(slower, _)| -slower.log10() <= room.decades) {
        let (x, floor) = (room.x(1.0 - slower), HEIGHT - BOTTOM);
        let _ = write!(svg, "<path class=\"grid\" d=\"M{x:.1} {TOP}V{floor}\"/>");
        if said == "half" && room.decades > HALF_DECADES_MAX {
            continue;
        }
        let (y, class) = (floor + 25.0, if said == "half" { "x minor" } else { "x" });
        let _ = write!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y}\">{said}</text>");
    }
    for (class, curve) in curves.into_iter().filter(|(_, curve)| !curve.is_empty()) {
        let points = curve
            .iter()
            .map(|&(share, time)| format!("{:.1} {:.1}", room.x(share), room.y(time as f64)));
        let points = points.collect::<Vec<_>>().join("L");
        let _ = write!(svg, "<path class=\"line {class}\" d=\"M{points}\"/>");
    }
    for &(share, time) in &detail.curve {
        let (x, y) = (room.x(share), room.y(time as f64));
        let told = format!("{} % within {}", rounded(share * 100.0), us(time));
        let _ = write!(
            svg,
            "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\"><title>{told}</title></circle>"
        );
    }
    svg + "</svg>"
}

impl Room {
    fn of(curves: &[&[(f64, u64)]]) -> Self {
        let points = || curves.iter().flat_map(|curve| curve.iter());
        let most = points().map(|point| point.0).fold(0.9, f64::max);
        let times = || points().map(|point| (point.1.max(1) as f64).log10());
        let lowest = times().fold(f64::MAX, f64::min).min(6.0);
        let highest = times().fold(f64::MIN, f64::max).max(lowest + 1.0);
        Self { decades: -(1.0 - most).log10(), lowest: lowest - 0.1, highest: highest + 0.1 }
    }

    fn x(&self, share: f64) -> f64 {
        let decades = -(1.0 - share).max(f64::MIN_POSITIVE).log10();
        LEFT + (WIDTH - LEFT - RIGHT - 24.0) * (decades / self.decades).clamp(0.0, 1.0)
    }

    fn y(&self, us: f64) -> f64 {
        let share = (us.max(1.0).log10() - self.lowest) / (self.highest - self.lowest);
        HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share.clamp(0.0, 1.0)
    }
}

/// Keeps the nines and drops what rounding adds.
fn rounded(percent: f64) -> f64 {
    (percent * 1e4).round() / 1e4
}
