//! What running programs have used, as the kernel counts it.

use std::fs;
use std::iter;

use nix::unistd::{SysconfVar, sysconf};

use crate::failure::Failure;

/// Microseconds in a second.
const MICROSECONDS: u64 = 1_000_000;

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time, in microseconds.
    pub cpu_us: u64,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
}

/// Returns what a process and its children have used: a server's master and its workers.
///
/// # Errors
/// `Unavailable` when one of them is gone, or its files are not as proc(5) says.
pub fn of(process: u32) -> Result<Usage, Failure> {
    let per_second =
        sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
    let Some(per_second) = per_second.filter(|&ticks| ticks > 0) else {
        return Err(Failure::Unavailable("the kernel does not tell its clock ticks".to_owned()));
    };
    let (mut ticks, mut rss_bytes) = (0, 0);
    for member in family(process) {
        ticks += field(member, "stat", ticks_of)?;
        rss_bytes += field(member, "status", rss_of)?;
    }
    Ok(Usage { cpu_us: ticks * MICROSECONDS / per_second, rss_bytes })
}

fn family(process: u32) -> Vec<u32> {
    let children = read(process, &format!("task/{process}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|number| number.parse().ok());
    iter::once(process).chain(children).collect()
}

fn field(process: u32, file: &str, of: impl Fn(&str) -> Option<u64>) -> Result<u64, Failure> {
    of(&read(process, file)?).ok_or_else(|| {
        Failure::Unavailable(format!("/proc/{process}/{file} is not as proc(5) says"))
    })
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

/// Reads the line VmRSS, which is in units of 1024 bytes (proc_pid_status(5)).
fn rss_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
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

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(rss_of("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        assert_eq!(rss_of("Name:\tx\n"), None);
    }
}
