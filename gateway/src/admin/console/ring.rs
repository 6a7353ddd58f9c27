//! The last hour, in samples of ten seconds.
//!
//! Counters are kept as what they grew by, gauges as they stood. At the catalogue's cap of 33
//! audiences the hour takes 1.5 MB.

use std::collections::VecDeque;

use super::reading::{BUCKETS, Number, Reading, Row};

/// How much time one sample covers.
pub(super) const SAMPLE_MS: u64 = 10_000;

/// The samples of an hour.
const SAMPLES: usize = 360;

/// The columns of a chart: the minutes of an hour.
pub(super) const MINUTES: usize = 60;

const MINUTE_MS: u64 = 60_000;

/// The numbers of the last hour.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// The audiences, in the order in which they were first seen; none is ever taken out.
    names: Vec<String>,
    closed: VecDeque<Sample>,
    /// What was read when the open sample began, and when that was.
    base: Option<(u64, Reading)>,
    open: Option<Sample>,
}

/// What happened in some ten seconds.
#[derive(Clone, Debug)]
struct Sample {
    since_ms: u64,
    at_ms: u64,
    whole: Row<u32>,
    /// In the order of the names; an audience that came later is absent.
    audiences: Vec<Row<u32>>,
    latency: [u32; BUCKETS],
}

/// Which row of a sample is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// What has no audience.
    Whole,
    /// The audience at this place.
    Audience(usize),
    /// All audiences together.
    Audiences,
}

impl Ring {
    /// Takes a reading in: it moves the open sample on, and closes it once its time is over.
    pub(super) fn look(&mut self, at_ms: u64, reading: Reading) {
        for (name, _) in &reading.audiences {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        let Some((since_ms, base)) = &self.base else {
            self.base = Some((at_ms, reading));
            return;
        };
        let sample = self.sample((*since_ms, at_ms), base, &reading);
        if at_ms.saturating_sub(*since_ms) < SAMPLE_MS {
            self.open = Some(sample);
            return;
        }
        if self.closed.len() >= SAMPLES {
            self.closed.pop_front();
        }
        self.closed.push_back(sample);
        self.open = None;
        self.base = Some((at_ms, reading));
    }

    /// Returns the audiences.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns how often something happened in each of the last 60 minutes, the present one last.
    pub(super) fn minutes(&self, of: Of, number: Number) -> [u32; MINUTES] {
        let mut minutes = [0_u32; MINUTES];
        for (minute, sample) in self.placed() {
            minutes[minute] = minutes[minute].saturating_add(sample.value(of, number));
        }
        minutes
    }

    /// Returns how often something happened in the last hour.
    pub(super) fn sum(&self, of: Of, number: Number) -> u64 {
        self.minutes(of, number).iter().map(|count| u64::from(*count)).sum()
    }

    /// Returns how a gauge stands; zero before anything was sampled.
    pub(super) fn stands(&self, of: Of, number: Number) -> u32 {
        let last = self.open.as_ref().or_else(|| self.closed.back());
        last.map_or(0, |sample| sample.value(of, number))
    }

    /// Returns how often something happened lately, per second.
    pub(super) fn rate(&self, of: Of, number: Number) -> f64 {
        // One closed sample and the open one: between ten and twenty seconds.
        let lately = || self.closed.back().into_iter().chain(&self.open);
        let count: u32 = lately().map(|sample| sample.value(of, number)).sum();
        let took_ms: u64 =
            lately().map(|sample| sample.at_ms.saturating_sub(sample.since_ms)).sum();
        f64::from(count) / f64::from(u32::try_from(took_ms.max(1)).unwrap_or(u32::MAX)) * 1_000.0
    }

    /// Returns the provider's answering times in each of the last 60 minutes: how many calls fell
    /// below each bound.
    pub(super) fn latency(&self) -> [[u32; BUCKETS]; MINUTES] {
        let mut minutes = [[0; BUCKETS]; MINUTES];
        for (minute, sample) in self.placed() {
            for (sum, count) in minutes[minute].iter_mut().zip(sample.latency) {
                *sum += count;
            }
        }
        minutes
    }

    /// Each sample of the hour with the minute it belongs to: whole minutes of the wall clock, so
    /// that a column does not change once it is over.
    fn placed(&self) -> impl Iterator<Item = (usize, &Sample)> {
        let samples = self.closed.iter().chain(&self.open);
        let newest = samples.clone().next_back().map_or(0, |sample| sample.at_ms / MINUTE_MS);
        samples.filter_map(move |sample| {
            let ago = newest.checked_sub(sample.at_ms / MINUTE_MS)?;
            let ago = usize::try_from(ago).ok()?;
            (MINUTES - 1).checked_sub(ago).map(|minute| (minute, sample))
        })
    }

    fn sample(&self, (since_ms, at_ms): (u64, u64), base: &Reading, reading: &Reading) -> Sample {
        let of = |reading: &Reading, name: &str| {
            let found = reading.audiences.iter().find(|(known, _)| known == name);
            found.map_or([0; Number::COUNT], |(_, row)| *row)
        };
        let audiences = self.names.iter();
        Sample {
            since_ms,
            at_ms,
            whole: grown(&base.whole, &reading.whole),
            audiences: audiences.map(|name| grown(&of(base, name), &of(reading, name))).collect(),
            latency: std::array::from_fn(|at| less(reading.latency[at], base.latency[at])),
        }
    }
}

impl Sample {
    fn value(&self, of: Of, number: Number) -> u32 {
        match of {
            Of::Whole => self.whole[number.at()],
            Of::Audience(place) => self.audiences.get(place).map_or(0, |row| row[number.at()]),
            Of::Audiences => self.audiences.iter().map(|row| row[number.at()]).sum(),
        }
    }
}

fn grown(before: &Row<u64>, after: &Row<u64>) -> Row<u32> {
    std::array::from_fn(|at| match Number::is_gauge(at) {
        true => less(after[at], 0),
        false => less(after[at], before[at]),
    })
}

fn less(after: u64, before: u64) -> u32 {
    u32::try_from(after.saturating_sub(before)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in the metrics after so many passed factors, with so many holds.
    fn reading(passed: u64, held: u64) -> Reading {
        let mut row = [0; Number::COUNT];
        row[Number::MfaPassed.at()] = passed;
        row[Number::MfaHeld.at()] = held;
        Reading { audiences: vec![("urn:a".to_owned(), row)], ..Reading::default() }
    }

    #[test]
    fn a_minute_has_what_happened_in_it_and_the_open_sample_counts() {
        let mut ring = Ring::default();
        let start = 1_000 * MINUTE_MS;
        for (after_ms, passed, held) in
            [(0, 7, 0), (2_000, 8, 1), (10_000, 9, 2), (60_000, 12, 2), (62_000, 13, 1)]
        {
            ring.look(start + after_ms, reading(passed, held));
        }
        let minutes = ring.minutes(Of::Audience(0), Number::MfaPassed);
        assert_eq!(minutes[58..], [2, 4], "what was counted before the first look is not news");
        assert_eq!(ring.sum(Of::Audiences, Number::MfaPassed), 6);
        assert_eq!(ring.sum(Of::Whole, Number::MfaPassed), 0);
        assert_eq!(ring.stands(Of::Audience(0), Number::MfaHeld), 1);
        assert!((ring.rate(Of::Audience(0), Number::MfaPassed) - 4.0 / 52.0).abs() < 1e-9);
    }

    #[test]
    fn l14_the_ring_holds_an_hour_and_forgets_the_rest() {
        let mut ring = Ring::default();
        for number in 0..2_000 {
            ring.look(number * SAMPLE_MS, reading(number, 3));
        }
        assert_eq!(ring.closed.len(), SAMPLES);
        let minutes = ring.minutes(Of::Audience(0), Number::MfaPassed);
        assert!(minutes[1..59].iter().all(|count| *count == 6), "{minutes:?}");
        // A wall clock that was set back shows what it can, and breaks nothing.
        ring.look(5, reading(3_000, 3));
        ring.look(SAMPLE_MS + 5, reading(3_001, 3));
        assert!(ring.sum(Of::Audiences, Number::MfaPassed) < 2_000);
    }
}
