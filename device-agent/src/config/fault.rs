//! What is wrong with a configuration: one sentence with the line and the remedy.

use std::fmt;
use std::io;
use std::path::Path;

/// How far a misspelt key may be from the one that was meant (0 is nothing alike, 1 is equal).
const LIKENESS_MIN: f64 = 0.7;

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(String);

impl Fault {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self(format!(
            "{}: the configuration cannot be read ({error}); give its path with --config.",
            path.display()
        ))
    }

    /// Says what is wrong with the value of a key; keys are unique in the whole file.
    pub(super) fn at(path: &Path, text: &str, key: &str, wrong: &str) -> Self {
        let is_key = |line: &str| {
            let rest = line.trim_start().strip_prefix(key);
            rest.is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        let line = text.lines().position(is_key).map_or(1, |at| at + 1);
        Self(format!("{}, line {line}: {key}: {wrong}.", path.display()))
    }

    /// Puts what the TOML reader says into one sentence, with the key that was meant.
    pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let before = &text.as_bytes()[..start];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let place = format!("{}, line {line}", path.display());
        if let Some((key, known)) = unknown_key(error.message()) {
            return Self(match nearest(key, &known) {
                Some(meant) => {
                    format!("{place}: the key `{key}` is not known; write `{meant}` instead.")
                }
                None => format!(
                    "{place}: the key `{key}` is not known; remove it, or use one of {}.",
                    known.join(", ")
                ),
            });
        }
        let key = text[line_start(text, start)..].split('=').next().unwrap_or_default().trim();
        let wrong = error.message().trim_end_matches('.').replace('\n', ", ");
        let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        // What is no key may be part of a value, and is not repeated.
        if is_key {
            Self(format!("{place}: {key}: {wrong}."))
        } else {
            Self(format!("{place}: {wrong}."))
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Takes serde's sentence about an unknown field apart: the field, and those that are known.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    Some((key, rest.split('`').skip(1).step_by(2).collect()))
}

fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &&str| strsim::jaro_winkler(key, name);
    let near = known.iter().copied().filter(|name| likeness(name) >= LIKENESS_MIN);
    near.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

fn line_start(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}
