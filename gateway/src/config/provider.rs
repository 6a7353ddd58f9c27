//! The authorization server, as the operator describes it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokenward::core::scope::ScopeSet;
use url::{Host, Url};

use super::file::{self, AuthMethod};
use super::{Fault, Secret};

/// The authorization server and who we are to it.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The issuer, byte for byte as its metadata says it.
    pub issuer: String,
    /// Our name at the provider.
    pub client_id: String,
    /// How we prove it.
    pub auth: ClientAuth,
    /// Under which name a request carries the audience.
    pub audience_parameter: AudienceParameter,
    /// The scopes asked for an audience whose routes name none; none where this is left out, so that
    /// what one API needs is never asked for another unless the operator says so.
    pub default_scopes: ScopeSet,
    /// Parameters added to every authorization request, such as `prompt=consent`, which some
    /// providers want before they give a refresh token (OpenID Connect Core §11).
    pub authorize: Vec<(String, String)>,
    /// A further root certificate in PEM that is trusted for the provider.
    pub extra_root: Option<PathBuf>,
    /// How long the provider takes the previous refresh token, where the operator knows it.
    pub reuse_window: Option<Duration>,
}

/// How the client proves who it is (RFC 6749 §2.3, RFC 7523 §2.2).
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// When the secret goes in the Authorization header.
    ClientSecretBasic(Secret),
    /// When the secret goes in the form.
    ClientSecretPost(Secret),
    /// When the client is public.
    None,
    /// When the client signs an assertion.
    PrivateKeyJwt {
        /// The key in PEM.
        key: Secret,
        /// The name under which the provider knows the key.
        kid: Option<String>,
    },
}

/// Under which name a request to the provider carries the audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudienceParameter {
    /// `audience`, as Auth0 has it.
    Audience,
    /// Under no name: the provider derives it from the scopes.
    None,
    /// `resource`, as RFC 8707 has it.
    Resource,
}

/// Checks the `[provider]` table.
pub(super) fn check(path: &Path, raw: file::Provider, faults: &mut Vec<Fault>) -> ProviderConfig {
    let base = path.parent().unwrap_or(Path::new("."));
    check_issuer(path, &raw.issuer, faults);
    if raw.client_id.trim().is_empty() {
        faults.push(Fault::new(path, "provider.client_id", "it is empty; write the client's id"));
    }
    let extra_root = raw.extra_root.as_ref().map(|file| base.join(file));
    if let Some(root) = &extra_root
        && let Err(error) = std::fs::metadata(root)
    {
        let wrong = format!("{} cannot be read ({error}); name a PEM file", root.display());
        faults.push(Fault::new(path, "provider.extra_root", wrong));
    }
    let auth = check_auth(path, base, &raw, faults);
    ProviderConfig {
        auth,
        audience_parameter: match raw.audience_parameter {
            Some(file::AudienceParameter::Audience) | None => AudienceParameter::Audience,
            Some(file::AudienceParameter::None) => AudienceParameter::None,
            Some(file::AudienceParameter::Resource) => AudienceParameter::Resource,
        },
        authorize: raw.authorize.into_iter().collect(),
        client_id: raw.client_id,
        default_scopes: raw.default_scopes.map_or_else(ScopeSet::default, |list| list.scopes()),
        extra_root,
        issuer: raw.issuer,
        reuse_window: raw.reuse_window.map(|span| span.0),
    }
}

/// Reports whether `url` names this machine, where plain HTTP leaks nothing.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

fn check_issuer(path: &Path, issuer: &str, faults: &mut Vec<Fault>) {
    let wrong = match Url::parse(issuer) {
        Err(error) => format!("{issuer:?} is no URL ({error}); write the issuer of the provider"),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            format!("{issuer:?} has a query or a fragment; write the bare issuer")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "the URL holds credentials; write the bare issuer".to_owned()
        }
        Ok(url) if url.scheme() == "https" => return,
        Ok(url) if url.scheme() == "http" && is_loopback(&url) => return,
        Ok(_) => format!("{issuer:?} is not https, and not on this machine; use https"),
    };
    faults.push(Fault::new(path, "provider.issuer", wrong));
}

fn check_auth(
    path: &Path,
    base: &Path,
    raw: &file::Provider,
    faults: &mut Vec<Fault>,
) -> ClientAuth {
    // A secret that was forgotten must not turn the client into a public one silently.
    let method = raw.auth.unwrap_or(match &raw.private_key {
        Some(_) => AuthMethod::PrivateKeyJwt,
        None => AuthMethod::ClientSecretBasic,
    });
    let mut fault = |key: &str, wrong: &str| {
        faults.push(Fault::new(path, key, wrong));
        ClientAuth::None
    };
    match method {
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => {
            let Some(source) = &raw.client_secret else {
                return fault(
                    "provider.client_secret",
                    "it is missing; write client_secret = { env = \"NAME\" }, or auth = \"none\" for \
                     a public client",
                );
            };
            match source.read(base) {
                Ok(secret) if method == AuthMethod::ClientSecretPost => {
                    ClientAuth::ClientSecretPost(secret)
                }
                Ok(secret) => ClientAuth::ClientSecretBasic(secret),
                Err(wrong) => fault("provider.client_secret", &wrong),
            }
        }
        AuthMethod::None if raw.client_secret.is_some() || raw.private_key.is_some() => fault(
            "provider.auth",
            "\"none\" contradicts the secret that is given; remove one of them",
        ),
        AuthMethod::None => ClientAuth::None,
        AuthMethod::PrivateKeyJwt => {
            let Some(key) = &raw.private_key else {
                return fault(
                    "provider.private_key",
                    "it is missing; write private_key = { file = \"…\", kid = \"…\" }",
                );
            };
            let source = super::secret::SecretSource { env: None, file: Some(key.file.clone()) };
            match source.read(base) {
                Ok(secret) => ClientAuth::PrivateKeyJwt { key: secret, kid: key.kid.clone() },
                Err(wrong) => fault("provider.private_key", &wrong),
            }
        }
    }
}
