//! What there is: the metrics of the catalogue, what the rules record, and what Prometheus and every
//! process bring.

use tokenward::metrics::catalogue::{self, Kind, Metric, Values};

use super::promql::{Facts, RANGE_FUNCTIONS, Selector};
use crate::rules;

/// What stands behind a name in an expression.
pub(super) enum Behind {
    /// A series of the catalogue, and which part of a histogram.
    Catalogue(&'static Metric, Part),
    /// What a rule of ours records: its labels.
    Recorded(Vec<String>),
    /// What is not ours: its labels, and whether it only grows.
    Foreign(&'static [&'static str], bool),
}

/// Which of a histogram's series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Bucket,
    SumOrCount,
}

/// The labels that Prometheus puts on whatever it scrapes.
const SCRAPED: [&str; 2] = ["job", "instance"];

/// What is asked for that is not ours.
const FOREIGN: [(&str, &[&str], bool); 6] = [
    ("ALERTS", &["alertname", "alertstate", "component", "severity"], false),
    ("process_cpu_seconds_total", &[], true),
    ("process_max_fds", &[], false),
    ("process_open_fds", &[], false),
    ("process_resident_memory_bytes", &[], false),
    ("up", &[], false),
];

/// Finds the metric of the catalogue behind a series' name.
pub(super) fn metric(name: &str) -> Option<&'static Metric> {
    match behind(name) {
        Some(Behind::Catalogue(metric, _)) => Some(metric),
        Some(Behind::Foreign(..) | Behind::Recorded(_)) | None => None,
    }
}

fn behind(name: &str) -> Option<Behind> {
    if let Some(metric) = catalogue::find(name) {
        return Some(Behind::Catalogue(metric, Part::Whole));
    }
    for (suffix, part) in
        [("_bucket", Part::Bucket), ("_sum", Part::SumOrCount), ("_count", Part::SumOrCount)]
    {
        if let Some(metric) = name.strip_suffix(suffix).and_then(catalogue::find)
            && matches!(metric.kind, Kind::Histogram(_))
        {
            return Some(Behind::Catalogue(metric, part));
        }
    }
    if let Some((_, labels, grows)) = FOREIGN.iter().find(|(known, ..)| *known == name) {
        return Some(Behind::Foreign(labels, *grows));
    }
    let groups = rules::files().into_iter().flat_map(|(_, groups)| groups);
    let recorded = groups.flat_map(|group| group.records).find(|record| record.name == name)?;
    Some(Behind::Recorded(level(&recorded.name)))
}

/// Returns the labels that the first part of a recorded name promises.
pub(super) fn level(name: &str) -> Vec<String> {
    name.split(':').next().unwrap_or_default().split('_').map(str::to_owned).collect()
}

/// Finds what is wrong with the names in an expression.
pub(super) fn wrongs(facts: &Facts) -> Vec<String> {
    let mut wrongs: Vec<String> = facts.selectors.iter().flat_map(selector).collect();
    let labels: Vec<String> = facts.selectors.iter().flat_map(labels).collect();
    let strange = facts.grouped.iter().filter(|label| !labels.contains(label));
    wrongs.extend(strange.map(|label| format!("no series here has the label {label}")));
    for bucket in facts.selectors.iter().filter(|selector| selector.name.ends_with("_bucket")) {
        let one = bucket.matchers.iter().any(|(label, ..)| label == "le");
        if !one && !facts.grouped.iter().any(|label| label == "le") {
            wrongs.push(format!("the buckets of {} are not kept apart by le", bucket.name));
        }
    }
    wrongs
}

/// Returns the labels of the series that a selector finds.
pub(super) fn labels(selector: &Selector) -> Vec<String> {
    let scraped = SCRAPED.iter().map(|label| (*label).to_owned());
    match behind(&selector.name) {
        Some(Behind::Catalogue(metric, part)) => {
            let bound = (part == Part::Bucket).then(|| "le".to_owned());
            let own = metric.labels.iter().map(|label| label.name.to_owned());
            own.chain(bound).chain(scraped).collect()
        }
        Some(Behind::Recorded(labels)) => labels,
        Some(Behind::Foreign(labels, _)) => {
            labels.iter().map(|label| (*label).to_owned()).chain(scraped).collect()
        }
        None => Vec::new(),
    }
}

fn selector(selector: &Selector) -> Vec<String> {
    let name = &selector.name;
    let Some(behind) = behind(name) else {
        return vec![format!("there is no metric {name}")];
    };
    let mut wrongs = Vec::new();
    let nearest = selector.within.last().map_or("", String::as_str);
    let ranged = RANGE_FUNCTIONS.contains(&nearest);
    if ranged != selector.range {
        wrongs.push(format!(
            "{name} has a range where {nearest:?} takes none, or none where it does"
        ));
    }
    let grows = match &behind {
        Behind::Catalogue(metric, Part::Whole) if matches!(metric.kind, Kind::Histogram(_)) => {
            wrongs.push(format!("{name} is a histogram: ask for its _bucket, _sum or _count"));
            true
        }
        Behind::Catalogue(metric, part) => metric.kind == Kind::Counter || *part != Part::Whole,
        Behind::Recorded(_) => false,
        Behind::Foreign(_, grows) => *grows,
    };
    match (grows, ["increase", "rate"].contains(&nearest)) {
        (true, false) => wrongs.push(format!("{name} only grows: it says something by its rate")),
        (false, true) => wrongs.push(format!("{name} goes up and down: it has no rate")),
        (true, true) | (false, false) => {}
    }
    let known = labels(selector);
    for (label, operator, value) in &selector.matchers {
        if !known.contains(label) {
            wrongs.push(format!("{name} has no label {label}"));
        } else if let Behind::Catalogue(metric, _) = &behind {
            wrongs.extend(value_of(metric, label, operator, value));
        }
    }
    wrongs
}

fn value_of(metric: &Metric, label: &str, operator: &str, value: &str) -> Vec<String> {
    if label == "le" {
        return bound(metric, value);
    }
    let Some(Values::Closed(known)) =
        metric.labels.iter().find(|listed| listed.name == label).map(|listed| listed.values)
    else {
        return Vec::new();
    };
    let pattern = operator.ends_with('~');
    let each = value.split(|c| pattern && c == '|');
    each.filter(|value| !known.contains(value))
        .map(|value| format!("{label} of {} is never {value:?}", metric.name))
        .collect()
}

fn bound(metric: &Metric, value: &str) -> Vec<String> {
    let listed = match metric.kind {
        Kind::Histogram(bounds) => bounds.iter().any(|bound| bound.to_string() == value),
        Kind::Counter | Kind::Gauge => false,
    };
    // OpenMetrics writes 1 as 1.0: a threshold must have decimals to be the same in both formats.
    if listed && value.contains('.') {
        return Vec::new();
    }
    vec![format!("{} has no bucket {value:?} that is written alike in all formats", metric.name)]
}
