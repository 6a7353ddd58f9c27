//! The session actor: turns messages into inputs of the pure session, and its effects into work.
//!
//! It is the only writer of its session's tokens (law L15). Its handler never waits for the
//! network: an exchange runs in a task of its own ([`flight`]), which saves what it brings even if
//! this actor dies, and only then sends word.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use crate::core::event::{EndReason, Event};
use crate::core::name::{SessionKey, WaiterId};
use crate::core::policy::Policies;
use crate::core::secret::IdToken;
use crate::core::session::demand::Demanded;
use crate::core::session::exchange::Landing;
use crate::core::session::{Answer, Effect, Input, Need, Session, State, Want};
use crate::core::snapshot::Snapshot;
use crate::core::step_up::{ContextId, Report, StepUp};
use crate::core::time::{Instant, UnixSeconds};
use crate::directory::Seat;
use crate::mail::{Address, Letter};
use crate::metrics::SessionMeter;
use crate::metrics::label::{self, SessionEvent};
use crate::router::RouterMessage;
use crate::shared::Shared;
use crate::waiting::WaitingPlace;

pub(crate) mod ending;
mod flight;

/// How long a session that nobody uses stays in memory: longer than a person reads a page.
const IDLE_AFTER: Duration = Duration::from_secs(60);

/// How long before the provider's ceiling a session ends, so that no call is cut by it.
const CEILING_LEEWAY: u64 = 30;

/// One session in memory.
pub(crate) struct SessionActor;

/// What a session actor is told.
pub(crate) enum SessionMessage {
    /// When a copy of what is known of the session is wanted.
    Describe(oneshot::Sender<View>),
    /// When an API refused an access token for want of a stronger authentication.
    Demanded(Demanded, oneshot::Sender<Answer>),
    /// When the session's end was decided elsewhere.
    End(EndReason),
    /// When a caller went away.
    Forget(WaiterId),
    /// When the provider says that it does not know a demand's context any more.
    Forsaken(ContextId),
    /// When the flight of this number is over.
    Landed(u64, Box<Landing>),
    /// When a reader met an access token that should be refreshed soon.
    Nudged(Need),
    /// When the stored record was read again.
    Observed(Box<Snapshot>),
    /// When the configuration was reloaded.
    PoliciesReplaced(Arc<Policies>),
    /// When a person wants to meet a demand whose context is over.
    Renew(Want, oneshot::Sender<Answer>),
    /// When an operator asks to try again at once.
    Retry,
    /// When a person tries to meet a demand.
    StepUp(StepUp, oneshot::Sender<Report>),
    /// When the tombstone has become durable.
    Buried,
    /// When the alarm rings.
    Wake,
    /// When a caller wants an access token.
    Want(Want, oneshot::Sender<Answer>),
}

/// Where the answer to whoever ends a session goes, once the tombstone is durable: what is left of
/// it; nothing where there was nothing to end.
pub(crate) type EndReply = oneshot::Sender<Option<Farewell>>;

/// What is left of a session that has ended: enough to end the provider's own session too.
#[derive(Clone, Debug)]
pub struct Farewell {
    /// The last ID token, as a hint for RP-initiated logout.
    pub id_token: Option<IdToken>,
}

/// A copy of what is known of a session in memory.
pub(crate) struct View {
    pub(crate) snapshot: Snapshot,
    pub(crate) state: State,
    /// Whether another machine is exchanging its refresh token.
    pub(crate) elsewhere: bool,
}

/// What a session actor starts with.
pub(crate) struct Seating {
    pub(crate) key: SessionKey,
    pub(crate) snapshot: Box<Snapshot>,
    pub(crate) shared: Arc<Shared>,
}

/// What a session actor keeps.
pub(crate) struct SessionState {
    key: SessionKey,
    core: Session,
    shared: Arc<Shared>,
    seat: Arc<Seat>,
    /// In the order of their numbers, in which thousands are answered one after the other.
    replies: BTreeMap<WaiterId, oneshot::Sender<Answer>>,
    reports: BTreeMap<WaiterId, oneshot::Sender<Report>>,
    active_at: Instant,
    resting: bool,
    meter: SessionMeter,
    waiting: WaitingPlace,
}

impl Actor for SessionActor {
    type Msg = Letter<SessionMessage>;
    type State = SessionState;
    type Arguments = Seating;

    async fn pre_start(
        &self,
        myself: ActorRef<Letter<SessionMessage>>,
        seating: Seating,
    ) -> Result<SessionState, ActorProcessingErr> {
        let Seating { key, snapshot, shared } = seating;
        let now = shared.clock.now();
        let myself = Address::new(myself, shared.post(label::Actor::Session));
        let seat = Arc::new(Seat::new(myself.clone()));
        let meter = SessionMeter::new(Arc::clone(&shared.metrics), &snapshot.primary);
        let core = revive(&shared, &key, *snapshot, now);
        shared.away.returns(&key);
        let mut state = SessionState {
            key,
            core,
            seat: Arc::clone(&seat),
            replies: BTreeMap::new(),
            reports: BTreeMap::new(),
            active_at: now,
            resting: false,
            meter,
            waiting: WaitingPlace::restored(),
            shared,
        };
        state.emit(&Event::Restored, now);
        state.input(&myself, now, Input::Alarm);
        state.shared.directory.seat(key, seat);
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Letter<SessionMessage>>,
        letter: Letter<SessionMessage>,
        state: &mut SessionState,
    ) -> Result<(), ActorProcessingErr> {
        let seat = Arc::clone(&state.seat);
        state.take(seat.actor(), letter.open());
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Letter<SessionMessage>>,
        state: &mut SessionState,
    ) -> Result<(), ActorProcessingErr> {
        state.leave();
        Ok(())
    }
}

/// Brings the stored session to life, and shortens its doubt where the one who left it is dead.
fn revive(shared: &Shared, key: &SessionKey, snapshot: Snapshot, now: Instant) -> Session {
    let intent = snapshot.head.intent;
    let ceiling = snapshot.ceiling.map(|UnixSeconds(ceiling)| {
        let left = ceiling.saturating_sub(CEILING_LEEWAY).saturating_sub(shared.clock.unix().0);
        now + Duration::from_secs(left)
    });
    let seed = u64::from_be_bytes([
        key.0[0], key.0[1], key.0[2], key.0[3], key.0[4], key.0[5], key.0[6], key.0[7],
    ]) ^ now.as_nanos();
    let session = Session::new(snapshot, shared.policies(), seed, now).ending_at(ceiling);
    let orphaned = intent.is_some_and(|intent| intent.owner != shared.owner) && shared.alone;
    if let Some(intent) = intent.filter(|_| orphaned) {
        shared.provider.inherit_settle(intent.settle);
        return session.orphaned(now);
    }
    if shared.alone { session } else { session.among_others(now) }
}

// === impl SessionState ===

impl SessionState {
    fn take(&mut self, myself: &Address<SessionMessage>, message: SessionMessage) {
        let now = self.shared.clock.now();
        let input = match message {
            SessionMessage::Describe(reply) => {
                let core = &self.core;
                let (snapshot, state) = (core.snapshot().clone(), core.state().clone());
                // An error means that the caller went away; so with every reply below.
                drop(reply.send(View { snapshot, state, elsewhere: core.is_elsewhere() }));
                return;
            }
            SessionMessage::Buried => return self.rest(),
            SessionMessage::End(reason) => Input::End(reason),
            SessionMessage::Forget(waiter) => {
                self.replies.remove(&waiter);
                self.reports.remove(&waiter);
                Input::Forget(waiter)
            }
            SessionMessage::Forsaken(context) => Input::Forsaken(context),
            SessionMessage::Landed(flight, landing) => Input::Landed(flight, landing),
            SessionMessage::Nudged(need) => Input::Nudged(need),
            SessionMessage::Observed(snapshot) => Input::Observed(snapshot),
            SessionMessage::PoliciesReplaced(policies) => Input::PoliciesReplaced(policies),
            SessionMessage::Retry => Input::Retry,
            SessionMessage::Demanded(demanded, reply) => {
                self.replies.insert(demanded.waiter, reply);
                Input::Demanded(demanded)
            }
            SessionMessage::Renew(want, reply) => {
                self.replies.insert(want.waiter, reply);
                Input::Renew(want)
            }
            SessionMessage::StepUp(step, reply) => {
                self.reports.insert(step.waiter, reply);
                Input::StepUp(step)
            }
            SessionMessage::Wake => return self.wake(myself, now),
            SessionMessage::Want(want, reply) => {
                if reply.is_closed() {
                    return;
                }
                self.replies.insert(want.waiter, reply);
                Input::Want(want)
            }
        };
        self.active_at = now;
        self.input(myself, now, input);
    }

    fn wake(&mut self, myself: &Address<SessionMessage>, now: Instant) {
        self.handle_input(myself, now, Input::Alarm);
        if self.seat.was_used() {
            self.active_at = now;
        }
        let rested = now.since(self.active_at) >= IDLE_AFTER;
        if rested && self.core.is_idle() && !matches!(self.core.state(), State::Ended(_)) {
            let home = self.shared.metrics.audience(self.core.snapshot().primary.as_str());
            self.shared.metrics.session_event(home, SessionEvent::Evicted);
            self.rest();
        } else {
            self.set_alarm();
        }
    }

    fn input(&mut self, myself: &Address<SessionMessage>, now: Instant, input: Input) {
        self.handle_input(myself, now, input);
        self.set_alarm();
    }

    fn handle_input(&mut self, myself: &Address<SessionMessage>, now: Instant, input: Input) {
        self.core.handle(now, input);
        while let Some(effect) = self.core.next_effect() {
            self.carry_out(myself, effect, now);
        }
        self.meter.look(&self.core);
        let over = matches!(self.core.state(), State::Ended(_));
        self.waiting.look(&self.shared.waiting, &self.key, self.core.snapshot(), over);
    }

    fn carry_out(&mut self, myself: &Address<SessionMessage>, effect: Effect, now: Instant) {
        match effect {
            Effect::Answer(waiter, answer) => {
                if let Some(reply) = self.replies.remove(&waiter) {
                    drop(reply.send(answer));
                }
            }
            Effect::Emit(event) => self.emit(&event, now),
            Effect::End { reason, revoke } => {
                self.shared.events.tell_end(self.key, reason);
                let seen = Some(Farewell { id_token: self.core.snapshot().id_token.clone() });
                let burial = ending::Burial { key: self.key, reason, revoke, seen };
                self.shared.router(&self.key).send(RouterMessage::Ended(Box::new(burial)));
            }
            Effect::Launch(flight) => {
                flight::launch(*flight, self.key, myself.clone(), Arc::clone(&self.shared));
            }
            Effect::Publish(offers) => self.seat.publish(offers, &self.shared.metrics),
            Effect::Report(waiter, report) => {
                if let Some(reply) = self.reports.remove(&waiter) {
                    drop(reply.send(*report));
                }
            }
        }
    }

    fn emit(&mut self, event: &Event, now: Instant) {
        self.meter.record(event, now);
        self.shared.emit(&self.key, event);
    }

    /// Asks to be put back into the store; messages that come meanwhile are kept by the router.
    fn rest(&mut self) {
        if !self.resting {
            self.resting = true;
            let rest = RouterMessage::Rest(self.key, self.seat.actor().get_id());
            self.shared.router(&self.key).send(rest);
        }
    }

    /// Leaves its holds to be counted, because they go on. Where other machines use the store, one
    /// of them may end them.
    fn leave(&self) {
        if self.shared.alone && !matches!(self.core.state(), State::Ended(_)) {
            self.shared.away.leaves(self.key, &self.core.snapshot().holds);
        }
    }

    fn set_alarm(&self) {
        let idle_at = self.core.is_idle().then(|| self.active_at + IDLE_AFTER);
        let core_at = self.core.wake_at().map(|(at, _)| at);
        let at = [idle_at, core_at].into_iter().flatten().min();
        self.shared.router(&self.key).alarms().set(self.key, at);
    }
}
