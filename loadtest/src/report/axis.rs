//! What all pictures share: their room, their axis of time, and the marks of what happened.

use std::fmt::Write as _;
use std::time::Duration;

use crate::director::Played;
use crate::verdict::Picture;

/// The width of a picture, in its own units.
pub(super) const WIDTH: f64 = 760.0;
/// Room for what is written at the left: on a phone the letters are larger against the picture.
pub(super) const LEFT: f64 = 98.0;
/// Room at the right, so that the last letters are not cut.
pub(super) const RIGHT: f64 = 26.0;
/// Room for the marks above.
pub(super) const TOP: f64 = 30.0;
/// Room for what is written below.
pub(super) const BOTTOM: f64 = 34.0;

/// The most lines that an axis of time has.
const TIME_LINES_MAX: f64 = 6.0;
/// Steps of time that people count in, in seconds.
const STEPS: [f64; 14] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0,
];

/// A picture over time.
pub(super) struct Frame {
    pub(super) height: f64,
    /// How long the whole picture is, in seconds.
    seconds: f64,
}

impl Frame {
    pub(super) fn new(picture: &Picture, height: f64) -> Self {
        let seconds = picture.slot.as_secs_f64() * picture.slots.len() as f64;
        Self { height, seconds: seconds.max(f64::MIN_POSITIVE) }
    }

    /// Returns where a moment lies.
    pub(super) fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.seconds).clamp(0.0, 1.0)
    }

    /// Returns the lower edge of what is drawn.
    pub(super) fn floor(&self) -> f64 {
        self.height - BOTTOM
    }

    /// Begins a picture that a screen reader calls by this sentence.
    pub(super) fn begin(&self, told: &str) -> String {
        begin(self.height, told)
    }

    /// Draws the axis of time and the bands of what happened.
    pub(super) fn backdrop(&self, svg: &mut String, played: &[Played]) {
        let floor = self.floor();
        let step = STEPS.into_iter().find(|step| self.seconds / step <= TIME_LINES_MAX);
        let step = step.unwrap_or(self.seconds);
        let mut at = 0.0;
        while at <= self.seconds {
            let x = self.x(at);
            let said = clock(at);
            let y = floor + 25.0;
            let _ = write!(svg, "<text class=\"x\" x=\"{x:.1}\" y=\"{y:.1}\">{said}</text>");
            at += step;
        }
        for (number, act) in played.iter().enumerate() {
            let [from, to] = act.at.map(|at| self.x(at.as_secs_f64()));
            let (width, top) = ((to - from).max(2.0), TOP - 4.0);
            let height = floor - top;
            let (number, words) = (number + 1, escaped(&act.words));
            let _ = write!(
                svg,
                "<g class=\"act\"><title>{words}</title><rect x=\"{from:.1}\" y=\"{top}\" \
                 width=\"{width:.1}\" height=\"{height:.1}\"/><circle cx=\"{from:.1}\" cy=\"14\" \
                 r=\"11\"/><text x=\"{from:.1}\" y=\"19\">{number}</text></g>"
            );
        }
    }

    /// Draws what a pointer on a column is told.
    pub(super) fn column(&self, svg: &mut String, at: usize, slot: Duration, told: &str) {
        let (from, to) = edges(at, slot);
        let (x, width) = (self.x(from), self.x(to) - self.x(from));
        let height = self.floor() - TOP;
        let _ = write!(
            svg,
            "<rect class=\"hit\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"><title>{}</title></rect>",
            escaped(told)
        );
    }
}

/// Begins a picture of this height.
pub(super) fn begin(height: f64, told: &str) -> String {
    let told = escaped(told);
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{told}\">")
}

/// Draws a line across with what it stands for.
pub(super) fn level(svg: &mut String, y: f64, said: &str) {
    let (end, x, text_y) = (WIDTH - RIGHT, LEFT - 8.0, y + 5.0);
    let _ = write!(
        svg,
        "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{end}\"/>\
         <text class=\"y\" x=\"{x}\" y=\"{text_y:.1}\">{said}</text>"
    );
}

/// Says a round time beside an axis.
pub(super) fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{} s", us / 1_000_000),
    }
}

/// Returns the seconds between which a column lies.
pub(super) fn edges(at: usize, slot: Duration) -> (f64, f64) {
    let width = slot.as_secs_f64();
    (width * at as f64, width * (at + 1) as f64)
}

/// Says a moment of a run.
pub(super) fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..120 => format!("{whole} s"),
        _ if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        _ => format!("{}:{:02} min", whole / 60, whole % 60),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
