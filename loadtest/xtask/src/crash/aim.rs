//! Waits for the moment at which a kill falls on its point.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tokenward_programs::clock;
use tokenward_programs::control::Control;
use tokenward_programs::dice::Dice;
use tokenward_programs::failure::Failure;

use super::points::Point;
use super::trace::{LOG, STORE, Trace};
use crate::world::World;

/// How long the load runs before an aimed kill, at least and at most.
const RUN: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(600)];
/// How long a point is waited for. Every session exchanges each second, and the store's log is full
/// after some seconds.
const POINT_LIMIT: Duration = Duration::from_secs(6);
/// How slow the provider is made before it commits, or after.
const SLOW: Duration = Duration::from_millis(120);
/// The same where the kill is to fall right on the reply: short, so that few replies pile up.
const SLOW_REPLY: Duration = Duration::from_millis(40);
/// The most requests that one aim slows down: more than fall into its time.
const SLOWED_MAX: u32 = 500;
/// How often the ledger is asked for the first commit after an aim.
const LEDGER_GAP: Duration = Duration::from_millis(2);
/// The frames in the store's log from which on it is soon moved: the store does so at 1,000.
const NEARLY_FULL: u32 = 600;
/// How far around a reply or a write a kill may fall: a save takes about as long.
const AROUND: Duration = Duration::from_millis(3);

/// What is needed to hit a point.
#[derive(Debug)]
pub(super) struct Aim {
    control: Control,
    trace: Trace,
}

impl Aim {
    /// Looks at the ledger and at the store's files of a running world.
    ///
    /// # Errors
    /// `Unavailable` when the state directory cannot be watched.
    pub(super) fn new(world: &World) -> Result<Self, Failure> {
        Ok(Self { control: world.control(), trace: Trace::on(&world.state())? })
    }

    /// Tells whether the store will move its log into its file within a second or two.
    pub(super) fn log_is_nearly_full(&self) -> bool {
        self.trace.log_frames() >= NEARLY_FULL
    }

    /// Returns when it is time to kill, and whether the point was reached.
    ///
    /// # Errors
    /// `Ours` when the sandbox does not do as it is told.
    pub(super) fn wait_for(&self, point: Point, dice: &mut Dice) -> Result<bool, Failure> {
        thread::sleep(dice.between(RUN[0], RUN[1]));
        let hit = match point {
            Point::Random => true,
            Point::BeforeSend => self.trace.write_to(LOG, POINT_LIMIT),
            Point::BeforeCommit => {
                self.slow_down("before", SLOW)?;
                thread::sleep(SLOW);
                true
            }
            Point::AfterCommit => {
                self.slow_down("after", SLOW)?;
                self.committed()
            }
            Point::BeforeSave | Point::AfterSave => {
                self.slow_down("after", SLOW_REPLY)?;
                let committed = self.committed();
                thread::sleep(SLOW_REPLY.saturating_sub(LEDGER_GAP));
                committed && (point == Point::BeforeSave || self.trace.write_to(LOG, POINT_LIMIT))
            }
            Point::Compaction => self.trace.write_to(STORE, POINT_LIMIT),
        };
        let spread = match point {
            Point::BeforeCommit | Point::AfterCommit => SLOW,
            Point::Random
            | Point::BeforeSend
            | Point::BeforeSave
            | Point::AfterSave
            | Point::Compaction => AROUND,
        };
        thread::sleep(dice.between(Duration::ZERO, spread));
        Ok(hit)
    }

    fn slow_down(&self, when: &str, by: Duration) -> Result<(), Failure> {
        let fault = json!({
            "endpoint": "token",
            "kind": "slow",
            "only": "refresh_token",
            "when": when,
            "ms": u64::try_from(by.as_millis()).unwrap_or(u64::MAX),
            "times": SLOWED_MAX,
        });
        self.control.post("faults", &fault).map(drop)
    }

    /// Waits until the provider has committed a further refresh.
    fn committed(&self) -> bool {
        let refreshes = || self.control.sum("refreshes");
        let before = refreshes();
        clock::poll(POINT_LIMIT, LEDGER_GAP, || (refreshes() > before).then_some(())).is_some()
    }
}
