//! Reads what several areas have in common.

use std::time::Duration;

use serde_json::Value;
use tokenward_core::name::{Audience, Epoch};
use tokenward_core::scope::ScopeSet;
use tokenward_core::secret::AccessToken;
use tokenward_core::snapshot::Entry;
use tokenward_core::time::Instant;

/// The audience of requests that name none.
pub(crate) const PRIMARY: &str = "primary:";

/// How long a token has lived at most where a vector does not say.
const LIFE: Duration = Duration::from_secs(7200);

/// The boot clock stands at the Unix clock of the vectors.
pub(crate) fn instant(seconds: &Value) -> Instant {
    Instant::from_nanos(seconds.as_u64().unwrap() * 1_000_000_000)
}

pub(crate) fn seconds(instant: Instant) -> u64 {
    instant.as_nanos() / 1_000_000_000
}

pub(crate) fn scopes(value: &Value) -> ScopeSet {
    ScopeSet::parse(value.as_str().unwrap_or_default())
}

pub(crate) fn audience(value: &Value) -> Audience {
    Audience::parse(value.as_str().unwrap_or(PRIMARY)).unwrap()
}

/// Reads an entry; a grant that is left out is as asked, and the other way round.
pub(crate) fn entry(value: &Value) -> Entry {
    let either = |first: &Value, second: &Value| {
        if first.is_null() { scopes(second) } else { scopes(first) }
    };
    let expires_at = instant(&value["expires_at"]);
    let received_at = expires_at - LIFE;
    let name = value["id"].as_str().or(value["access_token"].as_str()).unwrap();
    Entry {
        audience: audience(&value["aud"]),
        access_token: AccessToken::new(name),
        requested: either(&value["requested"], &value["granted"]),
        granted: either(&value["granted"], &value["requested"]),
        received_at,
        lifetime: LIFE,
        born_in: Epoch(1),
    }
}
