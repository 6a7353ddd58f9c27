//! CPU time of running programs, as the kernel counts it.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

use crate::failure::Failure;

/// Microseconds in a second.
const MICROSECONDS: u64 = 1_000_000;

/// Returns user and system time of a process and its children, in microseconds.
///
/// # Errors
/// `Unavailable` when a process is gone.
pub(super) fn spent_us(process: u32) -> Result<u64, Failure> {
    let per_second =
        sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
    let Some(per_second) = per_second.filter(|&ticks| ticks > 0) else {
        return Err(Failure::Unavailable("the kernel does not tell its clock ticks".to_owned()));
    };
    let mut ticks = 0;
    for member in family(process) {
        let stat = read(member, "stat")?;
        ticks += ticks_of(&stat).ok_or_else(|| {
            Failure::Unavailable(format!("/proc/{member}/stat is not as proc(5) says"))
        })?;
    }
    Ok(ticks * MICROSECONDS / per_second)
}

/// Returns a process and its children: a server's master and its workers.
fn family(process: u32) -> Vec<u32> {
    let children = read(process, &format!("task/{process}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|number| number.parse().ok());
    std::iter::once(process).chain(children).collect()
}

fn read(process: u32, file: &str) -> Result<String, Failure> {
    let path = format!("/proc/{process}/{file}");
    fs::read_to_string(&path).map_err(|error| Failure::io(&format!("read {path}"), &error))
}

/// Reads fields 14 and 15, utime and stime. The name in field 2 may hold spaces and parentheses.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_times_are_found_behind_any_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 90 0 0 0 700 30 5 6 20 0 1 0 100 200 300";
        assert_eq!(ticks_of(stat), Some(730));
        assert_eq!(ticks_of("42 (a) S 1"), None);
        assert_eq!(ticks_of(""), None);
    }
}
