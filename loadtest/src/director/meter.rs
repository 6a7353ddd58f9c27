//! What the gateways use, across the deaths of some.

use std::time::Duration;

use tokenward_programs::usage;

/// What all gateways together had used at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When, from the start of the load on.
    pub at: Duration,
    /// User and system time since the first sample, in microseconds.
    pub cpu_us: u64,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
}

/// Reads processes again and again.
#[derive(Debug)]
pub(super) struct Meter {
    /// By gateway: what its process had used at the last reading.
    last_us: Vec<u64>,
    total_us: u64,
    samples: Vec<Sample>,
}

impl Meter {
    /// Begins with what these processes have used so far, which does not count.
    pub(super) fn new(processes: &[u32]) -> Self {
        let mut meter = Self { last_us: Vec::new(), total_us: 0, samples: Vec::new() };
        meter.last_us = processes.iter().map(|&one| cpu_us(one)).collect();
        meter
    }

    /// Reads them once more.
    pub(super) fn read(&mut self, processes: &[u32], at: Duration) {
        let mut rss_bytes = 0;
        for (last_us, &process) in self.last_us.iter_mut().zip(processes) {
            // One that is dead uses nothing more.
            if let Ok(usage) = usage::of(process) {
                self.total_us += usage.cpu_us.saturating_sub(*last_us);
                *last_us = usage.cpu_us.max(*last_us);
                rss_bytes += usage.rss_bytes;
            }
        }
        self.samples.push(Sample { at, cpu_us: self.total_us, rss_bytes });
    }

    /// Notes that a process was replaced by a new one: what that uses counts from its start.
    pub(super) fn reborn(&mut self, processes: &[u32]) {
        for (last_us, &process) in self.last_us.iter_mut().zip(processes) {
            let now_us = cpu_us(process);
            if now_us < *last_us {
                self.total_us += now_us;
                *last_us = now_us;
            }
        }
    }

    pub(super) fn samples(self) -> Vec<Sample> {
        self.samples
    }
}

/// Returns what a process has used, in microseconds.
pub(super) fn cpu_us(process: u32) -> u64 {
    usage::of(process).map_or(0, |usage| usage.cpu_us)
}
