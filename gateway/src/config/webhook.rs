//! Who is told what happens to sessions.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use zeroize::Zeroizing;

use super::provider::is_loopback;
use super::{Fault, file};

/// One receiver of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where the events are posted to.
    pub url: Url,
    /// What they are signed with.
    pub key: SigningKey,
    /// Which of them.
    pub events: Vec<WebhookEvent>,
}

/// What a receiver may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookEvent {
    /// When a session is over.
    Ended,
    /// When an API waits for a person to show a factor.
    Held,
    /// When it waits no more.
    Released,
    /// When the reply to an exchange was lost.
    InDoubt,
}

/// The key of a receiver's signatures: it has no text, and its memory is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Arc<Zeroizing<Vec<u8>>>);

/// How many receivers there may be: each has a queue of its own.
const WEBHOOKS_MAX: usize = 16;

/// The bytes of a key that the scheme allows.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What a serialised key begins with.
const KEY_PREFIX: &str = "whsec_";

impl WebhookEvent {
    /// Every event.
    pub const ALL: [Self; 4] = [Self::Ended, Self::Held, Self::Released, Self::InDoubt];

    /// Returns the fact's code, which the configuration uses too.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Held => "held",
            Self::Released => "released",
            Self::InDoubt => "in_doubt",
        }
    }
}

impl SigningKey {
    /// Takes a key as it is written; `None` where it is none.
    pub fn parse(written: &str) -> Option<Self> {
        let digits = written.trim().strip_prefix(KEY_PREFIX)?;
        let key = Zeroizing::new(STANDARD.decode(digits).ok()?);
        KEY_BYTES.contains(&key.len()).then(|| Self(Arc::new(key)))
    }

    /// Gives out the key to whoever signs with it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Checks the `[[webhook]]` tables.
pub(super) fn check(
    path: &Path,
    raw: Vec<file::Webhook>,
    faults: &mut Vec<Fault>,
) -> Vec<WebhookConfig> {
    if raw.len() > WEBHOOKS_MAX {
        let wrong = format!("there are {} of them; at most {WEBHOOKS_MAX}", raw.len());
        faults.push(Fault::new(path, "webhook", wrong));
    }
    let base = path.parent().unwrap_or(Path::new("."));
    let checked = raw.into_iter().enumerate().filter_map(|(index, raw)| {
        let mut fault = |key: &str, wrong: String| {
            faults.push(Fault::new(path, &format!("webhook[{index}].{key}"), wrong));
        };
        let url = place(&raw.url).map_err(|wrong| fault("url", wrong)).ok();
        let key = raw.secret.read(base).and_then(|secret| {
            SigningKey::parse(secret.expose()).ok_or_else(|| {
                "it is no signing key; make one of 32 random bytes, written as whsec_ and their \
                 base64, such as `echo whsec_$(openssl rand -base64 32)` prints"
                    .to_owned()
            })
        });
        let key = key.map_err(|wrong| fault("secret", wrong)).ok();
        let events = events(raw.events).map_err(|wrong| fault("events", wrong)).ok();
        Some(WebhookConfig { url: url?, key: key?, events: events? })
    });
    checked.collect()
}

fn place(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Err(error) => Err(format!("{text:?} is no URL ({error}); write the receiver's address")),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("the URL holds credentials; leave them out, the signature is the proof".to_owned())
        }
        Ok(url) if url.fragment().is_some() => {
            Err(format!("{text:?} has a fragment; leave it out"))
        }
        Ok(url) if url.scheme() == "https" => Ok(url),
        Ok(url) if url.scheme() == "http" && is_loopback(&url) => Ok(url),
        Ok(_) => Err(format!("{text:?} is not https, and not on this machine; use https")),
    }
}

fn events(raw: Option<Vec<String>>) -> Result<Vec<WebhookEvent>, String> {
    let Some(names) = raw else { return Ok(WebhookEvent::ALL.to_vec()) };
    if names.is_empty() {
        return Err("the list is empty; leave it out for all of them".to_owned());
    }
    let known = || WebhookEvent::ALL.map(WebhookEvent::code).join(", ");
    names
        .iter()
        .map(|name| {
            let found = WebhookEvent::ALL.into_iter().find(|event| event.code() == name);
            found.ok_or_else(|| format!("{name:?} is no event; use some of {}", known()))
        })
        .collect()
}
