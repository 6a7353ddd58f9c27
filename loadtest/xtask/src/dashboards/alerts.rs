//! Which alerts there are, and which arrived at the end of the chain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokenward_programs::failure::Failure;

use super::played::{Request, serve};

/// An alert: its name, and the window of those that have several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) window: String,
}

/// The path of a receiver that is gone.
const GONE: &str = "/gone";

/// What takes Alertmanager's webhooks.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    port: u16,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug, Default)]
struct Heard {
    fired: BTreeSet<Wanted>,
    /// The instances of each alert that are firing, by their labels.
    firing: BTreeMap<Wanted, BTreeSet<String>>,
    cleared: BTreeSet<Wanted>,
}

/// Reads the alerts out of the rules.
///
/// # Errors
/// `Unavailable` when the rules cannot be read.
pub(super) fn wanted(rules: &Path) -> Result<Vec<Wanted>, Failure> {
    let read = |error| Failure::io("read the rules", &error);
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut files: Vec<_> = fs::read_dir(rules).map_err(read)?.flatten().collect();
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        for line in fs::read_to_string(file.path()).map_err(read)?.lines() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("- alert: ") {
                wanted.push(Wanted { name: name.to_owned(), window: String::new() });
            } else if let Some(window) = line.strip_prefix("window: ")
                && let Some(last) = wanted.last_mut()
            {
                last.window = window.trim_matches('"').to_owned();
            }
        }
    }
    Ok(wanted)
}

impl Hook {
    /// Starts to listen.
    ///
    /// # Errors
    /// `Unavailable` when there is no port.
    pub(super) fn open() -> Result<Self, Failure> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let ear = Arc::clone(&heard);
        let port = serve(move |request: &Request| {
            if request.path == GONE {
                return (410, String::new());
            }
            if let Ok(message) = serde_json::from_str(&request.body) {
                lock(&ear).take(&message);
            }
            (200, String::new())
        })?;
        Ok(Self { port, heard })
    }

    /// Returns where Alertmanager is to send.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Returns where a collector of traces is, which takes everything and keeps nothing.
    pub(super) fn collector(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns where a receiver was that wants no letters any more.
    pub(super) fn gone(&self) -> String {
        format!("http://127.0.0.1:{}{GONE}", self.port)
    }

    /// Reports whether an alert has arrived.
    pub(super) fn fired(&self, alert: &Wanted) -> bool {
        lock(&self.heard).fired.contains(alert)
    }

    /// Reports whether an alert has arrived, and all of its instances are over.
    pub(super) fn cleared(&self, alert: &Wanted) -> bool {
        let heard = lock(&self.heard);
        heard.cleared.contains(alert) && !heard.firing.contains_key(alert)
    }

    /// Returns the alerts that have arrived.
    pub(super) fn all_fired(&self) -> Vec<String> {
        lock(&self.heard).fired.iter().map(|alert| alert.name.clone()).collect()
    }
}

impl Heard {
    fn take(&mut self, message: &Value) {
        for told in message["alerts"].as_array().into_iter().flatten() {
            let label = |name: &str| told["labels"][name].as_str().unwrap_or_default().to_owned();
            let alert = Wanted { name: label("alertname"), window: label("window") };
            let instance = told["labels"].to_string();
            if told["status"] == "firing" {
                self.fired.insert(alert.clone());
                self.firing.entry(alert).or_default().insert(instance);
            } else if let Some(firing) = self.firing.get_mut(&alert) {
                firing.remove(&instance);
                if firing.is_empty() {
                    self.firing.remove(&alert);
                    self.cleared.insert(alert);
                }
            }
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
