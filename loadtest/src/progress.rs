//! The one line that a person sees while a run goes on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::board::Board;
use crate::director::Signals;
use crate::pacer::keeper::Kept;
use crate::plan::Plan;

/// How often the line is drawn: calm to look at, and cheap beside the load.
const DRAW_GAP: Duration = Duration::from_millis(250);
/// How often a log, where nobody watches, gets a line.
const LOG_GAP: Duration = Duration::from_secs(10);

/// The line.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    next: Duration,
}

impl Progress {
    /// Begins with the plan's name and what it shows.
    #[must_use]
    pub fn begin(name: &str, plan: &Plan) -> Self {
        note(&format!("{name}: {}", plan.about));
        let bar = ProgressBar::new(millis(plan.duration()));
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {msg}") {
            bar.set_style(style);
        }
        Self { bar, next: Duration::ZERO }
    }

    /// Says what is being done before and after the load.
    pub fn say(&mut self, words: &str) {
        match self.bar.is_hidden() {
            true => note(words),
            false => self.bar.set_message(words.to_owned()),
        }
    }

    /// Says how the load gets on, where it is time to.
    pub fn show(&mut self, elapsed: Duration, board: &Board, kept: &Kept, signals: &Signals) {
        if elapsed < self.next {
            return;
        }
        let hidden = self.bar.is_hidden();
        self.next = elapsed + if hidden { LOG_GAP } else { DRAW_GAP };
        let record = &board.record;
        let handed = kept.handed.load(Ordering::Relaxed);
        let done = record.ok() + record.failures();
        let at = |quantile| {
            spoken_us(match record.response.is_empty() {
                true => 0,
                false => record.response.value_at_quantile(quantile),
            })
        };
        let (p50, p99, most) = (at(0.5), at(0.99), spoken_us(record.response.max()));
        let (ok, failed) = (record.ok(), record.failures());
        let flying = handed.saturating_sub(done);
        let mut line = format!(
            "{:>4.0} s  {ok} answered  {failed} failed  {flying} under way  half {p50}  99 % {p99}  \
             slowest {most}",
            elapsed.as_secs_f64()
        );
        let now = signals.now();
        if !now.is_empty() {
            line = format!("{line}  [{now}]");
        }
        match hidden {
            true => note(&line),
            false => {
                self.bar.set_message(line);
                self.bar.set_position(millis(elapsed));
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Says microseconds as people do.
#[must_use]
pub fn spoken_us(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

#[expect(clippy::print_stderr, reason = "a program talks to the person who started it")]
fn note(text: &str) {
    eprintln!("{text}");
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
