//! The link of a display that is held: short enough to be typed, the same at every gateway, good as long
//! as the hold.
//!
//! Whoever photographs it has the chance to show a factor of the owner's, and no more: tries count
//! against the session's own limit, nothing of the owner is shown, and no factor can be set up.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;
use tokenward::core::device_sign_in::links::{LINK_KEPT, Linked};
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::session::Need;
use tokenward::step_up::{HoldView, MfaFault};
use tokenward::store::{CHANGES, NoteKey, OpenNote, StoreError, WroteNote};

use super::desk::{of_user, tell};
use super::kept::{self, Kept, Shown};
use super::pass::Pass;
use super::{Displays, ROOT};
use crate::front::Front;
use crate::pages::Trouble;
use crate::session::store_trouble;
use crate::sign_in::{QUERY_VALUE, failure, moved};
use crate::step_up;
use crate::tokens::Unlinked;

/// Returns the short path for a hold of a display; `None` where the session is no display's.
pub(crate) async fn link_of(
    front: &Front,
    key: &SessionKey,
    view: &HoldView,
) -> Option<Result<String, Unlinked>> {
    front.config().device.as_ref()?;
    let session = front.tokenward().describe(key).await.ok()??;
    session.device.as_ref()?;
    Some(path_of(front, key, view).await)
}

/// Shows a hold of a session, with where its person goes.
pub(crate) async fn with_link(
    front: &Front,
    (key, is_display): (&SessionKey, bool),
    origin: &str,
    view: &HoldView,
) -> Value {
    let path = match is_display {
        true => path_of(front, key, view).await.ok(),
        false => Some(step_up::address(&front.config().prefix, view, None)),
    };
    let place = path.map(|path| format!("{origin}{path}"));
    step_up::members(view, place.as_deref()).into()
}

/// Opens a link: gives the browser what opens the pages of this one hold.
pub(super) async fn open(
    front: &Front,
    code: UserCode,
    linked: &Linked,
) -> Result<Response, Trouble> {
    let newest = front.displays().is_newest(code, linked).await.map_err(|error| {
        tell(&error);
        store_trouble()
    })?;
    let is_its = |view: &HoldView| is_of(linked, view, newest && is_shared(front));
    // An old link is no reason to demand anything.
    let need = newest.then(|| linked.need.clone());
    let found = step_up::found(front, &linked.session, is_its, need).await;
    let held = match found {
        Ok(found) => found.and_then(|view| linked_of(&linked.session, &view)),
        Err(MfaFault::SignInRequired { .. }) => None,
        Err(_) => return Err(store_trouble()),
    };
    let Some(held) = held else {
        front.displays().counted().links.remove(linked);
        return Err(over());
    };
    let escaped = |text: &str| utf8_percent_encode(text, QUERY_VALUE).to_string();
    let Need { audience, scopes } = &held.need;
    let (audience, scope) = (escaped(audience.as_str()), escaped(&scopes.to_string()));
    let place = format!("{ROOT}/mfa?audience={audience}&scope={scope}");
    let mut reply = moved(StatusCode::SEE_OTHER, &place);
    if !Pass::put(front, &held, reply.headers_mut()) {
        return Err(failure::ours());
    }
    Ok(reply)
}

/// Says that there is nothing to confirm for a display.
pub(crate) fn over() -> Trouble {
    Trouble::new(
        StatusCode::GONE,
        "nothing_held",
        "There is nothing to confirm",
        "The display does not wait for anybody any more, or this link is too old. If the display \
         still asks, scan what it shows.",
    )
}

/// Forgets the link of a hold that was met, so that the next demand for the same has another one. Where
/// the store does not answer, the link is forgotten with time.
pub(crate) async fn close_link(front: &Front, key: &SessionKey, need: Need) {
    let linked = Linked { session: *key, need, since: front.tokenward().clock().now() };
    if let Err(error) = front.displays().close(&linked).await {
        tell(&error);
    }
}

/// Reports whether a view shows the hold of a link.
///
/// What a policy of ours demands begins at each gateway of a fleet when that is asked. So `loosely` takes
/// any demand of a policy for the same need: whose link is the newest, and was not closed.
pub(super) fn is_of(linked: &Linked, view: &HoldView, loosely: bool) -> bool {
    linked_of(&linked.session, view).is_some_and(|held| {
        held.is_same(linked) || loosely && view.by == "policy" && held.need == linked.need
    })
}

/// Reports whether other gateways may hold what this one does.
pub(super) fn is_shared(front: &Front) -> bool {
    front.tokenward().vault().is_shared()
}

/// Returns the hold that a view shows.
pub(super) fn linked_of(key: &SessionKey, view: &HoldView) -> Option<Linked> {
    let audience = Audience::parse(&view.audience).ok()?;
    let need = Need { audience, scopes: ScopeSet::parse(&view.scope) };
    Some(Linked { session: *key, need, since: view.since })
}

async fn path_of(front: &Front, key: &SessionKey, view: &HoldView) -> Result<String, Unlinked> {
    let linked = linked_of(key, view).ok_or(Unlinked)?;
    let loosely = view.by == "policy" && is_shared(front);
    let code = front.displays().link(&linked, loosely).await.map_err(|error| {
        tell(&error);
        Unlinked
    })?;
    Ok(format!("{ROOT}/{code}"))
}

impl Displays {
    /// Returns the link of a hold; makes one where no gateway has made one yet. `loosely` takes the one
    /// that is there whenever its hold began.
    async fn link(&self, linked: &Linked, loosely: bool) -> Result<UserCode, StoreError> {
        let now = self.vault.clock().now();
        if let Some(known) = self.counted().links.of(linked, now) {
            return Ok(known);
        }
        let key = self.of_hold(linked);
        let mut seen = self.vault.note(key).await?;
        for _ in 0..CHANGES {
            let shown = self.shown(seen.as_ref())?;
            let is_its = |shown: &Shown| {
                loosely || linked.is_same(&Linked { since: shown.since, ..linked.clone() })
            };
            let user = match shown.filter(is_its) {
                Some(Shown { user, .. }) if self.renews(user, linked).await? => user,
                Some(_) | None => self.draw(&Kept::Link(linked.clone()), LINK_KEPT).await?,
            };
            let shown = Kept::Shown(Shown { user, since: linked.since });
            let text = kept::write(&shown, &self.vault)?;
            let version = seen.map(|note| note.version);
            match self.vault.write_note(key, version, &text, LINK_KEPT).await? {
                WroteNote::Done(_) => {
                    self.counted().links.put(user, linked.clone(), now);
                    return Ok(user);
                }
                // Another gateway tells it, too: what it tells is the link.
                WroteNote::Moved(there) => seen = there,
            }
        }
        Err(StoreError::Busy { why: "others make the same link" })
    }

    /// Reports whether a code is the newest link for what its hold is about.
    async fn is_newest(&self, code: UserCode, linked: &Linked) -> Result<bool, StoreError> {
        let note = self.vault.note(self.of_hold(linked)).await?;
        Ok(self.shown(note.as_ref())?.is_some_and(|shown| shown.user == code))
    }

    /// Forgets which link a hold has.
    async fn close(&self, linked: &Linked) -> Result<(), StoreError> {
        self.counted().links.remove(linked);
        let key = self.of_hold(linked);
        let Some(OpenNote { version, text }) = self.vault.note(key).await? else { return Ok(()) };
        // Where somebody else has written since, a newer hold has the link.
        self.vault.write_note(key, Some(version), &text, Duration::ZERO).await.map(drop)
    }

    /// Returns the link that was told last.
    fn shown(&self, note: Option<&OpenNote>) -> Result<Option<Shown>, StoreError> {
        let kept = note.map(|note| kept::read(&note.text, &self.vault)).transpose()?;
        let Some(Kept::Shown(shown)) = kept else { return Ok(None) };
        Ok(Some(shown))
    }

    /// Has a link kept for longer, and made again where the store has lost it; false where its code means
    /// something else.
    async fn renews(&self, user: UserCode, linked: &Linked) -> Result<bool, StoreError> {
        let key = of_user(&self.vault, user);
        let seen = self.vault.note(key).await?;
        if let Some(note) = &seen
            && !self.is_link_of(note, linked)?
        {
            return Ok(false);
        }
        let text = kept::write(&Kept::Link(linked.clone()), &self.vault)?;
        let version = seen.map(|note| note.version);
        match self.vault.write_note(key, version, &text, LINK_KEPT).await? {
            WroteNote::Done(_) => Ok(true),
            WroteNote::Moved(there) => {
                there.map_or(Ok(false), |note| self.is_link_of(&note, linked))
            }
        }
    }

    fn is_link_of(&self, note: &OpenNote, linked: &Linked) -> Result<bool, StoreError> {
        let kept = kept::read(&note.text, &self.vault)?;
        Ok(matches!(kept, Kept::Link(known)
            if known.session == linked.session && known.need == linked.need))
    }

    /// Returns the note that says which link a hold has.
    fn of_hold(&self, linked: &Linked) -> NoteKey {
        let Need { audience, scopes } = &linked.need;
        let (audience, scopes) = (audience.as_str().as_bytes(), scopes.to_string());
        self.vault.note_key("display's hold", &[&linked.session.0, audience, scopes.as_bytes()])
    }
}
