//! The verdict: nobody lost, no family revoked, no call answered as none may be.

use std::time::Duration;

use super::Options;
use super::aim::Point;
use super::crowd::Board;
use super::doubt::Doubts;
use crate::failure::Failure;
use crate::terminal;
use crate::world::World;

/// From this reuse window on the retry of a lost call always falls inside (DESIGN, law L3).
const SAFE_WINDOW_SECONDS: u32 = 30;
/// The most lost sessions that are told one by one.
const TOLD_MAX: usize = 5;

/// The provider's sums that count here.
#[derive(Debug)]
struct Ledger {
    rotations: u64,
    forks: u64,
    reuse_detected: u64,
    families_revoked: u64,
    max_concurrent_per_family: u64,
}

/// The sessions that did not live on.
#[derive(Debug, Default)]
struct Lost {
    count: usize,
    /// Those of them whose loss no doubt explains.
    unexplained: usize,
}

/// Tells the figures, and prints `crash kills N lost L revoked R` last.
///
/// # Errors
/// `Missed` with everything that must not have been.
pub(super) fn judge(
    options: &Options,
    world: &World,
    board: &Board,
    doubts: &Doubts,
    waited: Duration,
) -> Result<(), Failure> {
    let ledger = Ledger::read(world)?;
    tell_points(doubts);
    tell_times(board, doubts, waited);
    let tally = board.tally();
    terminal::note(&format!(
        "calls: {} answered, {} told to come back (503 with Retry-After), {} while the gateway was \
         down, {} wrong",
        tally.answered, tally.postponed, tally.unanswered, tally.broken
    ));
    terminal::note(&format!(
        "ledger: {} rotations, {} of them repeated inside the reuse window, {} reuses detected, \
         {} families revoked, at most {} refreshes of one family at once",
        ledger.rotations,
        ledger.forks,
        ledger.reuse_detected,
        ledger.families_revoked,
        ledger.max_concurrent_per_family
    ));
    let lost = count_lost(board, doubts);
    let mut broken = broken(options, &ledger, &lost);
    if tally.broken > 0 {
        broken.push(format!("{} calls answered as none may be:", tally.broken));
        broken.extend(tally.told);
    }
    terminal::result(&format!(
        "crash kills {} lost {} revoked {}",
        options.kills, lost.count, ledger.families_revoked
    ));
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::Missed(format!("{}\nlogs: {}", broken.join("\n  "), world.folder().display())))
}

/// Returns what must not have been; empty when all went well.
fn broken(options: &Options, ledger: &Ledger, lost: &Lost) -> Vec<String> {
    let mut broken = Vec::new();
    if ledger.max_concurrent_per_family > 1 {
        broken.push(format!(
            "law L1: {} refreshes of one family were in flight at once",
            ledger.max_concurrent_per_family
        ));
    }
    if options.reuse_window >= SAFE_WINDOW_SECONDS {
        for (count, what) in [
            (lost.count as u64, "sessions were lost"),
            (ledger.families_revoked, "families were revoked"),
            (ledger.reuse_detected, "reuses were detected"),
        ] {
            if count > 0 {
                broken.push(format!("{count} {what}"));
            }
        }
    } else if lost.unexplained > 0 {
        broken.push(format!("{} sessions were lost that were not in doubt", lost.unexplained));
    }
    if ledger.rotations == 0 {
        broken.push("the provider saw no rotation".to_owned());
    }
    broken
}

fn count_lost(board: &Board, doubts: &Doubts) -> Lost {
    let mut lost = Lost::default();
    for missing in board.missing() {
        lost.count += 1;
        let explained = match &missing.ended {
            Some((era, _)) => doubts.had(&missing.id, *era),
            None => false,
        };
        lost.unexplained += usize::from(!explained);
        if lost.count <= TOLD_MAX {
            let doubt = if explained { "was in doubt" } else { "was not in doubt" };
            let why = match &missing.ended {
                Some((era, why)) => format!("ended after {} kills: {why}", era.div_ceil(2)),
                None => "was not answered for every audience".to_owned(),
            };
            terminal::note(&format!("lost: {}, which {doubt}; {why}", missing.id));
        }
    }
    if lost.count > 0 {
        terminal::note(&format!(
            "{} sessions need a new sign-in, {} of them were in doubt when the gateway was killed",
            lost.count,
            lost.count - lost.unexplained
        ));
    }
    lost
}

fn tell_points(doubts: &Doubts) {
    let head = ["kills", "aimed", "hit", "sessions in doubt"].map(str::to_owned).to_vec();
    let row = |point: &Point| {
        let struck = doubts.at(*point);
        let numbers = [u64::from(struck.kills), u64::from(struck.hits), struck.in_doubt as u64];
        std::iter::once(point.words().to_owned())
            .chain(numbers.map(|number| number.to_string()))
            .collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(Point::ALL.iter().map(row)).collect();
    terminal::note(&terminal::table(&rows));
}

fn tell_times(board: &Board, doubts: &Doubts, waited: Duration) {
    let (doubted, others): (Vec<_>, Vec<_>) = board
        .recoveries()
        .into_iter()
        .filter(|one| one.life > 0)
        .partition(|one| doubts.is_of(one));
    let took =
        |recoveries: &[super::crowd::Recovery]| spread(recoveries.iter().map(|one| one.took));
    terminal::note(&format!(
        "ready after {}\nall three audiences answered, from the start on: sessions in doubt {}; \
         others {}\nafter the last start everybody was answered within {} ms of waiting",
        spread(board.starts().into_iter()),
        took(&doubted),
        took(&others),
        waited.as_millis()
    ));
}

/// Says median and most of some times.
fn spread(times: impl Iterator<Item = Duration>) -> String {
    let mut sorted: Vec<u128> = times.map(|time| time.as_millis()).collect();
    sorted.sort_unstable();
    match (sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(median), Some(most)) => {
            format!("p50 {median} ms, most {most} ms ({} times)", sorted.len())
        }
        (None, _) | (_, None) => "never".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_lost_follows_from_the_reuse_window() {
        let ledger = |reuse_detected, families_revoked| Ledger {
            rotations: 9,
            forks: 1,
            reuse_detected,
            families_revoked,
            max_concurrent_per_family: 1,
        };
        let lost = |count, unexplained| Lost { count, unexplained };
        for (reuse_window, ledger, lost, faults) in [
            (60, ledger(0, 0), lost(0, 0), 0),
            (60, ledger(0, 0), lost(1, 0), 1),
            (30, ledger(1, 1), lost(1, 0), 3),
            (0, ledger(1, 1), lost(1, 0), 0),
            (0, ledger(1, 1), lost(2, 1), 1),
            (0, Ledger { max_concurrent_per_family: 2, ..ledger(0, 0) }, lost(0, 0), 1),
            (60, Ledger { rotations: 0, ..ledger(0, 0) }, lost(0, 0), 1),
        ] {
            let options = Options { reuse_window, ..Options::step(30) };
            assert_eq!(broken(&options, &ledger, &lost).len(), faults, "{reuse_window} {ledger:?}");
        }
    }

    #[test]
    fn times_are_told_by_their_median_and_their_most() {
        let times = [30, 10, 20].map(Duration::from_millis);
        assert_eq!(spread(times.into_iter()), "p50 20 ms, most 30 ms (3 times)");
        assert_eq!(spread(std::iter::empty()), "never");
    }
}
