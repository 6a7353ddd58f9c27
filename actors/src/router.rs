//! The audience router: finds the session's actor, or brings it to life.
//!
//! A router has as many shards as the machine has cores, and each shard is two actors: this one
//! answers, and a [`supervisor`] is the parent of the sessions. They are two because ractor puts
//! supervision events before messages: under churn, one actor doing both would stop answering.
//!
//! A session's shard follows from its key and not from its audience: a session serves several
//! audiences, and with two possible homes two routers could bring the same session to life at
//! once. What each audience asks for is in the policies, which all shards share.

use std::collections::HashMap;
use std::sync::Arc;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};

use crate::alarm::Alarms;
use crate::core::event::EndReason;
use crate::core::name::SessionKey;
use crate::core::policy::Policies;
use crate::core::session::Answer;
use crate::core::session::exchange::Reading;
use crate::mail::{Address, Letter};
use crate::metrics::label::{self, RestartReason};
use crate::session::ending::Burial;
use crate::session::{EndReply, Farewell, SessionMessage};
use crate::shared::Shared;

mod endings;
pub(crate) mod supervisor;

pub(crate) use self::endings::Endings;
use self::supervisor::{SessionSupervisor, SupervisorMessage};

/// How many messages wait at most for one session to come to life: as many as may then wait in it.
const OPENING_MAX: usize = 16_384;

/// How often in a row a session may crash before it is left alone for [`CRASH_PAUSE`].
const CRASHES_MAX: u32 = 5;

/// How long a session that keeps crashing is left alone.
const CRASH_PAUSE: std::time::Duration = std::time::Duration::from_secs(30);

/// One shard, from outside.
pub(crate) struct Router {
    actor: Address<RouterMessage>,
    supervisor: ActorRef<SupervisorMessage>,
    alarms: Alarms,
}

/// What a router is told.
pub(crate) enum RouterMessage {
    /// When a session is to be told something.
    Deliver(SessionKey, SessionMessage),
    /// When somebody ends a session.
    End(SessionKey, EndReason, EndReply),
    /// When a session in memory has come to its end.
    Ended(Box<Burial>),
    /// When a tombstone is durable; brings what is left of the session.
    Buried(SessionKey, Option<Farewell>),
    /// When a record has been read.
    Opened(SessionKey, Reading),
    /// When a session has its actor.
    Seated(SessionKey, Address<SessionMessage>),
    /// When a session's actor could not be started.
    NotSeated(SessionKey),
    /// When a session's actor is gone.
    Gone(SessionKey, ActorId, Departure),
    /// When a session has nothing to do.
    Rest(SessionKey, ActorId),
    /// When a session's record was changed behind its back.
    Reread(SessionKey),
    /// When the configuration was reloaded.
    PoliciesReplaced(Arc<Policies>),
}

/// How an actor went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It did what was left to do.
    Drained,
    /// It panicked, failed or was killed.
    Crashed,
}

/// The actor behind a [`Router`].
struct AudienceRouter;

struct RouterState {
    myself: Address<RouterMessage>,
    shared: Arc<Shared>,
    supervisor: ActorRef<SupervisorMessage>,
    seats: HashMap<SessionKey, Place>,
    crashes: HashMap<SessionKey, Crashes>,
}

enum Place {
    /// The record is being read; these wait for it.
    Opening(Vec<SessionMessage>),
    /// The session is in memory.
    Taken(Address<SessionMessage>),
    /// The session is on its way out; these wait for its successor.
    Leaving(Vec<SessionMessage>),
}

struct Crashes {
    count: u32,
    last: crate::core::time::Instant,
}

// === impl Router ===

impl Router {
    /// Starts a shard.
    pub(crate) async fn start(shared: Arc<Shared>) -> Result<Self, ractor::SpawnErr> {
        let (supervisor, _) = Actor::spawn(None, SessionSupervisor, Arc::clone(&shared)).await?;
        let arguments = (Arc::clone(&shared), supervisor.clone());
        let (actor, _) = Actor::spawn(None, AudienceRouter, arguments).await?;
        let actor = Address::new(actor, shared.post(label::Actor::Router));
        let bell = actor.clone();
        let alarms = Alarms::start(shared.clock.clone(), move |key| {
            // An error means that the router has been stopped: nobody is left to wake.
            drop(bell.cast(RouterMessage::Deliver(key, SessionMessage::Wake)));
        });
        drop(supervisor.cast(SupervisorMessage::Meet(actor.clone())));
        Ok(Self { actor, supervisor, alarms })
    }

    pub(crate) fn send(&self, message: RouterMessage) {
        // An error means that the framework has been stopped; replies inside are dropped with the
        // message, which tells their callers.
        drop(self.actor.cast(message));
    }

    pub(crate) fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Puts all sessions back into the store and stops.
    pub(crate) async fn drain(&self, within: std::time::Duration) {
        self.supervisor.get_cell().drain_children_and_wait(Some(within)).await;
        self.actor.stop();
        self.supervisor.stop(None);
    }
}

impl Actor for AudienceRouter {
    type Msg = Letter<RouterMessage>;
    type State = RouterState;
    type Arguments = (Arc<Shared>, ActorRef<SupervisorMessage>);

    async fn pre_start(
        &self,
        myself: ActorRef<Letter<RouterMessage>>,
        (shared, supervisor): Self::Arguments,
    ) -> Result<RouterState, ActorProcessingErr> {
        let myself = Address::new(myself, shared.post(label::Actor::Router));
        let (seats, crashes) = (HashMap::new(), HashMap::new());
        Ok(RouterState { myself, shared, supervisor, seats, crashes })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Letter<RouterMessage>>,
        letter: Letter<RouterMessage>,
        state: &mut RouterState,
    ) -> Result<(), ActorProcessingErr> {
        let myself = state.myself.clone();
        match letter.open() {
            RouterMessage::Deliver(key, message) => state.deliver(&myself, key, message),
            RouterMessage::End(key, reason, reply) => state.end(key, reason, reply),
            RouterMessage::Ended(burial) => state.ended(*burial),
            RouterMessage::Buried(key, farewell) => state.buried(key, farewell),
            RouterMessage::Opened(key, reading) => state.opened(key, reading),
            RouterMessage::Seated(key, actor) => state.seated(key, actor),
            RouterMessage::NotSeated(key) => state.refuse(key, &unreadable()),
            RouterMessage::Gone(key, id, departure) => state.gone(&myself, key, id, departure),
            RouterMessage::Rest(key, id) => state.rest(key, id),
            RouterMessage::Reread(key) => state.reread(&myself, key),
            RouterMessage::PoliciesReplaced(policies) => state.tell_all(&policies),
        }
        Ok(())
    }
}

// === impl RouterState ===

impl RouterState {
    fn deliver(
        &mut self,
        myself: &Address<RouterMessage>,
        key: SessionKey,
        message: SessionMessage,
    ) {
        match self.seats.get_mut(&key) {
            Some(Place::Taken(actor)) => {
                if let Err(message) = actor.cast(message) {
                    // It died, and word of it is on its way.
                    self.seats.insert(key, Place::Leaving(vec![message]));
                }
            }
            // An alarm that rang while its session was leaving is answered by its leaving; what is
            // still to come is in the due index.
            Some(Place::Leaving(_)) if matches!(message, SessionMessage::Wake) => {}
            Some(Place::Opening(queue) | Place::Leaving(queue)) => {
                if queue.len() < OPENING_MAX {
                    queue.push(message);
                } else {
                    self.turn_away(message, &Answer::Busy);
                }
            }
            None => self.open(myself, key, vec![message]),
        }
    }

    fn open(
        &mut self,
        myself: &Address<RouterMessage>,
        key: SessionKey,
        queue: Vec<SessionMessage>,
    ) {
        if let Some(reason) = self.shared.endings.reason(&key) {
            return self.keep_ended(key, reason, queue);
        }
        if let Some(wait) = self.crash_pause(&key) {
            let answer = Answer::NotNow { retry_after: wait, why: "restarting" };
            return queue.into_iter().for_each(|message| self.turn_away(message, &answer));
        }
        self.seats.insert(key, Place::Opening(queue));
        let (myself, shared) = (myself.clone(), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let reading = shared.read(key).await;
            drop(myself.cast(RouterMessage::Opened(key, reading)));
        });
    }

    fn opened(&mut self, key: SessionKey, reading: Reading) {
        if let Some(reason) = self.shared.endings.reason(&key) {
            return self.refuse(key, &Answer::Ended(reason));
        }
        match reading {
            Reading::Living(snapshot) => {
                drop(self.supervisor.cast(SupervisorMessage::Seat(key, snapshot)));
            }
            Reading::Ended(reason) => self.refuse(key, &Answer::Ended(reason)),
            Reading::Absent => self.dismiss(key),
            Reading::Failed => self.refuse(key, &unreadable()),
        }
    }

    fn seated(&mut self, key: SessionKey, actor: Address<SessionMessage>) {
        let queue = match self.seats.insert(key, Place::Taken(actor.clone())) {
            Some(Place::Opening(queue) | Place::Leaving(queue)) => queue,
            Some(Place::Taken(_)) | None => Vec::new(),
        };
        // Nobody is served who waited here while somebody ended it.
        let end = self.shared.endings.reason(&key).map(SessionMessage::End);
        for message in end.into_iter().chain(queue) {
            drop(actor.cast(message));
        }
    }

    fn rest(&mut self, key: SessionKey, id: ActorId) {
        if let Some(Place::Taken(actor)) = self.seats.get(&key)
            && actor.get_id() == id
        {
            self.shared.directory.clear(&key, id);
            // Drained and not stopped: what was accepted is done. What comes from here on waits
            // for the actor's end, so that no record is read before the last word on it.
            actor.drain();
            self.seats.insert(key, Place::Leaving(Vec::new()));
        }
    }

    fn gone(
        &mut self,
        myself: &Address<RouterMessage>,
        key: SessionKey,
        id: ActorId,
        departure: Departure,
    ) {
        self.shared.directory.clear(&key, id);
        if departure == Departure::Crashed {
            self.count_crash(key);
        } else {
            self.crashes.remove(&key);
        }
        let queue = match self.seats.remove(&key) {
            Some(Place::Taken(actor)) if actor.get_id() != id => {
                return drop(self.seats.insert(key, Place::Taken(actor)));
            }
            Some(Place::Opening(queue)) => {
                return drop(self.seats.insert(key, Place::Opening(queue)));
            }
            Some(Place::Leaving(queue)) if !queue.is_empty() => queue,
            // Whatever the crash interrupted is in the record; an alarm brings it back.
            Some(Place::Taken(_) | Place::Leaving(_)) if departure == Departure::Crashed => {
                vec![SessionMessage::Wake]
            }
            Some(Place::Taken(_) | Place::Leaving(_)) | None => {
                self.shared.router(&key).alarms().set(key, None);
                Vec::new()
            }
        };
        if !queue.is_empty() || self.shared.endings.reason(&key).is_some() {
            self.open(myself, key, queue);
        }
    }

    fn reread(&mut self, myself: &Address<RouterMessage>, key: SessionKey) {
        if !self.seats.contains_key(&key) {
            // Another machine has just refreshed it: nobody needs to be woken here for that.
            if !self.shared.alone {
                self.shared.router(&key).alarms().set(key, None);
            }
            return;
        }
        let (myself, shared) = (myself.clone(), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let message = match shared.read(key).await {
                Reading::Living(snapshot) => SessionMessage::Observed(snapshot),
                Reading::Ended(reason) => SessionMessage::End(reason),
                // Its tombstone has been swept meanwhile.
                Reading::Absent => SessionMessage::End(EndReason::NoRefreshToken),
                Reading::Failed => return,
            };
            drop(myself.cast(RouterMessage::Deliver(key, message)));
        });
    }

    fn tell_all(&self, policies: &Arc<Policies>) {
        for place in self.seats.values() {
            if let Place::Taken(actor) = place {
                drop(actor.cast(SessionMessage::PoliciesReplaced(Arc::clone(policies))));
            }
        }
    }

    /// Answers everybody who waits for a session that is not there.
    fn dismiss(&mut self, key: SessionKey) {
        // Dropping a reply says "no such session".
        self.seats.remove(&key);
    }

    fn refuse(&mut self, key: SessionKey, answer: &Answer) {
        let Some(Place::Opening(queue) | Place::Leaving(queue)) = self.seats.remove(&key) else {
            return;
        };
        match self.shared.endings.reason(&key) {
            Some(reason) => self.keep_ended(key, reason, queue),
            None => queue.into_iter().for_each(|message| self.turn_away(message, answer)),
        }
    }

    /// Answers somebody who waits for a session that cannot be had.
    fn turn_away(&self, message: SessionMessage, answer: &Answer) {
        match message {
            SessionMessage::Want(_, reply)
            | SessionMessage::Renew(_, reply)
            | SessionMessage::Demanded(_, reply) => drop(reply.send(answer.clone())),
            SessionMessage::StepUp(_, reply) => {
                drop(reply.send(crate::step_up::turned_away(answer)))
            }
            SessionMessage::Buried
            | SessionMessage::Describe(_)
            | SessionMessage::End(_)
            | SessionMessage::Forget(_)
            | SessionMessage::Forsaken(_)
            | SessionMessage::Landed(..)
            | SessionMessage::Nudged(_)
            | SessionMessage::Observed(_)
            | SessionMessage::PoliciesReplaced(_)
            | SessionMessage::Retry
            | SessionMessage::Wake => {}
        }
    }

    fn count_crash(&mut self, key: SessionKey) {
        self.shared.metrics.actor_restart(label::Actor::Session, RestartReason::Panic);
        let now = self.shared.clock.now();
        let crashes = self.crashes.entry(key).or_insert(Crashes { count: 0, last: now });
        if now.since(crashes.last) > CRASH_PAUSE {
            crashes.count = 0;
        }
        crashes.count += 1;
        crashes.last = now;
    }

    fn crash_pause(&self, key: &SessionKey) -> Option<std::time::Duration> {
        let crashes = self.crashes.get(key).filter(|crashes| crashes.count >= CRASHES_MAX)?;
        let wait = (crashes.last + CRASH_PAUSE).left_at(self.shared.clock.now());
        (!wait.is_zero()).then_some(wait)
    }
}

fn unreadable() -> Answer {
    Answer::NotNow { retry_after: crate::error::BUSY_FOR, why: "store" }
}

#[cfg(test)]
mod tests;
