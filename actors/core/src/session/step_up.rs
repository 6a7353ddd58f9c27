//! Holds: what waits for a person, and is never asked for in a loop (law L8).

use std::time::Duration;

use super::Need;
use super::backoff::Dice;
use crate::policy::Backoff;
use crate::refusal::MfaDemand;
use crate::snapshot::{Hold, Snapshot};
use crate::time::Instant;

/// The most holds that one session keeps: one for each audience and set of scopes.
pub const HOLDS_MAX: usize = 32;

/// Returns the session after the provider demanded a factor for `need` at `now`.
///
/// The refresh token and all other audiences stay as they are.
pub fn hold(
    before: &Snapshot,
    need: &Need,
    demand: Option<MfaDemand>,
    backoff: &Backoff,
    now: Instant,
) -> Snapshot {
    let mut after = before.clone();
    let earlier = after.holds.iter().position(|hold| need.is_for(&hold.audience, &hold.scopes));
    let since = earlier.map_or(now, |place| after.holds.remove(place).since);
    if after.holds.len() >= HOLDS_MAX {
        after.holds.remove(0);
    }
    let demand =
        demand.unwrap_or(MfaDemand { mfa_token: None, challenge: Vec::new(), enroll: Vec::new() });
    let probe_at = probe_at(backoff.hold_probe, now);
    after.holds.push(Hold {
        audience: need.audience.clone(),
        scopes: need.scopes.clone(),
        since,
        probe_at,
        demand,
    });
    after
}

/// Puts off the next probe of what is held for `need`, because one leaves at `now`.
///
/// Whatever comes of it, a denial as well as a failure, the next one is as far away.
pub(super) fn rearm(holds: &mut [Hold], need: &Need, every: Option<Duration>, now: Instant) {
    let held = holds.iter_mut().find(|hold| need.is_for(&hold.audience, &hold.scopes));
    if let Some(hold) = held {
        hold.probe_at = probe_at(every, now);
    }
}

/// A tenth of jitter, drawn from the moment, keeps a wall of displays that were held by one change
/// of policy from probing in step.
fn probe_at(every: Option<Duration>, now: Instant) -> Option<Instant> {
    every.map(|every| now + every + Dice::new(now.as_nanos()).up_to(every / 10))
}
