//! Ending a session for good: the tombstone first, then the provider.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{EndReply, Farewell, SessionMessage};
use crate::core::event::{EndReason, Event};
use crate::core::name::SessionKey;
use crate::core::secret::RefreshToken;
use crate::mail::Address;
use crate::router::RouterMessage;
use crate::shared::Shared;
use crate::store::Wiped;

/// How long to wait before the first repetition of a failed tombstone.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// The longest wait between two tries. There is no last try: a session whose logout was asked for
/// must not come back because a disk was full.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How long the provider may take to revoke: nobody waits for it, the tombstone already holds.
const REVOKE_WITHIN: Duration = Duration::from_secs(13);

/// Writes the tombstone until it is durable, sends word, then revokes what can be revoked: the
/// token in memory and, where another machine wrote a newer one, that one.
pub(super) async fn bury(
    key: SessionKey,
    reason: EndReason,
    revoke: Option<RefreshToken>,
    actor: Address<SessionMessage>,
    shared: Arc<Shared>,
) {
    let wiped = entomb(&key, reason, &shared).await;
    // An error means that the actor was restarted meanwhile; it will read the tombstone.
    drop(actor.cast(SessionMessage::Buried));
    engrave(&key, &shared).await;
    let Some(in_memory) = revoke else { return };
    let stored = match wiped {
        Wiped::Living(snapshot) => snapshot.refresh_token,
        Wiped::Unreadable(error) => {
            tracing::warn!(session = %key.id(), %error, "an ended session's record was unreadable");
            None
        }
        Wiped::Nothing => None,
    };
    let newer = stored.filter(|stored| *stored != in_memory);
    for refresh_token in newer.iter().chain([&in_memory]) {
        revoke_once(&shared, &key, refresh_token).await;
    }
}

/// Ends a session that cannot be brought to life: its record cannot be read, or its actor keeps
/// crashing. A tombstone needs neither, and a logout must not be lost for that.
pub(crate) async fn bury_unseen(
    key: SessionKey,
    reason: EndReason,
    reply: EndReply,
    shared: Arc<Shared>,
) {
    shared.events.tell_end(key, reason);
    let wiped = entomb(&key, reason, &shared).await;
    // Whoever was brought to life meanwhile is told, too; what it answers interests nobody.
    let (told, _) = oneshot::channel();
    let message = SessionMessage::End(reason, told);
    shared.router(&key).send(RouterMessage::Deliver(key, message));
    let (farewell, refresh_token) = match wiped {
        Wiped::Living(snapshot) => {
            (Some(Farewell { id_token: snapshot.id_token }), snapshot.refresh_token)
        }
        Wiped::Unreadable(_) => (Some(Farewell { id_token: None }), None),
        Wiped::Nothing => (None, None),
    };
    if farewell.is_some() {
        shared.emit(&key, &Event::Ended { reason });
    }
    // An error means that the caller went away.
    drop(reply.send(Ok(farewell)));
    engrave(&key, &shared).await;
    if let Some(refresh_token) = refresh_token {
        revoke_once(&shared, &key, &refresh_token).await;
    }
}

/// Writes on the tombstone what led to the end, so that it can be explained when the process that
/// saw it is gone. The tombstone holds without it.
async fn engrave(key: &SessionKey, shared: &Shared) {
    if let Err(error) = shared.vault.engrave(*key, &shared.events.last_words(key)).await {
        tracing::warn!(session = %key.id(), %error, "the last facts of a session are not kept");
    }
}

/// Writes the tombstone until it is durable; returns what it wiped.
async fn entomb(key: &SessionKey, reason: EndReason, shared: &Shared) -> Wiped {
    let mut pause = PAUSE_FIRST;
    loop {
        match shared.vault.end(*key, reason).await {
            Ok(wiped) => return wiped,
            Err(error) => {
                tracing::error!(session = %key.id(), %error, "the end of a session is not durable yet");
                shared.clock.sleep_until(shared.clock.now() + pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Revokes a token at the provider, once and without insisting; tells whether that was done.
pub(super) async fn revoke_once(
    shared: &Shared,
    key: &SessionKey,
    refresh_token: &RefreshToken,
) -> bool {
    match tokio::time::timeout(REVOKE_WITHIN, shared.provider.revoke(refresh_token)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(session = %key.id(), %error, "not revoked"),
        Err(_) => tracing::warn!(session = %key.id(), "not revoked: the provider took too long"),
    }
    false
}
