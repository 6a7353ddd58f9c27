//! What displays tell of themselves, summed over all of them.

use super::Metrics;
use super::label::{DeviceFetch, DisplayWrite};

impl Metrics {
    /// Counts fetches of content that a display tells of.
    pub fn device_fetches(&self, outcome: DeviceFetch, count: u64) {
        self.single.device_fetches.of(outcome).increment(count);
    }

    /// Counts updates of a panel that a display tells of.
    pub fn display_writes(&self, outcome: DisplayWrite, count: u64) {
        self.single.display_writes.of(outcome).increment(count);
    }

    /// Says when the oldest content was fetched that a display shows, in seconds of Unix time; 0
    /// where no display shows any.
    pub fn device_content_fetched(&self, unix_s: u64) {
        // Exact until far beyond the year 9999.
        self.single.device_content.set(unix_s as f64);
    }
}
