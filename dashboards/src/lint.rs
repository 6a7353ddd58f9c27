//! Holds every name in dashboards and rules against the catalogue.
//!
//! `promtool` finds what is not PromQL; it does not find `outcome="mfa-required"`, which is PromQL
//! and never true. This does.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::panel::Board;
use crate::rules::{self, Alert, Record};

mod board;
mod known;
mod promql;
mod rule;

/// One mistake: where, and what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The dashboard and panel, or the rule.
    pub place: String,
    /// What is wrong, and with which name.
    pub wrong: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.wrong)
    }
}

/// Looks at everything in this package; `home` is its folder, where the runbooks are.
pub fn all(home: &Path) -> Vec<Finding> {
    let boards = crate::boards::all();
    let mut findings: Vec<Finding> = boards.iter().flat_map(board).collect();
    for group in rules::files().into_iter().flat_map(|(_, groups)| groups) {
        findings.extend(group.records.iter().flat_map(record));
    }
    for each in rules::alerts() {
        findings.extend(alert(&each, home));
    }
    findings.extend(unseen(&boards));
    findings
}

/// Looks at one dashboard.
pub fn board(looked_at: &Board) -> Vec<Finding> {
    board::findings(looked_at)
}

/// Looks at one alert and its runbook.
pub fn alert(looked_at: &Alert, home: &Path) -> Vec<Finding> {
    rule::alert(looked_at, home)
}

/// Looks at one recording rule.
pub fn record(looked_at: &Record) -> Vec<Finding> {
    rule::record(looked_at)
}

/// Finds metrics that no panel and no rule shows.
fn unseen(boards: &[Board]) -> Vec<Finding> {
    let queries = boards.iter().flat_map(Board::panels).flat_map(|panel| &panel.queries);
    let mut exprs: Vec<String> = queries.map(|query| query.promql()).collect();
    exprs.extend(rules::alerts().map(|alert| alert.expr));
    let names: BTreeSet<String> = exprs
        .iter()
        .filter_map(|expr| promql::read(expr).ok())
        .flat_map(|facts| facts.selectors)
        .filter_map(|selector| known::metric(&selector.name))
        .map(|metric| metric.name.to_owned())
        .collect();
    tokenward::metrics::catalogue::all()
        .filter(|metric| !names.contains(metric.name))
        .map(|metric| Finding {
            place: "the catalogue".to_owned(),
            wrong: format!("{} is on no panel and in no alert", metric.name),
        })
        .collect()
}
