//! Random names, hashes, and refresh tokens that carry their family and generation under a MAC, so
//! that a million living sessions need no table of tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use super::family::FamilyId;

/// Family (8 bytes), generation (4) and a nonce (8), before the MAC.
const SEALED_BYTES: usize = 20;

/// Bytes of a SHA-256 MAC.
const MAC_BYTES: usize = 32;

/// Seals refresh tokens with a key that lives as long as the sandbox.
#[derive(Debug)]
pub(crate) struct Seal {
    key: hmac::Key,
}

impl Seal {
    pub(crate) fn new() -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()) }
    }

    /// Returns a new refresh token. Two for the same generation differ.
    pub(crate) fn refresh_token(&self, family: FamilyId, generation: u32) -> String {
        let mut bytes = Vec::with_capacity(SEALED_BYTES + MAC_BYTES);
        bytes.extend_from_slice(&family.to_be_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes.extend_from_slice(&random::<8>());
        let mac = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(mac.as_ref());
        format!("v1.{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the family and generation of a refresh token of ours.
    pub(crate) fn open(&self, refresh_token: &str) -> Option<(FamilyId, u32)> {
        let bytes = URL_SAFE_NO_PAD.decode(refresh_token.strip_prefix("v1.")?).ok()?;
        if bytes.len() != SEALED_BYTES + MAC_BYTES {
            return None;
        }
        let (sealed, mac) = bytes.split_at(SEALED_BYTES);
        hmac::verify(&self.key, sealed, mac).ok()?;
        let family = u64::from_be_bytes(sealed.get(..8)?.try_into().ok()?);
        let generation = u32::from_be_bytes(sealed.get(8..12)?.try_into().ok()?);
        Some((family, generation))
    }
}

/// Returns random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without system randomness no token may be made")]
    SystemRandom::new().fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

/// Returns a random name of 32 characters.
pub(crate) fn random_name() -> String {
    URL_SAFE_NO_PAD.encode(random::<24>())
}

/// Returns a random number in 0..1.
pub(crate) fn roll() -> f64 {
    f64::from(u32::from_be_bytes(random::<4>())) / (f64::from(u32::MAX) + 1.0)
}

/// Returns the unpadded base64url of a SHA-256 hash (the S256 of RFC 7636).
pub(crate) fn s256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// Returns the first eight hexadecimal digits of a hash: enough to recognise, useless to an attacker.
pub(crate) fn short_hash(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref().get(..4).unwrap_or_default())
}

/// Returns hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_opens_only_unchanged_and_only_here() {
        let seal = Seal::new();
        let sealed = seal.refresh_token(77, 3);
        assert_eq!(seal.open(&sealed), Some((77, 3)));
        assert_eq!(Seal::new().open(&sealed), None);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[index] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(seal.open(&changed), None, "character {index}");
        }
        for odd in ["", "v1.", "v1.AAAA", "v2.AAAA", "v1.ü"] {
            assert_eq!(seal.open(odd), None, "{odd}");
        }
    }

    #[test]
    fn s256_is_that_of_rfc_7636_appendix_b() {
        let challenge = s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
