//! Client authentication at the token, revocation and device endpoints.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use crate::hold;
use crate::ledger::{Entry, Kind};

use super::refusal::{INVALID_CLIENT, Refusal};
use super::registry::{AuthMethod, Client};
use super::{Params, Provider};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a client presented itself.
enum Credentials {
    Basic { client_id: String, secret: String },
    Post { client_id: String, secret: String },
    Assertion { client_id: String, jwt: String },
    Nothing { client_id: String },
}

/// The claims of a client assertion (RFC 7523 §3); expiry and audience are checked by the decoder.
#[derive(Deserialize)]
struct Assertion {
    iss: String,
    sub: String,
    #[serde(default)]
    jti: Option<String>,
}

impl Provider {
    /// Returns the client that made a request.
    pub(crate) fn client(&self, headers: &HeaderMap, params: &Params) -> Result<Client, Refusal> {
        let credentials = credentials(headers, params);
        let found = credentials.as_ref().and_then(|credentials| {
            let client = hold(&self.tenant).client(credentials.client_id()).cloned()?;
            self.proves(&client, credentials).then_some(client)
        });
        found.ok_or_else(|| {
            let client = credentials.map(|credentials| credentials.client_id().to_owned());
            self.log(Kind::ClientRefused, Entry { client, ..Entry::default() });
            INVALID_CLIENT
        })
    }

    fn proves(&self, client: &Client, credentials: &Credentials) -> bool {
        if client.auth_method.is_some_and(|only| only != credentials.method()) {
            return false;
        }
        match credentials {
            Credentials::Basic { secret, .. } | Credentials::Post { secret, .. } => {
                client.client_secret.as_ref() == Some(secret)
            }
            Credentials::Assertion { jwt, .. } => self.assertion_holds(client, jwt),
            Credentials::Nothing { .. } => client.public(),
        }
    }

    fn assertion_holds(&self, client: &Client, jwt: &str) -> bool {
        let Some(assertion) = checked_assertion(client, jwt, &self.issuer) else {
            return false;
        };
        if assertion.iss != client.client_id || assertion.sub != client.client_id {
            return false;
        }
        let Some(name) = assertion.jti else {
            return true;
        };
        let now_ms = self.clock.now_ms();
        let names = &mut hold(&self.desk).assertion_names;
        let name = format!("{} {name}", client.client_id);
        let fresh = names.look(&name, now_ms).is_none();
        names.put(name, (), now_ms);
        fresh
    }
}

impl Credentials {
    fn client_id(&self) -> &str {
        match self {
            Self::Basic { client_id, .. }
            | Self::Post { client_id, .. }
            | Self::Assertion { client_id, .. }
            | Self::Nothing { client_id } => client_id,
        }
    }

    fn method(&self) -> AuthMethod {
        match self {
            Self::Basic { .. } => AuthMethod::ClientSecretBasic,
            Self::Post { .. } => AuthMethod::ClientSecretPost,
            Self::Assertion { .. } => AuthMethod::PrivateKeyJwt,
            Self::Nothing { .. } => AuthMethod::None,
        }
    }
}

fn credentials(headers: &HeaderMap, params: &Params) -> Option<Credentials> {
    if let Some(header) = headers.get(AUTHORIZATION) {
        return basic(header.to_str().ok()?);
    }
    let client_id = params.get("client_id").cloned();
    if let Some(jwt) = params.get("client_assertion").cloned() {
        let typed = params.get("client_assertion_type").is_some_and(|kind| kind == ASSERTION_TYPE);
        // Without client_id the assertion itself names the client; its signature is checked later.
        let named = || jsonwebtoken::dangerous::insecure_decode_claims::<Assertion>(&jwt).ok();
        let client_id = client_id.or_else(|| Some(named()?.sub))?;
        return typed.then_some(Credentials::Assertion { client_id, jwt });
    }
    let client_id = client_id?;
    Some(match params.get("client_secret").cloned() {
        Some(secret) => Credentials::Post { client_id, secret },
        None => Credentials::Nothing { client_id },
    })
}

/// RFC 6749 §2.3.1: both halves are form-encoded before they are joined.
fn basic(header: &str) -> Option<Credentials> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (client_id, secret) = pair.split_once(':')?;
    Some(Credentials::Basic { client_id: form_decoded(client_id)?, secret: form_decoded(secret)? })
}

fn form_decoded(text: &str) -> Option<String> {
    let pair = format!("v={text}");
    let (_, value) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
    Some(value.into_owned())
}

fn checked_assertion(client: &Client, jwt: &str, issuer: &str) -> Option<Assertion> {
    let pem = client.public_key_pem.as_ref()?.as_bytes();
    let algorithm = decode_header(jwt).ok()?.alg;
    let key = if algorithm == Algorithm::RS256 {
        DecodingKey::from_rsa_pem(pem)
    } else if algorithm == Algorithm::ES256 {
        DecodingKey::from_ec_pem(pem)
    } else {
        return None;
    };
    let mut rules = Validation::new(algorithm);
    rules.leeway = 0;
    rules.set_audience(&[issuer.to_owned(), format!("{issuer}oauth/token")]);
    rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    decode::<Assertion>(jwt, &key.ok()?, &rules).ok().map(|checked| checked.claims)
}
