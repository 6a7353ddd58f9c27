//! The recorder behind the handles. It knows only what the catalogue lists.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use metrics_process::Collector;

use super::catalogue::{Home, Kind, Metric, Values, all};
use super::table::{Closed, LazyTable, Table};

/// The highest observation: thirty years of seconds. Beyond it a sum would lose its fractions, and
/// one infinite observation would make it infinite for ever.
const OBSERVATION_MAX: f64 = 1e9;

/// A recorder of its own: two of them in one process share nothing.
pub(super) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

/// A histogram that takes no observation which would spoil its sum.
pub(super) struct Distribution(Histogram);

/// What a registered metric is counted with.
pub(super) trait Handle: Sized {
    /// Registers the series of `metric` with the label values in `key`.
    fn register(registry: &Registry, metric: &'static Metric, key: &Key) -> Self;
}

impl Registry {
    /// Describes every metric of `home`, and registers none.
    ///
    /// Histograms are told their buckets by full name: a matcher sees the registered name only, and
    /// a histogram without a matcher is exposed as a summary. No idle time-out is set: it would
    /// orphan the handles that are kept here.
    #[expect(clippy::expect_used, reason = "a test of the catalogue finds empty buckets")]
    pub(super) fn new(home: Home) -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in all().filter(|metric| metric.home == home) {
            if let Kind::Histogram(bounds) = metric.kind {
                let matcher = Matcher::Full(metric.name.to_owned());
                let buckets = builder.set_buckets_for_metric(matcher, bounds);
                builder = buckets.expect("the catalogue has no empty buckets");
            }
        }
        let recorder = builder.build_recorder();
        for metric in all().filter(|metric| metric.home == home) {
            let name = KeyName::from_const_str(metric.name);
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, metric.help.into()),
                Kind::Gauge => recorder.describe_gauge(name, None, metric.help.into()),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, metric.help.into()),
            }
        }
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// Returns the exposition as the exporter writes it: unsorted.
    pub(super) fn render(&self) -> String {
        self.handle.render()
    }

    /// Sets `process_*` from what the kernel says.
    pub(super) fn look_at_process(&self) {
        // The collector counts by macros, which find this recorder for as long as the call takes.
        metrics::with_local_recorder(&self.recorder, || {
            let collector = Collector::default();
            collector.describe();
            collector.collect();
        });
    }

    /// Moves the observations since the last call into their buckets.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Registers the one series of `metric` in which the configured labels are `configured`.
    pub(super) fn one<H: Handle>(&self, metric: &'static Metric, configured: &[&str]) -> H {
        self.series(metric, configured, &[])
    }

    /// Registers every series of `metric` in which the first labels are `fixed` and the rest is any
    /// value of `K`: all of them are exposed as zero from the start.
    pub(super) fn table<K: Closed, H: Handle>(
        &self,
        metric: &'static Metric,
        fixed: &[&str],
    ) -> Table<K, H> {
        let values = agreed::<K>(metric, fixed);
        Table::new(|at| self.series(metric, fixed, &at_place(&values, at)))
    }

    /// Prepares the series of `metric` without registering any.
    pub(super) fn lazy_table<K: Closed, H: Handle>(
        metric: &'static Metric,
        fixed: &[&str],
    ) -> LazyTable<K, H> {
        agreed::<K>(metric, fixed);
        LazyTable::new()
    }

    /// Registers the series of a prepared table at `key`.
    pub(super) fn late<K: Closed, H: Handle>(
        &self,
        metric: &'static Metric,
        fixed: &[&str],
        key: K,
    ) -> H {
        self.series(metric, fixed, &at_place(&K::values(), key.at()))
    }

    fn series<H: Handle>(
        &self,
        metric: &'static Metric,
        fixed: &[&str],
        closed: &[&'static str],
    ) -> H {
        assert_eq!(
            metric.labels.len(),
            fixed.len() + closed.len(),
            "{} is registered with a value for each label",
            metric.name
        );
        let fixed = fixed.iter().map(|value| (*value).to_owned().into());
        let closed = closed.iter().map(|value| metrics::SharedString::const_str(value));
        let labels: Vec<metrics::Label> = metric
            .labels
            .iter()
            .zip(fixed.chain(closed))
            .map(|(label, value)| metrics::Label::new(label.name, value))
            .collect();
        H::register(self, metric, &Key::from_parts(metric.name, labels))
    }
}

impl Distribution {
    /// Counts one observation; what is no number or lies outside is counted at the nearer end.
    pub(super) fn record(&self, value: f64) {
        self.0.record(clamped(value));
    }
}

impl Handle for Counter {
    fn register(registry: &Registry, metric: &'static Metric, key: &Key) -> Self {
        assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        registry.recorder.register_counter(key, &METADATA)
    }
}

impl Handle for Gauge {
    fn register(registry: &Registry, metric: &'static Metric, key: &Key) -> Self {
        assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        registry.recorder.register_gauge(key, &METADATA)
    }
}

impl Handle for Distribution {
    fn register(registry: &Registry, metric: &'static Metric, key: &Key) -> Self {
        assert!(matches!(metric.kind, Kind::Histogram(_)), "{}", metric.name);
        Self(registry.recorder.register_histogram(key, &METADATA))
    }
}

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), metrics::Level::INFO, Some(module_path!()));

/// Returns the values of `K`, which are those of the metric's labels after the first `fixed`.
fn agreed<K: Closed>(metric: &'static Metric, fixed: &[&str]) -> Vec<&'static [&'static str]> {
    let values = K::values();
    let listed = metric.labels.iter().skip(fixed.len()).map(|label| label.values);
    assert!(
        listed.eq(values.iter().map(|values| Values::Closed(values))),
        "{} is registered with the labels of the catalogue",
        metric.name
    );
    values
}

/// Returns the label values at a place of a table.
fn at_place(values: &[&'static [&'static str]], mut at: usize) -> Vec<&'static str> {
    let mut chosen: Vec<&'static str> = values
        .iter()
        .rev()
        .map(|values| {
            let value = values[at % values.len()];
            at /= values.len();
            value
        })
        .collect();
    chosen.reverse();
    chosen
}

fn clamped(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, OBSERVATION_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_odd_observation_does_not_spoil_the_sum() {
        for (value, counted) in [
            (f64::NAN, 0.0),
            (f64::NEG_INFINITY, 0.0),
            (-1.0, 0.0),
            (0.25, 0.25),
            (f64::INFINITY, OBSERVATION_MAX),
        ] {
            assert_eq!(clamped(value), counted, "{value}");
        }
    }
}
