//! Proxies under the same load, and what a request costs each in CPU.
//!
//! They are measured in rounds that alternate, so that what else the machine does hits all.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tokenward_programs::failure::Failure;
use tokenward_programs::usage;

use crate::setup::{Program, Tools};
use crate::terminal;
use crate::world;

/// The cores that the sides are kept on, so that the load does not run where it measures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores {
    /// Where each proxy runs.
    pub(super) proxy: Option<usize>,
    /// Where everything else runs.
    pub(super) other: Option<usize>,
}

/// A proxy under load.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    process: u32,
    origin: String,
    /// What its callers send with each request.
    cookie: String,
    /// Requests in a round: fewer where each takes long.
    requests: u32,
    /// CPU per request of each round, in microseconds.
    rounds_us: Vec<f64>,
}

/// The load generator with what all its rounds share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    pub(super) tools: &'a Tools,
    pub(super) cores: Cores,
    /// Connections that it holds open.
    pub(super) connections: u32,
    /// What it asks for.
    pub(super) path: &'a str,
}

/// The least, the median and the most of some rounds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Cores {
    /// Keeps the two sides apart where the machine has two cores.
    pub(super) fn of_this_machine() -> Self {
        if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
            return Self { proxy: Some(0), other: Some(1) };
        }
        terminal::note("one core only: proxies and load share it, the ratio is less steady");
        Self { proxy: None, other: None }
    }
}

impl Contender {
    /// Makes one of a process that serves at an origin, with the cookie of a session.
    pub(super) fn new(
        name: &'static str,
        process: u32,
        origin: String,
        cookie: &str,
        requests: u32,
    ) -> Self {
        Self { name, process, origin, cookie: cookie.to_owned(), requests, rounds_us: Vec::new() }
    }

    /// Returns what a request has cost, in microseconds.
    pub(super) fn cost(&self) -> Spread {
        spread(&self.rounds_us)
    }

    /// Returns how many rounds it has been through.
    pub(super) fn rounds(&self) -> usize {
        self.rounds_us.len()
    }

    /// Returns how many requests it gets in a round.
    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    fn measure(&mut self, load: &Load<'_>) -> Result<(), Failure> {
        let before = usage::of(self.process)?.cpu_us;
        load.drive(self, self.requests)?;
        let spent = usage::of(self.process)?.cpu_us.saturating_sub(before);
        // Exact: the microseconds of a round are far below 2^52.
        self.rounds_us.push(spent as f64 / f64::from(self.requests));
        Ok(())
    }
}

impl Load<'_> {
    /// Warms all up, and measures so many rounds of each in turn.
    ///
    /// # Errors
    /// `Ours` when not every request was answered with success.
    pub(super) fn compare(
        &self,
        contenders: &mut [Contender],
        rounds: u32,
        warm_up: u32,
    ) -> Result<(), Failure> {
        for contender in &*contenders {
            self.drive(contender, warm_up.min(contender.requests))?;
        }
        for round in 1..=rounds {
            let _running = terminal::spinner(&format!("round {round} of {rounds}"));
            for contender in &mut *contenders {
                contender.measure(self)?;
            }
        }
        Ok(())
    }

    fn drive(&self, contender: &Contender, requests: u32) -> Result<(), Failure> {
        let Some(program) = self.tools.path(Program::H2load.variable()) else {
            return Err(Failure::Ours("h2load was set up and is gone".to_owned()));
        };
        let origin = &contender.origin;
        let mut command = world::on_core(self.cores.other, program);
        // A connection that says nothing for so long is stuck: the round fails instead of hanging.
        command.args(["--h1", "--threads=1", "--connection-inactivity-timeout=20s"]);
        command.arg(format!("--clients={}", self.connections));
        command.arg(format!("--requests={requests}"));
        command.arg(format!("--header=cookie: {}", contender.cookie));
        command.arg(format!("{origin}{}", self.path));
        let output = command.output().map_err(|error| Failure::io("start h2load", &error))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if succeeded(&text) == Some(requests) {
            return Ok(());
        }
        Err(Failure::Ours(format!("not every request of {origin} was answered with 200:\n{text}")))
    }
}

/// Returns a table of what a request has cost each.
pub(super) fn table(contenders: &[Contender]) -> String {
    let head = ["CPU µs per request", "median", "least", "most", "rounds", "requests in each"];
    let rows = contenders.iter().map(|contender| {
        let Spread { least, median, most } = contender.cost();
        let shown = [median, least, most].map(|us| format!("{us:.2}"));
        let counts = [contender.rounds_us.len().to_string(), contender.requests.to_string()];
        std::iter::once(contender.name.to_owned()).chain(shown).chain(counts).collect()
    });
    let head: Vec<String> = head.map(str::to_owned).to_vec();
    terminal::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// Returns how one stands to another, round by round: the medians divided, and the least and the
/// most of the rounds that ran side by side.
pub(super) fn ratio(of: &Contender, to: &Contender) -> Spread {
    let each: Vec<f64> =
        of.rounds_us.iter().zip(&to.rounds_us).map(|(one, other)| one / other).collect();
    Spread { median: of.cost().median / to.cost().median, ..spread(&each) }
}

/// Makes the folder of a proxy's files.
///
/// # Errors
/// `Unavailable` when it cannot be made.
pub(super) fn folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| Failure::io("make a proxy's folder", &error))
}

/// Reads how many answers had a 2xx status.
fn succeeded(report: &str) -> Option<u32> {
    let line = report.lines().find_map(|line| line.strip_prefix("status codes: "))?;
    line.split_once(" 2xx")?.0.parse().ok()
}

/// Returns the spread of at least one value.
fn spread(values: &[f64]) -> Spread {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    Spread { least: at(0), median: at(sorted.len() / 2), most: at(sorted.len().saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_with_2xx_count() {
        let report = "requests: 9 total, 9 started\nstatus codes: 7 2xx, 0 3xx, 2 4xx, 0 5xx\n";
        assert_eq!(succeeded(report), Some(7));
        assert_eq!(succeeded("requests: 9 total"), None);
    }

    #[test]
    fn rounds_that_ran_side_by_side_are_divided_by_each_other() {
        let contender = |rounds: [f64; 3]| Contender {
            rounds_us: rounds.to_vec(),
            ..Contender::new("x", 0, String::new(), "", 1)
        };
        let [of, to] = [[3.0, 8.0, 2.0], [2.0, 4.0, 2.0]].map(contender);
        assert_eq!(of.cost(), Spread { least: 2.0, median: 3.0, most: 8.0 });
        assert_eq!(ratio(&of, &to), Spread { least: 1.0, median: 1.5, most: 2.0 });
    }
}
