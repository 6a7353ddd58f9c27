//! What happens to sessions, told to everybody who listens (law L16).

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::core::event::{EndReason, Event};
use crate::core::name::SessionKey;
use crate::core::time::Instant;

mod ends;
mod timelines;
mod words;

pub use self::ends::{EndStream, HeardEnd, SessionEnd};
use self::timelines::Timelines;
use self::words::Past;

/// How many events a slow listener may be behind before it is told that it missed some.
const BACKLOG: usize = 4_096;

/// How many ends a slow listener may be behind; looking at every session again costs more.
const ENDS_BACKLOG: usize = 1_024;

/// How long the log is silent of an operator's fault: every session meets it, once a minute.
const ALARM_PAUSE: Duration = Duration::from_secs(60);

/// One fact, as operators see it. Holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleEvent {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The session's public id.
    pub session: String,
    /// The reason code.
    pub event: Cow<'static, str>,
    /// The audience it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The factor that a person was asked for or tried, where it is known: `push`, `otp`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<Cow<'static, str>>,
    /// One plain sentence.
    pub text: String,
}

/// Receives facts; ends when the framework is dropped.
pub struct EventStream(broadcast::Receiver<LifecycleEvent>);

/// What an [`EventStream`] has next.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A fact.
    Event(LifecycleEvent),
    /// This many facts were missed, because the listener was too slow.
    Missed(u64),
}

impl EventStream {
    /// Waits for the next fact; `None` when there will be no more.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(event) => Some(Heard::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Tells and remembers.
pub(crate) struct Events {
    clock: Clock,
    listeners: broadcast::Sender<LifecycleEvent>,
    ends: broadcast::Sender<SessionEnd>,
    timelines: Mutex<Timelines>,
    /// When the operator was last told by the log what only an operator can mend.
    alarmed_at: Mutex<Option<Instant>>,
}

impl Events {
    pub(crate) fn new(clock: Clock) -> Self {
        let listeners = broadcast::Sender::new(BACKLOG);
        let ends = broadcast::Sender::new(ENDS_BACKLOG);
        let (timelines, alarmed_at) = Default::default();
        Self { clock, listeners, ends, timelines, alarmed_at }
    }

    pub(crate) fn tell(&self, key: &SessionKey, event: &Event) {
        let told = self.timelines().remember(&self.clock, key, event);
        tracing::debug!(session = %told.session, event = &*told.event, "{}", told.text);
        if let Event::OperatorMustAct { fault, code } = event
            && self.alarm_is_due()
        {
            tracing::error!(
                session = %told.session,
                fault = fault.code(),
                code,
                "the provider refuses this client: check its credentials and what it is allowed to \
                 do; nobody is signed out, and each session is tried again by itself"
            );
        }
        // An error means that nobody listens.
        drop(self.listeners.send(told));
    }

    /// Reports whether the log is to tell the operator again, and takes note that it does.
    fn alarm_is_due(&self) -> bool {
        let now = self.clock.now();
        let mut alarmed_at = self.alarmed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = alarmed_at.is_none_or(|at| now.since(at) >= ALARM_PAUSE);
        if due {
            *alarmed_at = Some(now);
        }
        due
    }

    /// Tells that a session is over, after its access tokens were withdrawn.
    pub(crate) fn tell_end(&self, session: SessionKey, reason: EndReason) {
        // An error means that nobody listens.
        drop(self.ends.send(SessionEnd { session, reason }));
    }

    pub(crate) fn listen(&self) -> EventStream {
        EventStream(self.listeners.subscribe())
    }

    pub(crate) fn listen_to_ends(&self) -> EndStream {
        EndStream::new(&self.ends)
    }

    pub(crate) fn timeline(&self, key: &SessionKey) -> Vec<LifecycleEvent> {
        self.timelines().last(key, timelines::FACTS)
    }

    /// Returns the last facts of a session, for its tombstone.
    pub(crate) fn last_words(&self, key: &SessionKey) -> Vec<LifecycleEvent> {
        self.timelines().last(key, timelines::LAST_WORDS)
    }

    /// Says how a session ended of which nothing else is remembered.
    pub(crate) fn end_in_words(
        &self,
        key: &SessionKey,
        reason: EndReason,
        at_ms: u64,
    ) -> LifecycleEvent {
        let event = Event::Ended { reason };
        timelines::fact(key, &event, at_ms, &Past { clock: &self.clock, lost: None })
    }

    fn timelines(&self) -> MutexGuard<'_, Timelines> {
        self.timelines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l7_an_operator_is_told_again_each_minute_and_not_by_every_session() {
        let (clock, hand) = Clock::manual();
        let events = Events::new(clock);
        let mut told = Vec::new();
        for _ in 0..5 {
            told.push(events.alarm_is_due());
            hand.advance(ALARM_PAUSE / 2);
        }
        assert_eq!(told, [true, false, true, false, true]);
    }

    #[tokio::test]
    async fn l16_a_slow_listener_is_told_what_it_missed() {
        let (clock, _hand) = Clock::manual();
        let events = Events::new(clock);
        let mut listener = events.listen();
        for _ in 0..BACKLOG + 3 {
            events.tell(&SessionKey([0; 32]), &Event::Restored);
        }
        assert!(matches!(listener.next().await, Some(Heard::Missed(3))));
        let mut mourner = events.listen_to_ends();
        for _ in 0..=ENDS_BACKLOG {
            events.tell_end(SessionKey([0; 32]), EndReason::Ceiling);
        }
        assert_eq!(mourner.next().await, Some(HeardEnd::Missed(1)));
        assert!(matches!(listener.next().await, Some(Heard::Event(_))));
    }
}
