//! Fuzz targets: what a provider sends, or somebody in its name. It is read, refused or passed
//! over, within bounds, and what is believed is what was promised.

use std::sync::OnceLock;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokenward_fuzz::fuzz;
use url::Host;

use crate::core::grant::{Reply, Unheard};
use crate::core::refusal::{DESCRIPTION_BYTES_MAX, ERROR_BYTES_MAX};
use crate::core::time::UnixSeconds;
use crate::provider::discovery::Metadata;
use crate::provider::id_token::{self, Expected, SKEW_S};
use crate::provider::jwks::KeySet;
use crate::provider::jwt::Claims;
use crate::provider::logout;
use crate::provider::reply::{self, ACCESS_TOKEN_BYTES_MAX, Heard, LIFETIME_MAX, Received};
use crate::provider::settings::ProviderSettings;
use crate::provider::wire::Extent;

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

const ISSUER: &str = "https://idp.example/";

/// What every secret of the corpora holds, and no text for people may.
const MARK: &str = "s3cret";

fuzz!(token_replies, |bytes| {
    let (status, extent, headers, body) = answer(bytes);
    let Heard { reply, id_token } =
        reply::read(&Received { status, headers: &headers, body, extent, at: NOW });
    assert!(!format!("{reply:?} {id_token:?}").contains(MARK) || is_foreign_text(&reply));
    let kept = match &reply {
        Reply::Granted(grant) => {
            let text = grant.access_token.expose();
            assert!(extent == Extent::Whole && (200..300).contains(&status));
            assert!((1..=ACCESS_TOKEN_BYTES_MAX).contains(&text.len()));
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(grant.lifetime.is_none_or(|l| l > Duration::ZERO && l <= LIFETIME_MAX));
            grant.refresh_token.as_ref()
        }
        Reply::Malformed(malformed) => malformed.refresh_token.as_ref(),
        Reply::Refused(refusal) => {
            let one_line = |text: &str| !text.chars().any(char::is_control);
            let error = refusal.error.as_deref().unwrap_or_default();
            let description = refusal.description.as_deref().unwrap_or_default();
            assert!(error.len() <= ERROR_BYTES_MAX && one_line(error));
            assert!(description.len() <= DESCRIPTION_BYTES_MAX && one_line(description));
            assert!(refusal.wait.is_none_or(|wait| wait <= Duration::from_secs(600)));
            assert!(refusal.mfa.is_none() || error == "mfa_required");
            None
        }
        Reply::Unheard(_) | Reply::NotSent(_) => None,
    };
    if (200..300).contains(&status) {
        let sent = refresh_token_of(body);
        assert!(sent.is_none() || kept.map(|kept| kept.spend()) == sent.as_deref(), "salvaged");
    }
});

/// Reads `STATUS KIND EXTENT` from the first line, and takes the rest for the body.
fn answer(bytes: &[u8]) -> (u16, Extent, HeaderMap, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let line = String::from_utf8_lossy(&bytes[..end]);
    let mut words = line.split(' ');
    let status = words.next().and_then(|word| word.parse().ok()).unwrap_or(200);
    let mut headers = HeaderMap::new();
    if let Some(Ok(kind)) = words.next().map(HeaderValue::from_str) {
        headers.insert(CONTENT_TYPE, kind);
    }
    let extent = match words.next() {
        Some("cut") => Extent::Cut(Unheard::ConnectionLost),
        Some("long") => Extent::TooLong,
        Some(_) | None => Extent::Whole,
    };
    if let Some(Ok(wait)) = words.next().map(HeaderValue::from_str) {
        headers.insert("retry-after", wait);
    }
    (status, extent, headers, bytes.get(end + 1..).unwrap_or_default())
}

/// The provider's own words are shown, shortened: they are none of ours to hide.
fn is_foreign_text(reply: &Reply) -> bool {
    let marked = |text: &String| text.contains(MARK);
    match reply {
        Reply::Granted(grant) => {
            let claims = grant.claims.iter();
            let named = claims.flat_map(|claims| claims.audiences.iter().chain(&claims.subject));
            grant.granted.as_ref().is_some_and(|granted| marked(&granted.to_string()))
                || named.into_iter().any(marked)
        }
        Reply::Refused(refusal) => {
            let demands = refusal.mfa.iter();
            let demanded = demands.flat_map(|mfa| mfa.challenge.iter().chain(&mfa.enroll));
            refusal.error.iter().chain(&refusal.description).chain(demanded).any(marked)
        }
        Reply::Malformed(_) | Reply::Unheard(_) | Reply::NotSent(_) => false,
    }
}

/// The refresh token of a whole JSON object that names it once: what must never be lost.
fn refresh_token_of(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let object: Claims = serde_json::from_str(text).ok()?;
    if text.matches("refresh_token").count() != 1 || text.contains("\\u") {
        return None;
    }
    object.get("refresh_token")?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fuzz!(discovery, |bytes| {
    let settings = ProviderSettings::new(ISSUER, "client");
    match Metadata::parse(bytes, &settings) {
        Ok(metadata) => {
            assert_eq!(metadata.issuer.trim_end_matches('/'), ISSUER.trim_end_matches('/'));
            let endpoints = [
                Some(&metadata.token_endpoint),
                metadata.authorization_endpoint.as_ref(),
                metadata.jwks_uri.as_ref(),
                metadata.revocation_endpoint.as_ref(),
                metadata.end_session_endpoint.as_ref(),
                metadata.device_authorization_endpoint.as_ref(),
            ];
            for url in endpoints.into_iter().flatten() {
                let is_here = match url.host() {
                    Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
                    Some(Host::Ipv4(ip)) => ip.is_loopback(),
                    Some(Host::Ipv6(ip)) => ip.is_loopback(),
                    None => false,
                };
                assert!(url.scheme() == "https" || is_here, "{url} is not private");
            }
        }
        Err(why) => assert!(!why.chars().any(char::is_control), "{why:?}"),
    }
});

/// A key of OpenSSL's making, and tokens that OpenSSL signed with it.
fn vectors() -> &'static Value {
    static VECTORS: OnceLock<Value> = OnceLock::new();
    VECTORS.get_or_init(|| serde_json::from_str(include_str!("jwks/rsa.json")).unwrap())
}

fn vector(name: &str) -> &'static str {
    vectors()[name].as_str().unwrap()
}

fuzz!(key_sets, |bytes| {
    let Some(keys) = KeySet::parse(bytes) else { return };
    for name in ["rs256", "ps256"] {
        if keys.verify(vector(name)).is_ok() {
            let text = String::from_utf8_lossy(bytes);
            assert!(text.contains(&vector("n")[..64]), "{name} passes without its key");
        }
    }
});

fuzz!(signed_texts, |bytes| {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let key = serde_json::json!({"kty": "RSA", "n": vector("n"), "e": "AQAB"});
        KeySet::parse(serde_json::json!({"keys": [key]}).to_string().as_bytes()).unwrap()
    });
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if keys.verify(text).is_ok() {
        let signed = |jwt: &str| jwt.rsplit_once('.').map(|(signed, _)| signed.to_owned());
        let known = ["rs256", "ps256"].map(|name| signed(vector(name)));
        assert!(known.contains(&signed(text)), "a text that nobody signed passes");
    }
});

fuzz!(claims, |bytes| {
    let Ok(claims) = serde_json::from_slice::<Claims>(bytes) else { return };
    let expected = Expected { issuer: ISSUER, client_id: "client", now: NOW };
    let is_for_us = || {
        let named = |party: &Value| party == "client";
        let audience = &claims["aud"];
        claims["iss"] == ISSUER
            && (named(audience) || audience.as_array().is_some_and(|list| list.iter().any(named)))
            && claims.get("azp").is_none_or(named)
    };
    let after = |name: &str| claims.get(name).and_then(Value::as_f64);
    let now = NOW.0 as f64;
    if let Ok(identity) = id_token::check(&claims, expected) {
        assert!(is_for_us() && claims["sub"] == *identity.subject && !identity.subject.is_empty());
        assert!(after("exp").is_some_and(|exp| exp + SKEW_S as f64 > now), "it has expired");
        assert!(after("iat").is_some_and(|iat| iat < now + SKEW_S as f64 + 1.0), "too early");
    }
    if let Ok(announced) = logout::check(&claims, expected) {
        assert!(is_for_us() && claims.get("nonce").is_none());
        assert!(announced.subject.is_some() || announced.provider_session.is_some());
        assert!(after("iat").is_some_and(|iat| iat + 301.0 > now), "it is old");
        assert!(claims["events"].as_object().is_some_and(|events| !events.is_empty()));
        assert!(!announced.jti.is_empty());
    }
});
