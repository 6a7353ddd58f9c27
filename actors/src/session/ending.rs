//! Ending a session for good: the tombstone first, then the provider.

use std::sync::Arc;
use std::time::Duration;

use super::Farewell;
use crate::core::event::{EndReason, Event};
use crate::core::name::SessionKey;
use crate::core::secret::RefreshToken;
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

/// The end of a session that is to be made durable.
pub(crate) struct Burial {
    pub(crate) key: SessionKey,
    pub(crate) reason: EndReason,
    /// The refresh token of the session in memory.
    pub(crate) revoke: Option<RefreshToken>,
    /// What the session in memory left behind; where there was none, or it died first, the end has
    /// been told to nobody.
    pub(crate) seen: Option<Farewell>,
}

/// Writes the tombstone until it is durable, sends word, then revokes what can be revoked: the
/// token in memory and, where another machine wrote a newer one, that one.
///
/// The record need not be readable, and no actor need live: a logout must not be lost for that.
pub(crate) async fn bury(burial: Burial, shared: Arc<Shared>) {
    let Burial { key, reason, revoke, seen } = burial;
    if seen.is_none() {
        shared.events.tell_end(key, reason);
    }
    let (stored, wiped) = match entomb(&key, reason, &shared).await {
        Wiped::Living(snapshot) => {
            (snapshot.refresh_token, Some(Farewell { id_token: snapshot.id_token }))
        }
        Wiped::Unreadable(error) => {
            tracing::warn!(session = %key.id(), %error, "an ended session's record was unreadable");
            (None, Some(Farewell { id_token: None }))
        }
        Wiped::Nothing => (None, None),
    };
    if seen.is_none() && wiped.is_some() {
        shared.emit(&key, &Event::Ended { reason });
    }
    // What the provider has refused it knows already.
    let insists = seen.is_none() || revoke.is_some();
    shared.router(&key).send(RouterMessage::Buried(key, seen.or(wiped)));
    engrave(&key, &shared).await;
    let newer = stored.filter(|stored| insists && Some(stored) != revoke.as_ref());
    for refresh_token in newer.iter().chain(&revoke) {
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

/// Writes the tombstone until it is durable; returns what it wiped.
async fn entomb(key: &SessionKey, reason: EndReason, shared: &Shared) -> Wiped {
    let (mut pause, key) = (PAUSE_FIRST, *key);
    loop {
        let vault = shared.vault.clone();
        // In a task of its own: a panic of the store must not lose the end either.
        let failure = match tokio::spawn(async move { vault.end(key, reason).await }).await {
            Ok(Ok(wiped)) => return wiped,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the store panicked".to_owned(),
        };
        tracing::error!(session = %key.id(), failure, "the end of a session is not durable yet");
        shared.clock.sleep_until(shared.clock.now() + pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
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
