//! What one lane's run came to, read before its programs stop.

use std::iter::Sum;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokenward_programs::failure::Failure;

use super::crowd::{Board, Missing, Tally};
use super::doubt::Doubts;
use crate::world::World;

/// The outcome of one lane.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) ledger: Ledger,
    pub(super) calls: Calls,
    pub(super) doubts: Doubts,
    pub(super) lost: Vec<Gone>,
    pub(super) recoveries: Vec<Recovered>,
    /// How long each start took until the gateway was ready.
    pub(super) starts: Vec<Duration>,
    /// How long the last sessions were waited for at the end.
    pub(super) waited: Duration,
    pub(super) folder: PathBuf,
}

/// The provider's sums that count here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ledger {
    pub(super) rotations: u64,
    pub(super) forks: u64,
    pub(super) reuse_detected: u64,
    pub(super) families_revoked: u64,
    pub(super) max_concurrent_per_family: u64,
}

/// A session that did not live on.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub(super) id: String,
    pub(super) was_in_doubt: bool,
    /// When and how it ended, in words.
    pub(super) why: String,
    /// The end of what the gateway tells an operator about it.
    pub(super) explained: String,
}

/// A session that was answered for every audience after a start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovered {
    pub(super) was_in_doubt: bool,
    pub(super) took: Duration,
}

/// What all callers heard.
pub(super) type Calls = Tally;

impl Course {
    /// Reads what is known when the lane's last life is over.
    ///
    /// # Errors
    /// `Ours` when the sandbox's ledger does not tell what it should.
    pub(super) fn read(
        world: &World,
        program: &Path,
        board: &Board,
        doubts: Doubts,
        waited: Duration,
    ) -> Result<Self, Failure> {
        let recoveries = board.recoveries().into_iter().filter(|recovery| recovery.life > 0);
        let recoveries = recoveries.map(|recovery| Recovered {
            was_in_doubt: doubts.is_of(&recovery),
            took: recovery.took,
        });
        Ok(Self {
            ledger: Ledger::read(world)?,
            calls: board.tally(),
            lost: board
                .missing()
                .iter()
                .map(|missing| Gone::of(missing, &doubts, explain(world, program, &missing.id)))
                .collect(),
            recoveries: recoveries.collect(),
            starts: board.starts(),
            waited,
            folder: world.folder().to_owned(),
            doubts,
        })
    }
}

impl Gone {
    fn of(missing: &Missing, doubts: &Doubts, explained: String) -> Self {
        let (was_in_doubt, why) = match &missing.ended {
            Some((era, why)) => (
                doubts.had(&missing.id, *era),
                format!("ended after {} kills: {why}", era.div_ceil(2)),
            ),
            None => (false, "was not answered for every audience".to_owned()),
        };
        Self { id: missing.id.clone(), was_in_doubt, why, explained }
    }

    /// Tells whether an operator learns that a reply was lost, and what to do.
    pub(super) fn is_explained(&self) -> bool {
        ["was lost", "reuse window", "30 s"].iter().all(|words| self.explained.contains(words))
    }
}

/// Returns the last line of `tokenward sessions explain`, or why there is none.
fn explain(world: &World, program: &Path, id: &str) -> String {
    let mut command = Command::new(program);
    command.args(["sessions", "explain", id, "--admin", &world.admin("")]);
    match command.output() {
        Ok(told) if told.status.success() => {
            let told = String::from_utf8_lossy(&told.stdout).into_owned();
            told.lines().last().unwrap_or_default().to_owned()
        }
        Ok(told) => String::from_utf8_lossy(&told.stderr).into_owned(),
        Err(error) => error.to_string(),
    }
}

impl Ledger {
    fn read(world: &World) -> Result<Self, Failure> {
        let control = world.control();
        let sum = |key: &str| {
            let lacking = || Failure::Ours(format!("the sandbox's ledger does not tell {key}"));
            control.sum(key).ok_or_else(lacking)
        };
        Ok(Self {
            rotations: sum("rotations")?,
            forks: sum("forks")?,
            reuse_detected: sum("reuse_detected")?,
            families_revoked: sum("families_revoked")?,
            max_concurrent_per_family: sum("max_concurrent_per_family")?,
        })
    }
}

/// Each lane has a provider of its own, so that the most at once is the most of any.
impl Sum for Ledger {
    fn sum<I: Iterator<Item = Self>>(ledgers: I) -> Self {
        ledgers.fold(Self::default(), |all, one| Self {
            rotations: all.rotations + one.rotations,
            forks: all.forks + one.forks,
            reuse_detected: all.reuse_detected + one.reuse_detected,
            families_revoked: all.families_revoked + one.families_revoked,
            max_concurrent_per_family: all
                .max_concurrent_per_family
                .max(one.max_concurrent_per_family),
        })
    }
}
