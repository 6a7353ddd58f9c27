//! What happens to sessions, told to everybody who listens (law L16).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::core::event::{EndReason, Event};
use crate::core::name::SessionKey;

mod ends;
mod words;

pub use self::ends::{EndStream, HeardEnd, SessionEnd};
pub use self::words::in_words;

/// How many events a slow listener may be behind before it is told that it missed some.
const BACKLOG: usize = 4_096;

/// How many ends a slow listener may be behind; looking at every session again costs more.
const ENDS_BACKLOG: usize = 1_024;

/// How many facts of one session are remembered: about an hour of ten-second tokens.
const TIMELINE_FACTS: usize = 64;

/// How many sessions are remembered; the ones that were silent longest are forgotten first.
const TIMELINE_SESSIONS: usize = 4_096;

/// One fact, as operators see it. Holds nothing secret.
#[derive(Clone, Debug, Serialize)]
pub struct LifecycleEvent {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The session's public id.
    pub session: String,
    /// The reason code.
    pub event: &'static str,
    /// The audience it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
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
}

#[derive(Default)]
struct Timelines {
    facts: HashMap<SessionKey, VecDeque<LifecycleEvent>>,
    /// The sessions in the order in which they were first heard of.
    order: VecDeque<SessionKey>,
}

impl Events {
    pub(crate) fn new(clock: Clock) -> Self {
        let listeners = broadcast::Sender::new(BACKLOG);
        let ends = broadcast::Sender::new(ENDS_BACKLOG);
        Self { clock, listeners, ends, timelines: Mutex::default() }
    }

    pub(crate) fn tell(&self, key: &SessionKey, event: &Event) {
        let told = LifecycleEvent {
            at_ms: self.clock.unix_millis(),
            session: key.id(),
            event: event.code(),
            audience: event.audience().map(ToString::to_string),
            text: in_words(event),
        };
        tracing::debug!(session = %told.session, event = told.event, "{}", told.text);
        self.timelines.lock().unwrap_or_else(PoisonError::into_inner).add(*key, told.clone());
        // An error means that nobody listens.
        drop(self.listeners.send(told));
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
        let timelines = self.timelines.lock().unwrap_or_else(PoisonError::into_inner);
        timelines.facts.get(key).map(|facts| facts.iter().cloned().collect()).unwrap_or_default()
    }
}

impl Timelines {
    fn add(&mut self, key: SessionKey, event: LifecycleEvent) {
        if !self.facts.contains_key(&key) {
            if self.order.len() >= TIMELINE_SESSIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.facts.remove(&oldest);
            }
            self.order.push_back(key);
        }
        let facts = self.facts.entry(key).or_default();
        if facts.len() >= TIMELINE_FACTS {
            facts.pop_front();
        }
        facts.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l14_timelines_are_bounded_both_ways() {
        let (clock, _hand) = Clock::manual();
        let events = Events::new(clock);
        let key = |number: u32| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            SessionKey(key)
        };
        for _ in 0..TIMELINE_FACTS + 5 {
            events.tell(&key(0), &Event::Restored);
        }
        assert_eq!(events.timeline(&key(0)).len(), TIMELINE_FACTS);
        for number in 1..=TIMELINE_SESSIONS as u32 {
            events.tell(&key(number), &Event::SignedIn);
        }
        assert!(events.timeline(&key(0)).is_empty(), "the oldest is forgotten");
        assert_eq!(events.timeline(&key(1)).len(), 1);
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
