//! A session: everything that can happen to it, and what follows.
//!
//! One entry ([`Session::handle`]), one exit ([`Session::next_effect`]), one alarm
//! ([`Session::wake_at`]). After each input the effects are drained before the next input.
//!
//! There is one refresh token and therefore at most one exchange at a time, for all audiences and
//! callers together (law L1): a [`exchange::Flight`] is launched only while none is in the air.

pub mod backoff;
pub mod demand;
pub mod exchange;
pub mod rotation;
pub mod step_up;

mod answers;
mod departure;
mod doubt;
mod landing;
mod stepping;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use self::answers::{Answer, Offer, due_at};
use self::backoff::Dice;
use self::demand::Demanded;
use self::doubt::Doubted;
use self::exchange::{Flight, Landing};
pub use self::stepping::RENEW_PAUSE;
use self::stepping::Steps;
use self::waiting::{Parked, Waiting};
use crate::event::{EndReason, Event, Trigger};
use crate::name::{Audience, Epoch, WaiterId};
use crate::policy::Policies;
use crate::refusal::OperatorFault;
use crate::scope::ScopeSet;
use crate::secret::RefreshToken;
use crate::snapshot::Snapshot;
use crate::step_up::{ContextId, Report, StepUp};
use crate::time::Instant;

/// One session in memory.
#[derive(Debug)]
pub struct Session {
    snapshot: Snapshot,
    policies: Arc<Policies>,
    state: State,
    ceiling_at: Option<Instant>,
    waiting: Waiting,
    parked: Vec<Parked>,
    steps: Steps,
    ahead: VecDeque<Need>,
    forced: BTreeMap<Audience, Instant>,
    doubted: Option<Doubted>,
    /// The intent that another machine may be about to resolve.
    elsewhere: Option<Epoch>,
    failures: u32,
    /// Until when the provider has asked to be left alone.
    spared_until: Option<Instant>,
    flights: u64,
    dice: Dice,
    effects: VecDeque<Effect>,
}

/// Where a session stands. What is held is held per audience and listed in the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is under way.
    Fresh,
    /// A flight is in the air.
    Exchanging {
        /// Its number.
        flight: u64,
        /// What it is to bring.
        need: Need,
        /// What set it off.
        trigger: Trigger,
        /// When it was launched.
        since: Instant,
        /// When the access token that it replaces ends; `None` where there is none.
        ends_at: Option<Instant>,
    },
    /// Nobody knows whether the refresh token was spent; no flight may be launched before.
    InDoubt {
        /// The intent that is unresolved.
        epoch: Epoch,
        /// When the token may be sent once more.
        retry_at: Instant,
        /// When there will be something to ask for, where everything known is held or parked.
        look_at: Option<Instant>,
    },
    /// The provider or the store is ill; no flight may be launched before.
    Backoff {
        /// When to try again.
        until: Instant,
    },
    /// The configuration is wrong; no flight may be launched before.
    OperatorFault {
        /// What is wrong.
        fault: OperatorFault,
        /// When to look again.
        until: Instant,
    },
    /// It is over.
    Ended(EndReason),
}

/// What an exchange is to bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The API.
    pub audience: Audience,
    /// The scopes; empty for the provider's default.
    pub scopes: ScopeSet,
}

/// Everything that can happen to a session.
#[derive(Debug)]
pub enum Input {
    /// When the moment named by [`Session::wake_at`] has come, or at any other time.
    Alarm,
    /// When an API refused an access token for want of a stronger authentication (RFC 9470).
    Demanded(Demanded),
    /// When somebody ends the session.
    End(EndReason),
    /// When a caller went away.
    Forget(WaiterId),
    /// When the provider says that it does not know a demand's context any more.
    Forsaken(ContextId),
    /// When the flight of this number is over; of any but the one in the air it is no news.
    Landed(u64, Box<Landing>),
    /// When a reader met an access token that should be refreshed soon.
    Nudged(Need),
    /// When the stored record was read again, because somebody else may have moved it on.
    Observed(Box<Snapshot>),
    /// When the configuration was reloaded.
    PoliciesReplaced(Arc<Policies>),
    /// When a person wants to meet a demand whose context is over; answered like a [`Want`].
    Renew(Want),
    /// When an operator asks to try again at once whatever waits or is held.
    Retry,
    /// When a person tries to meet a demand.
    StepUp(StepUp),
    /// When a caller wants an access token.
    Want(Want),
}

/// A caller's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Who asks.
    pub waiter: WaiterId,
    /// What for.
    pub need: Need,
    /// The access token that the API has just refused: only a newer one will do.
    pub replaces: Option<Epoch>,
    /// When the caller must be told to come back, unless an exchange was launched meanwhile: each
    /// launch gives every waiter the soft deadline anew, because audiences take turns.
    pub deadline: Instant,
    /// When the caller must be told to come back in any case.
    pub latest: Instant,
}

/// What the shell must do.
#[derive(Debug)]
pub enum Effect {
    /// Tell a caller.
    Answer(WaiterId, Answer),
    /// Tell everybody who listens.
    Emit(Event),
    /// Write the tombstone until it is durable, then revoke the token.
    End {
        /// Why the session ended.
        reason: EndReason,
        /// The refresh token to revoke; `None` where the provider knows already.
        revoke: Option<RefreshToken>,
    },
    /// Run this flight in a task that nothing cancels.
    Launch(Box<Flight>),
    /// Show readers these access tokens and no others.
    Publish(Vec<Offer>),
    /// Tell whoever waits what came of a step up.
    Report(WaiterId, Box<Report>),
}

/// Why [`Session::wake_at`] names a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// When an audience that is kept fresh nears its end.
    Ahead,
    /// When the session reaches the longest time the provider allows.
    Ceiling,
    /// When the time to meet a demand is over.
    Context,
    /// When a held audience may be asked for once more.
    Probe,
    /// When a failure has been waited out.
    Retry,
    /// When the first caller must be told to come back.
    Waiter,
}

impl Need {
    /// Reports whether this is the need for `audience` and `scopes`.
    pub fn is_for(&self, audience: &Audience, scopes: &ScopeSet) -> bool {
        self.audience == *audience && self.scopes == *scopes
    }
}

// === impl Session ===

impl Session {
    /// Brings a stored session to life at `now`.
    ///
    /// An intent left in the snapshot puts it in doubt until the intent's own deadline;
    /// [`Session::orphaned`] shortens that. `seed` makes its jitter differ from its neighbours'.
    pub fn new(snapshot: Snapshot, policies: Arc<Policies>, seed: u64, now: Instant) -> Self {
        let mut session = Self {
            snapshot,
            policies,
            state: State::Fresh,
            ceiling_at: None,
            waiting: Waiting::default(),
            parked: Vec::new(),
            steps: Steps::default(),
            ahead: VecDeque::new(),
            forced: BTreeMap::new(),
            doubted: None,
            elsewhere: None,
            failures: 0,
            spared_until: None,
            flights: 0,
            dice: Dice::new(seed),
            effects: VecDeque::new(),
        };
        if let Some(intent) = session.snapshot.head.intent {
            let deadline = now + session.policies.deadlines.lease;
            let retry_at = intent.until.unwrap_or(deadline).min(deadline);
            session.wake_in_doubt(&intent, retry_at, now);
        }
        session.publish();
        session
    }

    /// Tells the session when the longest time that the provider allows is over.
    pub fn ending_at(mut self, ceiling_at: Option<Instant>) -> Self {
        self.ceiling_at = ceiling_at;
        self
    }

    /// Takes what happened at `now`.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if let State::Ended(reason) = self.state {
            return self.turn_away(input, reason);
        }
        match input {
            Input::Alarm => {}
            Input::Demanded(demanded) => self.demanded(demanded, now),
            Input::End(reason) => self.end(reason, now),
            Input::Forsaken(context) => self.forsake(context),
            Input::Forget(waiter) => self.waiting.forget(waiter),
            Input::Landed(flight, landing) => self.land(flight, *landing, now),
            Input::Nudged(need) => self.nudge(need, now),
            Input::Observed(snapshot) => self.observe(*snapshot, now),
            Input::PoliciesReplaced(policies) => {
                self.policies = policies;
                self.release_met(now);
                self.publish();
            }
            Input::Renew(want) => self.renew(want, now),
            Input::Retry => self.forgive(now),
            Input::StepUp(step) => self.step_up(step, now),
            Input::Want(want) => self.want(want, now),
        }
        self.proceed(now);
    }

    /// Returns the next thing to do; `None` when all is done.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Returns when to call [`Session::handle`] with [`Input::Alarm`], and why.
    pub fn wake_at(&self) -> Option<(Instant, Why)> {
        let retry = match self.state {
            State::InDoubt { retry_at, look_at, .. } => Some(look_at.unwrap_or(retry_at)),
            State::Backoff { until } | State::OperatorFault { until, .. } => Some(until),
            State::Ended(_) => return None,
            State::Exchanging { .. } | State::Fresh => None,
        };
        let busy = matches!(self.state, State::Exchanging { .. });
        let probe = self.snapshot.holds.iter().filter_map(|hold| hold.probe_at).min();
        [
            (retry, Why::Retry),
            (self.waiting.first_deadline(), Why::Waiter),
            (self.first_step_deadline(), Why::Waiter),
            (self.context_ends_at(), Why::Context),
            (self.ceiling_at, Why::Ceiling),
            (probe.filter(|_| self.may_launch()), Why::Probe),
            (self.ahead_at().filter(|_| !busy && self.may_launch()), Why::Ahead),
        ]
        .into_iter()
        .filter_map(|(at, why)| at.map(|at| (at, why)))
        .min()
    }

    /// Returns where the session stands.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Returns what is durable of the session.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Reports whether nothing would be missed if the session were put back into the store.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Fresh | State::Ended(_))
            && self.waiting.is_empty()
            && self.ahead.is_empty()
            && self.steps.waiting.is_empty()
            && self.context_ends_at().is_none()
            && self.effects.is_empty()
    }

    fn want(&mut self, want: Want, now: Instant) {
        if let Some(answer) = self.judge(&want.need, want.replaces, now) {
            self.answer(want.waiter, answer);
        } else if let Some(answer) = self.hopeless(&want, now) {
            self.answer(want.waiter, answer);
        } else if let Err(want) = self.waiting.push(want) {
            self.answer(want.waiter, Answer::Busy);
        }
    }

    fn nudge(&mut self, need: Need, now: Instant) {
        let known = self.ahead.iter().any(|own| own.is_for(&need.audience, &need.scopes));
        let room = self.ahead.len() < AHEAD_MAX && self.snapshot.refresh_token.is_some();
        if !known && room && self.may_refresh(&need, now) && self.refresh_due(&need, now) {
            self.ahead.push_back(need);
        }
    }

    fn forgive(&mut self, now: Instant) {
        self.parked.clear();
        self.spared_until = None;
        step_up::probe_all(&mut self.snapshot.holds, now);
        if matches!(self.state, State::Backoff { .. } | State::OperatorFault { .. }) {
            self.state = State::Fresh;
        }
    }

    fn end(&mut self, reason: EndReason, now: Instant) {
        self.state = State::Ended(reason);
        let revoke = match reason {
            EndReason::Refused(_) => None,
            EndReason::Ceiling
            | EndReason::LoggedOut(_)
            | EndReason::NoRefreshToken
            | EndReason::SubjectChanged => self.snapshot.refresh_token.clone(),
        };
        self.emit(Event::Ended { reason });
        self.effects.push_back(Effect::Publish(Vec::new()));
        self.effects.push_back(Effect::End { reason, revoke });
        self.end_steps(reason);
        self.settle_waiters(now);
    }

    fn emit(&mut self, event: Event) {
        self.effects.push_back(Effect::Emit(event));
    }

    fn answer(&mut self, waiter: WaiterId, answer: Answer) {
        if let Answer::MfaRequired(hold) = &answer {
            self.note(hold);
        }
        self.effects.push_back(Effect::Answer(waiter, answer));
    }
}

/// The most audiences that may wait for a background refresh of one session.
pub const AHEAD_MAX: usize = 64;

/// How long an API that refuses every access token is spared another forced exchange.
pub const FORCED_PAUSE: Duration = Duration::from_secs(5);

/// How long an audience that the provider denied or rejected is not asked for again.
pub const PARKED_FOR: Duration = Duration::from_secs(60);
