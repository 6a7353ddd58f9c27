//! `cargo xtask test`: everything that must hold, in order, with a table at the end.

use std::process::Command;

use clap::Args;
use tokenward_programs::clock::Watch;
use tokenward_programs::failure::Failure;

use crate::bench::{device, parts};
use crate::command;
use crate::crash;
use crate::dashboards;
use crate::demo;
use crate::faults;
use crate::fleet;
use crate::proofs::{sim, vectors};
use crate::setup::{self, Tools};
use crate::stories;
use crate::terminal;
use crate::tree::Tree;
use crate::vm::{self, Scene};

/// How long the demo runs under chaos: two kills, and several refreshes after each.
const DEMO_SECONDS: u64 = 28;
/// How often gateways are killed under load: each point of an exchange is hit some twenty times.
const CRASH_KILLS: u32 = 200;

/// What the test run is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Runs only the named steps, in their usual order
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    only: Vec<Step>,
    /// Tries the wall display on real kernels in virtual machines instead: all scenes, or the named
    #[arg(long, value_name = "SCENE", value_delimiter = ',', num_args = 0..)]
    vm: Option<Vec<Scene>>,
}

/// One step of the run; the order here is the order of the run, quick ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// Formatting
    Fmt,
    /// Lints, with warnings denied
    Clippy,
    /// All tests: unit, documentation and end to end
    Tests,
    /// Documentation, with warnings denied
    Doc,
    /// Licences, sources and bans of the dependencies
    Deny,
    /// The vectors of other implementations: that none was left out
    Vectors,
    /// Instructions of the parts of a request, against the kept baseline
    Parts,
    /// The wall display's size, memory, threads, wires, wakes and writes
    Device,
    /// Schedules of failures against the core
    Sim,
    /// The demo under chaos, and the keys of the fleet's
    Demo,
    /// The stories that Tokenward was built for
    Stories,
    /// What goes wrong with providers, callers and machines, row by row
    Faults,
    /// Dashboards and alerts before a real Prometheus and Alertmanager
    Dashboards,
    /// The gateway under load, killed again and again
    Crash,
    /// Several gateways on one Redis, harmed in every way
    Fleet,
}

impl Step {
    const ALL: [Self; 15] = [
        Self::Fmt,
        Self::Clippy,
        Self::Tests,
        Self::Doc,
        Self::Deny,
        Self::Vectors,
        Self::Parts,
        Self::Device,
        Self::Sim,
        Self::Demo,
        Self::Stories,
        Self::Faults,
        Self::Dashboards,
        Self::Crash,
        Self::Fleet,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Fmt => "formatting",
            Self::Clippy => "lints",
            Self::Tests => "tests",
            Self::Doc => "documentation",
            Self::Deny => "dependencies",
            Self::Vectors => "vectors",
            Self::Parts => "instructions",
            Self::Device => "the wall display's costs",
            Self::Sim => "simulation",
            Self::Demo => "demos",
            Self::Stories => "stories",
            Self::Faults => "fault table",
            Self::Dashboards => "dashboards",
            Self::Crash => "crash loop",
            Self::Fleet => "fleet",
        }
    }

    fn run(self, tree: &Tree, tools: &Tools) -> Result<(), Failure> {
        let Some(mut command) = self.command(tools) else {
            return self.run_here();
        };
        for (name, path) in tools.variables() {
            command.env(name, path);
        }
        terminal::note(&format!("$ {}", command::spoken(&command)));
        command::run_visibly(command.current_dir(tree.root()), self.title())
    }

    /// Runs a step that has no program of its own.
    fn run_here(self) -> Result<(), Failure> {
        match self {
            Self::Vectors => vectors::run(&vectors::Options::step()),
            Self::Parts => parts::run(&parts::Options::step()),
            Self::Device => device::step(),
            Self::Sim => sim::run(&sim::Schedules::step()),
            Self::Demo => demo::step(DEMO_SECONDS),
            Self::Stories => stories::run(&stories::Options::step()),
            Self::Faults => faults::run(&faults::Options::step()),
            Self::Dashboards => dashboards::run(&dashboards::Options::step()),
            Self::Crash => crash::run(&crash::Options::step(CRASH_KILLS)),
            Self::Fleet => fleet::run(&fleet::Options::step()),
            Self::Fmt | Self::Clippy | Self::Tests | Self::Doc | Self::Deny => {
                Err(Failure::Ours(format!("the step {} lacks its program", self.title())))
            }
        }
    }

    /// Returns the program of the step; what plays against ours has none.
    fn command(self, tools: &Tools) -> Option<Command> {
        let cargo = |arguments: &[&str]| {
            let mut command = command::cargo();
            command.args(arguments);
            command
        };
        Some(match self {
            Self::Fmt => cargo(&["fmt", "--all", "--check"]),
            Self::Clippy => {
                cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])
            }
            // All of them: who waited for one failure wants to know of the others.
            Self::Tests => cargo(&["test", "--workspace", "--no-fail-fast"]),
            Self::Doc => {
                let mut command = cargo(&[
                    "doc",
                    "--workspace",
                    // The gateway's program and the framework's library have one name.
                    "--lib",
                    "--no-deps",
                    "--document-private-items",
                ]);
                command.env("RUSTDOCFLAGS", "--deny warnings");
                command
            }
            Self::Deny => {
                // Advisories are fetched from outside; the hosted run checks them.
                let mut command = Command::new(tools.path("CARGO_DENY")?);
                command.args(["--config", ".deny.toml", "check", "bans", "licenses", "sources"]);
                command
            }
            Self::Vectors
            | Self::Parts
            | Self::Device
            | Self::Sim
            | Self::Demo
            | Self::Stories
            | Self::Faults
            | Self::Dashboards
            | Self::Crash
            | Self::Fleet => return None,
        })
    }
}

/// Runs the set-up and the steps; stops at the first that fails.
///
/// # Errors
/// `Unavailable` when the set-up is stuck; `Missed` with the failing step and the command that
/// repeats it.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if let Some(scenes) = &options.vm {
        return vm::run(scenes);
    }
    let tree = Tree::find()?;
    let mut rows = vec![["step", "seconds", "result"].map(str::to_owned).to_vec()];
    let (seconds, tools) = timed(setup::everything);
    rows.push(row("set-up", seconds, tools.is_ok()));
    let outcome = tools.and_then(|tools| run_steps(options, &tree, &tools, &mut rows));
    terminal::heading("summary");
    terminal::note(&terminal::table(&rows));
    outcome
}

fn run_steps(
    options: &Options,
    tree: &Tree,
    tools: &Tools,
    rows: &mut Vec<Vec<String>>,
) -> Result<(), Failure> {
    for step in Step::ALL {
        if !options.only.is_empty() && !options.only.contains(&step) {
            continue;
        }
        terminal::heading(step.title());
        let (seconds, outcome) = timed(|| step.run(tree, tools));
        rows.push(row(step.title(), seconds, outcome.is_ok()));
        outcome?;
    }
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> Result<T, Failure>) -> (u64, Result<T, Failure>) {
    let watch = Watch::start();
    let outcome = work();
    (watch.elapsed().as_secs(), outcome)
}

fn row(title: &str, seconds: u64, good: bool) -> Vec<String> {
    vec![title.to_owned(), seconds.to_string(), if good { "ok" } else { "FAILED" }.to_owned()]
}
