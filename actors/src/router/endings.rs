//! Ends that were decided: from the first word until the tombstone is durable (law L10).
//!
//! The record of such a session may still say that it lives, and its actor may die. So the end is
//! kept here, outside the actor: whoever looks for the session is told that it is over, nobody is
//! brought to life, and the tombstone is written by whoever is left.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Place, RouterState};
use crate::core::event::EndReason;
use crate::core::name::SessionKey;
use crate::core::session::Answer;
use crate::session::ending::{Burial, bury};
use crate::session::{EndReply, Farewell, SessionMessage};

/// The sessions whose end was decided and is not known to be durable. Only their routers change
/// them.
#[derive(Default)]
pub(crate) struct Endings(Mutex<HashMap<SessionKey, Ending>>);

struct Ending {
    reason: EndReason,
    /// Whether a task writes the tombstone; it gives up for nothing.
    burying: bool,
    mourners: Vec<EndReply>,
}

impl Endings {
    /// Returns why a session is over whose record may not say so yet.
    pub(crate) fn reason(&self, key: &SessionKey) -> Option<EndReason> {
        self.kept().get(key).map(|ending| ending.reason)
    }

    fn decide(&self, key: SessionKey, reason: EndReason, mourner: EndReply) {
        let mut kept = self.kept();
        let ending = kept.entry(key).or_insert_with(|| Ending::new(reason));
        // Each waits at most for the soft deadline: there are never more than callers.
        ending.mourners.retain(|mourner| !mourner.is_closed());
        ending.mourners.push(mourner);
    }

    /// Takes on the burial; `false` where it is under way.
    fn take_on(&self, key: SessionKey, reason: EndReason) -> bool {
        let mut kept = self.kept();
        let ending = kept.entry(key).or_insert_with(|| Ending::new(reason));
        if ending.burying {
            return false;
        }
        (ending.reason, ending.burying) = (reason, true);
        true
    }

    fn close(&self, key: &SessionKey) -> Vec<EndReply> {
        self.kept().remove(key).map(|ending| ending.mourners).unwrap_or_default()
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<SessionKey, Ending>> {
        // Each change is whole before the lock is given back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ending {
    const fn new(reason: EndReason) -> Self {
        Self { reason, burying: false, mourners: Vec::new() }
    }
}

// === impl RouterState ===

impl RouterState {
    pub(super) fn end(&mut self, key: SessionKey, reason: EndReason, mourner: EndReply) {
        self.shared.endings.decide(key, reason, mourner);
        match self.seats.get(&key) {
            // An error means that it died: whoever takes word of that goes on.
            Some(Place::Taken(actor)) => drop(actor.cast(SessionMessage::End(reason))),
            // Seen to before anybody is seated, and when it has left.
            Some(Place::Opening(_) | Place::Leaving(_)) => {}
            None => self.bury(Burial { key, reason, revoke: None, seen: None }),
        }
    }

    pub(super) fn ended(&mut self, burial: Burial) {
        self.bury(burial);
    }

    pub(super) fn buried(&mut self, key: SessionKey, farewell: Option<Farewell>) {
        for mourner in self.shared.endings.close(&key) {
            // An error means that the caller went away.
            drop(mourner.send(farewell.clone()));
        }
        self.shared.away.returns(&key);
        if let Some(Place::Taken(actor)) = self.seats.get(&key) {
            drop(actor.cast(SessionMessage::Buried));
        }
    }

    /// Answers everybody who waits for a session that is over, and sees to its tombstone.
    pub(super) fn keep_ended(
        &mut self,
        key: SessionKey,
        reason: EndReason,
        queue: Vec<SessionMessage>,
    ) {
        let answer = Answer::Ended(reason);
        queue.into_iter().for_each(|message| self.turn_away(message, &answer));
        self.bury(Burial { key, reason, revoke: None, seen: None });
    }

    fn bury(&self, burial: Burial) {
        if self.shared.endings.take_on(burial.key, burial.reason) {
            self.shared.flights.spawn(bury(burial, std::sync::Arc::clone(&self.shared)));
        }
    }
}
