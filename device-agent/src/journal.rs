//! The program's own words: a line for each change, and none for what is still so.
//!
//! There is no log file, because a card wears out; whoever started the program keeps its output.

use std::env;
use std::io::{self, Write as _};

/// How much a line matters, by the numbers of syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What somebody must act on.
    Warning,
    /// What is good to know.
    Notice,
}

/// Where the lines go.
#[derive(Debug)]
pub struct Journal {
    is_journald: bool,
    is_silent: bool,
    last: Option<String>,
    repeats: u64,
}

impl Journal {
    /// Starts a journal on standard output.
    pub fn new() -> Self {
        let is_journald = env::var_os("JOURNAL_STREAM").is_some();
        Self { is_journald, is_silent: false, last: None, repeats: 0 }
    }

    /// Starts a journal that writes nothing, where the output shows a panel.
    pub fn silent() -> Self {
        Self { is_silent: true, ..Self::new() }
    }

    /// Writes a line, unless it is the last one again; how often that was is told with the next.
    pub fn say(&mut self, level: Level, line: &str) {
        if self.last.as_deref() == Some(line) {
            self.repeats += 1;
            return;
        }
        let repeats = std::mem::take(&mut self.repeats);
        self.last = Some(line.to_owned());
        if self.is_silent {
            return;
        }
        // journald takes the level from the line, and knows the time better than we do.
        let prefix = match level {
            Level::Warning if self.is_journald => "<4>",
            Level::Notice if self.is_journald => "<5>",
            Level::Warning | Level::Notice => "",
        };
        let mut output = io::stdout().lock();
        if repeats > 0 {
            // Where nobody reads, there is nobody to tell.
            drop(writeln!(output, "{prefix}(the same, {repeats} more times)"));
        }
        drop(writeln!(output, "{prefix}{line}"));
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}
