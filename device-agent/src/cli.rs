//! The command line: what can be asked, and the codes a command exits with.

mod arguments;
mod check;
mod run;
mod show;
mod sim;

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use self::arguments::{Command, parse};
use crate::alarm::Alarm;
use crate::config::Config;
use crate::feed::{Feed, FeedFault};
use crate::state::{StateFault, Store};

/// What `--help` says.
const HELP: &str = "\
Shows a text of an API on an I2C panel, through a Tokenward gateway.

Usage: tokenward-device COMMAND [--config FILE]

Commands:
  run      Runs the display. SIGHUP, SIGUSR1 or its button: go on at once, whatever it waits for
             --require-panel   end with 69 where there is no panel, instead of waiting for one
  check    Tries configuration, state, panel, network, clock and sign-in: one line each,
           ok or what is wrong with its remedy
  show     Draws one screen: show SCREEN (--png FILE | --term) [--panel KIND]
             show --list       names the screens and the kinds of panels
  sim      Runs the display with its panel in this terminal
             --panel KIND      another panel than the configured one
             --braille         half as wide
           Keys: w pulls the wire or plugs it in, space asks to go on, q ends
  reset    Forgets the credential and the last text; ask for it before you give the display away,
           and end its session at the gateway

  --config FILE   the configuration; else TOKENWARD_DEVICE_CONFIG, else
                  /etc/tokenward/device.toml
  --help, --version

A configuration that works:

  gateway = \"https://gw.example\"
  content = \"/api/quote\"

Exit codes: 0 done; 64 wrong usage; 69 something needed is not available; 70 a bug of ours;
78 the configuration is wrong.";

/// Why a command ended early; a sentence for the person who typed it.
#[derive(Debug)]
struct Failure {
    code: u8,
    sentence: String,
}

impl Failure {
    /// EX_USAGE of sysexits.h: the command line is wrong.
    fn usage(sentence: impl fmt::Display) -> Self {
        Self { code: 64, sentence: sentence.to_string() }
    }

    /// EX_UNAVAILABLE of sysexits.h: something that is needed is not there.
    fn unavailable(sentence: impl fmt::Display) -> Self {
        Self { code: 69, sentence: sentence.to_string() }
    }

    /// EX_SOFTWARE of sysexits.h: we are to blame.
    fn ours(sentence: impl fmt::Display) -> Self {
        Self { code: 70, sentence: sentence.to_string() }
    }

    /// EX_CONFIG of sysexits.h: the operator must change something.
    fn configuration(sentence: impl fmt::Display) -> Self {
        Self { code: 78, sentence: sentence.to_string() }
    }
}

impl From<StateFault> for Failure {
    fn from(fault: StateFault) -> Self {
        if fault.is_configuration() { Self::configuration(fault) } else { Self::unavailable(fault) }
    }
}

impl From<FeedFault> for Failure {
    fn from(fault: FeedFault) -> Self {
        match fault {
            FeedFault::Roots => Self::configuration(fault),
            FeedFault::Client(_) => Self::unavailable(fault),
            #[cfg(feature = "direct")]
            FeedFault::Sessions(_) => Self::unavailable(fault),
        }
    }
}

/// Does what the command line asks.
pub fn main() -> ExitCode {
    let done = parse(lexopt::Parser::from_env()).and_then(|command| match command {
        Command::Check { config } => check::check(&load(&config)?),
        Command::Help => {
            say(HELP);
            Ok(())
        }
        Command::Reset { config } => reset(&load(&config)?),
        Command::Run { config, needs_panel } => run::run(load(&config)?, needs_panel),
        Command::Show(wanted) => show::show(&wanted),
        Command::Sim { config, make, dots } => sim::sim(load(&config)?, make, dots),
        Command::Version => {
            say(concat!("tokenward-device ", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, sentence }) => {
            // Where nobody reads, there is nobody to tell.
            drop(writeln!(io::stderr().lock(), "tokenward-device: {sentence}"));
            ExitCode::from(code)
        }
    }
}

fn load(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(Failure::configuration)
}

async fn feed(config: &Config) -> Result<Feed, Failure> {
    Ok(Feed::open(&config.origin, &config.state_dir).await?)
}

fn reset(config: &Config) -> Result<(), Failure> {
    let (mut store, memory) = Store::open(&config.state_dir)?;
    store.erase().map_err(|error| {
        Failure::unavailable(format!("{}: {error}", config.state_dir.display()))
    })?;
    say(match memory.handle {
        Some(_) => "forgotten here; end the session at the gateway too: tokenward sessions end",
        None => "forgotten; nobody had signed the display in",
    });
    Ok(())
}

/// A runtime of one thread, so that the program has two with the panel's.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Names are looked up on a thread that is gone right afterwards.
        .max_blocking_threads(1)
        .thread_keep_alive(std::time::Duration::from_millis(1))
        .build()
        .map_err(|error| Failure::unavailable(format!("no event loop can be started ({error})")))
}

fn alarm() -> Result<Alarm, Failure> {
    Alarm::new().map_err(|error| Failure::unavailable(format!("no timer can be had ({error})")))
}

/// Writes a result; whoever closed the pipe does not want the rest.
fn say(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}
