//! Holds: what waits for a person, and is never asked for in a loop (law L8).

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
    let earlier = after
        .holds
        .iter()
        .position(|hold| need.is_for(&hold.audience, &hold.scopes));
    let since = earlier.map_or(now, |place| after.holds.remove(place).since);
    if after.holds.len() >= HOLDS_MAX {
        after.holds.remove(0);
    }
    let demand = demand.unwrap_or(MfaDemand {
        mfa_token: None,
        challenge: Vec::new(),
        enroll: Vec::new(),
    });
    // A tenth of jitter, drawn from the moment, keeps a wall of displays that were held by one
    // change of policy from probing in step.
    let probe_at = backoff
        .hold_probe
        .map(|every| now + every + Dice::new(now.as_nanos()).up_to(every / 10));
    after.holds.push(Hold {
        audience: need.audience.clone(),
        scopes: need.scopes.clone(),
        since,
        probe_at,
        demand,
    });
    after
}
