//! A yes becomes a session of the device: claimed first, so that of two people one wins.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokenward::SessionHandle;
use tokenward::core::device_sign_in::codes::{Claim, Wish};
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::core::event::LogoutKind;
use tokenward::core::secret::AccessToken;

use super::desk::{Ungranted, tell};
use super::page::trouble;
use crate::front::Front;
use crate::pages::Trouble;
use crate::session::{STORE_RETRY, store_trouble};

/// How often a session is kept for its device where the store does not answer: with the pauses in
/// between, for as long as a claim lasts at most.
const GRANTS: usize = 5;

/// How often it is asked whether a session was fetched where the store does not answer, and how long it
/// is left alone in between: together as long as the end of a code is remembered.
const LOOKS: usize = 10;
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Claims a code, makes its session, and keeps that for the device.
pub(crate) async fn approve<Making: Future<Output = Result<SessionHandle, Trouble>>>(
    front: Arc<Front>,
    user: UserCode,
    make: impl FnOnce(Wish) -> Making,
) -> Result<(), Trouble> {
    let by = claim();
    let wish = front.displays().claim(user, by).await.map_err(trouble)?;
    let kind = wish.kind.clone();
    let handle = match make(wish).await {
        Ok(handle) => handle,
        Err(trouble) => {
            front.displays().release(user, by).await;
            return Err(trouble);
        }
    };
    let session = handle.key().id();
    let kept = AccessToken::new(&handle.expose());
    match granted(&front, user, by, &kept).await {
        Ok(left) => {
            tracing::info!(kind = kind.as_str(), session, "a device was approved");
            tokio::spawn(end_unfetched(front, user, handle, left));
            Ok(())
        }
        // The exchange took so long that somebody else has approved meanwhile.
        Err(Ungranted::Unclaimed) => {
            end(&front, &handle).await;
            Err(trouble(super::Astray::Wrong))
        }
        Err(Ungranted::Later) => {
            end(&front, &handle).await;
            Err(store_trouble())
        }
    }
}

/// Draws what tells this yes from all others.
fn claim() -> Claim {
    // Of a hash of randomness, so that there is one source of it.
    let drawn = SessionHandle::random().key().0;
    let mut claim = [0; 16];
    claim.copy_from_slice(&drawn[..16]);
    Claim(claim)
}

async fn granted(
    front: &Front,
    user: UserCode,
    by: Claim,
    kept: &AccessToken,
) -> Result<Duration, Ungranted> {
    for _ in 1..GRANTS {
        match front.displays().grant(user, by, kept).await {
            Err(Ungranted::Later) => tokio::time::sleep(STORE_RETRY).await,
            answer => return answer,
        }
    }
    front.displays().grant(user, by, kept).await
}

/// Ends the session of a device that does not fetch it in time.
async fn end_unfetched(front: Arc<Front>, user: UserCode, handle: SessionHandle, left: Duration) {
    let clock = front.tokenward().clock().clone();
    clock.sleep_until(clock.now() + left).await;
    let kept = AccessToken::new(&handle.expose());
    for _ in 0..LOOKS {
        match front.displays().withdraw(user, &kept).await {
            Ok(true) => {
                let session = handle.key().id();
                tracing::warn!(session, "no device fetched this session; it ends");
                return end(&front, &handle).await;
            }
            Ok(false) => return,
            Err(error) => tell(&error),
        }
        clock.sleep_until(clock.now() + LOOK_AGAIN).await;
    }
}

async fn end(front: &Front, handle: &SessionHandle) {
    let key = handle.key();
    if let Err(error) = front.tokenward().end(&key, LogoutKind::Admin).await {
        tracing::warn!(session = %key.id(), %error, "a session that nobody has is not ended yet");
    }
}
