//! Checking access tokens against the provider's key set, fetched over HTTP as any API would.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::clock::Clock;
use crate::hold;
use crate::provider::Provider;

/// Checked tokens remembered per API; beyond it all are forgotten and checked again.
const CHECKED_MAX: usize = 200_000;

/// Between two fetches of the key set, so that made-up key names cannot hammer the provider.
const REFETCH_MS: u64 = 500;

/// The claims an API reads.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claims {
    pub(crate) sub: String,
    /// A string or an array of strings (RFC 7519 §4.1.3).
    pub(crate) aud: serde_json::Value,
    #[serde(default)]
    pub(crate) scope: String,
    #[serde(default)]
    pub(crate) jti: String,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    #[serde(default)]
    pub(crate) acr: Option<String>,
    #[serde(default)]
    pub(crate) amr: Vec<String>,
    /// When the user last proved who they are, in Unix seconds.
    #[serde(default)]
    pub(crate) auth_time: Option<u64>,
}

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// The token is at fault, for this reason.
    Token(&'static str),
    /// The provider did not say which keys to trust.
    KeysUnreachable,
}

/// Checks the tokens of one audience.
#[derive(Debug)]
pub(crate) struct Verifier {
    issuer: String,
    audience: &'static str,
    http: reqwest::Client,
    clock: Clock,
    keys: tokio::sync::Mutex<Keys>,
    /// Signatures that held, by the hash of the whole token. Expiry is checked every time.
    checked: Mutex<HashMap<[u8; 32], Arc<Claims>>>,
}

#[derive(Debug, Default)]
struct Keys {
    set: Option<JwkSet>,
    fetched_at_ms: u64,
}

impl Verifier {
    pub(crate) fn new(provider: &Provider, audience: &'static str) -> Self {
        Self {
            issuer: provider.issuer.clone(),
            audience,
            http: provider.http.clone(),
            clock: provider.clock.clone(),
            keys: tokio::sync::Mutex::default(),
            checked: Mutex::default(),
        }
    }

    /// Returns the claims of a token that is good for this audience at this moment.
    pub(crate) async fn check(
        &self,
        access_token: &str,
        leeway_s: u64,
    ) -> Result<Arc<Claims>, Distrust> {
        let hash = hash(access_token);
        let known = hold(&self.checked).get(&hash).cloned();
        let claims = match known {
            Some(claims) => claims,
            None => {
                let claims = Arc::new(self.check_signature(access_token).await?);
                let mut checked = hold(&self.checked);
                if checked.len() >= CHECKED_MAX {
                    checked.clear();
                }
                checked.insert(hash, Arc::clone(&claims));
                claims
            }
        };
        if claims.exp.saturating_add(leeway_s) <= self.clock.unix_s(self.clock.now_ms()) {
            return Err(Distrust::Token("the token has expired"));
        }
        Ok(claims)
    }

    async fn check_signature(&self, access_token: &str) -> Result<Claims, Distrust> {
        if access_token.matches('.').count() != 2 {
            return self.introspect(access_token).await;
        }
        let header =
            decode_header(access_token).map_err(|_| Distrust::Token("the token is no JWT"))?;
        let kid = header.kid.ok_or(Distrust::Token("the token names no key"))?;
        let key = self.key(&kid).await?;
        let mut rules = Validation::new(Algorithm::ES256);
        rules.validate_exp = false;
        rules.set_audience(&[self.audience]);
        rules.set_issuer(&[&self.issuer]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let checked = decode::<Claims>(access_token, &key, &rules);
        checked.map(|checked| checked.claims).map_err(|error| Distrust::Token(reason(&error)))
    }

    async fn key(&self, kid: &str) -> Result<DecodingKey, Distrust> {
        let mut keys = self.keys.lock().await;
        let now_ms = self.clock.now_ms();
        let known = keys.set.as_ref().is_some_and(|set| set.find(kid).is_some());
        let rested = keys.set.is_none() || now_ms.saturating_sub(keys.fetched_at_ms) >= REFETCH_MS;
        if !known && rested {
            keys.set = Some(self.fetch().await.ok_or(Distrust::KeysUnreachable)?);
            keys.fetched_at_ms = now_ms;
        }
        let key = keys.set.as_ref().and_then(|set| set.find(kid));
        key.and_then(|key| DecodingKey::from_jwk(key).ok())
            .ok_or(Distrust::Token("the token is signed by an unknown key"))
    }

    async fn fetch(&self) -> Option<JwkSet> {
        let url = format!("{}.well-known/jwks.json", self.issuer);
        let answer = self.http.get(url).send().await.ok()?.error_for_status().ok()?;
        answer.json().await.ok()
    }

    /// An opaque token means nothing but what its issuer says of it.
    async fn introspect(&self, access_token: &str) -> Result<Claims, Distrust> {
        let url = format!("{}oauth/introspect", self.issuer);
        let ask = self.http.post(url).form(&[("token", access_token)]);
        let answer = ask.send().await.map_err(|_| Distrust::KeysUnreachable)?;
        let claims = answer.json::<Claims>().await;
        let claims = claims.map_err(|_| Distrust::Token("the token is unknown to its issuer"))?;
        if claims.aud != self.audience {
            return Err(Distrust::Token("the token is for another audience"));
        }
        Ok(claims)
    }
}

fn reason(error: &jsonwebtoken::errors::Error) -> &'static str {
    let known = [
        (ErrorKind::InvalidAudience, "the token is for another audience"),
        (ErrorKind::InvalidIssuer, "the token is from another issuer"),
        (ErrorKind::InvalidSignature, "the signature does not hold"),
    ];
    let found = known.into_iter().find(|(kind, _)| kind == error.kind());
    found.map_or("the token is malformed", |(_, reason)| reason)
}

fn hash(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}
