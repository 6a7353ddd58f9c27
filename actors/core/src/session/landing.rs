//! What a finished flight makes of the session.

use std::time::Duration;

use super::exchange::{Landing, Outcome, Receipt};
use super::rotation::Turn;
use super::waiting::Parked;
use super::{Answer, Need, PARKED_FOR, Session, State, backoff, step_up};
use crate::event::{EndReason, Event, Trigger};
use crate::grant::{NotSent, Unheard};
use crate::lease::Intent;
use crate::name::{Audience, Epoch};
use crate::policy::Margins;
use crate::refusal::{Fate, Refusal};
use crate::snapshot::{Hold, Lookup, Snapshot, lookup};
use crate::step_up::{Origin, Report};
use crate::time::Instant;

impl Session {
    pub(super) fn land(&mut self, number: u64, landing: Landing, now: Instant) {
        let State::Exchanging { flight, need, trigger, since, ends_at } = self.state.clone() else {
            return;
        };
        // Word of an earlier flight says nothing of the one in the air (law L1).
        if flight != number {
            return;
        }
        self.state = State::Fresh;
        let audience = need.audience.clone();
        self.renewed(&need);
        let step = self.steps.aloft.take();
        let told = step.and_then(|step| self.step_landed(step, &need, &landing, now));
        let held = self.snapshot.holds.clone();
        let due = self.probes_due(&need, &landing, since, now);
        match landing {
            Landing::Busy(intent) => self.landed_busy(need, intent, now),
            Landing::Doubt { epoch, how, malformed, retry_at } => {
                self.landed_in_doubt(need, malformed, (epoch, how, retry_at), now);
            }
            Landing::Ended(reason) => self.end(reason, now),
            Landing::Gone => self.end(EndReason::NoRefreshToken, now),
            Landing::Moved(stored) if self.is_older(&stored) => self.landed_storeless(None, now),
            Landing::Moved(snapshot) => {
                self.emit(Event::Superseded);
                self.adopt(*snapshot, now);
            }
            Landing::NotSent { not_sent, snapshot } => {
                self.doubted = None;
                self.snapshot = *snapshot;
                self.not_sent(&need, &not_sent, now);
            }
            Landing::Refused { refusal, fate, snapshot } => {
                self.snapshot = *snapshot;
                let answered = matches!(fate, Fate::Denies | Fate::Holds | Fate::Rejects);
                self.still_doubts(&need, answered);
                self.refused(&need, &refusal, fate, now);
                self.doubt_on(fate, refusal.wait, now);
            }
            Landing::SteppedUp { report, snapshot } => {
                self.snapshot = *snapshot;
                self.turned_down(&need, &report, now);
            }
            Landing::Saved(receipt) => {
                let late = ends_at.is_some_and(|at| at <= now);
                let flown = Flown { need, trigger, since, late };
                self.saved(&receipt, &flown, now);
            }
            Landing::StoreDown { doubt } => self.landed_storeless(doubt, now),
        }
        due.iter().for_each(|need| step_up::probe(&mut self.snapshot.holds, need, now));
        self.keep_own(held, since);
        if let Some(told) = told {
            self.tell_of(told, &audience, now);
        }
        self.settle_waiters(now);
    }

    fn landed_busy(&mut self, need: Need, intent: Intent, now: Instant) {
        self.emit(Event::ReusePrevented { audience: need.audience });
        self.wait_for_word(&intent, now);
    }

    fn landed_in_doubt(
        &mut self,
        need: Need,
        malformed: Option<&'static str>,
        (epoch, how, retry_at): (Epoch, Option<Unheard>, Instant),
        now: Instant,
    ) {
        if let Some(why) = malformed {
            let (audience, salvaged) = (need.audience.clone(), false);
            self.emit(Event::Malformed { audience, why, salvaged });
        }
        self.failures += 1;
        // The first retry does not wait, whatever failed before.
        let is_first = self.loses(need);
        let patience = if is_first { Duration::ZERO } else { self.patience(None) };
        self.fall_in_doubt(epoch, how, retry_at + patience, now);
    }

    fn landed_storeless(&mut self, doubt: Option<Epoch>, now: Instant) {
        let wait = self.back_off(None, now);
        self.emit(Event::StoreFailed { wait });
        // A doubt outlives the store's illness: its window does not wait.
        if let Some(epoch) = doubt {
            let patience = self.patience(None);
            self.fall_in_doubt(epoch, None, now + patience, now);
            self.publish();
        }
    }

    /// Reports whether the store has forgotten a rotation: what it has kept was spent, and spending it
    /// again is reuse. One that was told again may have an older number than it had, and one that was
    /// received since may too.
    fn is_older(&self, stored: &Snapshot) -> bool {
        let (stored, ours) = (&stored.head, &self.snapshot.head);
        stored.generation < ours.generation && stored.born_in < ours.born_in
    }

    /// Takes a record that was read again. A flight of our own knows better and is not disturbed.
    pub(super) fn observe(&mut self, snapshot: Snapshot, now: Instant) {
        let ours = self.snapshot.head;
        let newer = snapshot.head.generation > ours.generation || snapshot.head.epoch > ours.epoch;
        let settled = ours.intent.is_some() && snapshot.head.intent.is_none();
        // Our own doubt, read again, is no news: what we know of its end is better than its lease.
        let known = match self.state {
            State::Exchanging { .. } => true,
            State::InDoubt { epoch, .. } => {
                snapshot.head.intent.is_some_and(|intent| intent.epoch == epoch)
            }
            State::Backoff { .. }
            | State::Ended(_)
            | State::Fresh
            | State::OperatorFault { .. } => false,
        };
        if known || !(newer || settled) {
            return;
        }
        // Only a new refresh token proves that the provider is well: what it has asked us to wait
        // is waited otherwise.
        if snapshot.head.generation > ours.generation {
            self.spared_until = None;
        }
        self.state = State::Fresh;
        self.adopt(snapshot, now);
        if let Some(spared) = self.spared_until.filter(|until| now < *until) {
            if let State::InDoubt { retry_at, .. } = &mut self.state {
                *retry_at = spared.max(*retry_at);
            } else {
                self.state = State::Backoff { until: spared };
            }
            self.publish();
        }
        self.settle_waiters(now);
    }

    /// Takes a step up that did not meet its demand.
    fn turned_down(&mut self, need: &Need, report: &Report, now: Instant) {
        self.still_doubts(need, true);
        if let Report::Chained(_) = report {
            let audience = need.audience.clone();
            self.emit(Event::Held { audience, origin: Origin::Provider });
        }
        if let Report::OperatorFault(fault) = report {
            let (fault, until) = (*fault, now + self.policies.backoff.operator_fault);
            self.state = State::OperatorFault { fault, until };
            self.emit(Event::OperatorMustAct { fault, code: fault.code().to_owned() });
        }
        self.publish();
        // A provider that is too busy for a person is too busy for a refresh.
        if let Report::NotNow { retry_after, .. } = report {
            let wait = self.back_off(Some(*retry_after), now);
            let (audience, code) = (need.audience.clone(), report.code().to_owned());
            self.emit(Event::Postponed { audience, code, wait });
            self.doubt_on(Fate::Waits, Some(*retry_after), now);
        } else {
            self.doubt_on(Fate::Holds, None, now);
        }
    }

    /// Returns what came due to be probed while a flight for something else was in the air, as when
    /// an operator asked to try again: what it brings back knows nothing of that.
    fn probes_due(
        &self,
        asked: &Need,
        landing: &Landing,
        since: Instant,
        now: Instant,
    ) -> Vec<Need> {
        // Another machine may have probed all of it since.
        let is_moved = matches!(landing, Landing::Moved(_));
        let due = self.snapshot.holds.iter().filter(|hold| {
            hold.probe_at.is_some_and(|at| since <= at && at <= now)
                && !asked.is_for(&hold.audience, &hold.scopes)
        });
        due.filter(|_| !is_moved).map(Hold::need).collect()
    }

    /// Keeps the holds that are not the provider's and came to be while a flight was in the air:
    /// what it brings back knows nothing of them.
    fn keep_own(&mut self, held: Vec<Hold>, since: Instant) {
        let mut kept = false;
        for hold in held {
            let is_new = hold.origin != Origin::Provider && hold.since >= since;
            if is_new && step_up::of(&self.snapshot.holds, &hold.need()).is_none() {
                step_up::put(&mut self.snapshot.holds, hold);
                kept = true;
            }
        }
        if kept && !matches!(self.state, State::Ended(_)) {
            self.publish();
        }
    }

    /// Returns the audiences of the holds that `after` has let go of, in a flight launched at
    /// `since`.
    fn released(&self, after: &Snapshot, since: Instant) -> Vec<Audience> {
        let gone = |hold: &&Hold| {
            let known = hold.origin == Origin::Provider || hold.since < since;
            known && step_up::of(&after.holds, &hold.need()).is_none()
        };
        self.snapshot.holds.iter().filter(gone).map(|hold| hold.audience.clone()).collect()
    }

    fn adopt(&mut self, snapshot: Snapshot, now: Instant) {
        let intent = snapshot.head.intent;
        self.snapshot = snapshot;
        self.doubted = None;
        self.publish();
        if let Some(intent) = intent {
            self.wait_for_word(&intent, now);
        }
    }

    fn saved(&mut self, receipt: &Receipt, flown: &Flown, now: Instant) {
        let audience = flown.need.audience.clone();
        let released = self.released(receipt.snapshot(), flown.since);
        self.snapshot = receipt.snapshot().clone();
        self.doubted = None;
        match receipt.outcome() {
            Outcome::Turned(Turn::Kept) => {
                self.failures = 0;
                self.parked.retain(|parked| parked.need != flown.need);
                self.publish();
                for audience in released {
                    self.emit(Event::Released { audience });
                }
                self.refreshed(receipt, flown, now);
            }
            Outcome::Turned(Turn::AudienceMismatched) => {
                self.failures = 0;
                self.park(&flown.need, Answer::Unusable("audience_mismatched"), now);
                self.emit(Event::AudienceMismatched { audience });
            }
            Outcome::Turned(Turn::SubjectChanged) => self.end(EndReason::SubjectChanged, now),
            Outcome::Malformed(why) => {
                self.back_off(None, now);
                self.emit(Event::Malformed { audience, why, salvaged: true });
            }
        }
    }

    fn refreshed(&mut self, receipt: &Receipt, flown: &Flown, now: Instant) {
        let need = &flown.need;
        let margins = self.policies.audience(&need.audience).margins;
        let missing =
            match lookup(&self.snapshot.entries, &need.audience, &need.scopes, margins, now) {
                Lookup::Downscoped { missing, .. } => Some(missing),
                Lookup::Hit(_) => None,
                // A token that is born too short to be served would be exchanged for ever; one that
                // a slow store has outlived is not.
                Lookup::Miss => {
                    if !self.was_servable(need, margins) {
                        self.park(need, Answer::Unusable("lifetime_too_short"), now);
                    }
                    None
                }
            };
        if let Some(missing) = missing {
            self.emit(Event::Downscoped { audience: need.audience.clone(), missing });
        }
        let waiters = self.settle_waiters(now);
        self.emit(Event::Refreshed {
            audience: need.audience.clone(),
            trigger: flown.trigger,
            generation: self.snapshot.head.generation,
            rotated: receipt.rotated(),
            late: flown.late,
            waiters,
            took: now.since(flown.since),
        });
    }

    /// Reports whether the newest token for `need` could be served when it arrived.
    fn was_servable(&self, need: &Need, margins: Margins) -> bool {
        let entries = &self.snapshot.entries;
        let newest = entries.iter().filter(|entry| entry.audience == need.audience);
        newest.max_by_key(|entry| entry.received_at).is_some_and(|entry| {
            let at = entry.received_at;
            let found = lookup(entries, &need.audience, &need.scopes, margins, at);
            matches!(found, Lookup::Hit(_))
        })
    }

    fn refused(&mut self, need: &Need, refusal: &Refusal, fate: Fate, now: Instant) {
        let (audience, code) = (need.audience.clone(), refusal.code());
        match fate {
            Fate::Ends(cause) => self.end(EndReason::Refused(self.root_of(cause)), now),
            Fate::Denies => {
                self.park(need, Answer::Denied(code.clone()), now);
                self.emit(Event::Denied { audience, code });
            }
            Fate::Rejects => {
                self.park(need, Answer::Rejected(code.clone()), now);
                self.emit(Event::Rejected { audience, code });
            }
            Fate::Holds => {
                self.emit(Event::Held { audience, origin: Origin::Provider });
            }
            Fate::Faults(fault) => {
                let until = now + self.policies.backoff.operator_fault;
                self.state = State::OperatorFault { fault, until };
                self.publish();
                self.emit(Event::OperatorMustAct { fault, code });
            }
            Fate::Waits | Fate::Doubts => {
                let wait = self.back_off(refusal.wait, now);
                self.emit(Event::Postponed { audience, code, wait });
            }
        }
    }

    fn not_sent(&mut self, need: &Need, not_sent: &NotSent, now: Instant) {
        let wait = self.back_off(not_sent.wait, now);
        let (audience, cause) = (need.audience.clone(), not_sent.cause);
        self.emit(Event::NotSent { audience, cause, wait });
    }

    fn back_off(&mut self, asked: Option<Duration>, now: Instant) -> Duration {
        self.failures += 1;
        let wait = self.wait(self.failures, asked);
        self.spared_until = asked.map(|_| now + wait);
        self.state = State::Backoff { until: now + wait };
        self.publish();
        wait
    }

    pub(super) fn wait(&mut self, failures: u32, asked: Option<Duration>) -> Duration {
        backoff::wait(&self.policies.backoff, failures, asked, &mut self.dice)
    }

    fn park(&mut self, need: &Need, answer: Answer, now: Instant) {
        self.parked.retain(|parked| parked.need != *need && now < parked.until);
        if self.parked.len() < super::AHEAD_MAX {
            self.parked.push(Parked { need: need.clone(), until: now + PARKED_FOR, answer });
        }
    }
}

/// The flight that has landed.
struct Flown {
    need: Need,
    trigger: Trigger,
    since: Instant,
    late: bool,
}
