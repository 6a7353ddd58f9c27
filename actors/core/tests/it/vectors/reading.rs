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

/// How long a token lives where a vector does not say: so long that no margin is capped by it.
const LIFE: Duration = Duration::from_secs(86_400);

/// The boot clock stands at the Unix clock of the vectors.
pub(crate) fn instant(seconds: &Value) -> Instant {
    Instant::from_nanos(seconds.as_u64().unwrap() * 1_000_000_000)
}

/// Reads a span in seconds; what is no span, or before the moment it counts from, is none.
pub(crate) fn span(seconds: &Value) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.as_f64()?).ok()
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

/// Reads the entries that say when they end: one that does not is not restored at all.
pub(crate) fn entries(values: &Value) -> Vec<Entry> {
    let lasting = |value: &&Value| !value["expires_at"].is_null();
    values.as_array().into_iter().flatten().filter(lasting).map(entry).collect()
}

/// Reads an entry; a grant that is left out is as asked, and the other way round.
pub(crate) fn entry(value: &Value) -> Entry {
    let either = |first: &Value, second: &Value| {
        if first.is_null() { scopes(second) } else { scopes(first) }
    };
    let expires_at = instant(&value["expires_at"]);
    let received_at = match value["issued_at"].is_null() {
        true => expires_at - LIFE,
        false => instant(&value["issued_at"]),
    };
    let name = value["id"].as_str().or(value["access_token"].as_str()).unwrap();
    Entry {
        audience: audience(&value["aud"]),
        access_token: AccessToken::new(name),
        requested: either(&value["requested"], &value["granted"]),
        granted: either(&value["granted"], &value["requested"]),
        received_at,
        lifetime: expires_at.since(received_at),
        born_in: Epoch(1),
    }
}
