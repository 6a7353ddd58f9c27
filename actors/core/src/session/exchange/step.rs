//! What the provider's reply to a step up makes of the session: as durable as a refresh, and judged
//! by what was shown instead of by the refresh token.

use std::time::Duration;

use super::{Flight, Outcome, Step, Then};
use crate::grant::{Grant, Malformed, Reply, Unheard};
use crate::refusal::{Fate, Refusal};
use crate::session::rotation::{self, Turn};
use crate::session::step_up;
use crate::snapshot::{Snapshot, answers};
use crate::step_up::strength::remember;
use crate::step_up::{Asked, Errand, Evidence, Meaning, Origin, Proof, Report, classify, context};
use crate::time::Instant;

impl Flight {
    /// Takes the provider's reply to a step up.
    pub(super) fn stepped(&mut self, now: Instant, reply: Reply) {
        let by_code = matches!(self.errand, Errand::Code(_));
        match reply {
            Reply::Granted(grant) if by_code => self.returned(now, &grant),
            Reply::Granted(grant) => self.verified(now, &grant),
            // The provider may have rotated the family for a factor it took, as for a refresh.
            Reply::Malformed(malformed) if !by_code => self.malformed(now, &malformed),
            Reply::Malformed(Malformed { why, .. }) => {
                self.settle_step(self.before.clone(), Report::Unusable(why));
            }
            Reply::Refused(refusal) => self.step_refused(now, refusal, by_code),
            Reply::Unheard(how) if !by_code => self.unheard(now, how),
            // The session's own refresh token was not touched.
            Reply::Unheard(how) => self.settle_step(self.before.clone(), lost(how)),
            Reply::NotSent(not_sent) => self.turn_back(now, not_sent),
        }
    }

    fn verified(&mut self, now: Instant, grant: &Grant) {
        let (mut after, turn) = rotation::turn(&self.before, &self.need, grant, self.epoch(), now);
        if let Errand::Verify { mfa_token, factor, .. } = &self.errand {
            // A context is good for one success, whatever else came of it.
            let id = mfa_token.id();
            for hold in &mut after.holds {
                hold.context = hold.context.take().filter(|context| context.id() != id);
            }
            remember(&mut after.proofs, Proof::shown(*factor, now));
        }
        self.step_through(after, turn, grant, now);
    }

    /// Takes what a redirect came back with: it must be of the same person, and as strong as was
    /// demanded; else it is of no use, and the hold stays.
    fn returned(&mut self, now: Instant, grant: &Grant) {
        let subject = grant.claims.as_ref().and_then(|claims| claims.subject.as_deref());
        if subject != Some(&*self.before.subject) {
            self.settle_step(self.before.clone(), Report::WrongPerson);
            // A family of somebody else, which nobody here will use.
            if let Some(stray) = grant.refresh_token.as_ref().filter(|_| self.saving.is_some()) {
                self.step = Step::Revoke(stray.clone());
            }
            return;
        }
        let held = step_up::of(&self.before.holds, &self.need);
        let unmet = held.and_then(|hold| match &grant.proof {
            Some(proof) => hold.strength.is_met_by_return(proof, now).err(),
            None if hold.strength == crate::step_up::Strength::default() => None,
            None => Some("id_token_missing"),
        });
        if let Some(why) = unmet {
            // The same person's newer family: the provider may have forgotten the older one.
            let mut after = self.before.clone();
            after.refresh_token = grant.refresh_token.clone().or(after.refresh_token);
            after.id_token = grant.id_token.clone().or(after.id_token);
            return self.save(
                after,
                grant.refresh_token.is_some(),
                Then::StepUp(Report::NotMet(why)),
            );
        }
        let refused_before = held.is_some_and(|hold| hold.origin == Origin::Upstream);
        let (mut after, turn) = rotation::turn(&self.before, &self.need, grant, self.epoch(), now);
        if refused_before && turn == Turn::Kept {
            let (need, born_in) = (&self.need, self.epoch());
            after.entries.retain(|entry| {
                let other = entry.audience != need.audience || !answers(entry, &need.scopes);
                other || entry.born_in == born_in
            });
        }
        self.step_through(after, turn, grant, now);
    }

    fn step_through(&mut self, mut after: Snapshot, turn: Turn, grant: &Grant, now: Instant) {
        if let Some(proof) = &grant.proof {
            remember(&mut after.proofs, proof.clone());
        }
        let proofs = &after.proofs;
        after.holds.retain(|hold| {
            let strength = &hold.strength;
            let is_own = hold.origin == Origin::Policy && !strength.each_time;
            !(is_own && strength.met_until(proofs, now).is_some())
        });
        let then = Then::Arrive(Outcome::Turned(turn), grant.recovery_code.clone());
        self.save(after, grant.refresh_token.is_some(), then);
    }

    fn step_refused(&mut self, now: Instant, refusal: Refusal, by_code: bool) {
        if by_code {
            return self.settle_step(self.before.clone(), code_refused(&refusal));
        }
        if refusal.fate() == Fate::Doubts {
            return self.unheard(now, Unheard::GatewayTimeout);
        }
        if refusal.may_have_spent() {
            // Nothing is on its way any more: the reuse window is not to be waited away.
            return self.doubt(None, now + self.settle());
        }
        let meaning = classify::meaning(self.asked(), &refusal);
        let mut after = self.before.clone();
        let report = match meaning {
            Meaning::Required | Meaning::EnrollRequired if refusal.mfa.is_some() => {
                let demand = refusal.mfa.clone();
                after = step_up::hold(&self.before, &self.need, demand, &self.backoff, now);
                match step_up::of(&after.holds, &self.need) {
                    Some(hold) => Report::Chained(Box::new(hold.clone())),
                    None => Report::NothingHeld,
                }
            }
            Meaning::EnrollRequired => Report::EnrollRequired,
            Meaning::TokenExpired => Report::ContextExpired,
            Meaning::TokenInvalid | Meaning::Required | Meaning::ReauthRequired => {
                Report::ContextInvalid
            }
            Meaning::CodeInvalid => Report::WrongCode,
            Meaning::ChallengeInvalid => Report::ChallengeInvalid,
            Meaning::Rejected => Report::Rejected,
            Meaning::Pending => Report::Pending,
            Meaning::SlowDown => Report::SlowDown,
            Meaning::TooManyAttempts => Report::TooManyAttempts { wait: refusal.wait },
            Meaning::Transient => wait(&refusal),
            Meaning::Fault(fault) => Report::OperatorFault(fault),
            Meaning::BadRequest
            | Meaning::InteractionRequired
            | Meaning::LoginRequired
            | Meaning::NotMfa
            | Meaning::RequiredInteractive => Report::BadRequest(refusal.code()),
        };
        if meaning.restarts_flow() || meaning == Meaning::ReauthRequired {
            self.close_context(&mut after);
        }
        context::purge(&mut after.holds, now);
        self.settle_step(after, report);
    }

    /// Drops the context that the provider does not know any more; the hold stays.
    fn close_context(&self, after: &mut Snapshot) {
        let hold =
            after.holds.iter_mut().find(|hold| self.need.is_for(&hold.audience, &hold.scopes));
        if let Some(hold) = hold {
            hold.context = None;
        }
    }

    /// Resolves the intent with a no: it says nothing of an earlier one whose reply was lost.
    fn settle_step(&mut self, after: Snapshot, report: Report) {
        if self.in_doubt_before() {
            let snapshot = Box::new(after);
            self.step = super::flight::land(super::Landing::SteppedUp { report, snapshot });
        } else {
            self.save(after, false, Then::StepUp(report));
        }
    }

    const fn asked(&self) -> Asked {
        match &self.errand {
            Errand::Verify { evidence: Evidence::Otp(_), .. } => Asked::Otp,
            Errand::Verify { evidence: Evidence::Recovery(_), .. } => Asked::Recovery,
            Errand::Verify { evidence: Evidence::Oob { .. }, .. } | Errand::Code(_) => Asked::Oob,
            Errand::Refresh => Asked::Refresh,
        }
    }
}

/// Says what a refusal of the code that a redirect brought means.
fn code_refused(refusal: &Refusal) -> Report {
    match classify::meaning(Asked::Oob, refusal) {
        Meaning::Fault(fault) => Report::OperatorFault(fault),
        Meaning::Transient => wait(refusal),
        Meaning::BadRequest
        | Meaning::ChallengeInvalid
        | Meaning::CodeInvalid
        | Meaning::EnrollRequired
        | Meaning::InteractionRequired
        | Meaning::LoginRequired
        | Meaning::NotMfa
        | Meaning::Pending
        | Meaning::ReauthRequired
        | Meaning::Rejected
        | Meaning::Required
        | Meaning::RequiredInteractive
        | Meaning::SlowDown
        | Meaning::TokenExpired
        | Meaning::TokenInvalid
        | Meaning::TooManyAttempts => Report::BadRequest(refusal.code()),
    }
}

fn wait(refusal: &Refusal) -> Report {
    let retry_after = refusal.wait.unwrap_or_default().max(RETRY_AT_LEAST);
    Report::NotNow { retry_after, why: "provider_busy" }
}

fn lost(how: Unheard) -> Report {
    Report::NotNow { retry_after: RETRY_AT_LEAST, why: how.code() }
}

/// At least a second: a smaller `Retry-After` cannot be said in HTTP.
const RETRY_AT_LEAST: Duration = Duration::from_secs(1);
