//! What a provider publishes beyond what the framework needs: only `check` looks at it.

use std::time::Duration;

use reqwest::{Certificate, Client, redirect};
use serde_json::Value;
use tokenward::provider::Metadata;

use super::{Finding, Grade, good, texts, warning, wrong};
use crate::config::Config;

/// How long one document may take.
const FETCH_WITHIN: Duration = Duration::from_secs(5);

/// The largest document that is read.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// The documents, each with why it is not there.
pub(super) struct Documents {
    metadata: Result<Value, String>,
    keys: Option<Result<Value, String>>,
}

impl Documents {
    /// Fetches the metadata as they are published, and the signing keys.
    pub(super) async fn fetch(config: &Config, metadata: &Metadata) -> Self {
        let http = match client(config) {
            Ok(http) => http,
            Err(why) => return Self { metadata: Err(why.clone()), keys: Some(Err(why)) },
        };
        let issuer = config.provider.issuer.trim_end_matches('/');
        let place = format!("{issuer}/.well-known/openid-configuration");
        let keys = match &metadata.jwks_uri {
            Some(url) => Some(document(&http, url.as_str()).await),
            None => None,
        };
        Self { metadata: document(&http, &place).await, keys }
    }

    /// Returns the metadata as they are published, where they could be read.
    pub(super) fn metadata(&self) -> Option<&Value> {
        self.metadata.as_ref().ok()
    }

    /// Judges the signing keys, without which nobody can sign in.
    pub(super) fn keys(&self, metadata: &Metadata) -> Finding {
        let place = metadata.jwks_uri.as_ref().map_or("", |url| url.as_str());
        match &self.keys {
            None => wrong(
                "signing keys",
                "the provider publishes no jwks_uri",
                "use a provider that signs its ID tokens with published keys",
            ),
            Some(Err(why)) => Finding {
                grade: Grade::Away,
                ..wrong(
                    "signing keys",
                    format!("{place}: {why}"),
                    "make the address reachable from here",
                )
            },
            Some(Ok(keys)) => match keys.get("keys").and_then(Value::as_array).map(Vec::len) {
                Some(count @ 1..) => good("signing keys", format!("{count} at {place}")),
                Some(0) | None => wrong(
                    "signing keys",
                    format!("{place} holds none"),
                    "publish the provider's signing keys there",
                ),
            },
        }
    }

    /// Judges whether the proof of a sign-in's origin is supported (RFC 7636).
    pub(super) fn pkce(&self) -> Finding {
        let Ok(metadata) = &self.metadata else {
            return good(
                "PKCE",
                "S256 is used; the provider does not say whether it checks it".to_owned(),
            );
        };
        match texts(metadata, "code_challenge_methods_supported") {
            Some(methods) if methods.contains(&"S256") => good("PKCE", "S256".to_owned()),
            Some(_) => warning(
                "PKCE",
                "the provider does not list S256",
                "enable PKCE with S256 at the provider; it is sent in any case",
            ),
            None => good(
                "PKCE",
                "S256 is used; the provider does not say whether it checks it".to_owned(),
            ),
        }
    }
}

fn client(config: &Config) -> Result<Client, String> {
    let mut builder = Client::builder().timeout(FETCH_WITHIN).redirect(redirect::Policy::none());
    if let Some(root) = &config.provider.extra_root {
        let pem = std::fs::read(root).map_err(|error| error.to_string())?;
        let roots = Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
        builder = roots.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
    }
    builder.build().map_err(|error| error.to_string())
}

async fn document(http: &Client, place: &str) -> Result<Value, String> {
    let why = |error: reqwest::Error| error.without_url().to_string();
    let mut answer = http.get(place).send().await.map_err(why)?;
    if !answer.status().is_success() {
        return Err(format!("answered {}", answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(why)? {
        body.extend_from_slice(&piece);
        if body.len() > DOCUMENT_BYTES_MAX {
            return Err("answered too much".to_owned());
        }
    }
    serde_json::from_slice(&body).map_err(|_| "is no JSON".to_owned())
}
