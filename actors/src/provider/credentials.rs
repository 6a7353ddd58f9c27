//! How we show a provider that we are its client (RFC 6749 §2.3, RFC 7523).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use zeroize::Zeroizing;

use crate::core::time::UnixSeconds;
use crate::provider::discovery::Metadata;
use crate::provider::error::ProviderError;
use crate::provider::form::Form;
use crate::provider::settings::{AssertionAudience, ProviderSettings, SettingsFault};

/// How long a client assertion is good for: enough for clocks that differ, too short to be worth
/// stealing.
const ASSERTION_LIFE_S: u64 = 60;

/// The type of a client assertion (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How we show that we are the client.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Not at all: a public client.
    None,
    /// `client_secret_basic`.
    Basic(ClientSecret),
    /// `client_secret_post`.
    Post(ClientSecret),
    /// `private_key_jwt`.
    PrivateKeyJwt(PrivateKey),
}

/// A client secret; it has no text.
#[derive(Clone)]
pub struct ClientSecret(Arc<Zeroizing<String>>);

impl ClientSecret {
    /// Takes a secret as the provider gave it.
    pub fn new(text: &str) -> Self {
        Self(Arc::new(Zeroizing::new(text.to_owned())))
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[client secret]")
    }
}

/// The private key of `private_key_jwt`.
#[derive(Clone)]
pub struct PrivateKey {
    /// The key, PKCS#8 or PKCS#1, as PEM.
    pub pem: Arc<Zeroizing<Vec<u8>>>,
    /// The key's id at the provider.
    pub kid: Option<String>,
    /// The algorithm to sign with.
    pub algorithm: SigningAlgorithm,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// An algorithm to sign a client assertion with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl SigningAlgorithm {
    /// Parses the name of RFC 7518 and RFC 8037.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            "EdDSA" => Some(Self::EdDsa),
            "PS256" => Some(Self::Ps256),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }

    const fn as_jwt(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Ps256 => Algorithm::PS256,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

/// Credentials that were tried out and can be put on a request.
pub(super) struct ClientAuthentication {
    client_id: String,
    audience: AssertionAudience,
    method: Method,
}

enum Method {
    None,
    Basic { header: HeaderValue, secret: ClientSecret },
    Post(ClientSecret),
    Assertion { key: EncodingKey, header: Box<Header> },
}

impl ClientAuthentication {
    pub(super) fn new(settings: &ProviderSettings) -> Result<Self, SettingsFault> {
        let method = match &settings.credentials {
            Credentials::None => Method::None,
            Credentials::Basic(secret) => {
                Method::Basic { header: basic(&settings.client_id, secret), secret: secret.clone() }
            }
            Credentials::Post(secret) => Method::Post(secret.clone()),
            Credentials::PrivateKeyJwt(key) => assertion(key)?,
        };
        let (client_id, audience) = (settings.client_id.clone(), settings.assertion_audience);
        Ok(Self { client_id, audience, method })
    }

    /// Puts the credentials into `form`, or returns the Authorization field they go into.
    pub(super) fn apply(
        &self,
        form: &mut Form,
        metadata: &Metadata,
        now: UnixSeconds,
    ) -> Result<Option<HeaderValue>, ProviderError> {
        if let Method::Basic { header, .. } = &self.method {
            return Ok(Some(header.clone()));
        }
        form.add("client_id", &self.client_id);
        match &self.method {
            Method::None | Method::Basic { .. } => {}
            Method::Post(secret) => form.add("client_secret", secret.expose()),
            Method::Assertion { key, header } => {
                let assertion = self.sign(key, header, metadata, now)?;
                form.add("client_assertion_type", ASSERTION_TYPE);
                form.add("client_assertion", &assertion);
            }
        }
        Ok(None)
    }

    /// Adds the credentials as members of a JSON object, for endpoints that take them nowhere else.
    pub(super) fn members(
        &self,
        metadata: &Metadata,
        now: UnixSeconds,
    ) -> Result<Vec<(&'static str, Zeroizing<String>)>, ProviderError> {
        let text = |text: &str| Zeroizing::new(text.to_owned());
        let mut members = vec![("client_id", text(&self.client_id))];
        match &self.method {
            Method::None => {}
            Method::Basic { secret, .. } | Method::Post(secret) => {
                members.push(("client_secret", text(secret.expose())));
            }
            Method::Assertion { key, header } => {
                members.push(("client_assertion_type", text(ASSERTION_TYPE)));
                members.push(("client_assertion", self.sign(key, header, metadata, now)?));
            }
        }
        Ok(members)
    }

    fn sign(
        &self,
        key: &EncodingKey,
        header: &Header,
        metadata: &Metadata,
        now: UnixSeconds,
    ) -> Result<Zeroizing<String>, ProviderError> {
        let mut jti = [0; 16];
        getrandom::fill(&mut jti).map_err(|_| ProviderError::Unsigned)?;
        let audience = match self.audience {
            AssertionAudience::TokenEndpoint => metadata.token_endpoint.as_str(),
            AssertionAudience::Issuer => &metadata.issuer,
        };
        let claims = json!({
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "jti": URL_SAFE_NO_PAD.encode(jti),
            "iat": now.0,
            "exp": now.0 + ASSERTION_LIFE_S,
        });
        encode(header, &claims, key).map(Zeroizing::new).map_err(|_| ProviderError::Unsigned)
    }
}

/// Encodes the parts like a form before base64, as RFC 6749 §2.3.1 has it.
fn basic(client_id: &str, secret: &ClientSecret) -> HeaderValue {
    let encode = |text: &str| -> Zeroizing<String> {
        Zeroizing::new(url::form_urlencoded::byte_serialize(text.as_bytes()).collect())
    };
    let pair = Zeroizing::new(format!(
        "{}:{}",
        encode(client_id).as_str(),
        encode(secret.expose()).as_str()
    ));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    #[expect(clippy::expect_used, reason = "base64 is visible ASCII")]
    let mut value = HeaderValue::from_str(&text).expect("base64 fits a header field");
    value.set_sensitive(true);
    value
}

fn assertion(key: &PrivateKey) -> Result<Method, SettingsFault> {
    let read = match key.algorithm {
        SigningAlgorithm::Es256 | SigningAlgorithm::Es384 => EncodingKey::from_ec_pem(&key.pem),
        SigningAlgorithm::EdDsa => EncodingKey::from_ed_pem(&key.pem),
        SigningAlgorithm::Ps256 | SigningAlgorithm::Rs256 => EncodingKey::from_rsa_pem(&key.pem),
    };
    let signing = read.map_err(|_| SettingsFault::Key("is no PEM key that fits its algorithm"))?;
    let mut header = Header::new(key.algorithm.as_jwt());
    header.kid = key.kid.clone();
    // Tried out here, so that a wrong curve is the operator's news and not the first caller's.
    encode(&header, &json!({}), &signing)
        .map_err(|_| SettingsFault::Key("cannot sign with its algorithm"))?;
    Ok(Method::Assertion { key: signing, header: Box::new(header) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l13_credentials_have_no_text() {
        let secret = ClientSecret::new("s3cret");
        let key = PrivateKey {
            pem: Arc::new(Zeroizing::new(b"s3cret".to_vec())),
            kid: None,
            algorithm: SigningAlgorithm::Es256,
        };
        let shown = format!(
            "{:?} {:?} {:?} {:?}",
            Credentials::Basic(secret.clone()),
            Credentials::Post(secret.clone()),
            Credentials::PrivateKeyJwt(key),
            basic("c", &secret),
        );
        assert!(!shown.contains("s3cret") && !shown.contains("Basic Yz"), "{shown}");
    }

    #[test]
    fn basic_credentials_are_form_encoded_first() {
        let value = basic("a:b c", &ClientSecret::new("p%+ä"));
        let text = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(text).unwrap(), b"a%3Ab+c:p%25%2B%C3%A4");
    }
}
