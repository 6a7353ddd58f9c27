//! The provider's signing keys, and whether a JWT was signed with one of them.

use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use crate::provider::jwt::Claims;

/// The keys kept: providers publish two or three.
const KEYS_MAX: usize = 64;

/// The shortest RSA modulus trusted, in base64 characters: 2048 bits (RFC 7518 §3.3).
const RSA_CHARS_MIN: usize = 342;

/// The longest RSA modulus, in base64 characters: 8192 bits; verifying costs its square.
const RSA_CHARS_MAX: usize = 1366;

/// The longest JWT that is looked at.
const JWT_BYTES_MAX: usize = 64 * 1024;

/// For how long the keys are used before they are fetched again in the background: how long a
/// key that the provider has withdrawn may still be believed.
pub(super) const KEYS_FRESH: Duration = Duration::from_secs(15 * 60);

/// How often an unknown key id may lead to another fetch: key ids come from outside.
pub(super) const REFETCH_MIN: Duration = Duration::from_secs(30);

/// What an RSA key may sign with. With the curves' own algorithms these are all that is accepted:
/// none that a public key could be abused for as a shared secret, and not `none`.
const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Why the signature of a JWT does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtFault {
    /// It is no JWT, or is signed with an algorithm nobody knows, or not at all (`none`).
    #[error("it is not a signed JWT")]
    NoJwt,
    /// It is signed in a way that proves nothing.
    #[error("its signature algorithm is not accepted")]
    Algorithm,
    /// Its key is none of the provider's, as far as is known.
    #[error("its key is not among the provider's keys")]
    UnknownKey,
    /// The provider's keys could not be fetched.
    #[error("the provider's keys could not be fetched")]
    NoKeys,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
}

/// The signing keys of a provider.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    /// What the kind of key can sign with: nothing outside it is ever tried.
    fits: &'static [Algorithm],
    decoding: DecodingKey,
}

impl KeySet {
    /// Reads a JWK set; keys that are unknown, weak or for other uses are passed over.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(body).ok()?;
        let keys = document.get("keys")?.as_array()?;
        Some(Self(keys.iter().filter_map(Key::parse).take(KEYS_MAX).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the claims of `jwt` if one of the keys has signed it.
    pub(super) fn verify(&self, jwt: &str) -> Result<Claims, JwtFault> {
        if jwt.len() > JWT_BYTES_MAX {
            return Err(JwtFault::NoJwt);
        }
        let header = decode_header(jwt).map_err(|_| JwtFault::NoJwt)?;
        if matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
            return Err(JwtFault::Algorithm);
        }
        let mut candidates = self.0.iter().filter(|key| key.may_sign(header.alg));
        let key = match &header.kid {
            Some(kid) => candidates.find(|key| key.kid.as_ref() == Some(kid)),
            // Without a key id only the one key there is can be meant.
            None => candidates.next().filter(|_| candidates.next().is_none()),
        };
        let key = key.ok_or(JwtFault::UnknownKey)?;

        let mut signature_only = Validation::new(header.alg);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let read = decode::<Claims>(jwt, &key.decoding, &signature_only);
        read.map(|read| read.claims).map_err(|_| JwtFault::Signature)
    }
}

impl Key {
    fn parse(value: &Value) -> Option<Self> {
        let jwk = Jwk::deserialize(value).ok()?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let fits = fitting(&jwk.algorithm)?;
        let algorithm = match jwk.common.key_algorithm {
            Some(KeyAlgorithm::UNKNOWN_ALGORITHM) => return None,
            Some(named) => Some(Algorithm::try_from(named).ok()?),
            None => None,
        };
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { kid: jwk.common.key_id, algorithm, fits, decoding })
    }

    fn may_sign(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.fits.contains(&algorithm)
    }
}

/// Returns what a kind of key can sign with; `None` for kinds that prove nothing in public, such
/// as a shared secret among public keys.
fn fitting(parameters: &AlgorithmParameters) -> Option<&'static [Algorithm]> {
    if let AlgorithmParameters::RSA(rsa) = parameters {
        return (RSA_CHARS_MIN..=RSA_CHARS_MAX).contains(&rsa.n.len()).then_some(&RSA);
    }
    if let AlgorithmParameters::OctetKeyPair(_) = parameters {
        return Some(&[Algorithm::EdDSA]);
    }
    let AlgorithmParameters::EllipticCurve(ec) = parameters else {
        return None;
    };
    if ec.curve == EllipticCurve::P256 {
        Some(&[Algorithm::ES256])
    } else if ec.curve == EllipticCurve::P384 {
        Some(&[Algorithm::ES384])
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    /// An RSA key of OpenSSL's making, and two tokens that OpenSSL signed with it.
    const RSA_VECTORS: &str = include_str!("jwks/rsa.json");

    fn vectors() -> Value {
        serde_json::from_str(RSA_VECTORS).unwrap()
    }

    fn keys(change: Value) -> KeySet {
        let n = vectors()["n"].clone();
        let mut key = json!({"kty": "RSA", "kid": "k1", "use": "sig", "n": n, "e": "AQAB"});
        for (name, value) in change.as_object().unwrap() {
            key[name] = value.clone();
        }
        let stranger = json!({"kty": "XYZ", "kid": "k1"});
        KeySet::parse(json!({"keys": [stranger, 7, key]}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_token_passes_only_with_a_key_that_is_meant_for_it() {
        let vectors = vectors();
        let text = |name: &str| vectors[name].as_str().unwrap().to_owned();
        let (rs, ps) = (text("rs256"), text("ps256"));
        let forged = rs.replace("eyJzdWIiOiJhbGljZSJ9", "eyJzdWIiOiJtYWxsb3J5In0");
        let weak = json!({"n": "xx4wU7DG-mqy4MdfKtA7O3jCa1dB0d3ojrOibC7bZF7SU8orQc8T"});
        for (change, jwt, expected) in [
            (json!({}), &rs, Ok(())),
            (json!({}), &ps, Ok(())),
            (json!({"alg": "RS256"}), &rs, Ok(())),
            (json!({"alg": "RS256"}), &ps, Err(JwtFault::UnknownKey)),
            (json!({"alg": "RSA-OAEP"}), &rs, Err(JwtFault::UnknownKey)),
            (json!({"use": "enc"}), &rs, Err(JwtFault::UnknownKey)),
            (json!({"kid": "k2"}), &rs, Err(JwtFault::UnknownKey)),
            (weak, &rs, Err(JwtFault::UnknownKey)),
            (json!({}), &forged, Err(JwtFault::Signature)),
            (json!({}), &"v1.opaque".to_owned(), Err(JwtFault::NoJwt)),
        ] {
            assert_eq!(keys(change.clone()).verify(jwt).map(drop), expected, "{change} {jwt}");
        }
    }

    #[test]
    fn a_public_key_is_no_shared_secret_and_none_is_no_algorithm() {
        let n = vectors()["n"].as_str().unwrap().to_owned();
        let claims = json!({"sub": "mallory"});
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
        let hs = encode(&header, &claims, &EncodingKey::from_secret(n.as_bytes())).unwrap();
        assert_eq!(keys(json!({})).verify(&hs), Err(JwtFault::Algorithm));
        let oct = json!({"kty": "oct", "k": n});
        assert_eq!(keys(oct).verify(&hs), Err(JwtFault::Algorithm));
        // {"alg":"none"}.{"sub":"mallory"}
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtYWxsb3J5In0.";
        assert_eq!(keys(json!({})).verify(none), Err(JwtFault::NoJwt));
    }
}
