//! Writes the generated files of this package; run by `cargo xtask dashboards`.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokenward_dashboards::rules::{self, Pace, yaml};
use tokenward_dashboards::{files, home, lint};

/// Generates Grafana dashboards and Prometheus rules.
#[derive(Debug, Parser)]
#[command(name = "tokenward-dashboards")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes every generated file into this package
    Write,
    /// Looks for names that are not in the catalogue, and for what the house style wants
    Lint,
    /// Writes the rules with windows of seconds into a folder, for the live test
    TestRules {
        /// The folder, which must exist
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Write => write(),
        Command::Lint => Ok(lint()),
        Command::TestRules { folder } => test_rules(&folder),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            say(&format!("a file cannot be written: {error}"));
            ExitCode::from(69)
        }
    }
}

fn write() -> std::io::Result<ExitCode> {
    let files = files();
    for file in &files {
        let path = home().join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, &file.text)?;
    }
    say(&format!("{} files written", files.len()));
    Ok(ExitCode::SUCCESS)
}

fn lint() -> ExitCode {
    let findings = lint::all(home());
    for finding in &findings {
        say(&finding.to_string());
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn test_rules(folder: &std::path::Path) -> std::io::Result<ExitCode> {
    for (name, groups) in rules::files() {
        fs::write(folder.join(format!("{name}.yaml")), yaml::rules(&groups, Pace::Test))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
