//! Steps up on their way: each is one flight, waits for its turn like every other, and is reported
//! to whoever waits for it.

use std::collections::VecDeque;
use std::time::Duration;

use super::demand::Demanded;
use super::exchange::{Landing, Outcome};
use super::rotation::Turn;
use super::{Answer, Effect, Input, Need, Session, State, Want, step_up};
use crate::event::{EndReason, Event};
use crate::name::{Audience, WaiterId};
use crate::snapshot::Hold;
use crate::step_up::{ContextId, Errand, Factor, Origin, Report, STEPS_MAX, StepUp, Way, context};
use crate::time::Instant;

/// How long a session is spared another question by people who come back to an old page: each
/// asks the provider for a new context.
pub const RENEW_PAUSE: Duration = Duration::from_secs(30);

/// The steps up of one session.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// Those that wait for their turn.
    pub(super) waiting: VecDeque<StepUp>,
    /// The one in the air.
    pub(super) aloft: Option<StepUp>,
    /// What a new context is asked for.
    renewing: Option<Need>,
    /// When one was asked for last.
    renewed_at: Option<Instant>,
    /// When what the one in the air meets was demanded.
    demanded_at: Option<Instant>,
}

impl Session {
    /// Takes a person's try to meet a demand.
    pub(super) fn step_up(&mut self, step: StepUp, now: Instant) {
        let refusal = match self.state {
            State::OperatorFault { fault, until } if now < until => {
                Some(Report::OperatorFault(fault))
            }
            State::Backoff { until } if until > step.deadline => {
                Some(not_now(until.left_at(now), "backoff"))
            }
            State::InDoubt { retry_at, .. } if retry_at > step.deadline => {
                Some(not_now(retry_at.left_at(now), "in_doubt"))
            }
            State::Backoff { .. }
            | State::Ended(_)
            | State::Exchanging { .. }
            | State::Fresh
            | State::InDoubt { .. }
            | State::OperatorFault { .. } => None,
        };
        match refusal {
            Some(report) => self.report(step.waiter, report),
            None if self.steps.waiting.len() >= STEPS_MAX => {
                self.report(step.waiter, not_now(Duration::ZERO, "busy"));
            }
            None => self.steps.waiting.push_back(step),
        }
    }

    /// Takes a person's wish for a new context in place of one that is over: one exchange, which
    /// whoever else wants the same waits for too.
    pub(super) fn renew(&mut self, want: Want, now: Instant) {
        let renewable = step_up::of(&self.snapshot.holds, &want.need).is_some_and(|hold| {
            let over = hold.context.as_ref().is_none_or(|context| context.is_over(now));
            hold.origin == Origin::Provider && over
        });
        let rested = self.steps.renewed_at.is_none_or(|at| now.since(at) >= RENEW_PAUSE);
        if renewable && rested && self.steps.renewing.is_none() {
            self.steps.renewed_at = Some(now);
            self.steps.renewing = Some(want.need.clone());
        }
        self.want(want, now);
    }

    /// Returns the next step up that may leave; those that cannot any more are told.
    pub(super) fn next_step(&mut self, now: Instant) -> Option<(Need, Errand)> {
        let mut any_told = false;
        while let Some(step) = self.steps.waiting.pop_front() {
            match self.errand(&step.way, now) {
                Ok((need, errand)) => {
                    let hold = step_up::of(&self.snapshot.holds, &need);
                    self.steps.demanded_at = hold.map(|hold| {
                        hold.context.as_ref().map_or(hold.since, |context| context.opened_at)
                    });
                    self.steps.aloft = Some(step);
                    return Some((need, errand));
                }
                Err(report) => {
                    self.report(step.waiter, report);
                    any_told = true;
                }
            }
        }
        if any_told {
            // Whoever waited for what it would bring waits for a person: nothing may be fetched for
            // them that the policy wants a person for.
            self.settle_waiters(now);
        }
        None
    }

    fn errand(&self, way: &Way, now: Instant) -> Result<(Need, Errand), Report> {
        if self.snapshot.refresh_token.is_none() {
            return Err(Report::Ended(EndReason::NoRefreshToken));
        }
        match way {
            Way::Verify { context, evidence, factor } => {
                let found = self.snapshot.holds.iter().find_map(|hold| {
                    let open = hold.context.as_ref().filter(|open| open.id() == *context)?;
                    Some((hold, open))
                });
                let (hold, open) = found.ok_or(Report::ContextNotFound)?;
                if open.is_over(now) {
                    return Err(Report::ContextExpired);
                }
                let errand = Errand::Verify {
                    mfa_token: open.mfa_token.clone(),
                    evidence: evidence.clone(),
                    factor: *factor,
                };
                Ok((hold.need(), errand))
            }
            Way::Return { need, code } => match step_up::of(&self.snapshot.holds, need) {
                Some(_) => Ok((need.clone(), Errand::Code(Box::new(code.clone())))),
                // Somebody was faster, or the demand is gone: the code is left unspent.
                None => Err(Report::Verified { need: need.clone(), recovery_code: None }),
            },
        }
    }

    /// Reports whether something is under way that may soon answer `need`.
    pub(super) fn is_stepping(&self, need: &Need) -> bool {
        let meets = |step: &StepUp| match &step.way {
            Way::Return { need: held, .. } => held == need,
            Way::Verify { context, .. } => {
                let hold = step_up::of(&self.snapshot.holds, need);
                hold.and_then(|hold| hold.context.as_ref()).is_some_and(|c| c.id() == *context)
            }
        };
        self.steps.renewing.as_ref() == Some(need)
            || self.steps.aloft.iter().chain(&self.steps.waiting).any(meets)
    }

    /// Says what whoever waits for `step` is to be told of its flight's landing; a step whose flight
    /// never left waits for its turn again.
    pub(super) fn step_landed(
        &mut self,
        step: StepUp,
        need: &Need,
        landing: &Landing,
        now: Instant,
    ) -> Option<(StepUp, Report)> {
        let report = match landing {
            Landing::Busy(_) | Landing::Moved(_) | Landing::StoreDown { .. } => {
                self.steps.waiting.push_front(step);
                return None;
            }
            Landing::Doubt { retry_at, .. } => {
                if let Way::Verify { context, .. } = step.way {
                    // Nobody knows whether it was taken. Asked for once the doubt is over, the
                    // provider either lets go of the demand or opens a context anew.
                    self.forsake(context);
                    step_up::probe(&mut self.snapshot.holds, need, now);
                }
                not_now(retry_at.left_at(now), "in_doubt")
            }
            Landing::Ended(reason) => Report::Ended(*reason),
            Landing::Gone => Report::Ended(EndReason::NoRefreshToken),
            Landing::NotSent { not_sent, .. } => {
                not_now(not_sent.wait.unwrap_or_default(), not_sent.cause.code())
            }
            Landing::Refused { .. } => not_now(Duration::ZERO, "refused"),
            Landing::Saved(receipt) => match receipt.outcome() {
                Outcome::Turned(Turn::Kept) => Report::Verified {
                    need: need.clone(),
                    recovery_code: receipt.recovery_code().cloned(),
                },
                Outcome::Turned(Turn::AudienceMismatched) => {
                    Report::Unusable("audience_mismatched")
                }
                Outcome::Turned(Turn::SubjectChanged) => Report::Ended(EndReason::SubjectChanged),
                Outcome::Malformed(why) => Report::Unusable(why),
            },
            Landing::SteppedUp { report, .. } => report.clone(),
        };
        Some((step, report))
    }

    /// Tells whoever waits, and everybody who listens, what came of a step up.
    pub(super) fn tell_of(
        &mut self,
        (step, report): (StepUp, Report),
        audience: &Audience,
        now: Instant,
    ) {
        let (audience, factor) = (audience.clone(), factor_of(&step.way));
        if let Report::Verified { .. } = report {
            let took = self.steps.demanded_at.take().map_or(Duration::ZERO, |at| now.since(at));
            self.emit(Event::Verified { audience, factor, took });
        } else if !matches!(report, Report::Pending | Report::SlowDown | Report::Chained(_)) {
            // Some are asked every few seconds: the challenge and its end say enough.
            self.emit(Event::VerificationFailed { audience, factor, code: report.code() });
        }
        if let (Way::Verify { context, .. }, Report::ContextExpired | Report::ContextInvalid) =
            (&step.way, &report)
        {
            self.forsake(*context);
        }
        self.report(step.waiter, report);
    }

    /// Lets go of a context that the provider does not know any more: a handle of it leads nowhere,
    /// and whoever comes back is asked for anew.
    pub(super) fn forsake(&mut self, context: ContextId) {
        let names = |hold: &&mut Hold| hold.context.as_ref().is_some_and(|c| c.id() == context);
        let Some(hold) = self.snapshot.holds.iter_mut().find(names) else { return };
        hold.context = None;
        let audience = hold.audience.clone();
        self.emit(Event::Abandoned { audience });
    }

    /// Drops the contexts whose time is over; nobody met their demand.
    pub(super) fn abandon(&mut self, now: Instant) {
        let in_use = self.context_in_use();
        let over = |hold: &&Hold| {
            hold.context.as_ref().is_some_and(|c| c.is_over(now) && Some(c.id()) != in_use)
        };
        let audiences: Vec<_> =
            self.snapshot.holds.iter().filter(over).map(|hold| hold.audience.clone()).collect();
        if audiences.is_empty() {
            return;
        }
        for hold in &mut self.snapshot.holds {
            if hold.context.as_ref().is_some_and(|c| Some(c.id()) != in_use) {
                context::purge(std::slice::from_mut(hold), now);
            }
        }
        for audience in audiences {
            self.emit(Event::Abandoned { audience });
        }
    }

    /// Returns when the first context is over that nobody is using.
    pub(super) fn context_ends_at(&self) -> Option<Instant> {
        let in_use = self.context_in_use();
        let open = self.snapshot.holds.iter().filter_map(|hold| hold.context.as_ref());
        open.filter(|open| Some(open.id()) != in_use).map(|open| open.ends_at()).min()
    }

    fn context_in_use(&self) -> Option<ContextId> {
        match self.steps.aloft.as_ref().map(|step| &step.way) {
            Some(Way::Verify { context, .. }) => Some(*context),
            Some(Way::Return { .. }) | None => None,
        }
    }

    /// Tells those whose time is over to come back.
    pub(super) fn dismiss_steps(&mut self, now: Instant) {
        let (late, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.steps.waiting)
            .into_iter()
            .partition(|step| step.deadline <= now);
        self.steps.waiting = waiting.into();
        let any_late = !late.is_empty();
        for step in late {
            self.report(step.waiter, not_now(Duration::ZERO, "exchanging"));
        }
        if any_late {
            // Whoever waited for what it would bring waits for a person again.
            self.settle_waiters(now);
        }
        if self.waiting.is_empty() {
            self.steps.renewing = None;
        }
    }

    /// Tells whoever comes to a session that is over.
    pub(super) fn turn_away(&mut self, input: Input, reason: EndReason) {
        match input {
            Input::Want(Want { waiter, .. })
            | Input::Renew(Want { waiter, .. })
            | Input::Demanded(Demanded { waiter, .. }) => {
                self.answer(waiter, Answer::Ended(reason));
            }
            Input::StepUp(step) => self.report(step.waiter, Report::Ended(reason)),
            Input::Alarm
            | Input::End(_)
            | Input::Forget(_)
            | Input::Forsaken(_)
            | Input::Landed(..)
            | Input::Nudged(_)
            | Input::Observed(_)
            | Input::PoliciesReplaced(_)
            | Input::Retry => {}
        }
    }

    /// Tells everybody that the session is over.
    pub(super) fn end_steps(&mut self, reason: EndReason) {
        let steps: Vec<_> =
            self.steps.aloft.take().into_iter().chain(self.steps.waiting.drain(..)).collect();
        for step in steps {
            self.report(step.waiter, Report::Ended(reason));
        }
    }

    /// Returns the first moment at which somebody must be told to come back.
    pub(super) fn first_step_deadline(&self) -> Option<Instant> {
        self.steps.waiting.iter().map(|step| step.deadline).min()
    }

    /// Takes note that a flight for `need` has landed.
    pub(super) fn renewed(&mut self, need: &Need) {
        if self.steps.renewing.as_ref() == Some(need) {
            self.steps.renewing = None;
        }
    }

    pub(super) fn report(&mut self, waiter: WaiterId, report: Report) {
        self.effects.push_back(Effect::Report(waiter, Box::new(report)));
    }
}

fn factor_of(way: &Way) -> Option<Factor> {
    match way {
        Way::Verify { factor, evidence, .. } => factor.or(evidence.factor()),
        Way::Return { .. } => None,
    }
}

/// At least a second: a smaller `Retry-After` cannot be said in HTTP.
fn not_now(wait: Duration, why: &'static str) -> Report {
    Report::NotNow { retry_after: wait.max(Duration::from_secs(1)), why }
}
