//! Signing in for a display: the person's browser leaves and comes back as at every sign-in, but the
//! session that begins is the display's, and the browser keeps what it had.

use std::sync::Arc;

use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use tokenward::core::device_sign_in::codes::Wish;
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::core::sign_in::Pending;
use tokenward::core::snapshot::Device;

use super::pending::Errand;
use super::{For, complete, failure, leave, plan_for};
use crate::device;
use crate::front::Front;
use crate::pages::Trouble;

/// Sends a person to the provider who has said yes to a display.
pub(crate) async fn depart_for_display(
    front: &Front,
    asked: (&HeaderMap, &Uri),
    code: UserCode,
    wish: &Wish,
) -> Result<Response, Trouble> {
    let known = front.audiences();
    let of_wish = |wanted| known.iter().find(|(audience, _)| audience == wanted).cloned();
    let known: Vec<_> = wish.audiences.iter().filter_map(of_wish).collect();
    if known.is_empty() {
        // A reload has taken the routes away that the display asked for.
        return Err(failure::nothing_to_sign_in_for());
    }
    let plan = plan_for(front, known);
    leave(front, asked, plan, &device::signed_in_page(), Errand::Display(code)).await
}

/// Makes the display's session of what the provider sent back.
pub(super) async fn arrive(
    front: &Arc<Front>,
    user: UserCode,
    pending: Pending,
    came_with: (String, String),
) -> Result<(), Trouble> {
    let tokenward = front.tokenward().clone();
    let make = move |Wish { kind, audiences, .. }| async move {
        let device = Device { kind, audiences };
        let made = complete(tokenward, pending, came_with, For::Display(device)).await;
        made.map_err(|trouble| with_way_back(trouble, user))
    };
    // A closed tab must not cut an exchange: what it brings would be lost (law L4).
    let approved = tokio::spawn(device::approve(Arc::clone(front), user, make)).await;
    approved.unwrap_or_else(|_| Err(failure::ours()))
}

/// Offers to answer for the display once more.
pub(super) fn with_way_back(trouble: Trouble, code: UserCode) -> Trouble {
    trouble.way_out("Try again", format!("{}/{code}", device::ROOT))
}
