//! The verdict: nobody lost, no family revoked, no call answered as none may be, and exchanges of one
//! session that met only where a machine had been suspended, or its lease was lost with a master.

use std::collections::BTreeMap;
use std::time::Duration;

use tokenward_programs::failure::Failure;

use super::Options;
use super::course::{Course, Struck};
use super::fault::Kind;
use super::ledger::{Seen, What};
use crate::terminal;

/// From this reuse window on the retry of a lost call always falls inside (DESIGN, law L3).
const SAFE_WINDOW_SECONDS: u32 = 30;
/// The most exceptions that are told one by one.
const TOLD_MAX: usize = 20;
/// How long after a machine wakes what it had under way can still arrive: it sends at once, and the
/// ledger's clock is known to a second.
const WAKES: Duration = Duration::from_secs(3);

/// Tells the figures, and prints `fleet reuse R lost L revoked V exchanges_per_expiry X` last.
///
/// # Errors
/// `Missed` with everything that must not have been.
pub(crate) fn judge(options: &Options, course: &Course) -> Result<(), Failure> {
    tell_faults(course);
    tell_exceptions(course);
    let (sums, calls) = (&course.sums, &course.calls);
    terminal::note(&format!(
        "calls: {} answered, {} told to come back (503 with Retry-After), {} at a gateway that was \
         down, {} wrong\nledger: {} exchanges, {} beyond one for each expiry, {} of them repeated \
         inside the reuse window; {} met another of their session\nafter the last fault everybody \
         was answered within {:.1} s",
        calls.answered,
        calls.postponed,
        calls.unanswered,
        calls.broken,
        sums.exchanges,
        sums.extra,
        sums.forks,
        sums.overlaps,
        course.waited.as_secs_f64(),
    ));
    tell_redis(options, course);
    let broken = broken(options, course);
    terminal::result(&format!(
        "fleet reuse {} lost {} revoked {} exchanges_per_expiry {:.2}",
        sums.reuse,
        course.missing.len(),
        sums.revoked,
        sums.per_expiry()
    ));
    if broken.is_empty() { Ok(()) } else { Err(Failure::Missed(broken.join("\n  "))) }
}

/// Returns what must not have been; empty when all went well.
fn broken(options: &Options, course: &Course) -> Vec<String> {
    let mut broken = Vec::new();
    let sums = &course.sums;
    if options.reuse_window >= SAFE_WINDOW_SECONDS {
        for (count, what) in [
            (course.missing.len() as u64, "sessions were lost"),
            (sums.revoked, "families were revoked"),
            (sums.reuse, "reuses were detected"),
        ] {
            if count > 0 {
                broken.push(format!("{count} {what}"));
            }
        }
        broken.extend(course.missing.iter().take(TOLD_MAX).map(|(id, ended)| {
            format!("lost: {id}: {}", ended.as_deref().unwrap_or("was not answered"))
        }));
    }
    let unexcused = course
        .seen
        .iter()
        .filter(|seen| seen.what == What::Overlap && excuse(&course.faults, seen.at).is_none());
    let unexcused = unexcused.count();
    if unexcused > 0 {
        broken.push(format!("law L1: {unexcused} exchanges met another of their session"));
    }
    if course.calls.broken > 0 {
        broken.push(format!("{} calls answered as none may be:", course.calls.broken));
        broken.extend(course.calls.told.iter().cloned());
    }
    if sums.exchanges == 0 {
        broken.push("the provider saw no exchange".to_owned());
    }
    broken
}

/// Returns why two exchanges of one session may meet at this moment.
///
/// Law L1 excepts a machine that was suspended between its last check and its send. The lease itself is a
/// write like any other: where a master dies with it before a replica has heard of it, another machine
/// is given it anew while the first one's request is on its way. No check of ours can see that; only a
/// provider that takes the previous token once more, and the later sibling's rule (L3, L11), keep the
/// session alive. So each such case is listed, and survived.
fn excuse(faults: &[Struck], at: Duration) -> Option<String> {
    let excuse = |struck: &Struck| match struck.fault.kind {
        Kind::Freeze => Some(format!("gateway {} was suspended", struck.fault.whom)),
        Kind::FailOver => Some("the master's last writes were lost".to_owned()),
        Kind::Kill
        | Kind::Cut
        | Kind::Stall
        | Kind::Slow
        | Kind::CrashRedis
        | Kind::Loading
        | Kind::MoveSlots => None,
    };
    let near = faults.iter().filter(|struck| struck.from <= at && at <= struck.until + WAKES);
    let mut excuses = near.filter_map(|struck| {
        let (from, until) = (struck.from.as_secs_f64(), struck.until.as_secs_f64());
        excuse(struck).map(|why| format!("{why} from {from:.1} s until {until:.1} s"))
    });
    excuses.next()
}

fn tell_faults(course: &Course) {
    let mut kinds: BTreeMap<Kind, (u32, Duration, usize)> = BTreeMap::new();
    for struck in &course.faults {
        let (count, lasted, seen) = kinds.entry(struck.fault.kind).or_default();
        *count += 1;
        *lasted += struck.until.saturating_sub(struck.from);
        *seen += course.seen.iter().filter(|one| is_of(struck, one)).count();
    }
    let head = ["fault", "times", "seconds", "repeated exchanges after it"].map(str::to_owned);
    let rows = kinds.iter().map(|(kind, (count, lasted, seen))| {
        let lasted = format!("{:.1}", lasted.as_secs_f64());
        vec![kind.words().to_owned(), count.to_string(), lasted, seen.to_string()]
    });
    let rows: Vec<Vec<String>> = std::iter::once(head.to_vec()).chain(rows).collect();
    terminal::note(&terminal::table(&rows));
}

/// A repetition follows its lost reply by a lease at most.
fn is_of(struck: &Struck, seen: &Seen) -> bool {
    const LATER: Duration = Duration::from_secs(16);
    seen.what == What::Fork && struck.from <= seen.at && seen.at <= struck.until + LATER
}

fn tell_exceptions(course: &Course) {
    let listed = course.seen.iter().filter(|seen| seen.what != What::Fork);
    for seen in listed.take(TOLD_MAX) {
        let why = excuse(&course.faults, seen.at);
        let why = why.unwrap_or_else(|| "no machine was suspended, no write was lost".to_owned());
        terminal::note(&format!(
            "at {:.1} s an exchange of family {} {}: {why}",
            seen.at.as_secs_f64(),
            seen.family,
            seen.what.words()
        ));
    }
}

fn tell_redis(options: &Options, course: &Course) {
    let mut calls: Vec<(&String, &u64)> = course.redis_calls.iter().collect();
    calls.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let told: Vec<String> =
        calls.iter().take(8).map(|(name, count)| format!("{name} {count}")).collect();
    let sessions = u64::from(options.sessions).max(1);
    terminal::note(&format!(
        "Redis was called: {}; it holds {} bytes for each session",
        told.join(", "),
        course.redis_bytes / sessions
    ));
}

#[cfg(test)]
mod tests {
    use super::super::board::Tally;
    use super::super::fault::Fault;
    use super::super::ledger::Sums;
    use super::super::redis::Fsync;
    use super::*;

    fn course(sums: Sums, seen: &[(u64, What)]) -> Course {
        let fault = Fault {
            kind: Kind::Freeze,
            whom: 0,
            lasts: Duration::from_secs(16),
            fsync: Fsync::Always,
        };
        let seen = seen.iter().map(|&(at, what)| Seen {
            at: Duration::from_secs(at),
            family: "f".to_owned(),
            what,
        });
        Course {
            faults: vec![Struck {
                fault,
                from: Duration::from_secs(10),
                until: Duration::from_secs(26),
            }],
            calls: Tally::default(),
            missing: Vec::new(),
            sums,
            seen: seen.collect(),
            waited: Duration::ZERO,
            redis_calls: BTreeMap::new(),
            redis_bytes: 0,
        }
    }

    #[test]
    fn exchanges_may_meet_only_where_a_machine_was_suspended() {
        let sums = Sums { exchanges: 9, overlaps: 1, ..Sums::default() };
        let reuse = Sums { reuse: 1, revoked: 1, ..sums };
        for (sums, seen, faults) in [
            (sums, vec![(27, What::Overlap)], 0),
            (sums, vec![(40, What::Overlap)], 1),
            (sums, vec![(40, What::Fork)], 0),
            (reuse, vec![(27, What::Reuse)], 2),
            (Sums::default(), vec![], 1),
        ] {
            let broken = broken(&Options::step(), &course(sums, &seen));
            assert_eq!(broken.len(), faults, "{broken:?}");
        }
    }
}
