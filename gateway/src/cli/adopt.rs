//! `tokenward adopt`: a session from a refresh token that was issued elsewhere.

use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::operator::Operator;
use super::{ConfigFile, Failure, note, say};

/// The longest refresh token: the largest seen has two kilobytes.
const REFRESH_TOKEN_BYTES_MAX: u64 = 32 * 1024;

/// What is to be adopted.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigFile,
    /// The audience the session belongs to; one of the configured routes has it
    #[arg(long, value_name = "AUDIENCE")]
    audience: String,
    /// The provider's name for the person (the claim `sub`)
    #[arg(long, value_name = "SUBJECT")]
    subject: String,
}

/// What the gateway answers. Has no text, because it holds a secret.
#[derive(Deserialize)]
struct Adopted {
    handle: Zeroed,
    session: String,
}

/// A text that is wiped.
struct Zeroed(Zeroizing<String>);

impl<'de> Deserialize<'de> for Zeroed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Asks the running gateway to adopt what comes on standard input.
pub(super) async fn run(options: &Options) -> Result<(), Failure> {
    let operator = Operator::of(&options.config.load()?)?;
    let refresh_token = read()?;
    let body = json!({
        "refresh_token": refresh_token.trim(),
        "subject": options.subject,
        "audience": options.audience,
    });
    let Adopted { handle, session } = operator.post(&["adopt"], &body).await?;
    note(&format!("adopted as session {session}; its handle, which is a secret:"));
    say(&handle.0);
    Ok(())
}

/// Reads a refresh token from standard input.
pub(super) fn read() -> Result<Zeroizing<String>, Failure> {
    let input = io::stdin().lock();
    if input.is_terminal() {
        note("Paste the refresh token, then press Enter and Ctrl-D:");
    }
    let mut text = Zeroizing::new(String::new());
    input
        .take(REFRESH_TOKEN_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("standard input cannot be read ({error})")))?;
    if text.trim().is_empty() {
        return Err(Failure::usage(
            "standard input is empty: pass the refresh token there, for example with < FILE",
        ));
    }
    if text.len() as u64 > REFRESH_TOKEN_BYTES_MAX {
        return Err(Failure::usage("standard input is longer than any refresh token (32 KiB)"));
    }
    Ok(text)
}
