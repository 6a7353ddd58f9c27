//! Ending a session for good: the tombstone first, then the provider.

use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;

use super::SessionMessage;
use crate::core::event::EndReason;
use crate::core::name::SessionKey;
use crate::core::secret::RefreshToken;
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
    actor: ActorRef<SessionMessage>,
    shared: Arc<Shared>,
) {
    let mut pause = PAUSE_FIRST;
    let wiped = loop {
        match shared.vault.end(key, reason).await {
            Ok(wiped) => break wiped,
            Err(error) => {
                tracing::error!(session = %key.id(), %error, "the end of a session is not durable yet");
                shared.clock.sleep_until(shared.clock.now() + pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    };
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

/// Writes on the tombstone what led to the end, so that it can be explained when the process that
/// saw it is gone. The tombstone holds without it.
async fn engrave(key: &SessionKey, shared: &Shared) {
    if let Err(error) = shared.vault.engrave(*key, &shared.events.last_words(key)).await {
        tracing::warn!(session = %key.id(), %error, "the last facts of a session are not kept");
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
