//! Whose fault it is when the provider revokes a family.

use std::time::Duration;

use tokenward_core::time::Instant;

use super::{LOOP_SPAN, Oracle, Request};
use crate::it::world::START;
use crate::it::world::provider::{Provider, serial};

impl Oracle {
    /// Judges the request that ended a family: only what no client can prevent is excused.
    pub(super) fn judge_reuse(
        &mut self,
        number: usize,
        in_window: bool,
        since: Option<Instant>,
        provider: &Provider,
        now: Instant,
    ) {
        if self.tally.physical != [0; 3]
            || self.laws.iter().any(|law| law.starts_with("L3 a family"))
        {
            return;
        }
        let stalled = self.requests.iter().any(|request| request.stalled);
        let late = self.requests.iter().any(|request| self.outlived_its_machine(request));
        let since = since.unwrap_or(START);
        let faults = self.faults.iter().filter(|at| **at + LOOP_SPAN * 2 >= since && **at <= now);
        let excused = match in_window {
            true => stalled || late || self.overslept,
            false => stalled || late || self.overslept || faults.count() >= 2,
        };
        if excused || provider.window < Duration::from_secs(30) {
            let cause = if stalled || late {
                0
            } else if self.overslept {
                1
            } else {
                2
            };
            self.tally.physical[cause] += 1;
        } else {
            let token = serial(&self.requests[number].request.refresh_token);
            let place = if in_window { "inside" } else { "after" };
            self.broken(
                now,
                &format!("L3 a family is revoked: r{token} came back {place} the window"),
            );
        }
    }

    /// A request that was still on its way when its dead machine's settling time was over.
    fn outlived_its_machine(&self, request: &Request) -> bool {
        let Some(arrives_at) = request.arrives_at else {
            return false;
        };
        self.crashes.iter().any(|(machine, at)| {
            let died = request.departed_at <= *at && *at + self.settle < arrives_at;
            *machine == request.machine && died
        })
    }

    /// Reports whether the provider's newest refresh token reached us, and nobody died on the way
    /// to revoke it.
    pub(crate) fn could_revoke(&self, provider: &Provider) -> bool {
        if !self.crashes.is_empty() {
            return false;
        }
        let newest = provider.newest();
        newest == 0 || self.received.contains(&newest)
    }
}
