//! Exemplars: beside what a histogram counted, the trace of one request that fell into a bucket.
//!
//! Only OpenMetrics has room for them. They are kept apart from the exporter, which knows none.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock};

use metrics::Key;

use super::catalogue::{Kind, Metric};
use super::registry::{Handle, Registry};
use super::table::{Closed, Table};

/// How old an exemplar grows before the next one takes its place: a scrape shows one, and what comes
/// in between would only be written for nobody.
const KEPT_MS: u64 = 1_000;

/// A trace that was sampled, and when its observation was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// The trace's id (W3C Trace Context).
    pub trace: [u8; 16],
    /// The wall clock, in milliseconds since 1970.
    pub at_ms: u64,
}

/// The exemplars of one series of a histogram: the latest of each bucket.
pub(super) struct Shelf {
    bounds: &'static [f64],
    /// A bucket's sample as the exporter writes it, up to the bound.
    stem: String,
    /// Made by the first exemplar: where nobody wants traces, a shelf is a name.
    places: OnceLock<Box<[Mutex<Option<Kept>>]>>,
}

/// What is written behind the sample of a bucket, by the sample's name with its labels.
pub(super) type Notes = HashMap<String, String>;

#[derive(Clone, Copy)]
struct Kept {
    exemplar: Exemplar,
    value: f64,
}

impl Handle for Shelf {
    fn register(_registry: &Registry, metric: &'static Metric, key: &Key) -> Self {
        let bounds = match metric.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        };
        let mut stem = format!("{}_bucket{{", metric.name);
        for label in key.labels() {
            let value = label.value().replace('\\', "\\\\").replace('"', "\\\"");
            // Writing to a text does not fail.
            let _ = write!(stem, "{}=\"{}\",", label.key(), value.replace('\n', "\\n"));
        }
        stem.push_str("le=\"");
        Self { bounds, stem, places: OnceLock::new() }
    }
}

impl Shelf {
    /// Puts an exemplar beside the bucket of `value`, unless that has a young one.
    pub(super) fn put(&self, exemplar: Exemplar, value: f64) {
        let places =
            self.places.get_or_init(|| (0..=self.bounds.len()).map(|_| Mutex::default()).collect());
        let at = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        // Whoever writes or reads it just now is as good.
        let Ok(mut kept) = places[at].try_lock() else { return };
        if kept.is_none_or(|kept| exemplar.at_ms >= kept.exemplar.at_ms.saturating_add(KEPT_MS)) {
            *kept = Some(Kept { exemplar, value });
        }
    }

    fn write(&self, notes: &mut Notes) {
        for (at, place) in self.places.get().into_iter().flatten().enumerate() {
            let Some(Kept { exemplar, value }) = place.try_lock().ok().and_then(|kept| *kept)
            else {
                continue;
            };
            let bound = self.bounds.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            let mut trace = String::with_capacity(exemplar.trace.len() * 2);
            for byte in exemplar.trace {
                let _ = write!(trace, "{byte:02x}");
            }
            let (seconds, ms) = (exemplar.at_ms / 1_000, exemplar.at_ms % 1_000);
            let note = format!(" # {{trace_id=\"{trace}\"}} {value} {seconds}.{ms:03}");
            notes.insert(format!("{}{bound}\"}}", self.stem), note);
        }
    }
}

/// Writes the exemplars of several series.
pub(super) fn note<K: Closed>(shelves: &Table<K, Shelf>, notes: &mut Notes) {
    shelves.each().for_each(|shelf| shelf.write(notes));
}
