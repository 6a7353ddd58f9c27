//! The steps of a flight, in the order in which they happen.

use std::time::Duration;

use super::{
    Flight, Landing, Outcome, Reading, Receipt, Reread, SAVE_PAUSE_FIRST, SAVE_PAUSE_MAX, Saving,
    Step, Then, TokenRequest,
};
use crate::event::Trigger;
use crate::grant::{Grant, Malformed, NotSent, NotSentCause, Reply, Unheard};
use crate::lease::{Begin, Begun, Commit, Head, Verdict};
use crate::name::{Epoch, Owner};
use crate::policy::{Backoff, Deadlines};
use crate::refusal::{Fate, Refusal};
use crate::session::{Need, rotation, step_up};
use crate::snapshot::{Hold, Snapshot};
use crate::step_up::Errand;
use crate::time::Instant;

impl Flight {
    /// Plans a trip for `need` that spends the refresh token of `before`.
    ///
    /// `takes_over` is the unresolved intent that was waited out.
    pub fn plan(
        before: Snapshot,
        need: Need,
        trigger: Trigger,
        takes_over: Option<Epoch>,
        policy: (Deadlines, Backoff),
        now: Instant,
    ) -> Self {
        Self {
            number: 0,
            need,
            trigger,
            decided_at: now,
            deadlines: policy.0,
            errand: Errand::Refresh,
            backoff: policy.1,
            before,
            takes_over,
            intent: None,
            sent_at: None,
            saving: None,
            reading: None,
            save_failures: 0,
            step: Step::Journal,
        }
    }

    /// Gives the flight its number within its session.
    pub(in crate::session) const fn numbered(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// Says what the flight does at the provider.
    pub(in crate::session) fn on(mut self, errand: Errand) -> Self {
        self.errand = errand;
        self
    }

    /// Returns what to do next.
    pub fn step(&self) -> Step {
        self.step.clone()
    }

    /// Returns how often the save has failed so far.
    pub const fn save_failures(&self) -> u32 {
        self.save_failures
    }

    /// Returns the request for the lease.
    pub const fn ask(&self, owner: Owner, settle: Duration) -> Begin {
        Begin {
            owner,
            consumes: self.before.head.generation,
            lease: self.deadlines.lease,
            settle,
            takes_over: self.takes_over,
        }
    }

    /// Takes the store's answer to [`Flight::ask`]; `None` where it could not be asked.
    pub fn journalled(&mut self, begun: Option<Begun>) {
        self.step = match begun {
            Some(Begun::Leased { intent, follows }) => {
                // Somebody else's exchange, or its end, may have left something behind.
                let was_open = self.before.head.intent.is_some();
                let is_current = follows == self.before.head.epoch && was_open <= intent.again;
                self.before.head.epoch = intent.epoch;
                self.before.head.intent = Some(intent);
                self.intent = Some(intent);
                if is_current {
                    Step::Send
                } else {
                    self.reading = Some(Reread::Stale);
                    Step::Load
                }
            }
            Some(Begun::Busy(intent)) => land(Landing::Busy(intent)),
            Some(Begun::Moved | Begun::Ended) => Step::Load,
            None => self.store_down(),
        };
    }

    /// Gives out the request, as late as possible; `None` where too little of the lease is left
    /// for it, and the flight turns back.
    pub fn send(&mut self, now: Instant) -> Option<TokenRequest> {
        let left = self.intent.and_then(|intent| intent.until).map(|until| until.left_at(now));
        let in_time = left.is_some_and(|left| left >= self.deadlines.send_margin);
        match self.before.refresh_token.clone() {
            Some(refresh_token) if in_time => {
                self.sent_at = Some(now);
                let (need, errand) = (self.need.clone(), self.errand.clone());
                Some(TokenRequest { refresh_token, need, errand, deadline: self.deadlines.hard })
            }
            Some(_) | None => {
                self.turn_back(now, NotSent { cause: NotSentCause::Queue, wait: None });
                None
            }
        }
    }

    /// Takes the provider's reply to [`Flight::send`], received at `now`.
    pub fn replied(&mut self, now: Instant, reply: Reply) {
        if !self.errand.is_refresh() {
            return self.stepped(now, reply);
        }
        match reply {
            Reply::Granted(grant) => self.granted(now, &grant),
            Reply::Malformed(malformed) => self.malformed(now, &malformed),
            Reply::Refused(refusal) => self.refused(now, refusal),
            Reply::Unheard(how) => self.unheard(now, how),
            Reply::NotSent(not_sent) => self.turn_back(now, not_sent),
        }
    }

    /// Takes the store's answer to [`Step::Save`]; `None` where it failed, with or without effect.
    pub fn saved(&mut self, now: Instant, verdict: Option<Verdict>) {
        let Some(mut saving) = self.saving.take() else {
            return;
        };
        self.step = match verdict {
            Some(Verdict::Accept(head)) => {
                saving.snapshot.head = head;
                land(saving.landing())
            }
            Some(Verdict::Superseded) => Step::Load,
            Some(Verdict::Ended) => match &saving.snapshot.refresh_token {
                Some(late) if saving.commit.rotated => Step::Revoke(late.clone()),
                Some(_) | None => Step::Load,
            },
            None => {
                self.save_failures += 1;
                let pause = SAVE_PAUSE_FIRST * (1 << (self.save_failures - 1).min(8));
                self.saving = Some(saving);
                Step::Pause(now + pause.min(SAVE_PAUSE_MAX))
            }
        };
    }

    /// Takes the end of a [`Step::Pause`].
    pub fn paused(&mut self) {
        self.step = match &self.saving {
            Some(saving) => saving.step(),
            None => Step::Load,
        };
    }

    /// Takes the end of a [`Step::Revoke`], whatever the provider said.
    pub fn revoked(&mut self) {
        self.step = match &self.saving {
            Some(saving) => saving.step(),
            None => Step::Load,
        };
    }

    /// Takes what the store read back for [`Step::Load`].
    pub fn loaded(&mut self, reading: Reading) {
        self.step = match (self.reading.take(), reading) {
            (Some(Reread::Stale), Reading::Living(snapshot)) => return self.reread(*snapshot),
            (Some(Reread::Refused(refusal, fate)), Reading::Living(snapshot))
                if snapshot.head.generation == self.before.head.generation =>
            {
                land(Landing::Refused { refusal, fate, snapshot })
            }
            (_, reading) => self.settled(reading),
        };
    }

    /// Goes on with the session as somebody else left it.
    ///
    /// What they wrote without rotation (a hold, another audience's token) is seen by no compare
    /// of generations, and a save of the older reading would undo it. Nothing was sent, so the
    /// flight turns back and the session decides anew; only an older doubt, which a turn back
    /// cannot resolve, is carried on.
    fn reread(&mut self, snapshot: Snapshot) {
        let lease = |head: &Head| head.intent.map(|intent| intent.epoch);
        if lease(&snapshot.head) != lease(&self.before.head) {
            // The lease was waited out and taken over while the store was read.
            self.step = land(Landing::Moved(Box::new(snapshot)));
            return;
        }
        let is_same_token = snapshot.head.generation == self.before.head.generation;
        let own = std::mem::replace(&mut self.before, snapshot).holds;
        if is_same_token && self.in_doubt_before() {
            // A hold that was learnt in doubt is not written yet.
            for hold in own {
                let is_same = |other: &&mut Hold| other.is_for(&hold.audience, &hold.scopes);
                match self.before.holds.iter_mut().find(is_same) {
                    None => self.before.holds.push(hold),
                    // A context that was given up in doubt stays given up.
                    Some(stored) if hold.context.is_none() => {
                        (stored.context, stored.probe_at) = (None, hold.probe_at);
                    }
                    Some(_) => {}
                }
            }
            self.step = Step::Send;
        } else {
            self.save(self.before.clone(), false, Then::LookAgain);
        }
    }

    fn granted(&mut self, now: Instant, grant: &Grant) {
        let (after, turn) = rotation::turn(&self.before, &self.need, grant, self.epoch(), now);
        self.save(after, grant.refresh_token.is_some(), Then::Arrive(Outcome::Turned(turn), None));
    }

    pub(super) fn malformed(&mut self, now: Instant, malformed: &Malformed) {
        if malformed.refresh_token.is_some() {
            let after = rotation::salvage(&self.before, malformed);
            self.save(after, true, Then::Arrive(Outcome::Malformed(malformed.why), None));
        } else {
            // The provider may have rotated and failed to say to what. Nothing is on its way any
            // more, so the token can be sent again as soon as the provider has settled.
            let retry_at = now + self.settle();
            self.step = land(Landing::Doubt {
                epoch: self.epoch(),
                how: None,
                malformed: Some(malformed.why),
                retry_at,
            });
        }
    }

    fn refused(&mut self, now: Instant, refusal: Refusal) {
        let fate = refusal.fate();
        match fate {
            Fate::Ends(_) => {
                // A token that was replaced while the provider was thinking is refused rightly,
                // and proves nothing about the one that replaced it.
                self.reading = Some(Reread::Refused(refusal, fate));
                self.step = Step::Load;
            }
            Fate::Holds => {
                let demand = refusal.mfa.clone();
                let after = step_up::hold(&self.before, &self.need, demand, &self.backoff, now);
                self.turn_down(after, refusal, fate);
            }
            Fate::Doubts => self.unheard(now, Unheard::GatewayTimeout),
            Fate::Denies | Fate::Faults(_) | Fate::Rejects | Fate::Waits => {
                self.turn_down(self.before.clone(), refusal, fate);
            }
        }
    }

    /// Takes a no to the request. It says nothing of an earlier one whose reply was lost, and not
    /// every no excludes that this very request was carried out: then the intent stays.
    fn turn_down(&mut self, after: Snapshot, refusal: Refusal, fate: Fate) {
        if self.in_doubt_before() || refusal.may_have_spent() {
            let snapshot = Box::new(after);
            self.step = land(Landing::Refused { refusal, fate, snapshot });
        } else {
            self.save(after, false, Then::Refuse(refusal, fate));
        }
    }

    pub(super) fn unheard(&mut self, now: Instant, how: Unheard) {
        let given_up = self.sent_at.map_or(now, |sent_at| sent_at + self.deadlines.hard);
        let retry_at = match how {
            Unheard::ConnectionLost => (now + self.settle()).min(given_up.max(now)),
            Unheard::Deadline | Unheard::GatewayTimeout => given_up.max(now),
        };
        self.doubt(Some(how), retry_at);
    }

    pub(super) fn turn_back(&mut self, now: Instant, not_sent: NotSent) {
        if self.in_doubt_before() {
            let wait = not_sent.wait.unwrap_or(self.backoff.first).max(self.settle());
            self.doubt(None, now + wait);
        } else {
            self.save(self.before.clone(), false, Then::TurnBack(not_sent));
        }
    }

    pub(super) fn save(&mut self, snapshot: Snapshot, rotated: bool, then: Then) {
        let consumed = self.before.head.generation;
        let commit = Commit { consumed, epoch: self.epoch(), rotated };
        let saving = Saving { commit, snapshot: Box::new(snapshot), then };
        self.step = saving.step();
        self.saving = Some(saving);
    }

    pub(super) fn doubt(&mut self, how: Option<Unheard>, retry_at: Instant) {
        self.step = land(Landing::Doubt { epoch: self.epoch(), how, malformed: None, retry_at });
    }

    fn settled(&self, reading: Reading) -> Step {
        land(match reading {
            Reading::Living(snapshot) => Landing::Moved(snapshot),
            Reading::Ended(reason) => Landing::Ended(reason),
            Reading::Absent => Landing::Gone,
            Reading::Failed => return self.store_down(),
        })
    }

    fn store_down(&self) -> Step {
        let doubt = self.intent.map(|intent| intent.epoch).or(self.takes_over);
        land(Landing::StoreDown { doubt })
    }

    /// Returns when the request was last sent; `None` where it never was.
    pub const fn sent_at(&self) -> Option<Instant> {
        self.sent_at
    }

    /// Returns the number of the lease under which it flies.
    pub const fn epoch(&self) -> Epoch {
        self.before.head.epoch
    }

    pub(super) fn settle(&self) -> Duration {
        self.intent.map_or(self.deadlines.hard, |intent| intent.settle).min(self.deadlines.hard)
    }

    pub(super) fn in_doubt_before(&self) -> bool {
        self.intent.is_some_and(|intent| intent.again)
    }
}

impl Saving {
    fn step(&self) -> Step {
        Step::Save { commit: self.commit, snapshot: self.snapshot.clone() }
    }

    fn landing(self) -> Landing {
        let Self { commit, snapshot, then } = self;
        match then {
            Then::Arrive(outcome, recovery_code) => {
                let rotated = commit.rotated;
                Landing::Saved(Receipt { snapshot, outcome, rotated, recovery_code })
            }
            Then::StepUp(report) => Landing::SteppedUp { report, snapshot },
            Then::Refuse(refusal, fate) => Landing::Refused { refusal, fate, snapshot },
            Then::LookAgain => Landing::Moved(snapshot),
            Then::TurnBack(not_sent) => Landing::NotSent { not_sent, snapshot },
        }
    }
}

pub(super) fn land(landing: Landing) -> Step {
    Step::Land(Box::new(landing))
}
