//! When a flight is launched: never while another is in the air (law L1).

use super::exchange::Flight;
use super::{Effect, FORCED_PAUSE, Need, Session, State, step_up};
use crate::event::{EndReason, Event, Trigger};
use crate::name::Epoch;
use crate::step_up::Errand;
use crate::time::Instant;

impl Session {
    /// Moves on whatever time has made possible.
    pub(super) fn proceed(&mut self, now: Instant) {
        if self.ceiling_at.is_some_and(|at| at <= now) {
            return self.end(EndReason::Ceiling, now);
        }
        self.abandon(now);
        self.dismiss_late(now);
        self.dismiss_steps(now);
        let takes_over = match self.state {
            State::Fresh => None,
            State::Backoff { until } | State::OperatorFault { until, .. } if until <= now => {
                self.state = State::Fresh;
                self.publish();
                None
            }
            State::InDoubt { epoch, retry_at, .. } if retry_at <= now => {
                self.no_word_came(now);
                Some(epoch)
            }
            State::Backoff { .. }
            | State::Ended(_)
            | State::Exchanging { .. }
            | State::InDoubt { .. }
            | State::OperatorFault { .. } => return,
        };
        // A person waits, and what it brings may resolve a doubt as well as a refresh does.
        if let Some((need, errand)) = self.next_step(now) {
            return self.launch(need, Trigger::StepUp, errand, takes_over, now);
        }
        let work = match takes_over {
            Some(epoch) => match self.doubt_work(now) {
                Ok(need) => Some((need, Trigger::Doubt)),
                // A caller may bring something sooner.
                Err(at) => {
                    let (retry_at, look_at) = (now, Some(at));
                    return self.state = State::InDoubt { epoch, retry_at, look_at };
                }
            },
            None => self.next_work(now),
        };
        if let Some((need, trigger)) = work {
            self.launch(need, trigger, Errand::Refresh, takes_over, now);
        }
    }

    fn launch(
        &mut self,
        need: Need,
        trigger: Trigger,
        errand: Errand,
        takes_over: Option<Epoch>,
        now: Instant,
    ) {
        if trigger == Trigger::Forced {
            self.forced.retain(|_, at| now.since(*at) < FORCED_PAUSE);
            self.forced.insert(need.audience.clone(), now);
        }
        let every = self.policies.backoff.hold_probe;
        step_up::rearm(&mut self.snapshot.holds, &need, every, now);
        let ends_at = self.ends_at(&need);
        self.waiting.extend(now + self.policies.deadlines.soft);
        self.flights += 1;
        let flight = self.flights;
        self.state = State::Exchanging { flight, need: need.clone(), trigger, since: now, ends_at };
        self.emit(Event::ExchangeStarted { audience: need.audience.clone(), trigger });
        let policy = (self.policies.deadlines, self.policies.backoff);
        let before = self.snapshot.clone();
        let plan = Flight::plan(before, need, trigger, takes_over, policy, now)
            .numbered(flight)
            .on(errand);
        self.effects.push_back(Effect::Launch(Box::new(plan)));
    }
}
