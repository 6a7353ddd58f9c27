//! When what is sent: fixed before the run by plan and seed, and kept by a thread of its own.

use std::time::Duration;

use tokenward_programs::dice::Dice;

use crate::plan::{Api, Arrivals, Plan, Stage};

pub mod keeper;

/// A request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When, from the start of the run on.
    pub at: Duration,
    /// On behalf of which session.
    pub seat: u32,
    /// Which API it calls.
    pub api: Api,
}

/// The requests of a run, in order. A clone tells the same again.
#[derive(Clone, Debug)]
pub struct Schedule {
    arrivals: Arrivals,
    stages: std::vec::IntoIter<Stage>,
    seats: u32,
    apis: Vec<Api>,
    dice: Dice,
    /// When the present stage begins and ends, in seconds.
    begins: f64,
    ends: f64,
    rate: f64,
    /// For even arrivals how many are through in this stage, for others the last one's moment.
    through: u64,
    last: f64,
}

impl Schedule {
    /// Fixes the schedule of a plan.
    #[must_use]
    pub fn new(plan: &Plan, seed: u64) -> Self {
        Self {
            arrivals: plan.load.arrivals,
            stages: plan.load.stage.clone().into_iter(),
            seats: plan.sessions.count,
            apis: plan.load.apis.clone(),
            dice: Dice::new(seed),
            begins: 0.0,
            ends: 0.0,
            rate: 0.0,
            through: 0,
            last: 0.0,
        }
    }

    /// Returns the next moment of this stage, in seconds; nothing when the stage is over.
    fn next_in_stage(&mut self) -> Option<f64> {
        if self.rate <= 0.0 {
            return None;
        }
        let at = match self.arrivals {
            // Counted from the stage's beginning, so that no rounding adds up.
            Arrivals::Even => self.begins + self.through as f64 / self.rate,
            Arrivals::Poisson => self.last + self.dice.exponential() / self.rate,
        };
        self.through += 1;
        self.last = at;
        (at < self.ends).then_some(at)
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        loop {
            if let Some(at) = self.next_in_stage() {
                let seat = self.dice.below(self.seats);
                let pick = self.dice.below(u32::try_from(self.apis.len()).unwrap_or(u32::MAX));
                let api = self.apis.get(pick as usize).copied()?;
                return Some(Due { at: Duration::from_secs_f64(at), seat, api });
            }
            let stage = self.stages.next()?;
            // A Poisson process has no memory: what was left of the last gap need not be kept.
            self.begins = self.ends;
            self.ends += stage.lasting.0.as_secs_f64();
            (self.rate, self.through, self.last) = (stage.rate, 0, self.begins);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arrivals: &str, stages: &[(f64, u64)]) -> Plan {
        let stages: String = stages
            .iter()
            .map(|(rate, s)| format!("[[load.stage]]\nrate = {rate:?}\nlasting = \"{s}s\"\n"))
            .collect();
        let text = format!("about = \"x\"\n[load]\narrivals = \"{arrivals}\"\n{stages}");
        Plan::parse("test", &text).unwrap()
    }

    fn moments(plan: &Plan, seed: u64) -> Vec<Duration> {
        Schedule::new(plan, seed).map(|due| due.at).collect()
    }

    #[test]
    fn even_arrivals_lie_where_they_were_written() {
        let plan = plan("even", &[(4.0, 1), (0.0, 2), (2.0, 1)]);
        let ms: Vec<u128> = moments(&plan, 1).iter().map(Duration::as_millis).collect();
        assert_eq!(ms, [0, 250, 500, 750, 3_000, 3_500]);
    }

    #[test]
    fn even_arrivals_do_not_drift() {
        let third = 1.0 / 3.0;
        let all = moments(&plan("even", &[(3_000.0, 100)]), 1);
        assert_eq!(all.len(), 300_000);
        let last = all[299_999].as_secs_f64();
        assert!((last - (100.0 - third / 1_000.0)).abs() < 1e-6, "{last}");
    }

    #[test]
    fn the_seed_alone_decides_the_schedule() {
        let plan = plan("poisson", &[(500.0, 5)]);
        let all = |seed| Schedule::new(&plan, seed).collect::<Vec<_>>();
        assert_eq!(all(7), all(7));
        assert_ne!(all(7), all(8));
    }

    #[test]
    fn poisson_arrivals_have_their_mean_and_their_spread_and_stay_in_their_stage() {
        let plan = plan("poisson", &[(1_000.0, 20), (0.0, 10), (100.0, 20)]);
        let all = moments(&plan, 3);
        assert!(all.is_sorted());
        let (early, late): (Vec<Duration>, Vec<Duration>) =
            all.into_iter().partition(|at| at.as_secs() < 25);
        assert!(early.iter().all(|at| at.as_secs() < 20));
        assert!(late.iter().all(|at| (30..50).contains(&at.as_secs())));
        // Four standard deviations of a Poisson count: the square root of its mean.
        assert!(early.len().abs_diff(20_000) < 4 * 141, "{}", early.len());
        assert!(late.len().abs_diff(2_000) < 4 * 45, "{}", late.len());
        let gaps: Vec<f64> =
            early.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // The gaps of a Poisson process scatter as widely as they are long.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn every_session_and_every_api_has_its_share() {
        let plan = plan("poisson", &[(3_000.0, 3)]);
        let mut seats = vec![0_u32; 60];
        let mut apis = std::collections::BTreeMap::new();
        for due in Schedule::new(&plan, 5) {
            seats[due.seat as usize] += 1;
            *apis.entry(due.api).or_insert(0_u32) += 1;
        }
        assert!(seats.iter().all(|&count| (100..200).contains(&count)), "{seats:?}");
        assert!(apis.len() == 3 && apis.values().all(|count| (2_800..3_200).contains(count)));
    }
}
