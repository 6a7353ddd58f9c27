//! The short link of a display that waits for its person (law L8): made once per hold, good for as
//! long as the hold.
//!
//! Whoever photographs it has the chance to show a factor of the owner's, and no more: tries count
//! against the session's own limit, nothing of the owner is shown, and no factor can be set up.

use axum::http::StatusCode;
use axum::response::Response;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;
use tokenward::core::device_sign_in::links::Linked;
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::session::Need;
use tokenward::step_up::{HoldView, MfaFault};

use super::ROOT;
use super::pass::Pass;
use crate::front::Front;
use crate::pages::Trouble;
use crate::session::store_trouble;
use crate::sign_in::{QUERY_VALUE, failure, moved};
use crate::step_up;

/// Returns the short path for a hold of a display; `None` where the session is no display's.
pub(crate) async fn link_of(front: &Front, key: &SessionKey, view: &HoldView) -> Option<String> {
    front.config().device.as_ref()?;
    let session = front.tokenward().describe(key).await.ok()??;
    session.device.as_ref()?;
    path_of(front, key, view)
}

/// Shows a hold of a session, with where its person goes.
pub(crate) fn with_link(
    front: &Front,
    (key, is_display): (&SessionKey, bool),
    origin: &str,
    view: &HoldView,
) -> Value {
    let link = is_display.then(|| path_of(front, key, view)).flatten();
    let path = link.unwrap_or_else(|| step_up::address(&front.config().prefix, view, None));
    step_up::members(view, &format!("{origin}{path}")).into()
}

/// Opens a link: gives the browser what opens the pages of this one hold.
pub(super) async fn open(
    front: &Front,
    code: UserCode,
    linked: &Linked,
) -> Result<Response, Trouble> {
    let holds = match front.tokenward().holds(&linked.session).await {
        Ok(holds) => holds,
        Err(MfaFault::SignInRequired { .. }) => Vec::new(),
        Err(_) => return Err(store_trouble()),
    };
    let is_its = |view: &HoldView| linked_of(&linked.session, view).as_ref() == Some(linked);
    if !holds.iter().any(is_its) {
        front.displays().unlink(code);
        return Err(over());
    }
    let escaped = |text: &str| utf8_percent_encode(text, QUERY_VALUE).to_string();
    let Need { audience, scopes } = &linked.need;
    let (audience, scope) = (escaped(audience.as_str()), escaped(&scopes.to_string()));
    let place = format!("{ROOT}/mfa?audience={audience}&scope={scope}");
    let mut reply = moved(StatusCode::SEE_OTHER, &place);
    if !Pass::put(front, linked, reply.headers_mut()) {
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

fn path_of(front: &Front, key: &SessionKey, view: &HoldView) -> Option<String> {
    let code = front.displays().link(&linked_of(key, view)?)?;
    Some(format!("{ROOT}/{code}"))
}

fn linked_of(key: &SessionKey, view: &HoldView) -> Option<Linked> {
    let audience = Audience::parse(&view.audience).ok()?;
    let need = Need { audience, scopes: ScopeSet::parse(&view.scope) };
    Some(Linked { session: *key, need, since: view.since })
}
