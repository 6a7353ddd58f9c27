//! The command line: what can be asked, and the codes a command exits with.

use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::config::Config;

mod adopt;
mod check;
mod migrate;
mod operator;
mod run;
mod sessions;
mod words;

/// Keeps OAuth tokens fresh and puts the right one on every upstream call.
///
/// Sign people in once; from then on each request that passes through the gateway carries a fresh
/// access token of the right audience. Begin with `tokenward check`, which tries the configuration
/// against the live provider, then `tokenward serve`.
#[derive(Debug, Parser)]
#[command(
    name = "tokenward",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done · 64 wrong usage · 69 something needed is not available · 70 a \
                  bug of ours · 78 the configuration is wrong.\n\nA configuration that works:\n\n  \
                  listen = \"127.0.0.1:8080\"\n  [provider]\n  issuer = \
                  \"https://tenant.eu.auth0.com/\"\n  client_id = \"abc\"\n  client_secret = { env = \
                  \"TOKENWARD_CLIENT_SECRET\" }\n  [[route]]\n  path = \"/api/\"\n  upstream = \
                  \"https://api.example.com\"\n  audience = \"https://api.example.com\""
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway.
    ///
    /// SIGHUP reloads routes, policies and certificates; a bad file is refused and the old one
    /// stays. SIGTERM and Ctrl-C let requests in flight finish, then end it.
    Serve(ConfigFile),
    /// Tries a configuration against the live provider, and says what it learned.
    ///
    /// Changes nothing, here or at the provider, unless --trial is given. Exits with 78 where the configuration must be
    /// changed, with 69 where the provider is ill or too busy to tell.
    Check(check::Options),
    /// Shows and ends sessions of a running gateway.
    #[command(subcommand)]
    Sessions(sessions::Command),
    /// Makes a session of a refresh token from elsewhere, read from standard input.
    ///
    /// Prints the session handle on standard output: whoever sends it as `Authorization: Bearer
    /// HANDLE` is the session's person, so keep it as a secret. From then on nobody else may spend
    /// the refresh token. Example: `tokenward adopt --config gw.toml --audience
    /// urn:api --subject 'auth0|123' < refresh-token.txt`
    Adopt(adopt::Options),
    /// Moves all sessions from one store to another, such as from the state directory to Redis.
    ///
    /// Stop the gateways first. Records stay sealed, no token is spent, and nothing is removed from
    /// the old store; run it again where it was cut short, or with the files exchanged to go back.
    /// Example: `tokenward migrate --from old.toml --to new.toml`, where the files differ in their
    /// store
    Migrate(migrate::Options),
}

/// Which configuration is meant.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(long = "config", value_name = "FILE", env = "TOKENWARD_CONFIG")]
    path: PathBuf,
}

/// Why a command ended early; one sentence or more, for the person who typed it.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    sentence: String,
}

/// EX_USAGE of sysexits.h: the command line is wrong.
const USAGE: u8 = 64;

impl Failure {
    /// EX_UNAVAILABLE of sysexits.h: something that is needed is not there.
    pub(crate) fn unavailable(sentence: impl fmt::Display) -> Self {
        Self { code: 69, sentence: sentence.to_string() }
    }

    /// EX_SOFTWARE of sysexits.h: we are to blame.
    pub(crate) fn ours(sentence: impl fmt::Display) -> Self {
        Self { code: 70, sentence: sentence.to_string() }
    }

    /// EX_CONFIG of sysexits.h: the operator must change something.
    pub(crate) fn configuration(sentence: impl fmt::Display) -> Self {
        Self { code: 78, sentence: sentence.to_string() }
    }

    /// What was typed does not fit what there is.
    pub(crate) fn usage(sentence: impl fmt::Display) -> Self {
        Self { code: USAGE, sentence: sentence.to_string() }
    }
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Failure> {
        Config::load(&self.path).map_err(Failure::configuration)
    }
}

/// Does what the command line asks.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(asked) => {
            let code = if asked.use_stderr() { USAGE } else { 0 };
            // Where nobody reads, there is nobody to tell.
            drop(asked.print());
            return ExitCode::from(code);
        }
    };
    // Where it is installed already, it is the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(arguments.command.run()),
        Err(error) => Err(Failure::unavailable(format!("no threads can be started ({error})"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            note(&format!("tokenward: {}", failure.sentence));
            ExitCode::from(failure.code)
        }
    }
}

impl Command {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Command::Serve(file) => run::serve(file.load()?).await,
            Command::Check(options) => check::run(&options).await,
            Command::Sessions(command) => sessions::run(&command).await,
            Command::Adopt(options) => adopt::run(&options).await,
            Command::Migrate(options) => migrate::run(&options).await,
        }
    }
}

/// Writes a result; whoever closed the pipe does not want the rest.
fn say(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}

/// Writes to people beside the result.
fn note(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Writes a result for programs.
fn say_json(value: &impl Serialize) {
    // What is shown consists of texts and numbers, which always have a JSON form.
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}
