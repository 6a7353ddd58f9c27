//! The link of a display that is held: short enough to be typed, the same at every gateway, good as long
//! as the hold.
//!
//! Whoever photographs it has the chance to show a factor of the owner's, and no more: tries count
//! against the session's own limit, nothing of the owner is shown, and no factor can be set up.

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
use tokenward::store::{NoteKey, OpenNote, StoreError, WroteNote};

use super::desk::{CHANGES, of_user, tell};
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
pub(super) async fn open(front: &Front, linked: &Linked) -> Result<Response, Trouble> {
    let holds = match front.tokenward().holds(&linked.session).await {
        Ok(holds) => holds,
        Err(MfaFault::SignInRequired { .. }) => Vec::new(),
        Err(_) => return Err(store_trouble()),
    };
    let mut held = holds.iter().filter_map(|view| linked_of(&linked.session, view));
    let Some(held) = held.find(|held| held.is_same(linked)) else {
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

/// Returns the hold that a view shows.
pub(super) fn linked_of(key: &SessionKey, view: &HoldView) -> Option<Linked> {
    let audience = Audience::parse(&view.audience).ok()?;
    let need = Need { audience, scopes: ScopeSet::parse(&view.scope) };
    Some(Linked { session: *key, need, since: view.since })
}

async fn path_of(front: &Front, key: &SessionKey, view: &HoldView) -> Result<String, Unlinked> {
    let linked = linked_of(key, view).ok_or(Unlinked)?;
    let code = front.displays().link(&linked).await.map_err(|error| {
        tell(&error);
        Unlinked
    })?;
    Ok(format!("{ROOT}/{code}"))
}

impl Displays {
    /// Returns the link of a hold; makes one where no gateway has made one yet.
    async fn link(&self, linked: &Linked) -> Result<UserCode, StoreError> {
        let now = self.vault.clock().now();
        if let Some(known) = self.counted().links.of(linked, now) {
            return Ok(known);
        }
        let key = self.of_hold(linked);
        let mut seen = self.vault.note(key).await?;
        for _ in 0..CHANGES {
            let user = match self.shown(seen.as_ref(), linked)? {
                Some(user) if self.renews(user, linked).await? => user,
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

    /// Returns the link that was told of this very hold.
    fn shown(
        &self,
        note: Option<&OpenNote>,
        linked: &Linked,
    ) -> Result<Option<UserCode>, StoreError> {
        let kept = note.map(|note| kept::read(&note.text, &self.vault)).transpose()?;
        let Some(Kept::Shown(Shown { user, since })) = kept else { return Ok(None) };
        Ok(linked.is_same(&Linked { since, ..linked.clone() }).then_some(user))
    }

    /// Has a link kept for longer, and made again where the store has lost it; false where its code means
    /// something else.
    async fn renews(&self, user: UserCode, linked: &Linked) -> Result<bool, StoreError> {
        let key = of_user(&self.vault, user);
        let seen = self.vault.note(key).await?;
        if let Some(note) = &seen
            && !self.is_of(note, linked)?
        {
            return Ok(false);
        }
        let text = kept::write(&Kept::Link(linked.clone()), &self.vault)?;
        let version = seen.map(|note| note.version);
        match self.vault.write_note(key, version, &text, LINK_KEPT).await? {
            WroteNote::Done(_) => Ok(true),
            WroteNote::Moved(there) => there.map_or(Ok(false), |note| self.is_of(&note, linked)),
        }
    }

    fn is_of(&self, note: &OpenNote, linked: &Linked) -> Result<bool, StoreError> {
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
