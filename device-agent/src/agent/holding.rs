//! How a demand for another factor is waited out (law L8), without ever asking in a loop.

use std::time::Duration;

use tokenward::core::time::Instant;

use super::reply::Looked;
use super::stage::{Demand, Hold, Stage};
use super::{Agent, Errand};

/// The pause after a release that turned out to be none; doubles with each.
const FALSE_RELEASE: Duration = Duration::from_secs(10);

/// How often it doubles at most: to three hours, half of the usual probe.
const DOUBLINGS_MAX: u32 = 10;

impl Agent {
    /// Takes a refusal: from here on nothing is fetched but by the ways out.
    pub(super) fn held(&mut self, now: Instant, demand: Demand) {
        let (since, refusals) = match &self.stage {
            Stage::Held(hold) => (hold.since, hold.refusals.saturating_add(1)),
            Stage::AskPerson(_)
            | Stage::CodeOpen(_)
            | Stage::Ended { .. }
            | Stage::NeedsCode { .. }
            | Stage::Online => (now, 1),
        };
        self.stage =
            Stage::Held(Hold { demand, since, refusals, refused_at: now, is_pushing: false });
        self.due = self.rhythm.probe.map(|probe| {
            // Displays that one rule holds together probe apart.
            (now + probe + self.dice.up_to(probe / 4), Errand::Fetch)
        });
    }

    pub(super) fn released(&mut self, now: Instant) {
        let Stage::Held(hold) = &self.stage else { return };
        // The first release is believed at once; one that was followed by a refusal, less.
        let earliest = match hold.refusals {
            0 | 1 => now,
            many => {
                let pause = FALSE_RELEASE * (1 << (many - 2).min(DOUBLINGS_MAX));
                (hold.refused_at + pause).max(now)
            }
        };
        self.due = Some((earliest, Errand::Fetch));
    }

    pub(super) fn pushing(&mut self) {
        if let Stage::Held(hold) = &mut self.stage {
            hold.is_pushing = true;
        }
    }

    /// Sees whether a release was missed; costs the provider nothing.
    pub(super) fn look(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Held(_)) && self.flight.is_none() {
            self.begin(now, Errand::Look);
        }
    }

    pub(super) fn looked(&mut self, now: Instant, looked: Looked) {
        self.answered();
        match looked {
            Looked::Free => self.released(now),
            Looked::Held(seen) => {
                if let Stage::Held(Hold { demand, .. }) = &mut self.stage
                    && seen.step_up_uri.is_some()
                {
                    *demand = seen;
                }
            }
            Looked::SignedOut => self.end(now, None),
        }
    }
}
