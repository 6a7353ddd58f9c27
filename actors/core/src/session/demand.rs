//! What an audience's policy, or the API itself, asks of a person: checked before an access token
//! is handed out, and before one is asked for (RFC 9470).

use std::sync::Arc;

use super::{Answer, Need, Session, step_up};
use crate::event::Event;
use crate::name::{Audience, Epoch, WaiterId};
use crate::policy::{AudiencePolicy, MfaPolicy, Policies};
use crate::snapshot::{Entry, Hold, Lookup, Snapshot, answers, lookup};
use crate::step_up::{Origin, Strength};
use crate::time::Instant;

/// An API's refusal of an access token for want of a stronger or fresher authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demanded {
    /// Who waits for what follows.
    pub waiter: WaiterId,
    /// What the call was for.
    pub need: Need,
    /// The access token that was refused; `None` where it is not known.
    pub refused: Option<Epoch>,
    /// What the API asks for.
    pub strength: Strength,
}

/// Returns until when access tokens of `audience` may be handed out by its policy: `None` where
/// the person has never shown what it asks for.
pub(super) fn allowed_until(
    snapshot: &Snapshot,
    policies: &Policies,
    audience: &Audience,
) -> Option<Instant> {
    let policy = policies.audiences.get(audience).map(|policy| &policy.mfa);
    match policy.and_then(MfaPolicy::strength) {
        Some(_) if policy.is_some_and(|policy| is_remembered(snapshot, policy)) => {
            Some(Instant::FAR)
        }
        // Its access tokens are never fetched without the person, so each may live to its end.
        Some(strength) if strength.each_time => Some(Instant::FAR),
        Some(strength) => strength.met_until(&snapshot.proofs, Instant::ZERO),
        None => Some(Instant::FAR),
    }
}

/// Reports whether an access token may be fetched at `at` without a person.
pub(super) fn may_fetch(
    snapshot: &Snapshot,
    policies: &Policies,
    audience: &Audience,
    at: Instant,
) -> bool {
    let each_time = |policy: &AudiencePolicy| policy.mfa.strength().is_some_and(|s| s.each_time);
    !policies.audiences.get(audience).is_some_and(each_time)
        && allowed_until(snapshot, policies, audience).is_some_and(|until| at < until)
}

fn is_remembered(snapshot: &Snapshot, policy: &MfaPolicy) -> bool {
    snapshot.remembered.as_ref().is_some_and(|remembered| policy.takes(remembered))
}

// === impl Session ===

impl Session {
    /// Takes an API's demand: what would answer the same call again is not handed out until the
    /// person has been at the provider.
    pub(super) fn demanded(&mut self, demanded: Demanded, now: Instant) {
        let Demanded { waiter, need, refused, strength } = demanded;
        let margins = self.policies.audience(&need.audience).margins;
        let found = lookup(&self.snapshot.entries, &need.audience, &need.scopes, margins, now);
        if let Lookup::Hit(entry) = found
            && refused.is_some_and(|refused| refused < entry.born_in)
            && !self.is_refused_upstream(entry)
        {
            let answer = Answer::Granted(Arc::new(self.offer(entry)));
            return self.answer(waiter, answer);
        }
        let known = step_up::of(&self.snapshot.holds, &need).cloned();
        let first = known.is_none();
        self.snapshot.holds.retain(|hold| !need.is_for(&hold.audience, &hold.scopes));
        let held =
            known.unwrap_or_else(|| Hold::of(&need, Origin::Upstream, Strength::default(), now));
        // A context of the provider stays good for the same audience and scopes.
        let hold = Hold { origin: Origin::Upstream, strength, probe_at: None, ..held };
        step_up::put(&mut self.snapshot.holds, hold.clone());
        if first {
            self.emit(Event::Held { audience: need.audience, origin: Origin::Upstream });
        }
        self.publish();
        self.answer(waiter, Answer::MfaRequired(Box::new(hold)));
    }

    /// Returns the hold that stands before every access token for `need`: the API refused what the
    /// session has, or the audience's policy is not met.
    pub(super) fn stands_before(&self, need: &Need, now: Instant) -> Option<Hold> {
        let known = step_up::of(&self.snapshot.holds, need);
        if let Some(hold) = known.filter(|hold| hold.origin == Origin::Upstream) {
            return Some(hold.clone());
        }
        let until = allowed_until(&self.snapshot, &self.policies, &need.audience);
        match until {
            Some(until) if now < until => None,
            Some(_) | None => self.own_hold(need, now),
        }
    }

    /// Returns the hold of `need` that the audience's policy makes.
    pub(super) fn own_hold(&self, need: &Need, now: Instant) -> Option<Hold> {
        let policy = self.policies.audiences.get(&need.audience)?;
        let strength = policy.mfa.strength()?;
        let known = step_up::of(&self.snapshot.holds, need).cloned();
        Some(known.unwrap_or_else(|| Hold::of(need, Origin::Policy, strength, now)))
    }

    /// Reports whether an access token for `need` may be asked for without a person.
    pub(super) fn may_fetch(&self, need: &Need, now: Instant) -> bool {
        may_fetch(&self.snapshot, &self.policies, &need.audience, now)
    }

    /// Reports whether an API has refused `entry` for a call that it would answer.
    pub(super) fn is_refused_upstream(&self, entry: &Entry) -> bool {
        let refuses = |hold: &Hold| {
            hold.origin == Origin::Upstream
                && hold.audience == entry.audience
                && answers(entry, &hold.scopes)
        };
        self.snapshot.holds.iter().any(refuses)
    }

    /// Writes down a hold that a caller is told of for the first time.
    pub(super) fn note(&mut self, hold: &Hold) {
        if step_up::of(&self.snapshot.holds, &hold.need()).is_none() {
            step_up::put(&mut self.snapshot.holds, hold.clone());
            let audience = hold.audience.clone();
            self.emit(Event::Held { audience, origin: hold.origin });
        }
    }

    /// Lets go of what our own policies do not hold any more.
    pub(super) fn release_met(&mut self, now: Instant) {
        let mut released = Vec::new();
        let holds = std::mem::take(&mut self.snapshot.holds);
        for hold in holds {
            let policy = self.policies.audience(&hold.audience).mfa;
            let asks = policy.strength().is_some_and(|strength| {
                strength.each_time || strength.met_until(&self.snapshot.proofs, now).is_none()
            });
            let stays =
                hold.origin != Origin::Policy || (asks && !is_remembered(&self.snapshot, &policy));
            if stays {
                self.snapshot.holds.push(hold);
            } else {
                released.push(hold.audience);
            }
        }
        for audience in released {
            self.emit(Event::Released { audience });
        }
    }
}
