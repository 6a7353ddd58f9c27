//! Holds: what waits for a person, and is never asked for in a loop (law L8).

use std::time::Duration;

use super::Need;
use super::backoff::Dice;
use crate::policy::Backoff;
use crate::refusal::MfaDemand;
use crate::snapshot::{Hold, Snapshot};
use crate::step_up::{Context, Origin, Strength};
use crate::time::Instant;

/// The most holds that one session keeps: one for each audience and set of scopes.
pub const HOLDS_MAX: usize = 32;

/// Returns the session after the provider demanded a factor for `need` at `now`.
///
/// The refresh token and all other audiences stay as they are. A demand that follows another one
/// brings a context of its own, and the earlier one is over.
pub fn hold(
    before: &Snapshot,
    need: &Need,
    demand: Option<MfaDemand>,
    backoff: &Backoff,
    now: Instant,
) -> Snapshot {
    let mut after = before.clone();
    let earlier = after.holds.iter().position(|hold| need.is_for(&hold.audience, &hold.scopes));
    let earlier = earlier.map(|place| after.holds.remove(place));
    let (since, strength) = match earlier {
        Some(earlier) => (earlier.since, earlier.strength),
        None => (now, Strength::default()),
    };
    let mut demand = demand.unwrap_or_default();
    let context = demand.mfa_token.take().map(|mfa_token| Context {
        mfa_token,
        opened_at: now,
        ttl: backoff.context_ttl,
    });
    let probe_at = probe_at(backoff.hold_probe, now);
    let held = Hold::of(need, Origin::Provider, strength, since);
    put(&mut after.holds, Hold { probe_at, demand, context, ..held });
    after
}

/// Adds a hold; where there are too many, the oldest goes.
pub(super) fn put(holds: &mut Vec<Hold>, hold: Hold) {
    if holds.len() >= HOLDS_MAX {
        holds.remove(0);
    }
    holds.push(hold);
}

/// Finds the hold of `need`.
pub(super) fn of<'a>(holds: &'a [Hold], need: &Need) -> Option<&'a Hold> {
    holds.iter().find(|hold| need.is_for(&hold.audience, &hold.scopes))
}

/// Puts off the next probe of what is held for `need`, because one leaves at `now`.
///
/// Whatever comes of it, a denial as well as a failure, the next one is as far away.
pub(super) fn rearm(holds: &mut [Hold], need: &Need, every: Option<Duration>, now: Instant) {
    let held = holds.iter_mut().find(|hold| need.is_for(&hold.audience, &hold.scopes));
    if let Some(hold) = held.filter(|hold| hold.origin == Origin::Provider) {
        hold.probe_at = probe_at(every, now);
    }
}

/// Lets what the provider holds for `need` be asked for at once.
pub(super) fn probe(holds: &mut [Hold], need: &Need, now: Instant) {
    let held = holds.iter_mut().find(|hold| need.is_for(&hold.audience, &hold.scopes));
    if let Some(hold) = held.filter(|hold| hold.origin == Origin::Provider) {
        hold.probe_at = Some(now);
    }
}

/// Lets everything that the provider holds be asked for at once.
pub(super) fn probe_all(holds: &mut [Hold], now: Instant) {
    for hold in holds.iter_mut().filter(|hold| hold.origin == Origin::Provider) {
        hold.probe_at = Some(now);
    }
}

/// A tenth of jitter, drawn from the moment, keeps a wall of displays that were held by one change
/// of policy from probing in step.
fn probe_at(every: Option<Duration>, now: Instant) -> Option<Instant> {
    every.map(|every| now + every + Dice::new(now.as_nanos()).up_to(every / 10))
}
