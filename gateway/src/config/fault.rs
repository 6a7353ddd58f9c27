//! What is wrong with a configuration, one sentence each.

use std::fmt;
use std::path::Path;

/// One thing that is wrong: a sentence that names the file, the key and the remedy.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault(String);

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// How far a misspelt key may be from the one that was meant (0 is nothing alike, 1 is equal).
const LIKENESS_MIN: f64 = 0.7;

impl Fault {
    /// Says what is wrong with `key`, and what to do about it.
    pub(super) fn new(path: &Path, key: &str, wrong: impl fmt::Display) -> Self {
        Self(format!("{}: {key}: {}.", path.display(), without_credentials(&wrong.to_string())))
    }

    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self(format!(
            "{}: the configuration cannot be read ({error}); give its path with --config.",
            path.display()
        ))
    }

    /// Puts what the TOML reader says into one sentence, with the key that was meant.
    pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        let place = format!("{}, line {line}", path.display());
        if let Some((key, known)) = unknown_key(error.message()) {
            return Self(match nearest(&key, &known) {
                Some(meant) => {
                    format!("{place}: the key `{key}` is not known; write `{meant}` instead.")
                }
                None => format!(
                    "{place}: the key `{key}` is not known; remove it, or use one of {}.",
                    known.join(", ")
                ),
            });
        }
        let wrong = error.message().trim_end_matches('.').replace('\n', ", ");
        match key_of(text, start) {
            Some(key) => Self(format!("{place}: `{key}` cannot be read: {wrong}.")),
            None => Self(format!("{place}: {wrong}.")),
        }
    }
}

impl Faults {
    pub(super) fn one(fault: Fault) -> Self {
        Self(vec![fault])
    }

    pub(super) fn check(faults: Vec<Fault>) -> Result<(), Faults> {
        if faults.is_empty() { Ok(()) } else { Err(Self(faults)) }
    }

    /// Returns the faults in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Takes the user and password out of every URL that a sentence quotes, whether it is one or not.
fn without_credentials(sentence: &str) -> String {
    let mut pieces = sentence.split("://");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(['"', ' ', '\n']).unwrap_or(piece.len());
        let host = piece[..end].rfind('@').map_or(0, |at| at + 1);
        shown.push_str("://");
        shown.push_str(&piece[host..]);
    }
    shown
}

/// Takes serde's sentence about an unknown field apart: the field, and those that are known.
fn unknown_key(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((key.to_owned(), known))
}

fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(key, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name.as_str())
}

/// Returns the key of the line that holds the byte at `start`.
fn key_of(text: &str, start: usize) -> Option<&str> {
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next()?;
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    // What is no key may be part of a value, and a value may be a secret.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (!key.is_empty() && key.bytes().all(is_plain)).then_some(key)
}
