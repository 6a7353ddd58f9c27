//! Set-up and automation: the one front door to everything that can be run here.

mod bench;
mod command;
mod crash;
mod cross;
mod dashboards;
mod deb;
mod demo;
mod dist;
mod faults;
mod fleet;
mod proofs;
mod setup;
mod side_by_side;
mod stage;
mod stories;
mod suite;
mod terminal;
mod tree;
mod visitor;
mod vm;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokenward_programs::failure::Failure;

/// Runs Tokenward's demo, tests and measurements, and installs what they need.
///
/// Every command says what it does before it does it, and what to do when it cannot.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 a check failed or an aim was missed by a law, \
64 usage, 69 something is unavailable, 70 our bug, 78 configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts provider, sample APIs and gateway as real processes, and shows what happens
    Demo(demo::Options),
    /// Installs what the tests need, then checks everything
    ///
    /// In this order: formatting, lints, all tests (the end-to-end suites with a certified OpenID
    /// provider, Chromium, nginx and h2load among them), documentation, licences and sources of
    /// the dependencies, the instruction counts, the simulation, the demo under chaos, the stories,
    /// the fault table, the dashboards, the crash loop, and the fleet.
    Test(suite::Options),
    /// Kills a real gateway under load again and again, and looks for lost sessions
    Crash(crash::Options),
    /// Runs several gateways on one Redis, harms them, and looks for lost sessions
    Fleet(fleet::Options),
    /// Plays what goes wrong with providers, callers and machines, and prints a table
    Faults(faults::Options),
    /// Plays the stories that Tokenward was built for, end to end through real processes
    Stories(stories::Options),
    /// Writes dashboards and alert rules, or checks them against real programs
    Dashboards(dashboards::Options),
    /// Simulates schedules of failures against the core, and looks for a broken law
    Sim(proofs::sim::Schedules),
    /// Breaks the core on purpose, and looks for a breakage that no test catches
    Mutants(proofs::mutants::Options),
    /// Replays the vectors of other implementations
    Vectors(proofs::vectors::Options),
    /// Builds the gateway as it is shipped: laid out by what it does under load
    Dist,
    /// Builds the wall display's program for the machines that it runs on
    Cross(cross::Options),
    /// Packs the wall display for Debian and Raspberry Pi OS
    Deb(deb::Options),
    /// Installs what the tests and measurements need, and nothing else
    Setup,
    /// Measures one thing, and ends with one line on standard output
    Bench {
        #[command(subcommand)]
        subject: bench::Subject,
    },
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // Nobody is left to tell when standard error itself is closed.
            let _ = message.print();
            return if message.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::note(&format!("\nxtask: {failure}"));
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => suite::run(&options),
        Command::Crash(options) => crash::run(&options),
        Command::Fleet(options) => fleet::run(&options),
        Command::Faults(options) => faults::run(&options),
        Command::Stories(options) => stories::run(&options),
        Command::Dashboards(options) => dashboards::run(&options),
        Command::Sim(schedules) => proofs::sim::run(&schedules),
        Command::Mutants(options) => proofs::mutants::run(&options),
        Command::Vectors(vectors) => proofs::vectors::run(&vectors),
        Command::Dist => dist::run(),
        Command::Cross(options) => cross::run(&options),
        Command::Deb(options) => deb::run(&options),
        Command::Setup => setup::everything().map(drop),
        Command::Bench { subject } => bench::run(&subject),
    }
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
