//! The parent of the sessions of one shard: starts them and tells the router when they are gone.

use std::collections::HashMap;
use std::sync::Arc;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::{Departure, RouterMessage};
use crate::core::name::SessionKey;
use crate::core::snapshot::Snapshot;
use crate::mail::Address;
use crate::metrics::label;
use crate::session::{Seating, SessionActor};
use crate::shared::Shared;

/// The parent.
pub(crate) struct SessionSupervisor;

/// What a supervisor is told.
pub(crate) enum SupervisorMessage {
    /// When it learns who its router is.
    Meet(Address<RouterMessage>),
    /// When a session is to be brought to life.
    Seat(SessionKey, Box<Snapshot>),
}

pub(crate) struct SupervisorState {
    shared: Arc<Shared>,
    router: Option<Address<RouterMessage>>,
    children: HashMap<ActorId, SessionKey>,
}

impl Actor for SessionSupervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        shared: Arc<Shared>,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        Ok(SupervisorState { shared, router: None, children: HashMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Meet(router) => state.router = Some(router),
            SupervisorMessage::Seat(key, snapshot) => {
                let shared = Arc::clone(&state.shared);
                let seating = Seating { key, snapshot, shared };
                let spawned =
                    Actor::spawn_linked(None, SessionActor, seating, myself.get_cell()).await;
                let word = match spawned {
                    Ok((actor, _)) => {
                        state.children.insert(actor.get_id(), key);
                        let post = state.shared.post(label::Actor::Session);
                        RouterMessage::Seated(key, Address::new(actor, post))
                    }
                    Err(error) => {
                        tracing::error!(session = %key.id(), %error, "a session did not start");
                        RouterMessage::NotSeated(key)
                    }
                };
                state.tell(word);
            }
        }
        Ok(())
    }

    /// Overridden because ractor's own would end this supervisor, and with it all sessions, when
    /// the first of them ends.
    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(cell, last_state, reason) => {
                // The state travels here with its tokens: it goes first.
                drop(last_state);
                let killed = reason.as_deref() == Some("killed");
                let departure = if killed { Departure::Crashed } else { Departure::Drained };
                state.gone(cell.get_id(), departure);
            }
            SupervisionEvent::ActorFailed(cell, error) => {
                tracing::error!(%error, "a session crashed and will be read back");
                state.gone(cell.get_id(), Departure::Crashed);
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl SupervisorState {
    fn gone(&mut self, id: ActorId, departure: Departure) {
        if let Some(key) = self.children.remove(&id) {
            self.tell(RouterMessage::Gone(key, id, departure));
        }
    }

    fn tell(&self, word: RouterMessage) {
        if let Some(router) = &self.router {
            drop(router.cast(word));
        }
    }
}
