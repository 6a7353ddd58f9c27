//! Secrets of the operator, from the environment or from a file.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use zeroize::Zeroizing;

/// A secret of the operator: it has no text, and its memory is wiped.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

/// The longest secret file: keys and passwords are far shorter, devices are endless.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

impl Secret {
    /// Takes a secret.
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// Gives out the secret to whoever proves something with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where a secret is: `{ env = "NAME" }` or `{ file = "PATH" }`.
#[derive(Clone, Debug)]
pub(super) struct SecretSource {
    pub(super) env: Option<String>,
    pub(super) file: Option<String>,
}

/// What is said where the secret itself is written: never what was written.
const INLINE: &str = "a secret is not kept in this file; write { env = \"NAME\" } or \
                      { file = \"PATH\" }, and replace the secret that stood here";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    env: Option<String>,
    file: Option<String>,
}

struct Written;

impl SecretSource {
    /// Reads the secret; the error is a fragment that says what to do.
    pub(super) fn read(&self, base: &Path) -> Result<Secret, String> {
        let text = match (&self.env, &self.file) {
            (Some(name), None) => std::env::var(name).map_err(|_| {
                format!(
                    "the environment variable {name} is not set; set it, or use {{ file = \"…\" }}"
                )
            })?,
            (None, Some(file)) => read(&base.join(file))?,
            (Some(_), Some(_)) => return Err("both env and file are given; keep one".to_owned()),
            (None, None) => {
                return Err(
                    "no source is given; write { env = \"NAME\" } or { file = \"…\" }".into()
                );
            }
        };
        // A file ends with a line break that is not part of the secret.
        let trimmed = text.trim_end_matches(['\r', '\n']);
        if trimmed.is_empty() {
            return Err("the secret is empty; put it where the key points".to_owned());
        }
        Ok(Secret::new(trimmed.to_owned()))
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// serde's own words repeat a value of the wrong kind, which here is a secret.
impl<'de> Visitor<'de> for Written {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ env = \"NAME\" } or { file = \"PATH\" }")
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<SecretSource, A::Error> {
        let Table { env, file } = Table::deserialize(MapAccessDeserializer::new(table))?;
        Ok(SecretSource { env, file })
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<SecretSource, E> {
        Err(E::custom(INLINE))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretSource, E> {
        Err(E::custom(INLINE))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SecretSource, E> {
        Err(E::custom(INLINE))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SecretSource, E> {
        Err(E::custom(INLINE))
    }
}

fn read(path: &Path) -> Result<String, String> {
    let fault = |error: &dyn fmt::Display| {
        format!("the file {} cannot be read ({error}); create it, or fix its owner", path.display())
    };
    let size = std::fs::metadata(path).map_err(|error| fault(&error))?.len();
    if size > SECRET_BYTES_MAX {
        return Err(format!(
            "the file {} is larger than 64 KiB; name the right one",
            path.display()
        ));
    }
    std::fs::read_to_string(path).map_err(|error| fault(&error))
}
