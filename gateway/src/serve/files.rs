//! How many files the process may have open, and who gets how many of them: a flood of callers
//! must leave enough for upstreams, for the provider and for the store.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Limits;

/// What is kept for everything but callers and upstreams: 256 operators, some 80 connections to
/// the provider, the store, and the runtimes of the threads.
const RESERVE: u64 = 400;

/// The most that is asked of the operating system: more would only be paid for in kernel memory.
const WANTED: u64 = 1 << 20;

/// What of the open files goes where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// The connections of each listener.
    pub(super) connections: usize,
    /// The connections of each thread to its upstreams.
    pub(super) upstreams: usize,
}

/// Raises the limit of open files as far as it goes, and shares it out.
pub(super) fn share(limits: &Limits, listeners: usize) -> Share {
    let open_files = raise();
    let share = shared(open_files, limits, listeners);
    if share.connections < limits.connections {
        tracing::warn!(
            open_files,
            connections = share.connections,
            "the limit of open files leaves room for fewer connections than limits.connections \
             allows; raise it (LimitNOFILE= of systemd, ulimit -n)"
        );
    }
    share
}

/// Returns the limit that is in force.
fn raise() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        // Every system of ours has it; without an answer, what POSIX promises at the least.
        return 20;
    };
    let wanted = hard.min(WANTED).max(soft);
    match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        Ok(()) => wanted,
        Err(_) => soft,
    }
}

fn shared(open_files: u64, limits: &Limits, listeners: usize) -> Share {
    let left = open_files - RESERVE.min(open_files / 2);
    // Each caller may need a connection to an upstream.
    let half = usize::try_from(left / 2).unwrap_or(usize::MAX);
    let each = |among: usize| (half / among.max(1)).max(1);
    Share { connections: limits.connections.min(each(listeners)), upstreams: each(limits.threads) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn l14_callers_and_upstreams_leave_files_for_the_rest() {
        let limits = Limits {
            threads: 4,
            connections: 10_000,
            header_bytes: 65_536,
            header_read: Duration::ZERO,
            keep_alive: Duration::ZERO,
            drain: Duration::ZERO,
            streams: 100,
        };
        for (open_files, listeners, connections, upstreams) in [
            (1 << 20, 1, 10_000, 131_022),
            (1024, 1, 312, 78),
            (1024, 2, 156, 78),
            (256, 1, 64, 16),
            (2, 1, 1, 1),
        ] {
            let share = shared(open_files, &limits, listeners);
            assert_eq!(share, Share { connections, upstreams }, "{open_files}");
        }
    }
}
