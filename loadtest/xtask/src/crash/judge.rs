//! The verdict: nobody lost, no family revoked, no call answered as none may be.

use std::time::Duration;

use tokenward_programs::failure::Failure;

use super::Options;
use super::course::{Calls, Course, Ledger, Recovered};
use super::doubt::Struck;
use super::points::Point;
use crate::terminal;

/// From this reuse window on the retry of a lost call always falls inside (DESIGN, law L3).
const SAFE_WINDOW_SECONDS: u32 = 30;
/// The most lost sessions that are told one by one.
const TOLD_MAX: usize = 5;

/// The sessions that did not live on.
#[derive(Debug, Default)]
struct Lost {
    count: usize,
    /// Those of them that were not in doubt when the gateway was killed.
    undoubted: usize,
    /// Those of them of which an operator does not learn why.
    unexplained: usize,
}

/// Tells the figures, and prints `crash kills N lost L revoked R` last.
///
/// # Errors
/// `Missed` with everything that must not have been.
pub(super) fn judge(options: &Options, courses: &[Course]) -> Result<(), Failure> {
    let ledger = courses.iter().map(|course| course.ledger).sum::<Ledger>();
    let calls = courses.iter().map(|course| &course.calls).sum::<Calls>();
    tell_points(courses);
    tell_times(courses);
    terminal::note(&format!(
        "calls: {} answered, {} told to come back (503 with Retry-After), {} while the gateway was \
         down, {} wrong",
        calls.answered, calls.postponed, calls.unanswered, calls.broken
    ));
    terminal::note(&format!(
        "ledgers: {} rotations, {} of them repeated inside the reuse window, {} reuses detected, \
         {} families revoked, at most {} refreshes of one family at once",
        ledger.rotations,
        ledger.forks,
        ledger.reuse_detected,
        ledger.families_revoked,
        ledger.max_concurrent_per_family
    ));
    let lost = count_lost(courses);
    let mut broken = broken(options, &ledger, &lost);
    if calls.broken > 0 {
        broken.push(format!("{} calls answered as none may be:", calls.broken));
        broken.extend(calls.told);
    }
    let kills: u32 = courses.iter().map(|course| course.doubts.kills()).sum();
    terminal::result(&format!(
        "crash kills {kills} lost {} revoked {}",
        lost.count, ledger.families_revoked
    ));
    if broken.is_empty() {
        return Ok(());
    }
    let folders = courses.iter().map(|course| course.folder.display().to_string());
    let folders = folders.collect::<Vec<_>>().join(", ");
    Err(Failure::Missed(format!("{}\nlogs: {folders}", broken.join("\n  "))))
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
    } else {
        for (count, what) in [
            (lost.undoubted, "sessions were lost that were not in doubt"),
            (
                lost.unexplained,
                "sessions were lost and `tokenward sessions explain` does not say why",
            ),
        ] {
            if count > 0 {
                broken.push(format!("{count} {what}"));
            }
        }
    }
    if ledger.rotations == 0 {
        broken.push("the provider saw no rotation".to_owned());
    }
    broken
}

fn count_lost(courses: &[Course]) -> Lost {
    let mut lost = Lost::default();
    for gone in courses.iter().flat_map(|course| &course.lost) {
        lost.count += 1;
        lost.undoubted += usize::from(!gone.was_in_doubt);
        lost.unexplained += usize::from(!gone.is_explained());
        if lost.count <= TOLD_MAX {
            let doubt = if gone.was_in_doubt { "was in doubt" } else { "was not in doubt" };
            terminal::note(&format!("lost: {}, which {doubt}; {}", gone.id, gone.why));
            terminal::note(&format!("  explain: {}", gone.explained));
        }
    }
    if lost.count > 0 {
        terminal::note(&format!(
            "{} sessions need a new sign-in, {} of them were in doubt when the gateway was killed",
            lost.count,
            lost.count - lost.undoubted
        ));
    }
    lost
}

fn tell_points(courses: &[Course]) {
    let head = ["kills", "aimed", "hit", "sessions in doubt"].map(str::to_owned).to_vec();
    let row = |point: &Point| {
        let struck = courses.iter().map(|course| course.doubts.at(*point)).sum::<Struck>();
        let numbers = [u64::from(struck.kills), u64::from(struck.hits), struck.in_doubt as u64];
        std::iter::once(point.words().to_owned())
            .chain(numbers.map(|number| number.to_string()))
            .collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(Point::ALL.iter().map(row)).collect();
    terminal::note(&terminal::table(&rows));
}

fn tell_times(courses: &[Course]) {
    let recoveries = courses.iter().flat_map(|course| &course.recoveries);
    let (doubted, others): (Vec<_>, Vec<_>) =
        recoveries.partition(|recovery| recovery.was_in_doubt);
    let took = |recoveries: &[&Recovered]| spread(recoveries.iter().map(|one| one.took));
    terminal::note(&format!(
        "ready after {}\nall three audiences answered, from the start on: sessions in doubt {}; \
         others {}\nafter the last start everybody was answered within {} ms of waiting",
        spread(courses.iter().flat_map(|course| course.starts.iter().copied())),
        took(&doubted),
        took(&others),
        courses.iter().map(|course| course.waited.as_millis()).max().unwrap_or_default()
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
        let lost = |count, undoubted| Lost { count, undoubted, unexplained: 0 };
        let silent = Lost { unexplained: 1, ..lost(1, 0) };
        for (reuse_window, ledger, lost, faults) in [
            (60, ledger(0, 0), lost(0, 0), 0),
            (60, ledger(0, 0), lost(1, 0), 1),
            (30, ledger(1, 1), lost(1, 0), 3),
            (0, ledger(1, 1), lost(1, 0), 0),
            (0, ledger(1, 1), lost(2, 1), 1),
            (0, ledger(1, 1), silent, 1),
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
