//! A yes becomes a session of the device: claimed first, so that of two people one wins.

use std::future::Future;
use std::sync::Arc;

use tokenward::SessionHandle;
use tokenward::core::device_sign_in::codes::{ANSWER_KEPT, Wish};
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::core::event::LogoutKind;
use tokenward::core::secret::AccessToken;

use super::page::trouble;
use crate::front::Front;
use crate::pages::Trouble;

/// Claims a code, makes its session, and keeps that for the device.
pub(crate) async fn approve<Making: Future<Output = Result<SessionHandle, Trouble>>>(
    front: Arc<Front>,
    user: UserCode,
    make: impl FnOnce(Wish) -> Making,
) -> Result<(), Trouble> {
    let now = front.tokenward().clock().now();
    let wish = front.displays().claim(user, now).map_err(trouble)?;
    let kind = wish.kind.clone();
    let handle = match make(wish).await {
        Ok(handle) => handle,
        Err(trouble) => {
            front.displays().release(user);
            return Err(trouble);
        }
    };
    let session = handle.key().id();
    if front.displays().grant(user, AccessToken::new(&handle.expose())).is_err() {
        // The exchange took so long that somebody else has approved meanwhile.
        end(&front, &handle).await;
        return Err(trouble(super::Astray::Wrong));
    }
    tracing::info!(kind = kind.as_str(), session, "a device was approved");
    tokio::spawn(end_unfetched(front));
    Ok(())
}

/// Ends the session of a device that never fetches it, once its time is over.
async fn end_unfetched(front: Arc<Front>) {
    let config = front.config();
    let Some(lifetime) = config.device.as_ref().map(|device| device.terms.lifetime) else { return };
    // Every code that is approved by now is over by then.
    tokio::time::sleep(lifetime + ANSWER_KEPT * 2).await;
    let now = front.tokenward().clock().now();
    for handle in front.displays().sweep(now) {
        if let Ok(handle) = SessionHandle::parse(handle.expose()) {
            tracing::warn!(session = handle.key().id(), "no device fetched this session; it ends");
            end(&front, &handle).await;
        }
    }
}

async fn end(front: &Front, handle: &SessionHandle) {
    let key = handle.key();
    if let Err(error) = front.tokenward().end(&key, LogoutKind::Admin).await {
        tracing::warn!(session = %key.id(), %error, "a session that nobody has is not ended yet");
    }
}
