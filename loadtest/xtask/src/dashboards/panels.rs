//! The panels of the committed dashboards, as Grafana would ask for them.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokenward_programs::failure::Failure;

use super::watchers::Watchers;

/// How long a round of looking rests: some panels show something only while a fault is there.
const GAP: Duration = Duration::from_millis(1_500);

/// What Grafana puts in place of its variables, over a few minutes with a scrape each second.
const VARIABLES: [(&str, &str); 6] = [
    ("$__rate_interval", "10s"),
    ("$__range", "5m"),
    ("$job", ".+"),
    ("$instance", ".+"),
    ("$audience", ".+"),
    ("$route", ".+"),
];

/// Every query of every panel.
#[derive(Debug)]
pub(super) struct Panels {
    queries: Vec<Asked>,
    panels: usize,
}

#[derive(Debug)]
struct Asked {
    place: String,
    expr: String,
    seen: bool,
    said: String,
}

impl Panels {
    /// Reads the dashboards in a folder.
    ///
    /// # Errors
    /// `Ours` where one is no dashboard.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::io("read the dashboards", &error);
        let mut read = Self { queries: Vec::new(), panels: 0 };
        for file in fs::read_dir(folder).map_err(failed)?.flatten() {
            let text = fs::read_to_string(file.path()).map_err(failed)?;
            let board: Value =
                serde_json::from_str(&text).map_err(|error| Failure::Ours(error.to_string()))?;
            read.add(&board);
        }
        if read.queries.is_empty() {
            return Err(Failure::Ours("the dashboards ask nothing".to_owned()));
        }
        Ok(read)
    }

    fn add(&mut self, board: &Value) {
        let title = board["title"].as_str().unwrap_or_default();
        for panel in board["panels"].as_array().into_iter().flatten() {
            let targets = panel["targets"].as_array();
            self.panels += usize::from(targets.is_some());
            for target in targets.into_iter().flatten() {
                let mut expr = target["expr"].as_str().unwrap_or_default().to_owned();
                for (variable, value) in VARIABLES {
                    expr = expr.replace(variable, value);
                }
                let panel = panel["title"].as_str().unwrap_or_default();
                let legend = target["legendFormat"].as_str().unwrap_or_default();
                let place = format!("{title}, {panel} ({legend})");
                self.queries.push(Asked { place, expr, seen: false, said: String::new() });
            }
        }
    }

    /// Asks again and again for what has not shown anything, until `over`.
    pub(super) fn look(&mut self, watchers: &Watchers, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            for asked in self.queries.iter_mut().filter(|asked| !asked.seen) {
                match watchers.query(&asked.expr) {
                    Ok(samples) => asked.seen = samples.iter().any(is_number),
                    Err(why) => asked.said = why,
                }
            }
            thread::sleep(GAP);
        }
    }

    /// Returns how many panels ask something.
    pub(super) fn count(&self) -> usize {
        self.panels
    }

    /// Returns what never showed anything.
    pub(super) fn empty(&self) -> Vec<String> {
        let empty = self.queries.iter().filter(|asked| !asked.seen);
        empty.map(|asked| format!("{} {}: {}", asked.place, asked.said, asked.expr)).collect()
    }
}

/// A ratio of nothing is no number, and shows nothing.
fn is_number(sample: &Value) -> bool {
    sample["value"][1].as_str().is_some_and(|value| value != "NaN")
}
