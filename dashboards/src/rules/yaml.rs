//! Rules and their unit tests as YAML. Texts are quoted as JSON does it, which YAML reads.

use super::{Alert, Group, Pace, Record, Trial, at_pace, slo};

/// Returns a rules file.
pub fn rules(groups: &[Group], pace: Pace) -> String {
    let mut text = "# Written by `cargo xtask dashboards`; the source is dashboards/src/rules.\n\
                    groups:\n"
        .to_owned();
    for group in groups {
        text.push_str(&format!("  - name: {}\n", group.name));
        if pace == Pace::Test {
            text.push_str("    interval: 1s\n");
        }
        text.push_str("    rules:\n");
        for record in &group.records {
            text.push_str(&recording(record, pace));
        }
        for alert in &group.alerts {
            text.push_str(&alerting(alert, pace));
        }
    }
    text
}

/// Returns promtool's tests of one rules file: each alert fires on its fault, and on nothing else.
///
/// The recording rules are evaluated only where an alert reads one: they look back over days.
pub fn tests(name: &str, groups: &[Group]) -> String {
    let mut text = "# Written by `cargo xtask dashboards`; run by `promtool test rules`.\n\
                    rule_files:\n"
        .to_owned();
    let alerts = || groups.iter().flat_map(|group| &group.alerts);
    let records = slo::groups();
    let reads = |alert: &Alert| {
        let mut names = records.iter().flat_map(|group| &group.records);
        names.any(|record| alert.expr.contains(&record.name))
    };
    let before = if alerts().any(reads) { records.as_slice() } else { &[] };
    if !before.is_empty() {
        text.push_str("  - ../rules/slo.yaml\n");
    }
    text.push_str(&format!("  - ../rules/{name}.yaml\nevaluation_interval: 1m\n"));
    text.push_str("# Records come before the alerts that read them.\ngroup_eval_order:\n");
    for group in before.iter().chain(groups) {
        text.push_str(&format!("  - {}\n", group.name));
    }
    text.push_str("tests:\n");
    for alert in alerts() {
        let named = named(alert);
        text.push_str(&trial(&format!("{named}: the fault"), alert, &alert.trial.fault, true));
        for (what, series) in &alert.trial.health {
            text.push_str(&trial(&format!("{named}: {what}"), alert, series, false));
        }
    }
    if alerts().any(|alert| alert.name == "RefreshTokenReuse") {
        text.push_str(LAZY);
    }
    text
}

/// The trap for which everything that an alert reads is there at zero from the start: a counter
/// that is born with the value 1 has not increased.
const LAZY: &str = r#"  - name: "RefreshTokenReuse: a counter that is born at 1 is invisible"
    interval: 1m
    input_series:
      - series: "tokenward_refresh_reuse_total{job=\"tokenward\",instance=\"a\",audience=\"A\",action=\"detected\"}"
        values: "_x20 1x100"
    promql_expr_test:
      - expr: "count(ALERTS{alertname=\"RefreshTokenReuse\",alertstate=\"firing\"})"
        eval_time: 22m
        exp_samples: []
  - name: "RefreshTokenReuse: a counter that was there at 0 is seen"
    interval: 1m
    input_series:
      - series: "tokenward_refresh_reuse_total{job=\"tokenward\",instance=\"a\",audience=\"A\",action=\"detected\"}"
        values: "0x20 1x100"
    promql_expr_test:
      - expr: "count(ALERTS{alertname=\"RefreshTokenReuse\",alertstate=\"firing\"})"
        eval_time: 22m
        exp_samples: [{ labels: "{}", value: 1 }]
"#;

fn recording(record: &Record, pace: Pace) -> String {
    let Record { name, expr } = record;
    format!("      - record: {name}\n        expr: |-\n{}", block(&at_pace(expr, pace)))
}

fn alerting(alert: &Alert, pace: Pace) -> String {
    let mut text = format!(
        "      - alert: {}\n        expr: |-\n{}        for: {}\n",
        alert.name,
        block(&alert.promql(pace)),
        alert.hold_at(pace)
    );
    for (field, pairs) in [("labels", alert.all_labels()), ("annotations", alert.annotations())] {
        text.push_str(&format!("        {field}:\n"));
        for (name, value) in pairs {
            text.push_str(&format!("          {name}: {}\n", quoted(&value)));
        }
    }
    text
}

fn trial(name: &str, alert: &Alert, series: &[(&str, &str)], fires: bool) -> String {
    let mut text = format!("  - name: {}\n    interval: 1m\n    input_series:\n", quoted(name));
    for (series, values) in series {
        text.push_str(&format!(
            "      - series: {}\n        values: {}\n",
            quoted(series),
            quoted(values)
        ));
    }
    let expected = if fires { r#"[{ labels: "{}", value: 1 }]"# } else { "[]" };
    let mut labels = vec![("alertname", alert.name), ("alertstate", "firing")];
    labels.extend(alert.labels.iter().copied());
    let labels: Vec<String> =
        labels.into_iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    let expr = format!("count(ALERTS{{{}}})", labels.join(","));
    text.push_str(&format!(
        "    promql_expr_test:\n      - expr: {}\n        eval_time: {}m\n        exp_samples: \
         {expected}\n",
        quoted(&expr),
        Trial::MINUTES,
    ));
    text
}

fn named(alert: &Alert) -> String {
    let labels = alert.labels.iter().map(|(_, value)| format!(" {value}"));
    alert.name.to_owned() + &labels.collect::<String>()
}

fn block(text: &str) -> String {
    text.lines().map(|line| format!("          {line}\n")).collect()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
