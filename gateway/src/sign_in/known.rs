//! What a browser carries for us of a factor that was shown in it: at its next sign-in the same
//! person is not asked again, where the policy allows that and the person has asked for it.

use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::step_up::{Proof, Remembered};
use tokenward::core::time::UnixSeconds;
use tokenward::store::seal::Purpose;

use super::jar;
use super::pending::{COOKIE_BYTES_MAX, cookies};
use crate::front::Front;

/// What was shown in a browser, by whom and when, as it is sealed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Known {
    issuer: String,
    subject: String,
    /// When it was shown, in seconds of the wall clock.
    at: u64,
    /// For how many seconds the person wanted it remembered.
    for_s: u64,
    class: Option<String>,
    methods: Vec<String>,
}

impl Known {
    /// Returns what counts for a session of `subject` that begins at `now`. A moment that lies in
    /// the future is of another clock, and its age unknown: it counts as too old.
    pub(super) fn of(self, subject: &str, now: UnixSeconds) -> Option<Remembered> {
        let age_s = now.0.checked_sub(self.at).filter(|age_s| *age_s < self.for_s)?;
        let proof = Proof { at: None, class: self.class, methods: self.methods };
        let remembered = Remembered { proof, age: Duration::from_secs(age_s) };
        (self.subject == subject).then_some(remembered)
    }
}

/// Puts into the browser what was shown for `audience` in the session, where its policy allows it.
pub(crate) async fn remember(
    front: &Front,
    reply: &mut HeaderMap,
    session: &SessionKey,
    audience: &Audience,
) {
    let tokenward = front.tokenward();
    // Nobody is refused anything for this: at worst the person is asked once more.
    let Ok(Some(shown)) = tokenward.to_remember(session, audience).await else { return };
    let known = Known {
        issuer: tokenward.provider().issuer().to_string(),
        subject: shown.subject.to_string(),
        at: shown.at.0,
        for_s: shown.remember.as_secs(),
        class: shown.proof.class,
        methods: shown.proof.methods,
    };
    let config = front.config();
    let name = name(&config.session.cookie);
    let Ok(plain) = serde_json::to_vec(&known) else { return };
    let sealed = match tokenward.vault().ring().seal(Purpose::Known, name.as_bytes(), &plain) {
        Ok(sealed) => URL_SAFE_NO_PAD.encode(sealed),
        Err(fault) => return tracing::error!(%fault, "a browser cannot be remembered"),
    };
    if sealed.len() <= COOKIE_BYTES_MAX {
        jar::put(reply, &name, &sealed, config.is_https(), shown.remember);
    }
}

/// Opens what the browser carries; `None` where it is not ours, or of another provider.
pub(super) fn recall(front: &Front, headers: &HeaderMap) -> Option<Known> {
    let name = name(&front.config().session.cookie);
    let tokenward = front.tokenward();
    let opened = |value: &str| {
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        let ring = tokenward.vault().ring();
        let plain = ring.open_sealed(Purpose::Known, name.as_bytes(), &sealed).ok()?;
        serde_json::from_slice::<Known>(&plain).ok()
    };
    cookies(headers)
        .filter(|(found, _)| *found == name)
        .find_map(|(_, value)| opened(value))
        .filter(|known| known.issuer == **tokenward.provider().issuer())
}

/// The name begins like the session cookie's, so that no upstream ever sees it.
fn name(session_cookie: &str) -> String {
    format!("{session_cookie}-known")
}
