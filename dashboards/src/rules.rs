//! Recording and alert rules as values.
//!
//! Where an expression needs another number in a test than in production, both stand in it as
//! `<production|test>`: `>= <20|3>`. A test plays in seconds what takes minutes in production, so
//! that [`Pace::Test`] also shortens every window and `for`.

use serde_json::{Value, json};

mod alerts_mfa;
mod alerts_operation;
mod alerts_refresh;
mod slo;
pub mod yaml;

/// Rules that are evaluated one after another.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: &'static str,
    /// Its recording rules.
    pub records: Vec<Record>,
    /// Its alerts.
    pub alerts: Vec<Alert>,
}

/// A recording rule.
#[derive(Clone, Debug)]
pub struct Record {
    /// `level:metric:operation`.
    pub name: String,
    /// The expression.
    pub expr: String,
}

/// An alert.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Its name, and that of its runbook.
    pub name: &'static str,
    /// The condition.
    pub expr: String,
    /// For how long it must hold before somebody is told, as Prometheus writes durations.
    pub hold: &'static str,
    /// Who is told.
    pub severity: Severity,
    /// Labels beside the severity.
    pub labels: Vec<(&'static str, &'static str)>,
    /// One line with the number.
    pub summary: &'static str,
    /// What it means, in words.
    pub description: &'static str,
    /// The dashboard that shows it.
    pub board: &'static str,
    /// What its unit test plays.
    pub trial: Trial,
}

/// Series that set an alert off, and series that must not, each minute for [`Trial::MINUTES`].
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// The fault, as promtool's `series` and `values`.
    pub fault: Vec<(&'static str, &'static str)>,
    /// Each way in which all is well although it looks a little like the fault.
    pub health: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
}

/// Who is told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody is woken.
    Page,
    /// Somebody looks in working hours.
    Ticket,
}

/// How fast the time of the rules goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As in production.
    Real,
    /// As in the live test.
    Test,
}

/// Where the runbooks are read: a path of the repository, which an operator prefixes with the
/// address of their copy.
const RUNBOOKS: &str = "dashboards/runbooks";

/// How much faster the live test plays.
const HASTE: u64 = 60;

/// The shortest window of the live test, in seconds: five scrapes.
const WINDOW_MIN: u64 = 5;

/// The longest window of the live test, in seconds: an alert must clear while the test waits.
const WINDOW_MAX: u64 = 30;

impl Trial {
    /// How long a trial lasts, and when it is looked at: longer than the longest window but the
    /// ones of days, whose rates start with the series.
    pub const MINUTES: u32 = 130;
}

impl Severity {
    /// Returns the label's value.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// Returns the groups of each rules file, by the file's name.
pub fn files() -> Vec<(&'static str, Vec<Group>)> {
    let group = |name, alerts| vec![Group { name, records: Vec::new(), alerts }];
    vec![
        ("slo", slo::groups()),
        ("mfa", group("tokenward.mfa", alerts_mfa::alerts())),
        ("refresh", group("tokenward.refresh", alerts_refresh::alerts())),
        ("operation", group("tokenward.operation", alerts_operation::alerts())),
    ]
}

/// Returns every alert; one name may have several rules.
pub fn alerts() -> impl Iterator<Item = Alert> {
    files().into_iter().flat_map(|(_, groups)| groups).flat_map(|group| group.alerts)
}

/// Returns groups as JSON, which Prometheus reads as well as YAML.
pub fn json(groups: &[Group]) -> String {
    let record = |record: &Record| json!({ "record": record.name, "expr": record.expr });
    let alert = |alert: &Alert| {
        let object = |pairs: Vec<(&str, String)>| -> Value {
            pairs.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
        };
        json!({
            "alert": alert.name, "expr": alert.promql(Pace::Real), "for": alert.hold,
            "labels": object(alert.all_labels()), "annotations": object(alert.annotations()),
        })
    };
    let groups: Vec<Value> = groups
        .iter()
        .map(|group| {
            let rules: Vec<Value> =
                group.records.iter().map(record).chain(group.alerts.iter().map(alert)).collect();
            json!({ "name": group.name, "rules": rules })
        })
        .collect();
    format!("{:#}\n", json!({ "groups": groups }))
}

/// Returns the list of the runbooks.
pub fn index() -> String {
    let mut text = "# Runbooks\n\nOne page for each alert: what it means, how to see it, what to do. \
                    Written by `cargo xtask dashboards`; the pages themselves are written by hand.\n\n\
                    | alert | told as | what it says |\n| --- | --- | --- |\n"
        .to_owned();
    let mut told = Vec::new();
    for alert in alerts() {
        if !told.contains(&alert.name) {
            told.push(alert.name);
            let (name, severity) = (alert.name, alert.severity.code());
            let words = alert.description.replace('|', "\\|");
            text.push_str(&format!("| [{name}]({name}.md) | {severity} | {words} |\n"));
        }
    }
    text
}

impl Alert {
    /// Returns the condition at a pace.
    pub fn promql(&self, pace: Pace) -> String {
        at_pace(&self.expr, pace)
    }

    /// Returns how long the condition must hold at a pace.
    pub fn hold_at(&self, pace: Pace) -> String {
        match pace {
            Pace::Real => self.hold.to_owned(),
            // Two evaluations: enough to see that it is pending first.
            Pace::Test => if self.hold == "0s" { "0s" } else { "2s" }.to_owned(),
        }
    }

    fn all_labels(&self) -> Vec<(&'static str, String)> {
        let ours = [("component", "tokenward".to_owned())];
        let severity = [("severity", self.severity.code().to_owned())];
        let more = self.labels.iter().map(|(name, value)| (*name, (*value).to_owned()));
        ours.into_iter().chain(severity).chain(more).collect()
    }

    fn annotations(&self) -> Vec<(&'static str, String)> {
        vec![
            ("summary", self.summary.to_owned()),
            ("description", self.description.to_owned()),
            ("runbook_url", format!("{RUNBOOKS}/{}.md", self.name)),
            ("dashboard_url", format!("/d/tokenward-{}", self.board)),
        ]
    }
}

/// Rewrites windows and the numbers that differ in a test.
fn at_pace(expr: &str, pace: Pace) -> String {
    let mut written = String::with_capacity(expr.len());
    let mut rest = expr;
    while let Some(at) = rest.find(['<', '[']) {
        written.push_str(&rest[..at]);
        let (open, after) = rest[at..].split_at(1);
        let close = if open == "[" { ']' } else { '>' };
        let inner = after.split(close).next().unwrap_or_default();
        if open == "<" {
            let Some((real, test)) = inner.split_once('|') else {
                // A comparison.
                written.push('<');
                rest = after;
                continue;
            };
            written.push_str(if pace == Pace::Real { real } else { test });
        } else {
            written.push_str(&format!("[{}]", window(inner, pace)));
        }
        rest = &after[inner.len() + 1..];
    }
    written + rest
}

fn window(real: &str, pace: Pace) -> String {
    match (pace, seconds(real)) {
        (Pace::Test, Some(seconds)) => {
            format!("{}s", (seconds / HASTE).clamp(WINDOW_MIN, WINDOW_MAX))
        }
        (Pace::Test, None) | (Pace::Real, _) => real.to_owned(),
    }
}

/// Reads a duration of one unit, as our rules write them.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_plays_faster_with_smaller_numbers() {
        let expr = "rate(a[1h]) / rate(b[5m]) > 0.1 and c[3d] >= <20|3> and d < 4 and e <= 5";
        assert_eq!(
            at_pace(expr, Pace::Real),
            "rate(a[1h]) / rate(b[5m]) > 0.1 and c[3d] >= 20 and d < 4 and e <= 5"
        );
        assert_eq!(
            at_pace(expr, Pace::Test),
            "rate(a[30s]) / rate(b[5s]) > 0.1 and c[30s] >= 3 and d < 4 and e <= 5"
        );
    }
}
