//! What a browser carries for us while it is at the provider.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tokenward::Tokenward;
use tokenward::clock::BootId;
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::AccessToken;
use tokenward::core::sign_in::{Pending, SIGN_IN_TTL};
use tokenward::store::seal::Purpose;

use super::{failure, jar};
use crate::front::Front;
use crate::identify::pairs;
use crate::pages::Trouble;

/// The characters of a state that name its cookie: 48 bits, which tell tabs apart and leave the
/// state unguessable.
const SLOT_CHARS: usize = 8;

/// The characters of a state.
const STATE_CHARS: usize = 43;

/// The sign-ins that one browser may have under way: more are tabs that were forgotten.
const PENDING_MAX: usize = 5;

/// The longest cookie that browsers keep, name and attributes included (RFC 6265 §6.1).
pub(crate) const COOKIE_BYTES_MAX: usize = 3_900;

/// The place of one sign-in among those that a browser has under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot(String);

/// A pending sign-in as it is sealed.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    /// Whose clock `since` is of.
    boot: [u8; 16],
    /// When it was started, in nanoseconds of it.
    since: u64,
    state: Cow<'a, str>,
    nonce: Cow<'a, str>,
    verifier: Cow<'a, str>,
    issuer: Cow<'a, str>,
    return_to: Cow<'a, str>,
    audience: Cow<'a, str>,
    scopes: Cow<'a, str>,
    /// The session that a step-up belongs to; absent where a new one is to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<[u8; 32]>,
    /// Whether the person wants this browser to be remembered after a step-up.
    #[serde(default)]
    remember: bool,
    /// Whether a step-up is for a display, whose link the person has opened.
    #[serde(default)]
    by_link: bool,
    /// The code of the display that the new session is for; absent where it is this browser's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    display: Option<Cow<'a, str>>,
}

/// What a browser is away for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Errand {
    /// A session of its own.
    SignIn,
    /// A confirmation for a session that is there.
    StepUp(Stepping),
    /// A session for the display that shows this code.
    Display(UserCode),
}

/// The step-up that a browser is away for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stepping {
    /// The session that it belongs to.
    pub(crate) session: SessionKey,
    /// Whether the person wants this browser to be remembered.
    pub(crate) remember: bool,
    /// Whether the person came by the link of a display that is held.
    pub(crate) by_link: bool,
}

/// A sign-in or step-up that a browser has come back from.
pub(super) struct Recalled {
    pub(super) pending: Pending,
    /// How long ago it was started, where that is known.
    pub(super) age: Option<Duration>,
    pub(super) errand: Errand,
}

impl Slot {
    /// Returns the slot of a state; `None` for what cannot be a state of ours.
    pub(super) fn of(state: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_ours = state.len() == STATE_CHARS && state.bytes().all(plain);
        is_ours.then(|| Self(state[..SLOT_CHARS].to_owned()))
    }

    /// Returns the name of its cookie: one of ours, by its beginning.
    pub(super) fn cookie(&self, session_cookie: &str) -> String {
        format!("{session_cookie}-in-{}", self.0)
    }

    fn bound_to(&self) -> Vec<u8> {
        [b"sign-in ", self.0.as_bytes()].concat()
    }
}

/// Puts a pending sign-in into the browser, and takes the oldest ones out where there are many.
pub(crate) fn remember(
    front: &Front,
    asked: &HeaderMap,
    reply: &mut HeaderMap,
    pending: &Pending,
    errand: Errand,
) -> Result<(), Trouble> {
    let config = front.config();
    let (session_cookie, https) = (&config.session.cookie, config.is_https());
    let slot = Slot::of(&pending.state).ok_or_else(failure::ours)?;
    let bound = (&slot, errand);
    let sealed = match sealed(front, bound, pending, &pending.return_to)? {
        long if long.len() > COOKIE_BYTES_MAX => sealed(front, bound, pending, "/")?,
        fits => fits,
    };
    for forgotten in too_many(front, asked, session_cookie) {
        jar::remove(reply, &forgotten.cookie(session_cookie), https);
    }
    jar::put(reply, &slot.cookie(session_cookie), &sealed, https, SIGN_IN_TTL);
    Ok(())
}

/// Opens the pending sign-in of a slot.
pub(super) fn recall(front: &Front, headers: &HeaderMap, slot: &Slot) -> Option<Recalled> {
    let name = slot.cookie(&front.config().session.cookie);
    cookies(headers)
        .filter(|(found, _)| *found == name)
        .find_map(|(_, value)| opened(front, slot, value))
}

/// Returns the slots to give up before one more is taken: those that cannot be opened, then the
/// oldest.
fn too_many(front: &Front, asked: &HeaderMap, session_cookie: &str) -> Vec<Slot> {
    let beginning = format!("{session_cookie}-in-");
    let mut known: Vec<(Option<Duration>, Slot)> = cookies(asked)
        .filter_map(|(name, value)| {
            let slot = Slot(name.strip_prefix(&beginning)?.to_owned());
            let age = opened(front, &slot, value).and_then(|recalled| recalled.age);
            (slot.0.len() == SLOT_CHARS).then_some((age, slot))
        })
        .collect();
    // The youngest first; an unknown age counts as old.
    known.sort_by_key(|(age, _)| age.unwrap_or(Duration::MAX));
    known.into_iter().skip(PENDING_MAX - 1).map(|(_, slot)| slot).collect()
}

fn sealed(
    front: &Front,
    (slot, errand): (&Slot, Errand),
    pending: &Pending,
    return_to: &str,
) -> Result<String, Trouble> {
    let tokenward = front.tokenward();
    let (boot, since) = tokenward.vault().stamp(tokenward.clock().now());
    let scopes = pending.scopes.to_string();
    let (stepping, display) = match errand {
        Errand::SignIn => (None, None),
        Errand::StepUp(stepping) => (Some(stepping), None),
        Errand::Display(code) => (None, Some(code.to_string().into())),
    };
    let kept = Kept {
        boot: boot.0,
        since,
        state: pending.state.as_str().into(),
        nonce: pending.nonce.as_str().into(),
        verifier: pending.code_verifier.expose().into(),
        issuer: pending.issuer.as_str().into(),
        return_to: return_to.into(),
        audience: pending.audience.as_str().into(),
        scopes: scopes.as_str().into(),
        session: stepping.map(|stepping| stepping.session.0),
        remember: stepping.is_some_and(|stepping| stepping.remember),
        by_link: stepping.is_some_and(|stepping| stepping.by_link),
        display,
    };
    let plain = serde_json::to_vec(&kept).map_err(|_| failure::ours())?;
    let ring = front.tokenward().vault().ring();
    let sealed = ring.seal(Purpose::Cookie, &slot.bound_to(), &plain).map_err(|fault| {
        tracing::error!(%fault, "a sign-in cannot be remembered");
        failure::ours()
    })?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

fn opened(front: &Front, slot: &Slot, value: &str) -> Option<Recalled> {
    let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
    let ring = front.tokenward().vault().ring();
    let plain = ring.open_sealed(Purpose::Cookie, &slot.bound_to(), &sealed).ok()?;
    let kept: Kept<'_> = serde_json::from_slice(&plain).ok()?;
    let age = age(front.tokenward(), kept.boot, kept.since);
    let pending = Pending {
        state: kept.state.into_owned(),
        nonce: kept.nonce.into_owned(),
        code_verifier: AccessToken::new(&kept.verifier),
        issuer: kept.issuer.into_owned(),
        return_to: kept.return_to.into_owned(),
        audience: Audience::parse(&kept.audience).ok()?,
        scopes: ScopeSet::parse(&kept.scopes),
    };
    let errand = match (kept.session, kept.display) {
        (Some(key), _) => {
            let (remember, by_link) = (kept.remember, kept.by_link);
            Errand::StepUp(Stepping { session: SessionKey(key), remember, by_link })
        }
        (None, Some(code)) => Errand::Display(UserCode::parse(&code).ok()?),
        (None, None) => Errand::SignIn,
    };
    Some(Recalled { pending, age, errand })
}

/// Instants compare within one boot, or where machines have a time in common (law L12).
fn age(tokenward: &Tokenward, boot: [u8; 16], since: u64) -> Option<Duration> {
    let since = tokenward.vault().placed(BootId(boot), since)?;
    Some(tokenward.clock().now().since(since))
}

/// Returns the cookies of a request, by name and value.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .flat_map(|value| pairs(value.as_bytes()))
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_state_of_ours_has_a_slot() {
        let state = "Ab3_-9Qz".to_owned() + &"x".repeat(35);
        let slot = Slot::of(&state).unwrap();
        assert_eq!(slot.cookie("__Host-tokenward"), "__Host-tokenward-in-Ab3_-9Qz");
        for bad in ["", "Ab3_-9Qz", &state.replace('Q', ";"), &format!("{state}x"), &"é".repeat(43)]
        {
            assert_eq!(Slot::of(bad), None, "{bad:?}");
        }
    }
}
