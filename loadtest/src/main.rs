//! The program `tokenward-loadtest`: runs a plan, prints its verdict, writes it down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{Args, Parser, Subcommand};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokenward_loadtest::compare::{self, Bound};
use tokenward_loadtest::fleet::{self, Programs};
use tokenward_loadtest::plan::{Plan, shipped};
use tokenward_loadtest::report;
use tokenward_loadtest::run::{self, Wish};
use tokenward_loadtest::verdict::Verdict;
use tokenward_programs::dice::Dice;
use tokenward_programs::failure::Failure;

/// Puts Tokenward under load, in open loop, and judges what a caller sees.
///
/// A run starts a provider, sample APIs and gateways as processes of their own, signs sessions in,
/// sends what the plan says at the times that were fixed before, lets go wrong what the plan says,
/// and holds every answer against the session it belongs to. Ctrl-C ends it early, with a verdict on
/// what was measured until then.
#[derive(Debug, Parser)]
#[command(name = "tokenward-loadtest", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

const EXIT_CODES: &str = "Exit codes: 0 all was well, 1 a law was broken or a bound missed, 64 \
usage, 69 something is unavailable, 70 our bug, 78 the plan or the baseline cannot be read.";

#[derive(Debug, Subcommand)]
enum Action {
    /// Runs a plan that comes with the program, or one of your own
    Run(Options),
    /// Names the plans that come with the program, and what each shows
    List {
        /// Prints the text of this plan instead, to begin one of your own with
        plan: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Options {
    /// The name of a plan (see `list`), or the path of a TOML file
    plan: String,
    /// Writes the verdict as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a page to look at: one file, without scripts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Compares with the JSON of an earlier run
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Fails beyond these bounds, such as `p99>+20%,cpu>40us`; a change counts only where it is
    /// larger than the noise of the two runs
    #[arg(long, value_name = "BOUNDS")]
    fail_if: Option<String>,
    /// The seed of the schedule [default: a new one, which the verdict names]
    #[arg(long)]
    seed: Option<u64>,
    /// Multiplies all rates of the plan
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    scale: f64,
    /// Keeps the gateways on one core, and everything else on the others
    #[arg(long)]
    apart: bool,
    /// Where `tokenward` and `tokenward-sandbox` are [default: beside this program]
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

/// What a shell reports of a program that Ctrl-C ended: 128 and the number of the signal.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // Nobody is left to tell when standard error itself is closed.
            let _ = message.print();
            return if message.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    let done = match cli.command {
        Action::Run(options) => run_plan(&options),
        Action::List { plan } => list(plan.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            note(&failure.to_string());
            failure.exit_code()
        }
    }
}

fn list(plan: Option<&str>) -> Result<(), Failure> {
    if let Some(name) = plan {
        say(shipped::text(name)?.trim_end());
        return Ok(());
    }
    for shipped in shipped::ALL {
        let plan = Plan::parse(shipped.name, shipped.text)?;
        let seconds = plan.duration().as_secs();
        say(&format!("{:18} {seconds:>5} s  {}", shipped.name, plan.about));
    }
    Ok(())
}

fn run_plan(options: &Options) -> Result<(), Failure> {
    let (name, plan) = Plan::read(&options.plan)?;
    let plan = plan.scaled(options.scale)?;
    let bounds = options.fail_if.as_deref().map(Bound::parse_all).transpose()?.unwrap_or_default();
    let baseline = options.baseline.as_deref().map(read_verdict).transpose()?;
    if baseline.is_none() && bounds.iter().any(Bound::is_relative) {
        let lacking = "a bound on a change needs --baseline with the JSON of an earlier run";
        return Err(Failure::Configuration(lacking.to_owned()));
    }
    if options.apart {
        keep_apart()?;
    }
    let programs = Programs::find(options.programs.as_deref(), options.apart)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The first ends the load, the second everything.
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Failure::io("listen for Ctrl-C", &error))?;
    }
    let seed = options.seed.unwrap_or_else(Dice::random_seed);
    let (verdict, picture) = run::run(&Wish { name, plan, seed, programs }, &stop)?;
    let rows = baseline.as_ref().map(|before| compare::compare(&verdict, before));
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&verdict);
        let text = text.map_err(|error| Failure::Ours(error.to_string()))?;
        write(file, &(text + "\n"))?;
    }
    if let Some(file) = &options.html {
        write(file, &report::page(&verdict, &picture, baseline.as_ref())?)?;
    }
    say(&report::summary(&verdict));
    let missed = bounds
        .iter()
        .filter_map(|bound| bound.missed(&verdict, rows.as_deref().unwrap_or_default()));
    let wrong: Vec<String> = verdict.broken.iter().cloned().chain(missed).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Missed(wrong.join("\n"))) }
}

fn read_verdict(path: &Path) -> Result<Verdict, Failure> {
    let shown = path.display();
    let refused = |why: String| {
        Failure::Configuration(format!(
            "{shown} is no verdict ({why}); give a file that --json has written"
        ))
    };
    let text = fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| refused(error.to_string()))
}

/// Moves this program off the gateways' core, before it starts any thread.
fn keep_apart() -> Result<(), Failure> {
    let lacking =
        || Failure::Unavailable("--apart needs two cores and `taskset` (util-linux)".to_owned());
    if std::thread::available_parallelism().map_or(1, std::num::NonZero::get) < 2 {
        return Err(lacking());
    }
    let mut command = Command::new("taskset");
    command.args(["--all-tasks", "--cpu-list", "--pid", &fleet::other_cores()]);
    let moved = command.arg(std::process::id().to_string()).output();
    match moved.is_ok_and(|output| output.status.success()) {
        true => Ok(()),
        false => Err(lacking()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::io(&format!("write {}", path.display()), &error))
}

#[expect(clippy::print_stdout, reason = "results belong on standard output")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a program talks to the person who started it")]
fn note(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
