//! Makes a framework of a configuration.

use std::fmt;
use std::sync::Arc;

use tokenward::clock::Clock;
use tokenward::metrics::label::Backend;
use tokenward::metrics::{Labels, Metrics, ProviderMeter};
use tokenward::provider::{
    AudienceParameter, ClientSecret, Credentials, PrivateKey, Provider, ProviderSettings,
    SettingsFault, SigningAlgorithm,
};
use tokenward::store::StoreError;
use tokenward::{BuildError, Tokenward, Vault};

use crate::admin;
use crate::config::{self, ClientAuth, Config, StoreConfig};
use crate::front::Front;
use crate::house::Rooms;
use crate::meter::Meter;
use crate::tokens::Tokens;

/// The provider's name in logs and metrics, as long as there is one.
const PROVIDER: &str = "default";

/// Why a framework cannot be made of a configuration.
#[derive(Debug)]
pub enum AssembleFault {
    /// When the framework does not start: our bug.
    Build(BuildError),
    /// When the configuration does not fit its surroundings; a sentence for the operator.
    Settings(String),
    /// When the state directory cannot be used.
    Store(StoreError),
}

impl fmt::Display for AssembleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AssembleFault::Build(error) => error.fmt(f),
            AssembleFault::Settings(sentence) => f.write_str(sentence),
            AssembleFault::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AssembleFault {}

/// Starts a framework on the current runtime.
///
/// # Errors
/// Says who must act; nothing is left running then.
pub async fn assemble(config: &Config) -> Result<Tokenward, AssembleFault> {
    let clock = Clock::system();
    let metrics = Metrics::new(labels(config));
    let provider = provider(config, &clock, Some(&metrics))?;
    let vault = vault(config, &clock).await.map_err(AssembleFault::Store)?;
    Tokenward::builder()
        .provider(provider)
        .vault(vault)
        .policies(config.policies())
        .metrics(metrics)
        .clock(clock)
        .build()
        .await
        .map_err(AssembleFault::Build)
}

/// Opens the store that a configuration names.
///
/// # Errors
/// Says who must act.
pub(crate) async fn vault(config: &Config, clock: &Clock) -> Result<Vault, StoreError> {
    match &config.store {
        StoreConfig::Embedded => Vault::embedded(&config.state_dir, clock.clone()),
        StoreConfig::Redis(settings) => {
            Vault::redis(settings, &config.state_dir, clock.clone()).await
        }
    }
}

/// Returns what a framework brings to the data plane, and the endpoints that callers meet.
pub fn rooms(config: &Config, tokenward: &Tokenward) -> (Arc<Front>, Rooms) {
    let front = Front::new(Arc::new(config.clone()), tokenward.clone());
    let rooms = Rooms {
        tokens: Arc::clone(&front) as Arc<dyn Tokens>,
        public: front.router(),
        admin: admin::router(Arc::clone(&front)),
        observe: Arc::new(Meter::new(Arc::clone(tokenward.metrics()))),
        clock: tokenward.clock().clone(),
    };
    (front, rooms)
}

/// Makes the client of the configured provider; asks it nothing yet.
///
/// # Errors
/// Says what the operator must correct.
pub(crate) fn provider(
    config: &Config,
    clock: &Clock,
    metrics: Option<&Arc<Metrics>>,
) -> Result<Provider, AssembleFault> {
    let mut last = None;
    for credentials in credentials(&config.provider.auth) {
        let settings = settings(config, credentials)?;
        let made = match metrics {
            Some(metrics) => {
                let meter = ProviderMeter::new(Arc::clone(metrics), PROVIDER);
                Provider::observed(settings, clock.clone(), Arc::new(meter))
            }
            None => Provider::new(settings, clock.clone()),
        };
        match made {
            Ok(provider) => return Ok(provider),
            // Perhaps the key is of another kind.
            Err(fault @ SettingsFault::Key(_)) => last = Some(fault),
            Err(fault) => return Err(misset(config, &fault)),
        }
    }
    let fault = last.unwrap_or(SettingsFault::Key("is of no kind that can sign"));
    Err(misset(config, &fault))
}

fn misset(config: &Config, fault: &SettingsFault) -> AssembleFault {
    AssembleFault::Settings(format!("{}: provider: {fault}.", config.path.display()))
}

fn settings(config: &Config, credentials: Credentials) -> Result<ProviderSettings, AssembleFault> {
    let described = &config.provider;
    let mut settings = ProviderSettings::new(&described.issuer, &described.client_id);
    settings.name = PROVIDER.to_owned();
    settings.credentials = credentials;
    settings.audience_parameter = match described.audience_parameter {
        config::AudienceParameter::Audience => AudienceParameter::Audience,
        config::AudienceParameter::None => AudienceParameter::Omit,
        config::AudienceParameter::Resource => AudienceParameter::Resource,
    };
    settings.authorize_parameters = described.authorize.clone();
    settings.reuse_window = described.reuse_window;
    settings.hard_deadline = config.policies().deadlines.hard;
    if let Some(root) = &described.extra_root {
        settings.extra_roots = std::fs::read(root).map_err(|error| {
            AssembleFault::Settings(format!(
                "{}: provider.extra_root: {} cannot be read ({error}); name a PEM file.",
                config.path.display(),
                root.display(),
            ))
        })?;
    }
    Ok(settings)
}

/// Returns the credentials to try in turn: a PEM file does not always say what it signs with.
fn credentials(auth: &ClientAuth) -> Vec<Credentials> {
    match auth {
        ClientAuth::ClientSecretBasic(secret) => {
            vec![Credentials::Basic(ClientSecret::new(secret.expose()))]
        }
        ClientAuth::ClientSecretPost(secret) => {
            vec![Credentials::Post(ClientSecret::new(secret.expose()))]
        }
        ClientAuth::None => vec![Credentials::None],
        ClientAuth::PrivateKeyJwt { key, kid } => {
            let kinds = [
                SigningAlgorithm::Rs256,
                SigningAlgorithm::Es256,
                SigningAlgorithm::Es384,
                SigningAlgorithm::EdDsa,
            ];
            let pem = Arc::new(key.expose().as_bytes().to_vec().into());
            kinds
                .map(|algorithm| {
                    let (pem, kid) = (Arc::clone(&pem), kid.clone());
                    Credentials::PrivateKeyJwt(PrivateKey { pem, kid, algorithm })
                })
                .into()
        }
    }
}

fn labels(config: &Config) -> Labels {
    let audiences = config.routes.iter().filter_map(|route| route.audience.as_ref());
    Labels {
        audiences: audiences.map(ToString::to_string).collect(),
        routes: config.routes.iter().map(|route| route.name.to_string()).collect(),
        providers: vec![PROVIDER.to_owned()],
        version: env!("CARGO_PKG_VERSION").to_owned(),
        backend: match config.store {
            StoreConfig::Embedded => Backend::Embedded,
            StoreConfig::Redis(_) => Backend::Redis,
        },
        // Set by whoever builds a release; a build from a work tree has no name.
        commit: option_env!("TOKENWARD_COMMIT").unwrap_or("unknown").to_owned(),
    }
}
