//! Two runs side by side: what changed, and whether the change is larger than the noise.

use tokenward_programs::failure::Failure;

use crate::verdict::{Fifth, Verdict};

/// A change counts when it is larger than so many standard errors: with five parts on either side
/// a change by chance is that large about once in a hundred comparisons.
const STANDARD_ERRORS: f64 = 2.8;

/// A figure that two runs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// The half, in microseconds.
    P50,
    /// Nine of ten.
    P90,
    /// 99 of 100.
    P99,
    /// Answers per second.
    Rps,
    /// Processor time for each answer, in microseconds.
    Cpu,
    /// Memory, in bytes.
    Rss,
}

/// One figure of two runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Which.
    pub figure: Figure,
    /// In this run.
    pub now: f64,
    /// In the baseline.
    pub before: f64,
    /// The change as a share of the baseline.
    pub change: f64,
    /// How large a change by chance may be, as a share of the baseline; infinite where a run was too
    /// short to tell.
    pub noise: f64,
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// For the better.
    Better,
    /// For the worse.
    Worse,
    /// Not larger than chance.
    Noise,
}

impl Figure {
    /// All of them, as they are listed.
    pub const ALL: [Self; 6] = [Self::P50, Self::P90, Self::P99, Self::Rps, Self::Cpu, Self::Rss];

    /// Returns the name by which bounds call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::Rps => "rps",
            Self::Cpu => "cpu",
            Self::Rss => "rss",
        }
    }

    /// Returns its value in a run.
    #[must_use]
    pub fn of(self, verdict: &Verdict) -> f64 {
        match self {
            Self::P50 => verdict.latency_us.p50 as f64,
            Self::P90 => verdict.latency_us.p90 as f64,
            Self::P99 => verdict.latency_us.p99 as f64,
            Self::Rps => verdict.rps,
            Self::Cpu => verdict.cpu_us_per_request,
            Self::Rss => verdict.rss_bytes as f64,
        }
    }

    fn of_fifth(self, fifth: &Fifth) -> f64 {
        match self {
            Self::P50 => fifth.p50 as f64,
            Self::P90 => fifth.p90 as f64,
            Self::P99 => fifth.p99 as f64,
            Self::Rps => fifth.rps,
            Self::Cpu => fifth.cpu_us,
            Self::Rss => fifth.rss_bytes as f64,
        }
    }

    /// Tells whether more of it is better.
    const fn more_is_better(self) -> bool {
        match self {
            Self::Rps => true,
            Self::P50 | Self::P90 | Self::P99 | Self::Cpu | Self::Rss => false,
        }
    }
}

impl Row {
    /// Says the change with its noise.
    #[must_use]
    pub fn spoken(&self) -> String {
        let (change, noise) = (self.change * 100.0, self.noise * 100.0);
        match noise.is_finite() {
            true => format!("{change:+.1} % ± {noise:.1} %"),
            false => format!("{change:+.1} % ± ?"),
        }
    }

    /// Tells what the change means.
    #[must_use]
    pub fn verdict(&self) -> Change {
        match (self.change.abs() > self.noise, self.change > 0.0) {
            (false, _) => Change::Noise,
            (true, up) if up == self.figure.more_is_better() => Change::Better,
            (true, _) => Change::Worse,
        }
    }
}

/// Compares a run with a baseline, figure by figure.
#[must_use]
pub fn compare(now: &Verdict, before: &Verdict) -> Vec<Row> {
    let row = |figure: Figure| {
        let (value, base) = (figure.of(now), figure.of(before));
        let share = |amount: f64| if base > 0.0 { amount / base } else { 0.0 };
        let error = |verdict: &Verdict| {
            let parts = verdict.detail.fifths.iter().map(|fifth| figure.of_fifth(fifth));
            squared_error(&parts.collect::<Vec<_>>())
        };
        let noise = STANDARD_ERRORS * (error(now) + error(before)).sqrt();
        Row { figure, now: value, before: base, change: share(value - base), noise: share(noise) }
    };
    Figure::ALL.map(row).into()
}

/// The square of the standard error of a mean.
fn squared_error(parts: &[f64]) -> f64 {
    let count = parts.len() as f64;
    if count < 2.0 {
        return f64::INFINITY;
    }
    let mean = parts.iter().sum::<f64>() / count;
    let variance = parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>() / (count - 1.0);
    variance / count
}

/// What must not come of a run, as `--fail-if` writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    text: String,
    figure: Figure,
    above: bool,
    limit: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    /// A change as a share of the baseline.
    Change(f64),
    /// A value, in the figure's own unit.
    Value(f64),
}

impl Bound {
    /// Reads bounds such as `p99>+20%`, `rps<-5%` or `p50>2ms`, separated by commas.
    ///
    /// # Errors
    /// `Configuration` with one sentence that names the bound.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, Failure> {
        text.split(',').map(|bound| Self::parse(bound.trim())).collect()
    }

    /// Tells whether it needs a baseline.
    #[must_use]
    pub const fn is_relative(&self) -> bool {
        matches!(self.limit, Limit::Change(_))
    }

    /// Returns the sentence that says how a run is out of bounds, where it is. A change that chance
    /// explains is not held against it.
    #[must_use]
    pub fn missed(&self, now: &Verdict, rows: &[Row]) -> Option<String> {
        let beyond = |found: f64, limit: f64| match self.above {
            true => found > limit,
            false => found < limit,
        };
        let name = self.figure.name();
        match self.limit {
            Limit::Value(limit) => {
                let found = self.figure.of(now);
                beyond(found, limit).then(|| format!("{}: {name} is {found:.1}", self.text))
            }
            Limit::Change(limit) => {
                let row = rows.iter().find(|row| row.figure == self.figure)?;
                let real = row.verdict() != Change::Noise;
                (real && beyond(row.change, limit))
                    .then(|| format!("{}: {name} changed by {}", self.text, row.spoken()))
            }
        }
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        Self::understood(text).ok_or_else(|| {
            let names = Figure::ALL.map(Figure::name).join(", ");
            Failure::Configuration(format!(
                "{text:?} is no bound; write one of {names}, then < or >, then a change such as \
                 +20% or a value such as 5ms"
            ))
        })
    }

    fn understood(text: &str) -> Option<Self> {
        let at = text.find(['<', '>'])?;
        let (name, rest) = text.split_at(at);
        let figure = Figure::ALL.into_iter().find(|figure| figure.name() == name.trim())?;
        let (above, value) = (rest.starts_with('>'), rest[1..].trim());
        let limit = match value.strip_suffix('%') {
            Some(change) => Limit::Change(change.trim().parse::<f64>().ok()? / 100.0),
            None => {
                let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("MB", 1e6), ("", 1.0)];
                let (unit, scale) = units.into_iter().find(|(unit, _)| value.ends_with(unit))?;
                Limit::Value(value.strip_suffix(unit)?.trim().parse::<f64>().ok()? * scale)
            }
        };
        let finite = match limit {
            Limit::Change(limit) | Limit::Value(limit) => limit.is_finite(),
        };
        finite.then(|| Self { text: text.to_owned(), figure, above, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Detail, Latency};

    /// A run whose 99th of 100 was so in its five parts, and so as a whole.
    fn run(parts: [u64; 5], p99: u64) -> Verdict {
        let mut verdict = Verdict {
            latency_us: Latency { p50: 100, p90: 200, p99, ..Latency::default() },
            rps: 50.0,
            ..Verdict::default()
        };
        verdict.detail.fifths = parts
            .map(|p99| Fifth { p50: 100, p90: 200, p99, rps: 50.0, ..Fifth::default() })
            .into();
        verdict
    }

    #[test]
    fn only_a_change_beyond_the_noise_counts() {
        let steady = run([1_000, 1_010, 990, 1_005, 995], 1_000);
        let slower = run([1_200, 1_210, 1_190, 1_205, 1_195], 1_200);
        let noisy = run([400, 3_000, 900, 700, 1_000], 1_200);
        let p99 = |now: &Verdict, before: &Verdict| {
            let rows = compare(now, before);
            rows.into_iter().find(|row| row.figure == Figure::P99).unwrap()
        };
        assert_eq!(p99(&slower, &steady).verdict(), Change::Worse);
        assert_eq!(p99(&steady, &slower).verdict(), Change::Better);
        assert_eq!(p99(&noisy, &steady).verdict(), Change::Noise);
        assert!((p99(&slower, &steady).change - 0.2).abs() < 1e-9);
        let bound = |text| Bound::parse_all(text).unwrap().remove(0);
        let missed = |text, now| bound(text).missed(now, &compare(now, &steady));
        let told = missed("p99>+10%", &slower).unwrap();
        assert!(told.starts_with("p99>+10%: p99 changed by +20.0 %"), "{told}");
        let short = Verdict { detail: Detail::default(), ..slower.clone() };
        assert_eq!(missed("p99>+10%", &short), None, "nobody knows how much it varies");
        assert_eq!(missed("p99>+30%", &slower), None);
        assert_eq!(missed("p99>+10%", &noisy), None, "chance explains it");
        assert_eq!(missed("p99>1.1ms", &slower).unwrap(), "p99>1.1ms: p99 is 1200.0");
        assert_eq!(missed("rps<40", &slower), None);
    }

    #[test]
    fn bounds_are_read_or_refused_with_the_remedy() {
        let bounds = Bound::parse_all("p99>+20%, rps < -5%,cpu>30us").unwrap();
        assert_eq!(bounds.iter().filter(|bound| bound.is_relative()).count(), 2);
        for wrong in ["", "p99", "p98>1", "p99>", "p99>x%", "p99=3", "p99>nan", "p99>inf%"] {
            let told = Bound::parse_all(wrong).unwrap_err().to_string();
            assert!(told.contains("is no bound; write one of p50"), "{wrong}: {told}");
        }
    }
}
