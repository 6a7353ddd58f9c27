//! The pages on which people approve devices. None has a script.

use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokenward::core::device_sign_in::codes::Standing;

use super::{Astray, ROOT};
use crate::pages::{Allowed, Trouble, dress, nonce};
use crate::session::store_trouble;

/// Asks for a code.
#[derive(Template)]
#[template(path = "device/type.html")]
pub(super) struct TypePage<'a> {
    pub(super) nonce: &'a str,
    /// What is wrong with the code that was typed.
    pub(super) trouble: Option<&'a str>,
}

/// Asks whether the display that shows this code may sign in.
#[derive(Template)]
#[template(path = "device/ask.html")]
pub(super) struct AskPage<'a> {
    pub(super) nonce: &'a str,
    pub(super) code: &'a str,
    /// What the device says that it is.
    pub(super) kind: &'a str,
    pub(super) audiences: &'a [String],
    pub(super) left: &'a str,
    /// Shows that this browser has seen the page.
    pub(super) proof: &'a str,
}

/// Says what came of it.
#[derive(Template)]
#[template(path = "device/done.html")]
pub(super) struct DonePage<'a> {
    pub(super) nonce: &'a str,
    pub(super) title: &'a str,
    pub(super) detail: &'a str,
    pub(super) good: bool,
}

/// Writes a page.
pub(super) fn shown(
    allowed: Allowed,
    page: impl FnOnce(&str) -> askama::Result<String>,
) -> Response {
    let Some(nonce) = nonce() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // Writing to a text fails only where a value's Display does; these are texts and numbers.
    let Ok(page) = page(&nonce) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut reply = Response::new(Body::from(page));
    dress(&mut reply, &nonce, allowed);
    reply
}

/// Says what came of it.
pub(super) fn done(good: bool, title: &str, detail: &str) -> Response {
    shown(Allowed::Nothing, |nonce| DonePage { nonce, title, detail, good }.render())
}

/// Says why a code leads nowhere.
pub(super) fn trouble(astray: Astray) -> Trouble {
    let (status, error, title, detail) = match astray {
        Astray::Later => return store_trouble().way_out("Type the code", ROOT),
        Astray::TooMany(wait) => {
            let detail = format!(
                "Too many wrong codes were tried. Wait {}, then try again.",
                in_words(wait)
            );
            let status = StatusCode::TOO_MANY_REQUESTS;
            return Trouble::new(status, "too_many_tries", "Wait a moment", detail)
                .retry_after(wait)
                .way_out("Type the code", ROOT);
        }
        Astray::Wrong => (
            StatusCode::NOT_FOUND,
            "unknown_code",
            "This code is not known",
            "Compare it with the display, letter by letter. A code that is some minutes old may \
             have been replaced: the display shows the newest.",
        ),
        Astray::Over(Standing::Expired) => (
            StatusCode::GONE,
            "expired_code",
            "This code is too old",
            "Nobody approved it in time. The display shows a new one, or does so when it is woken.",
        ),
        Astray::Over(Standing::Denied) => (
            StatusCode::GONE,
            "denied_code",
            "This code was refused",
            "Somebody said no to it. If that was a mistake, let the display ask again.",
        ),
        Astray::Over(Standing::Approved) => (
            StatusCode::GONE,
            "used_code",
            "This code was used already",
            "The display that showed it is signed in, or about to be. If you did not approve it, \
             tell the operator of this service.",
        ),
        Astray::Over(Standing::Claimed | Standing::Waiting(_)) => (
            StatusCode::CONFLICT,
            "claimed_code",
            "Somebody is at it",
            "Somebody has just approved this code. Look at the display in a moment.",
        ),
    };
    Trouble::new(status, error, title, detail).way_out("Type a code", ROOT)
}

/// Says how long, in words: rounded up, so that nobody comes too early.
pub(super) fn in_words(span: Duration) -> String {
    let seconds = span.as_millis().div_ceil(1_000).max(1);
    let (count, unit) =
        if seconds > 90 { (seconds.div_ceil(60), "minute") } else { (seconds, "second") };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
