//! What a browser carries that has opened a held display's link: it opens the pages of the step-up
//! for that one hold, under `/d/mfa`, and nothing else.
//!
//! It names no session to anybody: not as a session cookie, not at the event stream, not on calls.

use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tokenward::clock::BootId;
use tokenward::core::device_sign_in::links::Linked;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::session::Need;
use tokenward::step_up::HoldView;
use tokenward::store::seal::Purpose;

use super::link::is_of;
use crate::front::Front;
use crate::sign_in::jar;
use crate::sign_in::pending::cookies;

/// Where a person ends who has shown a factor for a display.
pub(crate) const CONFIRMED: &str = "/d/confirmed";

/// Where a person ends who has opened a display's link and confirmed nothing.
pub(crate) const LATER: &str = "/d/later";

/// How long a browser may take: as long as a sign-in, because it may lead to the provider.
const TTL: Duration = Duration::from_secs(15 * 60);

/// A hold of a display that this browser may confirm.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    linked: Linked,
    /// Whether another gateway may have begun the same hold.
    is_shared: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    session: [u8; 32],
    audience: String,
    scopes: String,
    since: u64,
    /// Whose clock `since` and `until` are of: the boot's of this machine, or one that gateways share.
    boot: [u8; 16],
    until: u64,
}

impl Pass {
    /// Returns the session that is held.
    pub(crate) fn session(&self) -> SessionKey {
        self.linked.session
    }

    /// Returns what is held.
    pub(crate) fn need(&self) -> &Need {
        &self.linked.need
    }

    /// Reports whether this is the hold that it was given for.
    pub(crate) fn is_for(&self, view: &HoldView) -> bool {
        is_of(&self.linked, view, self.is_shared)
    }

    /// Puts a pass into a browser; false where it cannot be sealed.
    pub(super) fn put(front: &Front, linked: &Linked, reply: &mut HeaderMap) -> bool {
        let vault = front.tokenward().vault();
        let (whose, since) = vault.stamp(linked.since);
        let (_, until) = vault.stamp(vault.clock().now() + TTL);
        let kept = Kept {
            session: linked.session.0,
            audience: linked.need.audience.to_string(),
            scopes: linked.need.scopes.to_string(),
            since,
            boot: whose.0,
            until,
        };
        let config = front.config();
        let name = name(&config.session.cookie);
        let sealed = serde_json::to_vec(&kept)
            .ok()
            .and_then(|plain| vault.ring().seal(Purpose::Cookie, &bound_to(&name), &plain).ok());
        let Some(sealed) = sealed else { return false };
        jar::put(reply, &name, &URL_SAFE_NO_PAD.encode(sealed), config.is_https(), TTL);
        true
    }

    /// Finds the pass that a browser carries.
    pub(crate) fn of(front: &Front, headers: &HeaderMap) -> Option<Self> {
        let name = name(&front.config().session.cookie);
        let vault = front.tokenward().vault();
        let mut values =
            cookies(headers).filter(|(found, _)| *found == name).map(|(_, value)| value);
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        let plain = vault.ring().open_sealed(Purpose::Cookie, &bound_to(&name), &sealed).ok()?;
        let kept: Kept = serde_json::from_slice(&plain).ok()?;
        let placed = |nanos| vault.placed(BootId(kept.boot), nanos);
        let (since, until) = (placed(kept.since)?, placed(kept.until)?);
        let lives = vault.clock().now() < until;
        let audience = Audience::parse(&kept.audience).ok()?;
        let session = SessionKey(kept.session);
        let need = Need { audience, scopes: ScopeSet::parse(&kept.scopes) };
        let (linked, is_shared) = (Linked { session, need, since }, vault.is_shared());
        lives.then_some(Self { linked, is_shared })
    }
}

/// The name begins like the session cookie's, so that no upstream ever sees it.
fn name(session_cookie: &str) -> String {
    format!("{session_cookie}-pass")
}

fn bound_to(name: &str) -> Vec<u8> {
    format!("held display {name}").into_bytes()
}
