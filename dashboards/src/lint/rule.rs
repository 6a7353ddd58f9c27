//! What may be wrong with a rule.

use std::fs;
use std::path::Path;

use super::Finding;
use super::known;
use super::promql;
use crate::rules::{Alert, Pace, Record, seconds};

/// What a runbook says, under these headings.
const HEADINGS: [&str; 3] = ["## What it means", "## How to see it", "## What to do"];

pub(super) fn record(record: &Record) -> Vec<Finding> {
    let mut wrongs = Vec::new();
    match promql::read(&record.expr) {
        Err(why) => wrongs.push(why),
        Ok(facts) => {
            wrongs.extend(known::wrongs(&facts));
            let mut grouped = facts.grouped;
            grouped.sort();
            grouped.dedup();
            let mut promised = known::level(&record.name);
            promised.sort();
            if grouped != promised {
                wrongs.push(format!("the name promises {promised:?}, the rule keeps {grouped:?}"));
            }
        }
    }
    if record.name.split(':').count() != 3 {
        wrongs.push("is not named level:metric:operation".to_owned());
    }
    placed(&record.name, wrongs)
}

pub(super) fn alert(alert: &Alert, home: &Path) -> Vec<Finding> {
    let mut wrongs = Vec::new();
    match promql::read(&alert.promql(Pace::Real)) {
        Err(why) => wrongs.push(why),
        Ok(facts) => {
            wrongs.extend(known::wrongs(&facts));
            let kept: Vec<String> = if facts.aggregated {
                facts.grouped
            } else {
                facts.selectors.iter().flat_map(known::labels).collect()
            };
            wrongs.extend(texts(alert, &kept));
        }
    }
    if promql::read(&alert.promql(Pace::Test)).is_err() {
        wrongs.push("is no expression at the pace of the test".to_owned());
    }
    if seconds(alert.hold).is_none() {
        wrongs.push(format!("{:?} is no duration", alert.hold));
    }
    if !crate::boards::all().iter().any(|board| board.file == alert.board) {
        wrongs.push(format!("there is no dashboard {}", alert.board));
    }
    if alert.trial.fault.is_empty() || alert.trial.health.is_empty() {
        wrongs.push("has no unit test of both the fault and health".to_owned());
    }
    let health = alert.trial.health.iter().flat_map(|(_, series)| series);
    for (series, _) in alert.trial.fault.iter().chain(health) {
        wrongs.extend(played(series));
    }
    wrongs.extend(runbook(alert.name, home));
    placed(alert.name, wrongs)
}

fn texts(alert: &Alert, kept: &[String]) -> Vec<String> {
    let mut wrongs = Vec::new();
    if !alert.summary.ends_with('.') || !alert.description.ends_with('.') {
        wrongs.push("has no summary or no description that is a sentence".to_owned());
    }
    for part in alert.summary.split("$labels.").skip(1) {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let label = &part[..end.unwrap_or(part.len())];
        if !kept.iter().any(|known| known == label) {
            wrongs.push(format!("the summary names {label}, which the rule does not keep"));
        }
    }
    wrongs
}

/// Holds the series of a unit test against the catalogue: they are given, so that nothing limits
/// how they are asked for.
fn played(series: &str) -> Vec<String> {
    match promql::read(series) {
        Err(why) => vec![format!("{why}: {series}")],
        Ok(facts) => {
            let about_names = |wrong: &String| !wrong.contains("grows") && !wrong.contains("le");
            known::wrongs(&facts).into_iter().filter(about_names).collect()
        }
    }
}

fn runbook(name: &str, home: &Path) -> Vec<String> {
    let Ok(text) = fs::read_to_string(home.join(format!("runbooks/{name}.md"))) else {
        return vec![format!("runbooks/{name}.md is not there")];
    };
    let lacking = HEADINGS.iter().filter(|heading| !text.contains(*heading));
    let mut wrongs: Vec<String> =
        lacking.map(|heading| format!("its runbook lacks {heading:?}")).collect();
    if !text.starts_with(&format!("# {name}\n")) {
        wrongs.push("its runbook has another title".to_owned());
    }
    wrongs
}

fn placed(place: &str, wrongs: Vec<String>) -> Vec<Finding> {
    wrongs.into_iter().map(|wrong| Finding { place: place.to_owned(), wrong }).collect()
}
