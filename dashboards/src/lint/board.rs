//! What may be wrong with a dashboard.

use std::collections::BTreeSet;

use super::Finding;
use super::known;
use super::promql::{self, Facts};
use crate::panel::{Board, Panel, Query, Shape, Unit};

/// The most panels of one dashboard: a person looks for seconds, not for minutes.
const PANELS_MAX: usize = 30;

pub(super) fn findings(board: &Board) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |place: &str, wrong: String| {
        findings.push(Finding { place: format!("{}: {place}", board.file), wrong });
    };
    if !board.question.ends_with('?') {
        note("the dashboard", "answers no question".to_owned());
    }
    if board.panels().count() > PANELS_MAX {
        note("the dashboard", format!("has more than {PANELS_MAX} panels"));
    }
    for row in &board.rows {
        let mut titles = BTreeSet::new();
        for panel in &row.panels {
            if !titles.insert(panel.title) {
                note(panel.title, format!("stands twice in the row {}", row.title));
            }
            for wrong in of_panel(panel) {
                note(panel.title, wrong);
            }
        }
    }
    findings
}

fn of_panel(panel: &Panel) -> Vec<String> {
    let mut wrongs = Vec::new();
    let text = matches!(panel.shape, Shape::Text(_));
    if panel.title.is_empty() || !panel.description.ends_with('.') {
        wrongs.push("has no title, or no description that is a sentence".to_owned());
    }
    if text != panel.queries.is_empty() {
        wrongs.push("asks nothing".to_owned());
    }
    if panel.width == 0 || panel.width > 24 {
        wrongs.push(format!("is {} columns wide", panel.width));
    }
    if !panel.steps.is_sorted_by(|low, high| low.0 < high.0) {
        wrongs.push("has thresholds that do not rise".to_owned());
    }
    if panel.shape == Shape::Tile && panel.queries.len() != 1 {
        wrongs.push("is a tile with more than one number".to_owned());
    }
    let mut legends = BTreeSet::new();
    for query in &panel.queries {
        if query.legend.is_empty() || !legends.insert(query.legend) {
            wrongs.push(format!("has the legend {:?} twice, or none", query.legend));
        }
        let promql = query.promql();
        match promql::read(&promql) {
            Err(why) => wrongs.push(format!("{why}: {promql}")),
            Ok(facts) => wrongs.extend(of_query(panel, query, &facts)),
        }
    }
    wrongs
}

fn of_query(panel: &Panel, query: &Query, facts: &Facts) -> Vec<String> {
    let mut wrongs = known::wrongs(facts);
    for selector in &facts.selectors {
        // Alerts have the labels of their rules, which drop the instance.
        let chosen: &[&str] = match selector.name.as_str() {
            "ALERTS" => &["component"],
            name if name.contains(':') => &["job"],
            _ => &["job", "instance"],
        };
        for label in chosen {
            if !selector.matchers.iter().any(|(matched, ..)| matched == label) {
                wrongs.push(format!("{} is not narrowed by {label}", selector.name));
            }
        }
    }
    let kept: Vec<String> = if facts.aggregated {
        facts.grouped.clone()
    } else {
        facts.selectors.iter().flat_map(known::labels).collect()
    };
    for part in query.legend.split("{{").skip(1) {
        let label = part.split("}}").next().unwrap_or_default();
        if !kept.iter().any(|known| known == label) {
            wrongs.push(format!("the legend names {label}, which the query does not keep"));
        }
    }
    if panel.shape != Shape::Table {
        for label in kept.iter().filter(|label| facts.aggregated && *label != "le") {
            if !query.legend.contains(&format!("{{{{{label}}}}}")) {
                wrongs.push(format!("the legend does not tell series of different {label} apart"));
            }
        }
    }
    wrongs.extend(of_unit(panel.unit, &query.promql()));
    wrongs
}

/// Holds the unit against what the expression must give.
fn of_unit(unit: Unit, expr: &str) -> Option<String> {
    let quotient = expr.contains(" / ");
    let fits = if expr.contains("histogram_quantile") {
        match expr.contains("_seconds_bucket") {
            true => unit == Unit::Seconds,
            false => unit == Unit::Count,
        }
    } else if quotient {
        matches!(unit, Unit::Count | Unit::Ratio)
    } else if expr.contains("process_cpu_seconds_total") {
        unit == Unit::Count
    } else if expr.contains("_bytes_total") {
        unit == Unit::BytesPerSecond
    } else if expr.contains("_bytes{") {
        unit == Unit::Bytes
    } else if expr.contains("rate(") {
        matches!(unit, Unit::PerSecond | Unit::RequestsPerSecond)
    } else if expr.contains("time()") {
        unit == Unit::Seconds
    } else {
        matches!(unit, Unit::Count | Unit::Plain)
    };
    (!fits).then(|| format!("the unit {unit:?} does not fit"))
}
