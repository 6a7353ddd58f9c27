//! `tokenward serve`: from a configuration to a running gateway, and to its calm end.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use tokenward::Tokenward;
use tokenward::store::{Remedy, StoreError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::Failure;
use crate::assemble::{AssembleFault, assemble, rooms};
use crate::config::{Config, LogConfig};
use crate::front::Front;
use crate::serve::{self, Running, StartFault};

/// How long exchanges in flight may take to land: their hard deadline, and the save.
const LAND_WITHIN: Duration = Duration::from_secs(15);

/// Serves until it is told to end.
pub(super) async fn serve(config: Config) -> Result<(), Failure> {
    log_to_stderr(&config.log)?;
    let tokenward = assemble(&config).await.map_err(failed)?;
    let (front, rooms) = rooms(&config, &tokenward);
    let mut signals = Signals::listen()?;
    let running = serve::start(config.clone(), rooms).await.map_err(not_started)?;
    tokenward.metrics().config_accepted(tokenward.clock().unix());
    for address in running.addresses() {
        tracing::info!(%address, "serving");
    }
    tracing::info!(address = %running.admin_address(), "admin listener");
    warn(&config);
    tokio::spawn(look_at_provider(tokenward.clone()));
    while let Told::Reload = signals.next().await {
        reload(&config, &running, &front);
    }
    tracing::info!("draining: requests in flight finish, new ones are refused");
    front.drain();
    let cut = running.drain().await;
    let landed = tokenward.drain(LAND_WITHIN).await;
    tracing::info!(connections_cut = cut, exchanges_landed = landed, "ended");
    Ok(())
}

/// What the operator's signals ask for.
enum Told {
    End,
    Reload,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let open = |kind| {
            signal(kind).map_err(|error: io::Error| Failure::ours(format!("no signals ({error})")))
        };
        Ok(Self {
            hangup: open(SignalKind::hangup())?,
            interrupt: open(SignalKind::interrupt())?,
            terminate: open(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Reload,
            _ = self.interrupt.recv() => Told::End,
            _ = self.terminate.recv() => Told::End,
        }
    }
}

/// Puts the file as it is by now in place of what is in use, or leaves that where it is bad.
fn reload(started: &Config, running: &Running, front: &Front) {
    let tokenward = front.tokenward();
    let loaded = Config::load(&started.path).map_err(|faults| faults.to_string());
    let accepted = loaded.and_then(|config| {
        running.reload(config.clone()).map_err(|fault| fault.to_string())?;
        Ok(config)
    });
    match accepted {
        Ok(config) => {
            if asks_otherwise(started, &config) {
                tracing::warn!("[provider] has changed: it is read at the start only; restart");
            }
            let collector =
                |config: &Config| config.trace.as_ref().map(|trace| trace.place.clone());
            if collector(started) != collector(&config) {
                tracing::warn!("[trace] has changed: it is read at the start only; restart");
            }
            tokenward.reload(config.policies());
            warn(&config);
            front.replace(Arc::new(config));
            tokenward.metrics().config_accepted(tokenward.clock().unix());
            tracing::info!("configuration reloaded");
        }
        Err(why) => {
            tokenward.metrics().config_refused();
            tracing::error!("the configuration is refused, the old one stays: {why}");
        }
    }
}

/// Reports whether the provider would be asked in another way than it has been since the start.
fn asks_otherwise(started: &Config, config: &Config) -> bool {
    let (before, after) = (&started.provider, &config.provider);
    before.audience_parameter != after.audience_parameter
        || before.authorize != after.authorize
        || before.extra_root != after.extra_root
        || before.reuse_window != after.reuse_window
}

/// Says what works, but not as well as the operator may think.
fn warn(config: &Config) {
    if config.provider.reuse_window == Some(Duration::ZERO) {
        tracing::warn!(
            "provider.reuse_window is 0: a reply that is lost on its way ends its session, because \
             the provider takes no refresh token twice; allow an overlap of 30 s or more there"
        );
    }
    let open = config.listen.iter().find(|address| !address.ip().is_loopback());
    if let (Some(address), None) = (open, &config.tls) {
        tracing::warn!(
            %address,
            "callers of other machines are served over plain http: session cookies travel openly \
             unless a TLS terminator stands right in front; write [tls] with cert and key"
        );
    }
}

/// Asks the provider who it is, before the first person waits for it.
async fn look_at_provider(tokenward: Tokenward) {
    match tokenward.provider().discover().await {
        Ok(metadata) => {
            let offline = |scope: &String| scope == "offline_access";
            if !metadata.scopes.is_empty() && !metadata.scopes.iter().any(offline) {
                tracing::warn!(
                    "the provider lists no scope offline_access: sign-ins may bring no refresh \
                     token, and sessions would end with their first access token"
                );
            }
        }
        Err(error) => {
            tracing::warn!(%error, "the provider does not answer yet: run `tokenward check`");
        }
    }
}

fn log_to_stderr(log: &LogConfig) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| {
        Failure::configuration(format!(
            "log.filter: {:?} is no filter ({error}); write one such as \"info\"",
            log.filter
        ))
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let set = if log.json { lines.json().try_init() } else { lines.try_init() };
    set.map_err(|error| Failure::ours(format!("logging cannot be set up ({error})")))
}

fn failed(fault: AssembleFault) -> Failure {
    match fault {
        AssembleFault::Build(error) => Failure::ours(error),
        AssembleFault::Settings(sentence) => Failure::configuration(sentence),
        AssembleFault::Store(StoreError::Locked { .. }) => Failure::unavailable(fault),
        AssembleFault::Store(ref error) => match error.remedy() {
            Remedy::Again => Failure::unavailable(error),
            Remedy::Operator => Failure::configuration(error),
            Remedy::Program => Failure::ours(error),
        },
    }
}

fn not_started(fault: StartFault) -> Failure {
    match fault {
        StartFault::Listen(..) => Failure::unavailable(fault),
        StartFault::Load(_) => Failure::configuration(fault),
        StartFault::Thread(_) => Failure::unavailable(fault),
    }
}
