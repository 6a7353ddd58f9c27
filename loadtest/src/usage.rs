//! What processes have used, as the kernel counts it.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

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

/// Returns what a process has used; nothing when it is gone.
#[must_use]
pub fn of(process: u32) -> Option<Usage> {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten()?;
    let per_second = u64::try_from(per_second).ok().filter(|&ticks| ticks > 0)?;
    let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).ok();
    let ticks = ticks_of(&read("stat")?)?;
    let rss_bytes = rss_of(&read("status")?).unwrap_or(0);
    Some(Usage { cpu_us: ticks * MICROSECONDS / per_second, rss_bytes })
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
