//! Where something was measured: what a reader needs to know before comparing figures.

use std::fs;
use std::num::NonZero;
use std::thread;

use serde::{Deserialize, Serialize};

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores that may be used.
    pub cores: usize,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// Looks at this machine.
    #[must_use]
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            processor: named(&read("/proc/cpuinfo"), "model name").unwrap_or("unknown").to_owned(),
            cores: thread::available_parallelism().map_or(1, NonZero::get),
            memory_bytes: named(&read("/proc/meminfo"), "MemTotal")
                .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok())
                .map_or(0, |kib| kib * 1_024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
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
