//! Hands each fact to those who listen to its session, and to nobody else.
//!
//! One task reads the framework's stream, so that a thousand open pages do not each look at every
//! fact of every session.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokenward::core::name::SessionKey;
use tokenward::{EventStream, Heard, LifecycleEvent, Tokenward};
use tokio::sync::mpsc;

/// The listeners of one session: a person with this many tabs open.
const PER_SESSION_MAX: usize = 16;

/// The listeners of all sessions: at some 10 KB per connection they hold 40 MB.
const LISTENERS_MAX: usize = 4_096;

/// The facts that wait for one listener; one that is further behind is let go, and resumes.
const WAITING_MAX: usize = 64;

/// The ends that are remembered, so that an operator can ask why a session is gone.
const ENDS_MAX: usize = 1_024;

/// Hands facts to the listeners of single sessions.
#[derive(Debug, Default)]
pub struct Hub {
    rooms: Mutex<Rooms>,
}

#[derive(Debug, Default)]
struct Rooms {
    by_session: HashMap<String, Vec<mpsc::Sender<Told>>>,
    listeners: usize,
    ends: VecDeque<LifecycleEvent>,
    closed: bool,
}

/// What a listener is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// A fact about its session.
    Fact(Arc<LifecycleEvent>),
    /// When facts were missed, perhaps some of its session.
    Missed,
}

/// Receives the facts of one session; nothing more comes after `ended`.
#[derive(Debug)]
pub struct Listening {
    receiver: mpsc::Receiver<Told>,
    hub: Arc<Hub>,
    session: String,
}

/// There are as many listeners as there may be, or the gateway is going away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Hub {
    /// Starts to read the framework's facts; stops when the framework is dropped.
    pub(crate) fn start(tokenward: &Tokenward) -> Arc<Self> {
        let hub = Arc::new(Self::default());
        tokio::spawn(relay(Arc::clone(&hub), tokenward.events()));
        hub
    }

    /// Listens to one session.
    ///
    /// # Errors
    /// [`Full`] where there are too many listeners.
    pub fn listen(self: &Arc<Self>, key: &SessionKey) -> Result<Listening, Full> {
        let session = key.id();
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let mut rooms = self.rooms();
        if rooms.closed || rooms.listeners >= LISTENERS_MAX {
            return Err(Full);
        }
        let here = rooms.by_session.entry(session.clone()).or_default();
        if here.len() >= PER_SESSION_MAX {
            return Err(Full);
        }
        here.push(sender);
        rooms.listeners += 1;
        drop(rooms);
        Ok(Listening { receiver, hub: Arc::clone(self), session })
    }

    /// Returns how a session ended, if that was lately.
    pub fn end_of(&self, session: &str) -> Option<LifecycleEvent> {
        self.rooms().ends.iter().rev().find(|end| end.session == session).cloned()
    }

    /// Ends all streams and lets nobody listen any more.
    pub(crate) fn close(&self) {
        let mut rooms = self.rooms();
        rooms.closed = true;
        rooms.by_session.clear();
        rooms.listeners = 0;
    }

    fn tell(&self, fact: LifecycleEvent) {
        let mut rooms = self.rooms();
        let rooms = &mut *rooms;
        let is_end = fact.event == "ended";
        if is_end {
            if rooms.ends.len() >= ENDS_MAX {
                rooms.ends.pop_front();
            }
            rooms.ends.push_back(fact.clone());
        }
        let Some(here) = rooms.by_session.get_mut(&fact.session) else { return };
        let before = here.len();
        let fact = Arc::new(fact);
        // Who is too far behind loses its stream, which it opens anew.
        here.retain(|sender| sender.try_send(Told::Fact(Arc::clone(&fact))).is_ok() && !is_end);
        rooms.listeners -= before - here.len();
        if here.is_empty() {
            rooms.by_session.remove(&fact.session);
        }
    }

    fn missed(&self) {
        for sender in self.rooms().by_session.values().flatten() {
            // A full queue ends at the next fact.
            drop(sender.try_send(Told::Missed));
        }
    }

    fn forget_closed(&self, session: &str) {
        let mut rooms = self.rooms();
        let rooms = &mut *rooms;
        let Some(here) = rooms.by_session.get_mut(session) else { return };
        let before = here.len();
        here.retain(|sender| !sender.is_closed());
        rooms.listeners -= before - here.len();
        if here.is_empty() {
            rooms.by_session.remove(session);
        }
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        // No holder stops half way.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listening {
    /// Waits for the next fact; `None` when there will be no more.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Told> {
        self.receiver.recv().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.receiver.close();
        self.hub.forget_closed(&self.session);
    }
}

async fn relay(hub: Arc<Hub>, mut facts: EventStream) {
    while let Some(heard) = facts.next().await {
        match heard {
            Heard::Event(fact) => hub.tell(fact),
            Heard::Missed(count) => {
                tracing::warn!(count, "event streams missed facts");
                hub.missed();
            }
        }
    }
    hub.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(key: &SessionKey, event: &'static str) -> LifecycleEvent {
        let (session, text, event) = (key.id(), event.to_owned(), event.into());
        LifecycleEvent { at_ms: 1, session, event, audience: None, factor: None, text }
    }

    async fn heard(listening: &mut Listening) -> Option<String> {
        match listening.next().await? {
            Told::Fact(fact) => Some(fact.event.to_string()),
            Told::Missed => Some("missed".to_owned()),
        }
    }

    #[tokio::test]
    async fn l10_a_listener_hears_its_own_session_and_nothing_after_its_end() {
        let hub = Arc::new(Hub::default());
        let (ours, theirs) = (SessionKey([1; 32]), SessionKey([2; 32]));
        let mut listening = hub.listen(&ours).unwrap();
        for (key, event) in [(theirs, "signed_in"), (ours, "refreshed"), (ours, "ended")] {
            hub.tell(fact(&key, event));
        }
        hub.tell(fact(&ours, "refreshed"));
        assert_eq!(heard(&mut listening).await.as_deref(), Some("refreshed"));
        assert_eq!(heard(&mut listening).await.as_deref(), Some("ended"));
        assert_eq!(heard(&mut listening).await.as_deref(), None);
        assert_eq!(hub.end_of(&ours.id()).map(|end| end.event), Some("ended".into()));
        assert!(hub.end_of(&theirs.id()).is_none());
    }

    #[tokio::test]
    async fn l14_listeners_and_what_waits_for_them_are_bounded() {
        let hub = Arc::new(Hub::default());
        let key = SessionKey([1; 32]);
        let mut tabs: Vec<_> = (0..PER_SESSION_MAX).map(|_| hub.listen(&key).unwrap()).collect();
        assert_eq!(hub.listen(&key).unwrap_err(), Full);
        drop(tabs.pop());
        tabs.push(hub.listen(&key).unwrap());
        for _ in 0..=WAITING_MAX {
            hub.tell(fact(&key, "refreshed"));
        }
        assert_eq!(hub.rooms().listeners, 0, "everybody was too slow");
        let mut slow = tabs.remove(0);
        for _ in 0..WAITING_MAX {
            assert!(heard(&mut slow).await.is_some());
        }
        assert!(heard(&mut slow).await.is_none(), "a slow listener's stream ends");
        for end in 0..ENDS_MAX + 1 {
            hub.tell(fact(&SessionKey([u8::try_from(end % 256).unwrap(); 32]), "ended"));
        }
        assert_eq!(hub.rooms().ends.len(), ENDS_MAX);
        hub.close();
        assert_eq!(hub.listen(&key).unwrap_err(), Full, "nobody listens while draining");
    }
}
