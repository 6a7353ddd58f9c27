//! What came of a run: the figures that others read, and the laws.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::director::{Played, Sample};
use crate::machine::Environment;
use crate::record::{FIFTHS, Record, Slot};

pub use self::law::{Facts, Law, State, Totals, judge};

mod law;
mod sums;

/// What came of a run. The fields up to `broken` are a contract with those who read the file; what
/// follows them is for comparing and drawing.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Verdict {
    /// The plan's name.
    pub plan: String,
    /// When it started, as RFC 3339 writes it.
    pub started: String,
    /// How long requests were sent, in seconds.
    pub duration_s: f64,
    /// How many there were.
    pub requests: Requests,
    /// From the moment at which a request was due to the end of its answer.
    pub latency_us: Latency,
    /// Requests answered per second.
    pub rps: f64,
    /// Processor time of the gateways for each answer.
    pub cpu_us_per_request: f64,
    /// The most memory that the gateways held at once.
    pub rss_bytes: u64,
    /// What the provider saw.
    pub exchanges: Exchanged,
    /// What became of the sessions.
    pub sessions: Sessions,
    /// The same of others in the same run, by name.
    #[serde(default)]
    pub peers: BTreeMap<String, Peer>,
    /// Ours divided by theirs, by name.
    #[serde(default)]
    pub ratios: BTreeMap<String, Ratio>,
    /// `pass` or `fail`.
    pub verdict: String,
    /// What must not have been, in sentences.
    pub broken: Vec<String>,
    /// What is needed to compare two runs and to draw one.
    #[serde(default)]
    pub detail: Detail,
}

/// How many requests there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Requests {
    /// Due, whether or not a connection was found for them.
    pub sent: u64,
    /// Answered as they should be.
    pub ok: u64,
    /// All others.
    pub failed: u64,
}

/// Quantiles, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Latency {
    /// The half.
    pub p50: u64,
    /// Nine of ten.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// The slowest.
    pub max: u64,
}

/// What the provider saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Exchanged {
    /// Requests to its token endpoint during the load.
    pub token_requests: u64,
    /// Access tokens that came to their end, or were needed for the first time, meanwhile.
    pub expiries: u64,
    /// Spent refresh tokens presented outside the reuse window.
    pub reuse_detected: u64,
    /// Families ended by that.
    pub families_revoked: u64,
}

/// What became of the sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Sessions {
    /// All of them.
    pub total: u64,
    /// Ended although nobody ended them.
    pub lost: u64,
    /// Served after their end.
    pub zombie: u64,
    /// Held for another factor at the end.
    pub held: u64,
}

/// The same figures of another program in the same run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Peer {
    /// How many requests.
    pub requests: Requests,
    /// How fast.
    pub latency_us: Latency,
    /// How many answered per second.
    pub rps: f64,
    /// Processor time for each answer.
    pub cpu_us_per_request: f64,
    /// The most memory.
    pub rss_bytes: u64,
}

/// Ours divided by theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Ratio {
    /// Processor time for each answer.
    pub cpu: f64,
    /// Answers per second.
    pub rps: f64,
    /// The 99th of 100.
    pub p99: f64,
}

/// What is needed to compare two runs and to draw one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Detail {
    /// What the plan shows.
    pub about: String,
    /// The seed of the schedule.
    pub seed: u64,
    /// What was sent over which connections.
    pub load: String,
    /// Whether somebody ended the run early.
    pub interrupted: bool,
    /// Where it took place.
    pub environment: Environment,
    /// How many cores were busy during the load.
    pub busy: Busy,
    /// From the sending of a request to the end of its answer.
    pub service_us: Latency,
    /// How late requests left the pacer.
    pub lateness_us: Latency,
    /// Points of the curve of response times: the share of requests, and microseconds.
    pub curve: Vec<(f64, u64)>,
    /// The same of service times.
    pub service_curve: Vec<(f64, u64)>,
    /// The run in five parts.
    pub fifths: Vec<Fifth>,
    /// The rates of a run that climbs.
    pub stages: Vec<StageFigures>,
    /// The highest rate that was carried, where they climb.
    pub knee_rps: Option<f64>,
    /// Why requests failed.
    pub failures: BTreeMap<String, u64>,
    /// What was judged.
    pub laws: Vec<Law>,
}

/// How many cores were busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Busy {
    /// With the gateways.
    pub gateways: f64,
    /// With the provider and the APIs.
    pub sandbox: f64,
    /// With the generator, which has one at most.
    pub generator: f64,
}

/// A fifth of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Fifth {
    /// The half, in microseconds.
    pub p50: u64,
    /// Nine of ten.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// Requests answered per second.
    pub rps: f64,
    /// Processor time for each answer, in microseconds.
    pub cpu_us: f64,
    /// Memory at its end, in bytes.
    pub rss_bytes: u64,
}

/// One rate, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct StageFigures {
    /// Offered per second.
    pub offered: f64,
    /// Answered per second.
    pub answered: f64,
    /// 99 of 100, in microseconds, to a fifth of a decade.
    pub p99: u64,
}

/// What a page shows beyond the figures: too much to keep in a file of results.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// The columns.
    pub slots: Vec<Slot>,
    /// Requests due in each.
    pub offered: Vec<u32>,
    /// How long a column is.
    pub slot: Duration,
    /// What happened meanwhile.
    pub played: Vec<Played>,
}

impl Latency {
    /// Reads them from a histogram of microseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: histogram.max() }
    }
}

impl Verdict {
    /// Tells whether all was well.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        self.broken.is_empty()
    }

    /// Takes over the times of a run, and what generator and sandbox used of the processor.
    pub fn time(
        &mut self,
        record: &Record,
        samples: &[Sample],
        beside_us: [u64; 2],
        lasted: Duration,
    ) {
        self.duration_s = sums::rounded(lasted.as_secs_f64(), 3);
        self.latency_us = Latency::of(&record.response);
        self.detail.service_us = Latency::of(&record.service);
        self.detail.curve = sums::curve(&record.response);
        self.detail.service_curve = sums::curve(&record.service);
        let failures = record.failed.iter();
        self.detail.failures =
            failures.map(|(cause, count)| (cause.words().to_owned(), *count)).collect();
        let ok = record.ok();
        self.rps = sums::rounded(sums::ratio(ok as f64, lasted.as_secs_f64()), 1);
        let cpu_us = sums::cpu_between(samples, Duration::ZERO, Duration::MAX);
        // What was still under way when the last request was due took its time as well.
        let seconds = samples.last().map_or(lasted, |sample| sample.at).as_secs_f64();
        let [generator, sandbox] = beside_us.map(|us| us as f64);
        let busy = |us: f64| sums::rounded(sums::ratio(us, seconds * 1e6), 2);
        self.detail.busy =
            Busy { gateways: busy(cpu_us), sandbox: busy(sandbox), generator: busy(generator) };
        self.cpu_us_per_request = sums::rounded(sums::ratio(cpu_us, ok as f64), 2);
        self.rss_bytes = samples.iter().map(|sample| sample.rss_bytes).max().unwrap_or(0);
        let whole = record.whole();
        // Of a run that ended early only the fifths that it has finished can be compared.
        let done = |at: &usize| whole.mul_f64((at + 1) as f64 / FIFTHS as f64) <= lasted;
        let parts = record.fifths.iter().enumerate().filter(|(at, _)| done(at));
        self.detail.fifths =
            parts.map(|(at, fifth)| sums::fifth(at, fifth, samples, whole)).collect();
    }

    /// Takes over what the laws say.
    pub fn judge(&mut self, laws: Vec<Law>) {
        let broken = laws.iter().filter_map(|law| match &law.state {
            State::Broken(sentence) => Some(sentence.clone()),
            State::Kept | State::NotJudged(_) => None,
        });
        self.broken = broken.collect();
        self.verdict = if self.broken.is_empty() { "pass" } else { "fail" }.to_owned();
        self.detail.laws = laws;
    }

    /// Works out what each rate brought, where they climb.
    pub fn climb(&mut self, stages: &[(f64, Duration)], picture: &Picture) {
        self.detail.stages = sums::stages(stages, picture);
        self.detail.knee_rps = sums::knee(&self.detail.stages);
    }
}

/// Returns by which share memory grew between the second and the last fifth.
#[must_use]
pub fn growth(fifths: &[Fifth]) -> f64 {
    match fifths {
        [_, second, .., last] => sums::ratio(last.rss_bytes as f64, second.rss_bytes as f64) - 1.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_keys_that_its_readers_rely_on() {
        let mut verdict = Verdict::default();
        verdict.ratios.insert("nginx".to_owned(), Ratio::default());
        verdict.judge(Vec::new());
        let whole = serde_json::to_value(&verdict).unwrap();
        for (place, keys) in [
            (
                "",
                "broken cpu_us_per_request detail duration_s exchanges latency_us peers plan ratios \
                  requests rps rss_bytes sessions started verdict",
            ),
            ("/requests", "failed ok sent"),
            ("/latency_us", "max p50 p90 p99 p999"),
            ("/exchanges", "expiries families_revoked reuse_detected token_requests"),
            ("/sessions", "held lost total zombie"),
            ("/ratios/nginx", "cpu p99 rps"),
        ] {
            let object = whole.pointer(place).unwrap().as_object().unwrap();
            let mut found: Vec<_> = object.keys().map(String::as_str).collect();
            found.sort_unstable();
            assert_eq!(found.join(" "), keys, "{place}");
        }
        assert_eq!(whole["verdict"], "pass");
        let again: Verdict = serde_json::from_value(whole).unwrap();
        assert_eq!(again.ratios, verdict.ratios);
    }

    #[test]
    fn growth_leaves_the_start_out() {
        let fifths =
            [90, 100, 101, 103, 104].map(|rss_bytes| Fifth { rss_bytes, ..Fifth::default() });
        assert!((growth(&fifths) - 0.04).abs() < 1e-9);
        assert!(growth(&fifths[..1]).abs() < 1e-9);
    }
}
