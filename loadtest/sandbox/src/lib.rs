//! A provider tenant, protected APIs and a fault injector for demo, tests and load.
//!
//! The sandbox plays everybody else: an OpenID provider that behaves as Auth0 does (rotation,
//! reuse window, multi-resource refresh tokens, device flow), three APIs that check access tokens,
//! and a page that calls them. What it does can be changed while it runs through its control port
//! or the methods of [`Sandbox`], and everything that happened is in its ledger. It imports
//! nothing of the programs it tests: a peer that shares a parser shares its bugs.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tokenward_sandbox::{Config, Sandbox};
//!
//! let sandbox = Sandbox::start(Config::default()).await?;
//! println!("{}", sandbox.addresses().issuer);
//! assert_eq!(sandbox.ledger().summary().reuse_detected, 0);
//! sandbox.stop().await;
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::clock::Clock;
use self::provider::Provider;
use self::provider::tenant::Tenant;

pub use self::config::{Config, ConfigError, Listen};
pub use self::control::{Authenticate, Mint, Minted, NamedBy};
pub use self::faults::{Endpoint, Fault, FaultKind, Faults, When};
pub use self::ledger::Ledger;
pub use self::provider::mfa::factor::{Factor, FactorKind};
pub use self::provider::mfa::phone::Message;
pub use self::provider::mfa::settings::{
    ChallengeAt, MFA_ACR, MfaPolicy, MfaRule, MfaSettings, Protocol, Then, Unenrolled,
    When as RuleWhen,
};
pub use self::provider::registry::{Audience, AuthMethod, Client, User};
pub use self::provider::settings::{ApiStepUp, MrrtPolicy, Settings, Statuses, UnknownAudience};

mod api;
mod app;
mod clock;
mod config;
mod control;
mod faults;
pub mod ledger;
mod listen;
pub mod provider;
pub mod secrecy;

/// The audience of the quotes API.
pub const QUOTES_AUDIENCE: &str = "https://quotes.sandbox.example";
/// The audience of the accounts API.
pub const ACCOUNTS_AUDIENCE: &str = "https://accounts.sandbox.example";
/// The audience of the echo API.
pub const ECHO_AUDIENCE: &str = "https://echo.sandbox.example";

/// A running sandbox. Dropping it ends it.
#[derive(Debug)]
pub struct Sandbox {
    addresses: Addresses,
    provider: Arc<Provider>,
    stopping: watch::Sender<bool>,
    listeners: JoinSet<()>,
}

/// Where a sandbox listens.
#[derive(Clone, Debug, Serialize)]
pub struct Addresses {
    /// The issuer, with a trailing slash.
    pub issuer: String,
    /// The control port.
    pub control: String,
    /// The sample APIs by name: `quotes`, `accounts`, `echo`.
    pub apis: BTreeMap<&'static str, String>,
    /// The demo page.
    pub app: String,
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// When a listener's address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// When the HTTP client for key sets and logout tokens cannot be made.
    #[error("cannot make an HTTP client: {0}")]
    HttpClient(#[from] reqwest::Error),
}

impl Sandbox {
    /// Starts all listeners; when this returns, they accept connections.
    ///
    /// # Errors
    /// [`StartError`] when an address is not to be had.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        // A second start in one process finds the provider installed; that is what is wanted.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let Config { listen, tenant, user, client, audience } = config;
        let (provider_listener, provider_address) = bind(listen.provider).await?;
        let issuer = format!("http://{provider_address}/");
        let clock = Clock::start();
        let user = user.into_iter().map(User::prepared).collect();
        let tenant = Tenant::new(tenant, user, client, audience);
        let provider = Arc::new(Provider::new(issuer.clone(), tenant, clock)?);
        let (stopping, stopped) = watch::channel(false);
        let mut listeners = JoinSet::new();
        listeners.spawn(listen::serve_while(
            provider.network.subscribe(),
            provider_listener,
            provider::router(Arc::clone(&provider)),
            stopped.clone(),
        ));
        let mut serve = |listener: TcpListener, router| {
            listeners.spawn(listen::serve(listener, router, stopped.clone()));
        };
        let mut apis = BTreeMap::new();
        let places = [listen.quotes, listen.accounts, listen.echo];
        for (api, place) in api::all(&provider).into_iter().zip(places) {
            let (listener, address) = bind(place).await?;
            apis.insert(api.name, format!("http://{address}"));
            serve(listener, api.router);
        }
        let (listener, app) = bind(listen.app).await?;
        serve(listener, app::router());
        let (listener, control) = bind(listen.control).await?;
        serve(listener, control::router(Arc::clone(&provider)));
        let addresses = Addresses {
            issuer,
            control: format!("http://{control}"),
            apis,
            app: format!("http://{app}"),
        };
        Ok(Self { addresses, provider, stopping, listeners })
    }

    /// Returns where the sandbox listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Returns the ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.provider.ledger
    }

    /// Returns the secrets that were issued and received, to be looked for where none may be
    /// (`GET /secrets`).
    #[must_use]
    pub fn secrets(&self) -> &secrecy::Secrets {
        &self.provider.secrets
    }

    /// Returns the fault injector.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.provider.faults
    }

    /// Changes the named settings of the tenant (`POST /tenant`).
    ///
    /// # Errors
    /// The sentence that says which key or value is wrong.
    pub fn tenant(&self, patch: &Value) -> Result<(), String> {
        self.provider.patch_settings(patch).map(|_| ())
    }

    /// Moves the sandbox's clock forward: what it issued grows older by as much.
    pub fn advance(&self, by: Duration) {
        self.provider.clock.advance(by);
    }

    /// Adds or replaces a user (`POST /users`) and returns the user with the identifiers and secrets
    /// of all factors.
    pub fn put_user(&self, user: User) -> User {
        self.provider.put_user(user)
    }

    /// Returns a user (`GET /users/{name}`).
    #[must_use]
    pub fn user(&self, name: &str) -> Option<User> {
        hold(&self.provider.tenant).user(name).cloned()
    }

    /// Returns the one-time password that a user's authenticator shows and that would be accepted
    /// (`GET /users/{name}/otp`).
    ///
    /// # Errors
    /// The sentence that says why there is none.
    pub fn otp(&self, name: &str) -> Result<String, String> {
        self.provider.otp_of(name)
    }

    /// Returns the messages a user was sent, the newest last (`GET /users/{name}/messages`).
    ///
    /// # Errors
    /// The sentence that says that there is no such user.
    pub fn messages(&self, name: &str) -> Result<Vec<Message>, String> {
        self.provider.messages_of(name)
    }

    /// Deletes a user (`DELETE /users/{name}`) and tells whether there was one.
    #[must_use]
    pub fn delete_user(&self, name: &str) -> bool {
        hold(&self.provider.tenant).delete_user(name)
    }

    /// Adds or replaces a client (`POST /clients`).
    pub fn put_client(&self, client: Client) {
        hold(&self.provider.tenant).put_client(client);
    }

    /// Replaces the signing key and returns the new one's name; the old one stays published unless
    /// it is `forgotten` (`POST /keys/rotate`).
    #[must_use]
    pub fn rotate_keys(&self, forgotten: bool) -> String {
        self.provider.rotate_keys(forgotten)
    }

    /// Decides an authorization request, a device code or a push as a user would
    /// (`POST /authenticate`).
    /// Returns where the browser would be sent, for an authorization request.
    ///
    /// # Errors
    /// The sentence that says what was wrong with the request.
    pub fn authenticate(&self, wanted: &Authenticate) -> Result<Option<String>, String> {
        self.provider.authenticate(wanted)
    }

    /// Signs users in without a browser and returns their refresh tokens (`POST /sessions`).
    ///
    /// # Errors
    /// The sentence that says what was wrong with the request.
    pub fn mint(&self, wanted: &Mint) -> Result<Vec<Minted>, String> {
        self.provider.mint(wanted)
    }

    /// Revokes all refresh tokens of a user at a client, as an operator would (`POST /revoke`), and
    /// returns how many families ended.
    #[must_use]
    pub fn revoke(&self, subject: &str, client: &str) -> usize {
        self.provider.revoke_all(subject, client)
    }

    /// Cuts the provider off from the network or connects it again (`POST /network`): while it is
    /// cut off its port refuses connections, and those that were open are gone. What it was doing
    /// goes on.
    pub fn network(&self, up: bool) {
        self.provider.network.send_replace(up);
    }

    /// Sends a logout token to a client and returns the status it answered with; without a `sid`
    /// the newest login's is named.
    ///
    /// # Errors
    /// The sentence that says why none was sent.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the logout token sent or unsent.
    pub async fn backchannel_logout(
        &self,
        client: &str,
        subject: &str,
        sid: Option<String>,
    ) -> Result<u16, String> {
        self.provider.backchannel_logout(client, subject, sid, NamedBy::Both).await
    }

    /// Sends a logout token that names a person, the newest login or both, and returns the status
    /// that the client answered with (`POST /backchannel-logout`).
    ///
    /// # Errors
    /// The sentence that says why none was sent.
    ///
    /// # Cancel safety
    /// As [`Sandbox::backchannel_logout`].
    pub async fn announce_logout(
        &self,
        client: &str,
        subject: &str,
        by: NamedBy,
    ) -> Result<u16, String> {
        self.provider.backchannel_logout(client, subject, None, by).await
    }

    /// Closes all listeners and connections and waits until they are closed.
    ///
    /// # Cancel safety
    /// Dropping the future closes them without waiting.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        while self.listeners.join_next().await.is_some() {}
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    listen::bind(address).await.map_err(|source| StartError::Bind { address, source })
}

/// Locks; a panic of another holder leaves nothing half done here that a test should miss.
pub(crate) fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for reading, as [`hold`] does.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing, as [`hold`] does.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
