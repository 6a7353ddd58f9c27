//! The ends of sessions, told apart from all other facts: whoever holds something open in a
//! session's name must not miss its end among a thousand refreshes (law L10).

use tokio::sync::broadcast;

use crate::core::event::EndReason;
use crate::core::name::SessionKey;

/// The end of one session. Its access tokens are withdrawn before it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionEnd {
    /// The session.
    pub session: SessionKey,
    /// Why it ended.
    pub reason: EndReason,
}

/// Receives the ends of sessions; ends when the framework is dropped.
pub struct EndStream(broadcast::Receiver<SessionEnd>);

/// What an [`EndStream`] has next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeardEnd {
    /// When a session ended.
    Ended(SessionEnd),
    /// When this many ends were missed, because the listener was too slow: ask
    /// [`crate::Tokenward::end_of`] about every session that matters.
    Missed(u64),
}

impl EndStream {
    pub(super) fn new(ends: &broadcast::Sender<SessionEnd>) -> Self {
        Self(ends.subscribe())
    }

    /// Waits for the next end; `None` when there will be no more.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<HeardEnd> {
        match self.0.recv().await {
            Ok(end) => Some(HeardEnd::Ended(end)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(HeardEnd::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
