//! What a person reads: progress on standard error, results on standard output.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::SIGWINCH;

/// How often a spinner turns: calm to look at, and visibly alive.
const SPINNER_TICK: Duration = Duration::from_millis(120);
/// Into how many lines a count is put where nobody watches.
const LOGGED_STEPS: u64 = 10;

/// Prints a line of progress.
#[expect(clippy::print_stderr, reason = "xtask talks to the person who started it")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Prints a heading that stands out between the outputs of other programs.
pub(crate) fn heading(text: &str) {
    note(&format!("\n== {text} =="));
}

/// Prints a line of result.
#[expect(clippy::print_stdout, reason = "results belong on standard output")]
pub(crate) fn result(text: &str) {
    println!("{text}");
}

/// Shows that a quiet step is running, until the returned value is dropped or finished.
pub(crate) fn spinner(text: &str) -> Spinner {
    let bar = ProgressBar::new_spinner();
    if bar.is_hidden() {
        // Not a terminal: a log gets one line instead of an animation.
        note(text);
    }
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(text.to_owned());
    bar.enable_steady_tick(SPINNER_TICK);
    Spinner { bar }
}

/// A running animation that clears itself.
#[derive(Debug)]
pub(crate) struct Spinner {
    bar: ProgressBar,
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Counts steps, until the returned value is dropped.
pub(crate) fn progress(total: impl Into<u64>, what: &str) -> Progress {
    let bar = ProgressBar::new(total.into());
    let template = format!("{{bar:30}} {{pos}} of {{len}} {what}, {{eta}} to go; {{msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(SPINNER_TICK);
    Progress { bar, what: what.to_owned() }
}

/// A running count that clears itself.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    what: String,
}

impl Progress {
    /// Counts one step more, and says how things stand.
    pub(crate) fn step(&self, words: &str) {
        self.reach(self.bar.position() + 1, words);
    }

    /// Says that so many steps are done, and how things stand.
    pub(crate) fn reach(&self, done: u64, words: &str) {
        let (before, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        self.bar.set_message(words.to_owned());
        self.bar.set_position(done);
        // Not a terminal: a log gets a line for each tenth instead of a moving bar.
        let tenth = (total / LOGGED_STEPS).max(1);
        if self.bar.is_hidden() && done / tenth > before / tenth {
            note(&format!("{done} of {total} {}; {words}", self.what));
        }
    }

    /// Prints a line above the bar.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| note(text));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A picture that stays at the end of the terminal, while lines are printed above it. Dropping it
/// clears it.
#[derive(Debug)]
pub(crate) struct Board {
    multi: MultiProgress,
    rows: Vec<ProgressBar>,
    /// True when the terminal has got another size since the picture was drawn.
    resized: Arc<AtomicBool>,
}

impl Board {
    /// Makes room for so many lines.
    pub(crate) fn new(lines: usize) -> Self {
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        // A line that is wider than the terminal is cut: wrapped, it would not be drawn over.
        let style = ProgressStyle::with_template("{wide_msg}");
        let resized = Arc::new(AtomicBool::new(false));
        // Where it cannot be heard of, the picture fits again with its next change.
        let _ = signal_hook::flag::register(SIGWINCH, Arc::clone(&resized));
        let rows = (0..lines).map(|_| {
            let row = multi.add(ProgressBar::new_spinner());
            if let Ok(style) = &style {
                row.set_style(style.clone());
            }
            row
        });
        Self { rows: rows.collect(), multi, resized }
    }

    /// Shows these lines, as far as there is room; what was there before is gone.
    pub(crate) fn show(&self, lines: &[String]) {
        let resized = self.resized.swap(false, Ordering::Relaxed);
        for (at, row) in self.rows.iter().enumerate() {
            let line = lines.get(at).cloned().unwrap_or_default();
            if resized || row.message() != line {
                row.set_message(line);
            }
        }
    }

    /// Prints a line of result above the picture.
    pub(crate) fn say(&self, text: &str) {
        self.multi.suspend(|| result(text));
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // Where the terminal is gone, there is nothing to clear.
        let _ = self.multi.clear();
    }
}

/// Lays rows out as a table: the first column to the left, all others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(at, (cell, width))| match at {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_its_columns() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            table(&[row(["step", "seconds", "result"]), row(["formatting", "2", "ok"])]),
            "step        seconds  result\nformatting        2      ok"
        );
    }
}
