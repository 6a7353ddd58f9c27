//! What the operator says about a provider, checked once at start-up.

use std::time::Duration;

use url::{Host, Url};

use crate::provider::credentials::Credentials;

/// How one provider is reached and how it wants to be asked.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// The name in logs and metric labels.
    pub name: String,
    /// The issuer, as the provider's metadata spells it (one trailing slash more or less is
    /// forgiven).
    pub issuer: String,
    /// The client id the provider gave us.
    pub client_id: String,
    /// How we show the provider that we are that client.
    pub credentials: Credentials,
    /// What the audience is called on the wire.
    pub audience_parameter: AudienceParameter,
    /// Whether a refresh names scopes: off for providers where that narrows the refresh token
    /// for good.
    pub send_scope_on_refresh: bool,
    /// The endpoints of a provider without discovery.
    pub endpoints: Option<Endpoints>,
    /// Parameters added to every authorization request.
    pub authorize_parameters: Vec<(String, String)>,
    /// Where to send the browser on logout when the metadata names no place.
    pub logout: LogoutFallback,
    /// Whom a client assertion (`private_key_jwt`) is addressed to.
    pub assertion_audience: AssertionAudience,
    /// Whether `http://` is acceptable for hosts other than this machine's own.
    pub insecure_http: bool,
    /// Certificate authorities to trust beside the system's, as a PEM bundle.
    pub extra_roots: Vec<u8>,
    /// For how long the provider still takes the previous refresh token, where the operator
    /// knows it.
    pub reuse_window: Option<Duration>,
    /// The hard deadline of an exchange: the ceiling of [`settle`](super::Provider::settle).
    pub hard_deadline: Duration,
    /// The longest answer that is read, in bytes.
    pub reply_bytes_max: usize,
    /// How many exchanges may be under way at once.
    pub exchanges_max: usize,
    /// How many further exchanges may wait for their turn.
    pub queue_max: usize,
}

/// The longest answer read by default: sixteen times the largest token reply seen.
pub const REPLY_BYTES_MAX: usize = 256 * 1024;

/// The exchanges under way at once by default: twice the burst that Auth0's free plan allows
/// (30 requests), and few enough sockets for one host.
pub const EXCHANGES_MAX: usize = 64;

/// The exchanges that wait by default: at 100 ms each they are through in six seconds, which is
/// less than any hard deadline.
pub const QUEUE_MAX: usize = 4096;

/// The hard deadline by default, fit for reuse windows of 30 s and more (law L3).
pub const HARD_DEADLINE: Duration = Duration::from_secs(13);

/// What the audience is called on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AudienceParameter {
    /// `audience`, as Auth0 has it.
    #[default]
    Audience,
    /// `resource` of RFC 8707.
    Resource,
    /// Nothing: the provider knows one audience per client.
    Omit,
}

/// Where to send the browser on logout when the metadata names no `end_session_endpoint`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogoutFallback {
    /// Nowhere: the session at the provider stays.
    #[default]
    None,
    /// Auth0's `/v2/logout`.
    Auth0,
}

/// Whom a client assertion is addressed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AssertionAudience {
    /// The token endpoint (RFC 7523 §3, OpenID Connect Core §9).
    #[default]
    TokenEndpoint,
    /// The issuer, as newer profiles demand.
    Issuer,
}

/// The endpoints of a provider that publishes no metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Where people sign in.
    pub authorization: String,
    /// Where tokens are exchanged.
    pub token: String,
    /// Where the provider publishes its signing keys.
    pub jwks: String,
    /// Where tokens are revoked (RFC 7009).
    pub revocation: Option<String>,
    /// Where people sign out.
    pub end_session: Option<String>,
}

impl ProviderSettings {
    /// Makes settings with good defaults for a public client.
    pub fn new(issuer: &str, client_id: &str) -> Self {
        Self {
            name: "default".to_owned(),
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            credentials: Credentials::None,
            audience_parameter: AudienceParameter::default(),
            send_scope_on_refresh: true,
            endpoints: None,
            authorize_parameters: Vec::new(),
            logout: LogoutFallback::default(),
            assertion_audience: AssertionAudience::default(),
            insecure_http: false,
            extra_roots: Vec::new(),
            reuse_window: None,
            hard_deadline: HARD_DEADLINE,
            reply_bytes_max: REPLY_BYTES_MAX,
            exchanges_max: EXCHANGES_MAX,
            queue_max: QUEUE_MAX,
        }
    }

    /// Checks what can be checked without asking the provider.
    pub(super) fn check(&self) -> Result<(), SettingsFault> {
        let issuer = self.endpoint("issuer", &self.issuer)?;
        if issuer.query().is_some() || issuer.fragment().is_some() {
            return Err(SettingsFault::Issuer("must have neither a query nor a fragment"));
        }
        if self.client_id.is_empty() {
            return Err(SettingsFault::ClientId);
        }
        let reserved =
            self.authorize_parameters.iter().find(|(name, _)| RESERVED.contains(&name.as_str()));
        if let Some((name, _)) = reserved {
            return Err(SettingsFault::Reserved(name.clone()));
        }
        if self.exchanges_max == 0 || self.reply_bytes_max == 0 {
            return Err(SettingsFault::Zero);
        }
        Ok(())
    }

    /// Parses the address of an endpoint and refuses one that would show secrets on the way.
    pub(super) fn endpoint(&self, what: &'static str, text: &str) -> Result<Url, SettingsFault> {
        let fault = |why| SettingsFault::Endpoint { what, why };
        let url = Url::parse(text).map_err(|_| fault("is no URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fault("must not hold a user name or a password"));
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.insecure_http || is_loopback(&url) => Ok(url),
            "http" => Err(fault("must use https: plain http is for this machine's own addresses")),
            _ => Err(fault("must use https")),
        }
    }
}

/// The parameters of an authorization request that are ours to set.
const RESERVED: [&str; 9] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "response_type",
    "scope",
    "state",
];

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What is wrong with the settings of a provider; the operator must act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsFault {
    /// The issuer is not usable.
    #[error("the provider's issuer {0}")]
    Issuer(&'static str),
    /// An address is not usable.
    #[error("the provider's {what} {why}")]
    Endpoint {
        /// Which address.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is no client id.
    #[error("the provider's client_id is empty")]
    ClientId,
    /// The private key of `private_key_jwt` does not fit.
    #[error("the provider's private key {0}")]
    Key(&'static str),
    /// The extra certificate authorities cannot be read.
    #[error("the provider's extra root certificates are no PEM bundle of certificates")]
    Roots,
    /// An extra authorization parameter would replace one of ours.
    #[error("the authorization parameter `{0}` is set by the sign-in itself")]
    Reserved(String),
    /// A limit of zero would let nothing through.
    #[error("the provider's limits must be larger than zero")]
    Zero,
    /// The HTTP client cannot be made.
    #[error("the HTTP client for the provider cannot be made: {0}")]
    Client(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l13_plain_http_is_for_loopback_only() {
        let settings = ProviderSettings::new("https://idp.example/", "c");
        for (text, good) in [
            ("https://idp.example/token", true),
            ("http://127.0.0.1:9000/token", true),
            ("http://[::1]/token", true),
            ("http://localhost:1/token", true),
            ("http://idp.example/token", false),
            ("http://127.0.0.1.example/token", false),
            ("http://10.0.0.1/token", false),
            ("https://user:secret@idp.example/", false),
            ("ftp://idp.example/", false),
            ("/token", false),
        ] {
            assert_eq!(settings.endpoint("token", text).is_ok(), good, "{text}");
        }
        let mut lenient = settings;
        lenient.insecure_http = true;
        assert!(lenient.endpoint("token", "http://10.0.0.1/token").is_ok());
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let with = |change: fn(&mut ProviderSettings)| {
            let mut settings = ProviderSettings::new("https://idp.example", "c");
            change(&mut settings);
            settings.check()
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|s| s.client_id.clear()), Err(SettingsFault::ClientId));
        assert_eq!(with(|s| s.exchanges_max = 0), Err(SettingsFault::Zero));
        assert!(with(|s| s.issuer = "https://idp.example/?a".to_owned()).is_err());
        let taken = with(|s| s.authorize_parameters.push(("state".to_owned(), String::new())));
        assert_eq!(taken, Err(SettingsFault::Reserved("state".to_owned())));
    }
}
