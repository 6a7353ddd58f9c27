//! Runs the sandbox as a program: prints its addresses as one JSON line and ends on SIGTERM.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokenward_sandbox::{Config, Sandbox};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// EX_UNAVAILABLE of sysexits.h.
const UNAVAILABLE: u8 = 69;
/// EX_SOFTWARE of sysexits.h.
const SOFTWARE: u8 = 70;
/// EX_CONFIG of sysexits.h.
const CONFIGURATION: u8 = 78;
/// EX_USAGE of sysexits.h.
const USAGE: u8 = 64;

/// Plays an OpenID provider, three protected APIs and a demo page, with faults on command.
///
/// When everything listens, one JSON line on standard output tells where:
/// {"issuer":…,"control":…,"apis":{"quotes":…,"accounts":…,"echo":…},"app":…}.
/// Logs go to standard error; RUST_LOG sets how many. SIGTERM or ctrl-c ends the program.
///
/// Control port: POST /faults, DELETE /faults, GET and POST /tenant, POST /users,
/// DELETE /users/NAME, POST /clients, POST /keys/rotate, POST /authenticate, POST /sessions,
/// POST /revoke, POST /backchannel-logout, POST /network, GET /ledger?since=N,
/// DELETE /ledger, GET /ledger/summary, GET /secrets.
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// The configuration, TOML; every key may be left out [default: none, free ports].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(asked) => {
            let code = if asked.use_stderr() { USAGE } else { 0 };
            let _closed = asked.print();
            return ExitCode::from(code);
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = arguments.config.map_or_else(|| Ok(Config::default()), |path| Config::read(&path));
    let config = match config {
        Ok(config) => config,
        Err(error) => return refused(CONFIGURATION, &error),
    };
    let sandbox = match Sandbox::start(config).await {
        Ok(sandbox) => sandbox,
        Err(error) => return refused(UNAVAILABLE, &error),
    };
    // Whoever has read the line may send a signal at once, so the handlers come first.
    let signals = signal(SignalKind::terminate())
        .and_then(|terminated| Ok((terminated, signal(SignalKind::interrupt())?)));
    let (mut terminated, mut interrupted) = match signals {
        Ok(signals) => signals,
        Err(error) => return refused(SOFTWARE, &error),
    };
    if let Err(error) = announce(&sandbox) {
        return refused(SOFTWARE, &error);
    }
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    sandbox.stop().await;
    ExitCode::SUCCESS
}

fn announce(sandbox: &Sandbox) -> std::io::Result<()> {
    let mut line = serde_json::to_string(sandbox.addresses())?;
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

#[expect(clippy::print_stderr, reason = "a program says on standard error why it ends")]
fn refused(code: u8, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("tokenward-sandbox: {error}");
    ExitCode::from(code)
}
