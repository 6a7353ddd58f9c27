//! What the operator wrote, checked as a whole before anything starts.
//!
//! One TOML file becomes one [`Config`]: every name is parsed, every secret is read, and what
//! contradicts itself is refused, so that the rest of the program has no case for a bad setting.
//! Each [`Fault`] is one sentence that names the file, the key and the remedy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokenward::core::policy::{AudiencePolicy, Deadlines, Policies};
use tokenward::core::scope::ScopeSet;
use url::Url;

use crate::sign_in::PROTOCOL_SCOPES;

pub use device::DeviceConfig;
pub use fault::{Fault, Faults};
pub use provider::{AudienceParameter, ClientAuth, ProviderConfig};
pub use routes::{HostPattern, RouteConfig, StepUp, Timeouts};
pub use secret::Secret;
pub use store::StoreConfig;
pub use trace::TraceConfig;
pub use upstream::UpstreamConfig;
pub use webhook::{SigningKey, WebhookConfig, WebhookEvent};

mod check;
mod device;
mod fault;
mod file;
mod mfa;
mod provider;
mod routes;
mod secret;
mod store;
mod trace;
mod units;
mod upstream;
mod webhook;

/// A configuration that holds together.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// Where callers connect.
    pub listen: Vec<SocketAddr>,
    /// Where sessions and keys are kept.
    pub state_dir: PathBuf,
    /// The address under which browsers know the gateway; `None` on loopback, where the Host
    /// header of the request says it.
    pub public_url: Option<Url>,
    /// The path under which the gateway's own endpoints live, without a slash at its end.
    pub prefix: Arc<str>,
    /// The certificate of the listeners, where they speak TLS.
    pub tls: Option<TlsFiles>,
    /// The authorization server.
    pub provider: ProviderConfig,
    /// Where requests go, in the order of the file.
    pub routes: Vec<RouteConfig>,
    /// The operator's listener.
    pub admin: AdminConfig,
    /// How much of anything is taken on.
    pub limits: Limits,
    /// The proxies in front whose X-Forwarded headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How a browser's session is kept.
    pub session: SessionConfig,
    /// What is logged.
    pub log: LogConfig,
    /// How demands for another factor are treated.
    pub mfa: MfaConfig,
    /// Where traces go; `None` where nobody wants them.
    pub trace: Option<TraceConfig>,
    /// Who is told what happens to sessions.
    pub webhooks: Vec<WebhookConfig>,
    /// How devices sign in; `None` where they may not.
    pub device: Option<DeviceConfig>,
    /// Where sessions are kept.
    pub store: StoreConfig,
}

/// Where the certificate chain and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain in PEM, the leaf first.
    pub cert: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

/// The operator's listener.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The bearer token it wants; always there where `listen` is not loopback.
    pub bearer: Option<Secret>,
}

/// How much of anything is taken on (law L14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Data-plane threads; one per core is the measured optimum.
    pub threads: usize,
    /// Connections per listener; a further one is told 503 and closed.
    pub connections: usize,
    /// The bytes of a request's header names and values together.
    pub header_bytes: usize,
    /// The time a caller may take for a request head.
    pub header_read: Duration,
    /// The time a connection may idle between two requests.
    pub keep_alive: Duration,
    /// The time that requests in flight are given after SIGTERM.
    pub drain: Duration,
    /// Streams that one HTTP/2 connection may have open.
    pub streams: u32,
}

/// How a browser's session is kept.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The cookie that carries the session handle; `__Host-` is part of it where callers use TLS.
    pub cookie: Arc<str>,
    /// How long a session may live at all.
    pub lifetime: Duration,
    /// Further origins whose pages may send unsafe requests with the cookie.
    pub trusted_origins: Vec<String>,
}

/// How demands for another factor are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MfaConfig {
    /// How long the provider's `mfa_token` is used before the person must start again.
    pub context_ttl: Duration,
    /// How often what is held is asked for once more without a person; `None` never.
    pub probe: Option<Duration>,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The filter, in the notation of `tracing_subscriber::EnvFilter`.
    pub filter: String,
    /// Whether lines are JSON.
    pub json: bool,
    /// Whether every request is logged: off by default, metrics count them anyway.
    pub requests: bool,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// Returns every fault that was found; the operator must act on each.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Faults::one(Fault::unreadable(path, &error)))?;
        Self::parse(path, &text)
    }

    /// Checks the text of a configuration file that is called `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, Faults> {
        let file: file::File =
            toml::from_str(text).map_err(|error| Faults::one(Fault::syntax(path, text, &error)))?;
        check::check(path, file)
    }

    /// Returns the policies under which sessions act.
    pub fn policies(&self) -> Policies {
        let mut policies =
            Policies { lifetime: Some(self.session.lifetime), ..Policies::default() };
        policies.backoff.context_ttl = self.mfa.context_ttl;
        policies.backoff.hold_probe = self.mfa.probe;
        if let Some(window) = self.provider.reuse_window {
            policies.deadlines = Deadlines::for_reuse_window(window);
        }
        for route in &self.routes {
            let Some(audience) = &route.audience else {
                continue;
            };
            // The first route of an audience says what is asked where nobody names scopes; the
            // others name theirs in each wish.
            policies.audiences.entry(audience.clone()).or_insert_with(|| AudiencePolicy {
                scopes: route.scopes.clone(),
                margins: route.margins,
                keep_fresh: route.keep_fresh,
                mfa: route.mfa.policy(),
            });
        }
        policies
    }

    /// Returns the scopes that a sign-in asks for, for routes that need `needed`.
    ///
    /// Where they name `openid` themselves, the operator has said what a sign-in is to ask for, and
    /// nothing is added: some providers refuse `offline_access` as unknown.
    pub fn sign_in_scopes(&self, needed: &ScopeSet) -> ScopeSet {
        match needed.contains("openid") {
            true => needed.clone(),
            false => ScopeSet::parse(PROTOCOL_SCOPES).merge(needed),
        }
    }

    /// Reports whether callers reach the gateway over TLS, here or at a terminator in front.
    pub fn is_https(&self) -> bool {
        self.tls.is_some() || self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}
