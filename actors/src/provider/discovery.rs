//! What a provider publishes about itself (OpenID Connect Discovery 1.0, RFC 8414).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::core::grant::Unheard;
use crate::core::time::Instant;
use crate::provider::Provider;
use crate::provider::document::Wanted;
use crate::provider::error::ProviderError;
use crate::provider::jwt::{self, Claims};
use crate::provider::observe::{Endpoint, Oddity, Outcome, Requested};
use crate::provider::settings::{ProviderSettings, SettingsFault};
use crate::provider::wire::{Answer, Extent, Lost};

/// For how long metadata is used before it is fetched again in the background: endpoints move
/// rarely, and are announced.
pub(super) const METADATA_FRESH: Duration = Duration::from_secs(3600);

/// How long one fetch of a document may take.
pub(super) const FETCH_MAX: Duration = Duration::from_secs(5);

/// The values kept of a metadata list.
const VALUES_MAX: usize = 256;

/// What a provider publishes about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The issuer in the provider's own spelling: what `iss` must say.
    pub issuer: String,
    /// Where people sign in.
    pub authorization_endpoint: Option<Url>,
    /// Where tokens are exchanged.
    pub token_endpoint: Url,
    /// Where the signing keys are.
    pub jwks_uri: Option<Url>,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<Url>,
    /// Where people sign out.
    pub end_session_endpoint: Option<Url>,
    /// Where a device sign-in starts.
    pub device_authorization_endpoint: Option<Url>,
    /// Whether answers to the browser carry `iss` (RFC 9207).
    pub authorization_response_iss: bool,
    /// Whether the provider announces logouts (back-channel).
    pub backchannel_logout: bool,
    /// The `acr_values_supported`.
    pub acr_values: Vec<String>,
    /// The `grant_types_supported`.
    pub grant_types: Vec<String>,
    /// The `scopes_supported`.
    pub scopes: Vec<String>,
    /// The `token_endpoint_auth_methods_supported`.
    pub client_authentication_methods: Vec<String>,
}

impl Metadata {
    /// Reads a metadata document and holds it against the settings.
    ///
    /// The issuer must be the configured one byte for byte, but for one trailing slash: people
    /// copy issuers from address bars. Which spelling counts is then the provider's decision.
    pub(super) fn parse(body: &[u8], settings: &ProviderSettings) -> Result<Self, String> {
        let document: Claims = serde_json::from_slice(body).map_err(|_| "it is no JSON object")?;
        let issuer = jwt::text(&document, "issuer").ok_or("it names no issuer")?;
        if unslashed(&issuer) != unslashed(&settings.issuer) {
            return Err(format!(
                "it is for the issuer {issuer:?}, not for {:?}: correct `issuer`",
                settings.issuer
            ));
        }
        let endpoint = |name: &'static str| match jwt::text(&document, name) {
            Some(text) => settings.endpoint(name, &text).map(Some).map_err(|e| e.to_string()),
            None => Ok(None),
        };
        let flag = |name| document.get(name).and_then(Value::as_bool).unwrap_or_default();
        let list = |name| -> Vec<String> {
            let values = document.get(name).and_then(Value::as_array).into_iter().flatten();
            values.filter_map(Value::as_str).take(VALUES_MAX).map(str::to_owned).collect()
        };
        Ok(Self {
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?.ok_or("it names no token endpoint")?,
            jwks_uri: endpoint("jwks_uri")?,
            revocation_endpoint: endpoint("revocation_endpoint")?,
            end_session_endpoint: endpoint("end_session_endpoint")?,
            device_authorization_endpoint: endpoint("device_authorization_endpoint")?,
            authorization_response_iss: flag("authorization_response_iss_parameter_supported"),
            backchannel_logout: flag("backchannel_logout_supported"),
            acr_values: list("acr_values_supported"),
            grant_types: list("grant_types_supported"),
            scopes: list("scopes_supported"),
            client_authentication_methods: list("token_endpoint_auth_methods_supported"),
            issuer,
        })
    }

    /// Makes metadata from endpoints set by hand, if there are any.
    pub(super) fn by_hand(settings: &ProviderSettings) -> Result<Option<Self>, SettingsFault> {
        let Some(endpoints) = &settings.endpoints else {
            return Ok(None);
        };
        let optional = |what, text: &Option<String>| {
            text.as_deref().map(|text| settings.endpoint(what, text)).transpose()
        };
        Ok(Some(Self {
            issuer: settings.issuer.clone(),
            authorization_endpoint: Some(
                settings.endpoint("authorization endpoint", &endpoints.authorization)?,
            ),
            token_endpoint: settings.endpoint("token endpoint", &endpoints.token)?,
            jwks_uri: Some(settings.endpoint("jwks endpoint", &endpoints.jwks)?),
            revocation_endpoint: optional("revocation endpoint", &endpoints.revocation)?,
            end_session_endpoint: optional("end session endpoint", &endpoints.end_session)?,
            device_authorization_endpoint: None,
            authorization_response_iss: false,
            backchannel_logout: false,
            acr_values: Vec::new(),
            grant_types: Vec::new(),
            scopes: Vec::new(),
            client_authentication_methods: Vec::new(),
        }))
    }
}

impl Provider {
    /// Returns the provider's metadata if it is known already.
    pub fn metadata(&self) -> Option<Arc<Metadata>> {
        self.0.metadata.held()
    }

    /// Returns the provider's metadata, fetching it first if need be.
    ///
    /// # Errors
    /// Says what is wrong with the metadata, or that it could not be fetched.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn discover(&self) -> Result<Arc<Metadata>, ProviderError> {
        self.metadata_within(self.0.clock.now() + 2 * FETCH_MAX).await
    }

    pub(super) async fn metadata_within(
        &self,
        until: Instant,
    ) -> Result<Arc<Metadata>, ProviderError> {
        if let Some(metadata) = self.0.metadata.held() {
            if self.0.metadata.wants_renewal() {
                self.renew_metadata();
            }
            return Ok(metadata);
        }
        tokio::select! {
            biased;
            fetched = self.0.metadata.obtain(Wanted::Any, || self.fetch_metadata()) => fetched,
            () = self.0.clock.sleep_until(until) => Err(discovery("it did not come in time", None)),
        }
    }

    fn renew_metadata(&self) {
        let (provider, asked_at) = (self.clone(), self.0.clock.now());
        tokio::spawn(async move {
            let wanted = Wanted::After(asked_at);
            let renewed = provider.0.metadata.obtain(wanted, || provider.fetch_metadata()).await;
            if let Err(error) = renewed {
                provider.noticed(Oddity::NotRenewed, &error);
            }
        });
    }

    async fn fetch_metadata(&self) -> Result<Metadata, ProviderError> {
        if let Some(metadata) = &self.0.by_hand {
            return Ok(metadata.clone());
        }
        let settings = &self.0.settings;
        let [oidc, oauth] = well_known(&settings.issuer)
            .ok_or_else(|| discovery("the issuer has no well-known address", None))?;
        let until = self.0.clock.now() + FETCH_MAX;
        let mut answer = self.fetch(Endpoint::Discovery, &oidc, until).await?;
        if answer.status == 404 {
            answer = self.fetch(Endpoint::Discovery, &oauth, until).await?;
        }
        if answer.status != 200 || answer.extent != Extent::Whole {
            return Err(discovery(&format!("the answer has the status {}", answer.status), None));
        }
        Metadata::parse(&answer.body, settings).map_err(|why| discovery(&why, None))
    }

    /// Fetches a document and tells the observer.
    pub(super) async fn fetch(
        &self,
        endpoint: Endpoint,
        url: &Url,
        until: Instant,
    ) -> Result<Answer, ProviderError> {
        let started = self.0.clock.now();
        let fetched = self.0.http.get(url, until).await;
        let outcome = match &fetched {
            Ok(answer) => match answer.extent {
                Extent::Whole => Outcome::of_status(answer.status),
                Extent::Cut(how) => Outcome::of_unheard(how),
                Extent::TooLong => Outcome::Malformed,
            },
            Err(Lost::NotSent) => Outcome::Network,
            Err(Lost::Unheard(how)) => Outcome::of_unheard(*how),
        };
        let took = self.0.clock.now().since(started);
        self.0.observer.requested(Requested { endpoint, outcome, took });
        fetched.map_err(|lost| match lost {
            Lost::Unheard(Unheard::Deadline) => discovery("it did not come in time", None),
            Lost::NotSent | Lost::Unheard(_) => discovery("the provider cannot be reached", None),
        })
    }
}

fn discovery(why: &str, wait: Option<Duration>) -> ProviderError {
    ProviderError::Discovery { why: why.to_owned(), wait }
}

fn unslashed(issuer: &str) -> &str {
    issuer.strip_suffix('/').unwrap_or(issuer)
}

/// Returns where OpenID Connect appends, and where RFC 8414 inserts, the well-known path.
fn well_known(issuer: &str) -> Option<[Url; 2]> {
    let base = unslashed(issuer);
    let oidc = Url::parse(&format!("{base}/.well-known/openid-configuration")).ok()?;
    let mut oauth = Url::parse(base).ok()?;
    let path = unslashed(oauth.path()).to_owned();
    oauth.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    Some([oidc, oauth])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_well_known_addresses_of_an_issuer() {
        for (issuer, oidc, oauth) in [
            ("https://idp", "https://idp/.well-known/openid-configuration", ""),
            ("https://idp/", "https://idp/.well-known/openid-configuration", ""),
            ("https://idp/a/b", "https://idp/a/b/.well-known/openid-configuration", "/a/b"),
        ] {
            let [first, second] = well_known(issuer).unwrap();
            assert_eq!(first.as_str(), oidc);
            let expected = format!("https://idp/.well-known/oauth-authorization-server{oauth}");
            assert_eq!(second.as_str(), expected);
        }
    }

    #[test]
    fn the_issuer_is_compared_byte_for_byte_but_for_one_slash() {
        let settings = ProviderSettings::new("https://idp.example/", "c");
        for (issuer, good) in [
            ("https://idp.example/", true),
            ("https://idp.example", true),
            ("https://idp.example//", false),
            ("https://IDP.example/", false),
            ("https://idp.example.evil/", false),
            ("http://idp.example/", false),
        ] {
            let document = serde_json::json!({"issuer": issuer, "token_endpoint": "https://t/"});
            let parsed = Metadata::parse(document.to_string().as_bytes(), &settings);
            assert_eq!(parsed.is_ok(), good, "{issuer}");
        }
        for body in ["", "[]", "{}", r#"{"issuer":"https://idp.example/"}"#] {
            assert!(Metadata::parse(body.as_bytes(), &settings).is_err(), "{body}");
        }
        let plain = r#"{"issuer":"https://idp.example/","token_endpoint":"http://idp.example/t"}"#;
        assert!(Metadata::parse(plain.as_bytes(), &settings).unwrap_err().contains("https"));
    }
}
