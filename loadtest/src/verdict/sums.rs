//! The arithmetic of a verdict.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Fifth, Picture, StageFigures};
use crate::director::Sample;
use crate::record::{FIFTHS, ROW_FLOOR_US, ROWS_A_DECADE};

/// How many points a curve has to a decade of its nines axis.
const POINTS_A_DECADE: u32 = 8;
/// The share of the offered requests that must be answered for a rate to count as carried.
const CARRIED: f64 = 0.95;
/// The slowest 99th of 100 at which a rate still counts as carried, in microseconds.
const CARRIED_P99_US: u64 = 100_000;

/// Returns the quantiles of a histogram at even steps of a nines axis: 0, 90 %, 99 % and so on, as
/// far as there are requests to tell them.
pub(super) fn curve(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    if histogram.is_empty() {
        return Vec::new();
    }
    // Beyond one request in so many there is nothing but the slowest one.
    let decades = (histogram.len() as f64).log10();
    let steps = (decades * f64::from(POINTS_A_DECADE)).floor() as u32;
    let point = |step| {
        let share = 1.0 - 10_f64.powf(-f64::from(step) / f64::from(POINTS_A_DECADE));
        (rounded(share, 7), histogram.value_at_quantile(share))
    };
    (0..=steps).map(point).collect()
}

/// Returns the figures of a fifth of a run.
pub(super) fn fifth(
    at: usize,
    histogram: &Histogram<u64>,
    samples: &[Sample],
    whole: Duration,
) -> Fifth {
    let border = |number: usize| whole.mul_f64(number as f64 / FIFTHS as f64);
    let (begin, end) = (border(at), border(at + 1));
    let ok = histogram.len() as f64;
    let quantile = |share| match histogram.is_empty() {
        true => 0,
        false => histogram.value_at_quantile(share),
    };
    let last = samples.iter().rev().find(|sample| sample.at <= end);
    Fifth {
        p50: quantile(0.5),
        p90: quantile(0.9),
        p99: quantile(0.99),
        rps: rounded(ratio(ok, (end - begin).as_secs_f64()), 1),
        cpu_us: rounded(ratio(cpu_between(samples, begin, end), ok), 2),
        rss_bytes: last.map_or(0, |sample| sample.rss_bytes),
    }
}

/// Returns the processor time used between two moments, in microseconds; between two samples it is
/// taken as even.
pub(super) fn cpu_between(samples: &[Sample], begin: Duration, end: Duration) -> f64 {
    cpu_until(samples, end) - cpu_until(samples, begin)
}

fn cpu_until(samples: &[Sample], at: Duration) -> f64 {
    let after = samples.partition_point(|sample| sample.at <= at);
    let (before, after) = (after.checked_sub(1).map(|at| &samples[at]), samples.get(after));
    match (before, after) {
        (Some(before), Some(after)) => {
            let share = ratio((at - before.at).as_secs_f64(), (after.at - before.at).as_secs_f64());
            before.cpu_us as f64 + share * (after.cpu_us - before.cpu_us) as f64
        }
        (Some(last), None) => last.cpu_us as f64,
        (None, _) => 0.0,
    }
}

/// Returns what each rate brought where rates climb; nothing where they do not.
pub(super) fn stages(stages: &[(f64, Duration)], picture: &Picture) -> Vec<StageFigures> {
    let mut begin = Duration::ZERO;
    let mut all = Vec::new();
    for &(offered, lasting) in stages {
        let end = begin + lasting;
        let within = |at: &usize| {
            let (slot_begin, slot_end) =
                (picture.slot.mul_f64(*at as f64), picture.slot.mul_f64((*at + 1) as f64));
            slot_begin + TOLERANCE >= begin && slot_end <= end + TOLERANCE
        };
        let slots = picture.slots.iter().enumerate().filter(|(at, _)| within(at));
        let slots: Vec<_> = slots.map(|(_, slot)| slot).collect();
        let seconds = picture.slot.as_secs_f64() * slots.len() as f64;
        let ok: u64 = slots.iter().map(|slot| u64::from(slot.ok)).sum();
        let mut left = ok / 100;
        let mut p99 = 0;
        for row in (0..crate::record::ROWS).rev() {
            let count: u64 = slots.iter().map(|slot| u64::from(slot.rows[row])).sum();
            if count > left {
                p99 = (ROW_FLOOR_US * 10_f64.powf(row as f64 / ROWS_A_DECADE)).round() as u64;
                break;
            }
            left -= count;
        }
        all.push(StageFigures { offered, answered: rounded(ratio(ok as f64, seconds), 1), p99 });
        begin = end;
    }
    let climbs = all.len() > 2 && all.is_sorted_by(|one, next| one.offered < next.offered);
    if climbs { all } else { Vec::new() }
}

/// Columns are cut from the whole run by division: a stage's borders are met but for rounding.
const TOLERANCE: Duration = Duration::from_millis(1);

/// Returns the highest rate that was carried.
pub(super) fn knee(stages: &[StageFigures]) -> Option<f64> {
    let carried = |stage: &&StageFigures| {
        stage.offered > 0.0
            && stage.answered >= CARRIED * stage.offered
            && stage.p99 <= CARRIED_P99_US
    };
    stages.iter().filter(carried).map(|stage| stage.offered).max_by(f64::total_cmp)
}

/// Divides; what cannot be divided is nothing.
pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Rounds to so many decimal places, so that files of results stay readable.
pub(super) fn rounded(value: f64, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Slot;

    #[test]
    fn processor_time_is_even_between_two_samples() {
        let sample = |s, cpu_us| Sample { at: Duration::from_secs(s), cpu_us, rss_bytes: 0 };
        let samples = [sample(1, 100), sample(3, 300)];
        let at = |s| Duration::from_secs(s);
        assert!((cpu_between(&samples, at(1), at(2)) - 100.0).abs() < 1e-9);
        assert!((cpu_between(&samples, at(0), at(9)) - 300.0).abs() < 1e-9);
        assert!(cpu_between(&[], at(0), at(9)).abs() < 1e-9);
    }

    #[test]
    fn a_curve_goes_as_far_as_there_are_requests() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        assert_eq!(curve(&histogram), []);
        (1..=1_000).for_each(|us| histogram.saturating_record(us));
        let curve = curve(&histogram);
        assert_eq!(curve.len(), 25);
        assert_eq!((curve[0], curve[8].0, curve[24].0), ((0.0, 1), 0.9, 0.999));
        assert!((899..=901).contains(&curve[8].1), "{:?}", curve[8]);
    }

    #[test]
    fn the_knee_is_the_last_rate_that_was_carried() {
        let slot = |ok, row: usize| {
            let mut slot = Slot { ok, ..Slot::default() };
            slot.rows[row] = ok;
            slot
        };
        let picture = Picture {
            slots: vec![slot(100, 2), slot(100, 2), slot(200, 9), slot(200, 10), slot(250, 20)],
            slot: Duration::from_secs(1),
            ..Picture::default()
        };
        let second = Duration::from_secs;
        let rates = [(100.0, second(2)), (200.0, second(2)), (400.0, second(1))];
        let figures = stages(&rates, &picture);
        let expected = [(100.0, 251), (200.0, 10_000), (250.0, 1_000_000)];
        let found: Vec<_> = figures.iter().map(|stage| (stage.answered, stage.p99)).collect();
        assert_eq!(found, expected);
        assert_eq!(knee(&figures), Some(200.0));
        assert_eq!(stages(&rates[..2], &picture), []);
    }
}
