//! The configuration as it is written: names and shapes only, no judgement.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::secret::SecretSource;
use super::units::{OneOrMany, Size, Span, SpanOrOff};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: OneOrMany,
    pub(super) state_dir: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) tls: Option<Tls>,
    pub(super) provider: Provider,
    #[serde(default, rename = "route")]
    pub(super) routes: Vec<Route>,
    #[serde(default)]
    pub(super) admin: Admin,
    #[serde(default)]
    pub(super) limits: Limits,
    pub(super) trusted_proxies: Option<OneOrMany>,
    #[serde(default)]
    pub(super) session: Session,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) mfa: MfaSettings,
    pub(super) trace: Option<Trace>,
    #[serde(default, rename = "webhook")]
    pub(super) webhooks: Vec<Webhook>,
    pub(super) device: Option<Device>,
    pub(super) store: Option<Store>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    pub(super) redis: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretSource>,
    pub(super) sentinel_password: Option<SecretSource>,
    pub(super) ca: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) buckets: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Device {
    pub(super) audiences: Option<OneOrMany>,
    pub(super) code_lifetime: Option<Span>,
    pub(super) interval: Option<Span>,
    pub(super) max_codes: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trace {
    pub(super) otlp: String,
    pub(super) sample: Option<f64>,
    #[serde(default)]
    pub(super) trust_sampling: bool,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, SecretSource>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) secret: SecretSource,
    pub(super) events: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MfaSettings {
    pub(super) context_ttl: Option<Span>,
    pub(super) probe: Option<SpanOrOff>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) cert: String,
    pub(super) key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<SecretSource>,
    pub(super) private_key: Option<PrivateKey>,
    pub(super) auth: Option<AuthMethod>,
    pub(super) audience_parameter: Option<AudienceParameter>,
    pub(super) default_scopes: Option<OneOrMany>,
    #[serde(default)]
    pub(super) authorize: BTreeMap<String, String>,
    pub(super) extra_root: Option<String>,
    pub(super) reuse_window: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrivateKey {
    pub(super) file: String,
    pub(super) kid: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum AuthMethod {
    ClientSecretBasic,
    ClientSecretPost,
    None,
    PrivateKeyJwt,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum AudienceParameter {
    Audience,
    None,
    Resource,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) path: String,
    pub(super) host: Option<String>,
    pub(super) upstream: String,
    pub(super) upstream_ca: Option<String>,
    #[serde(default)]
    pub(super) http2: bool,
    // RFC 8707 calls an audience a resource.
    #[serde(alias = "resource")]
    pub(super) audience: Option<String>,
    pub(super) scopes: Option<OneOrMany>,
    #[serde(default)]
    pub(super) strip_prefix: bool,
    pub(super) mfa: Option<Mfa>,
    #[serde(default)]
    pub(super) timeouts: Timeouts,
    pub(super) replay_body: Option<Size>,
    pub(super) max_body: Option<Size>,
    pub(super) refresh_ahead: Option<Span>,
    pub(super) serve_margin: Option<Span>,
    pub(super) keep_fresh: Option<KeepFresh>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeepFresh {
    Always,
    WhileUsed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Timeouts {
    pub(super) connect: Option<Span>,
    pub(super) response: Option<Span>,
    pub(super) idle: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) listen: Option<String>,
    pub(super) token: Option<SecretSource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) threads: Option<usize>,
    pub(super) connections: Option<usize>,
    pub(super) header_bytes: Option<Size>,
    pub(super) header_read: Option<Span>,
    pub(super) keep_alive: Option<Span>,
    pub(super) drain: Option<Span>,
    pub(super) streams: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    pub(super) cookie: Option<String>,
    pub(super) lifetime: Option<Span>,
    pub(super) trusted_origins: Option<OneOrMany>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) filter: Option<String>,
    #[serde(default)]
    pub(super) json: bool,
    #[serde(default)]
    pub(super) requests: bool,
}

/// `"provider"`, `"session"`, `"always"`, or a table: `max_age` or `always`, and `acr`; or
/// `session`, and `remember`.
#[derive(Debug)]
pub(super) enum Mfa {
    Always(Option<String>),
    MaxAge(Span, Option<String>),
    Provider,
    Session(Option<Span>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MfaTable {
    max_age: Option<Span>,
    #[serde(default)]
    always: bool,
    #[serde(default)]
    session: bool,
    acr: Option<String>,
    remember: Option<Span>,
}

impl<'de> Deserialize<'de> for Mfa {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MfaWritten)
    }
}

struct MfaWritten;

impl<'de> Visitor<'de> for MfaWritten {
    type Value = Mfa;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"provider\", \"session\", \"always\" or { max_age = \"5m\" }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Mfa, E> {
        match text {
            "always" => Ok(Mfa::Always(None)),
            "provider" => Ok(Mfa::Provider),
            "session" => Ok(Mfa::Session(None)),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Mfa, A::Error> {
        let table = MfaTable::deserialize(MapAccessDeserializer::new(table))?;
        if table.remember.is_some() && !table.session {
            let wrong = "remember goes only with session = true; leave it out, or write mfa = { \
                         session = true, remember = \"30d\" }";
            return Err(A::Error::custom(wrong));
        }
        match (table.max_age, table.always, table.session) {
            (Some(max_age), false, false) => Ok(Mfa::MaxAge(max_age, table.acr)),
            (None, true, false) => Ok(Mfa::Always(table.acr)),
            (None, false, true) if table.acr.is_none() => Ok(Mfa::Session(table.remember)),
            (None, false, true) => {
                Err(A::Error::custom("acr does not go with session; leave it out"))
            }
            (None, false, false) => {
                let wrong = "neither max_age nor always nor session is given; give one";
                Err(A::Error::custom(wrong))
            }
            (Some(_), true, _) | (Some(_), _, true) | (None, true, true) => {
                Err(A::Error::custom("max_age, always and session exclude each other; keep one"))
            }
        }
    }
}
