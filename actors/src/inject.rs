//! What the tower layer and the reqwest middleware have in common.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, StatusCode};

use crate::access::{Tokenward, Wish};
use crate::core::name::SessionKey;
use crate::directory::Offer;
use crate::error::AccessError;

/// Why a call was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum InjectError {
    /// There is no access token for it.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The caller has set `Authorization` itself; it must decide which of the two it means.
    #[error(
        "the call has an Authorization header of its own: remove it, or call without Tokenward"
    )]
    Authorized,
    /// Nobody has said whose call it is; the caller must put a `SessionKey` into the extensions.
    #[error("the call names no session: put a SessionKey into its extensions")]
    NoSession,
}

/// Where the access tokens of calls come from.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) tokenward: Tokenward,
    pub(crate) wish: Wish,
    /// Whose calls all of them are; `None` where each call says so itself.
    pub(crate) session: Option<SessionKey>,
}

/// An access token that was put on a call.
pub(crate) struct Injected {
    key: SessionKey,
    offer: Arc<Offer>,
}

impl Source {
    /// Puts an access token on a call that has none.
    pub(crate) async fn inject(
        &self,
        headers: &mut HeaderMap,
        extensions: &Extensions,
    ) -> Result<Injected, InjectError> {
        if headers.contains_key(AUTHORIZATION) {
            return Err(InjectError::Authorized);
        }
        let own = extensions.get::<SessionKey>().copied();
        let key = own.or(self.session).ok_or(InjectError::NoSession)?;
        let offer = self.tokenward.access(&key, &self.wish).await?;
        headers.insert(AUTHORIZATION, offer.authorization().clone());
        Ok(Injected { key, offer })
    }

    /// Puts a newer access token on the copy of a call that was refused; reports whether there is
    /// one. Where there is none, the API's own answer says more than we could.
    pub(crate) async fn replace(&self, refused: &Injected, headers: &mut HeaderMap) -> bool {
        let wish = self.wish.clone().instead_of(refused.offer.serial());
        match self.tokenward.access(&refused.key, &wish).await {
            Ok(offer) => {
                headers.insert(AUTHORIZATION, offer.authorization().clone());
                true
            }
            Err(error) => {
                tracing::debug!(session = %refused.key.id(), %error, "a refused call stays refused");
                false
            }
        }
    }
}

/// Reports whether an API's answer means that it does not take the access token.
pub(crate) fn is_refused(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED
}
