//! Where a run took place: what a reader needs to know before comparing figures.

use std::fs;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::fleet::Programs;

/// Where and with what a run took place.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Environment {
    /// The processor's name.
    pub processor: String,
    /// Cores that may be used.
    pub cores: usize,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The gateway's own word on its version.
    pub gateway: String,
    /// The commit that the gateway was built from, where it knows it.
    pub commit: Option<String>,
    /// The load test's version.
    pub loadtest: String,
    /// Whether generator and gateway had cores of their own.
    pub apart: bool,
}

impl Environment {
    /// Looks at this machine.
    #[must_use]
    pub fn here(programs: &Programs) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            processor: named(&read("/proc/cpuinfo"), "model name").unwrap_or("unknown").to_owned(),
            cores: thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: named(&read("/proc/meminfo"), "MemTotal")
                .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok())
                .map_or(0, |kib| kib * 1_024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            gateway: programs.version(),
            commit: None,
            loadtest: env!("CARGO_PKG_VERSION").to_owned(),
            apart: programs.are_apart(),
        }
    }
}

/// Returns the first value of a `name : value` list.
fn named<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = list.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_a_name_is_found() {
        let list = "processor\t: 0\nmodel name\t: A: b\nmodel name\t: C\n";
        assert_eq!(named(list, "model name"), Some("A: b"));
        assert_eq!(named(list, "model"), None);
    }
}
