//! Where sessions are kept.

use std::path::Path;

use tokenward::store::redis::{BUCKETS_DEFAULT, Password, PlaceFault, RedisSettings};

use super::secret::SecretSource;
use super::{Fault, file};

/// The longest prefix of keys: each session has it twice.
const PREFIX_MAX: usize = 32;

/// Where sessions are kept.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// In the state directory.
    Embedded,
    /// In a Redis that other gateways may share.
    Redis(Box<RedisSettings>),
}

impl StoreConfig {
    /// Returns the first key that `other` gives another value; `None` where both are the same store,
    /// entered in the same way.
    pub fn changed(&self, other: &Self) -> Option<&'static str> {
        let (one, other) = match (self, other) {
            (Self::Embedded, Self::Embedded) => return None,
            (Self::Redis(one), Self::Redis(other)) => (one, other),
            (Self::Embedded, Self::Redis(_)) | (Self::Redis(_), Self::Embedded) => {
                return Some("store");
            }
        };
        let keys = [
            ("store.redis", (&one.place, one.tls) != (&other.place, other.tls)),
            ("store.prefix", one.prefix != other.prefix),
            ("store.username", one.username != other.username),
            ("store.password", one.password != other.password),
            ("store.sentinel_password", one.sentinel_password != other.sentinel_password),
            ("store.ca", one.roots != other.roots),
            ("store.buckets", one.buckets != other.buckets),
        ];
        keys.iter().find(|(_, changed)| *changed).map(|(key, _)| *key)
    }
}

/// Checks the `[store]` table.
pub(super) fn check(path: &Path, raw: Option<file::Store>, faults: &mut Vec<Fault>) -> StoreConfig {
    let Some(raw) = raw else { return StoreConfig::Embedded };
    let base = path.parent().unwrap_or(Path::new("."));
    let mut fault = |key: &str, wrong: String| {
        faults.push(Fault::new(path, &format!("store.{key}"), wrong));
    };
    let mut secret = |key: &str, source: Option<&SecretSource>| {
        let secret = source.map(|source| source.read(base));
        let read = secret.transpose().map_err(|wrong| fault(key, wrong)).ok().flatten();
        read.map(|secret| Password::new(secret.expose()))
    };
    let password = secret("password", raw.password.as_ref());
    let sentinel_password = secret("sentinel_password", raw.sentinel_password.as_ref());
    let mut settings = match RedisSettings::parse(&raw.redis) {
        Ok(settings) => settings,
        Err(wrong) => {
            fault("redis", misplaced(wrong));
            return StoreConfig::Embedded;
        }
    };
    (settings.password, settings.sentinel_password) = (password, sentinel_password);
    settings.username = raw.username;
    if settings.username.is_some() && settings.password.is_none() {
        fault(
            "password",
            "it is missing beside username; write password = { env = \"NAME\" }".into(),
        );
    }
    if raw.ca.is_some() && !settings.tls {
        fault("ca", "nobody is vouched for without TLS; write rediss:// in store.redis".into());
    } else if let Some(ca) = &raw.ca {
        let file = base.join(ca);
        match std::fs::read(&file) {
            Ok(roots) => settings.roots = Some(roots),
            Err(error) => {
                let file = file.display();
                fault("ca", format!("{file} cannot be read ({error}); name a PEM file"));
            }
        }
    }
    if let Some(prefix) = raw.prefix {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
        if prefix.is_empty() || prefix.len() > PREFIX_MAX || !prefix.chars().all(plain) {
            let wrong = format!(
                "{prefix:?} is not 1 to {PREFIX_MAX} letters, digits or any of . _ - :; write one \
                 such as \"tw\""
            );
            fault("prefix", wrong);
        }
        settings.prefix = prefix;
    }
    match buckets(raw.buckets) {
        Ok(buckets) => settings.buckets = buckets,
        Err(wrong) => fault("buckets", wrong),
    }
    StoreConfig::Redis(Box::new(settings))
}

fn buckets(raw: Option<u16>) -> Result<u16, String> {
    match raw {
        Some(0) => Err("0 hold nothing; write a number from 1 to 16384".to_owned()),
        Some(many) if many > 16_384 => {
            Err(format!("{many} are more than a cluster has slots; write 16384"))
        }
        Some(buckets) => Ok(buckets),
        None => Ok(BUCKETS_DEFAULT),
    }
}

/// Says what to write; the text is not repeated, because it may hold a password.
fn misplaced(wrong: PlaceFault) -> String {
    let remedy = match wrong {
        PlaceFault::Secret => {
            "write them as store.username and store.password = { env = \"NAME\" }, and replace the \
             password that stood here"
        }
        PlaceFault::Master => "write one such as \"redis+sentinel://10.0.0.5,10.0.0.6/mymaster\"",
        PlaceFault::Address | PlaceFault::Database | PlaceFault::Scheme | PlaceFault::TooMany => {
            "write one such as \"redis://10.0.0.5:6379/\""
        }
    };
    format!("{wrong}; {remedy}")
}
