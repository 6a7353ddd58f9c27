//! The tenant's ES256 signing keys. Signed and checked with `ring` and not with the JWT crate our
//! other packages use: a peer that shares our parser shares our bugs.

use std::sync::RwLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use serde_json::{Value, json};

use super::seal::{hex, random};
use crate::{read, write};

/// Keys published at once: the signing one and its predecessor, whose tokens still live.
const PUBLISHED_MAX: usize = 2;

/// The signing keys, newest first.
#[derive(Debug)]
pub(crate) struct Keys {
    pairs: RwLock<Vec<Pair>>,
}

#[derive(Debug)]
struct Pair {
    kid: String,
    pair: EcdsaKeyPair,
}

impl Keys {
    pub(crate) fn generate() -> Self {
        Self { pairs: RwLock::new(vec![Pair::generate()]) }
    }

    /// Replaces the signing key; the old one stays published unless it is `forgotten`. Returns the
    /// name of the new key.
    pub(crate) fn rotate(&self, forgotten: bool) -> String {
        let pair = Pair::generate();
        let kid = pair.kid.clone();
        let mut pairs = write(&self.pairs);
        pairs.insert(0, pair);
        pairs.truncate(if forgotten { 1 } else { PUBLISHED_MAX });
        kid
    }

    /// Returns the key set (RFC 7517).
    pub(crate) fn jwks(&self) -> Value {
        let pairs = read(&self.pairs);
        json!({ "keys": pairs.iter().map(Pair::jwk).collect::<Vec<_>>() })
    }

    /// Signs claims as a JWT of the given type.
    pub(crate) fn sign(&self, typ: &str, claims: &Value) -> String {
        let pairs = read(&self.pairs);
        #[expect(clippy::expect_used, reason = "generate and rotate leave at least one key")]
        let Pair { kid, pair } = pairs.first().expect("there is a signing key");
        let header = json!({"alg": "ES256", "typ": typ, "kid": kid});
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        #[expect(clippy::expect_used, reason = "signing fails only without system randomness")]
        let signature =
            pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("there is randomness");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Returns the claims of a JWT that one of the published keys signed, expired or not.
    pub(crate) fn verify(&self, jwt: &str) -> Option<Value> {
        let (signed, signature) = jwt.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
        let kid = header.get("kid")?.as_str()?;
        let pairs = read(&self.pairs);
        let Pair { pair, .. } = pairs.iter().find(|pair| pair.kid == kid)?;
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key());
        public.verify(signed.as_bytes(), &decode(signature)?).ok()?;
        serde_json::from_slice(&decode(claims)?).ok()
    }
}

impl Pair {
    #[expect(clippy::expect_used, reason = "a key ring just generated is one ring accepts")]
    fn generate() -> Self {
        let randomness = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &randomness).expect("a new key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &randomness)
            .expect("the new key is readable");
        Self { kid: hex(&random::<8>()), pair }
    }

    fn jwk(&self) -> Value {
        // An uncompressed point: 0x04, then x and y of 32 bytes each (SEC 1 §2.3.3).
        let point = self.pair.public_key().as_ref();
        let part = |range| URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default());
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
            "x": part(1..33), "y": part(33..65),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_verifies_until_its_key_is_forgotten() {
        let keys = Keys::generate();
        let claims = json!({"sub": "ada"});
        let jwt = keys.sign("JWT", &claims);
        assert_eq!(keys.verify(&jwt), Some(claims.clone()));
        keys.rotate(false);
        assert_eq!(keys.verify(&jwt), Some(claims));
        assert_eq!(keys.jwks()["keys"].as_array().unwrap().len(), 2);
        keys.rotate(true);
        assert_eq!(keys.verify(&jwt), None);
        for odd in ["", ".", "..", "a.b.c", &jwt[..jwt.len() - 4]] {
            assert_eq!(keys.verify(odd), None, "{odd}");
        }
    }
}
