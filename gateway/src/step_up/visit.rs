//! Who stands before the pages of a step-up: the person of a session, or somebody who has opened the
//! link of a display that is held. The two never mix: each has addresses of its own.

use axum::http::{HeaderMap, Uri};
use tokenward::core::name::SessionKey;
use tokenward::step_up::{HoldView, MfaFault};

use super::ask::{self, Place};
use crate::device::{self, CONFIRMED, Pass, ROOT};
use crate::front::Front;
use crate::pages::Trouble;
use crate::route::below;
use crate::session::not_signed_in;

/// Who stands before a page.
pub(super) enum Visit {
    /// The person, or a program, of a session.
    Own(SessionKey),
    /// Somebody who may confirm one hold of a display.
    Link(Pass, SessionKey),
}

/// Reports whether an address is one of those for displays.
pub(super) fn is_by_link(uri: &Uri) -> bool {
    below(ROOT, uri.path())
}

/// Says that nobody is known who could stand before a page.
pub(super) fn nobody(front: &Front, uri: &Uri) -> Trouble {
    if is_by_link(uri) { device::over() } else { not_signed_in(front) }
}

impl Visit {
    /// Finds who sent a request.
    pub(super) fn of(front: &Front, uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        match is_by_link(uri) {
            true => Self::by_link(front, headers),
            false => front.session_of(headers).map(Self::Own),
        }
    }

    /// Finds who sent a request that may carry the handle of a hold as its bearer credential.
    pub(super) fn beside_handle(front: &Front, uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        match is_by_link(uri) {
            true => Self::by_link(front, headers),
            false => ask::session(front, headers).map(Self::Own),
        }
    }

    /// Returns the session.
    pub(super) fn key(&self) -> &SessionKey {
        match self {
            Self::Own(key) | Self::Link(_, key) => key,
        }
    }

    /// Reports whether somebody came by a display's link.
    pub(super) fn is_by_link(&self) -> bool {
        matches!(self, Self::Link(..))
    }

    /// Returns the place that is meant: by a link, its own hold whatever the address says.
    pub(super) fn place(&self, said: Place) -> Place {
        match self {
            Self::Own(_) => said,
            Self::Link(pass, _) => Place {
                audience: Some(pass.need().audience.to_string()),
                scope: Some(pass.need().scopes.to_string()),
                return_to: Some(CONFIRMED.to_owned()),
                remember: None,
            },
        }
    }

    /// Reports whether a hold is one that may be confirmed here.
    pub(super) fn admits(&self, view: &HoldView) -> bool {
        match self {
            Self::Own(_) => true,
            Self::Link(pass, _) => pass.is_for(view),
        }
    }

    /// Checks that a handle is of a hold that may be confirmed here.
    pub(super) async fn check(&self, front: &Front, handle: &str) -> Result<(), MfaFault> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Link(_, key) => {
                let view = front.tokenward().open_hold(key, handle).await?;
                if self.admits(&view) { Ok(()) } else { Err(MfaFault::TokenInvalid) }
            }
        }
    }

    fn by_link(front: &Front, headers: &HeaderMap) -> Option<Self> {
        Pass::of(front, headers).map(|pass| {
            let key = pass.session();
            Self::Link(pass, key)
        })
    }
}
