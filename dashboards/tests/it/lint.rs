//! The lint is content with what is here, and bites where something is wrong.

use tokenward_dashboards::home;
use tokenward_dashboards::lint::{self, Finding};
use tokenward_dashboards::panel::{Board, Panel, Row, Unit, lines, tile};
use tokenward_dashboards::rules::{self, Alert, Record};

/// Puts a mistake into an alert.
type Seed = fn(&mut Alert);

const DONE: &str = "What it shows.";

#[test]
fn nothing_is_wrong_here() {
    let findings: Vec<String> = lint::all(home()).iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn a_wrong_name_in_a_panel_is_found() {
    let rate = |expr| lines("A", Unit::PerSecond, DONE).ask(expr, "all");
    let count = |expr| lines("A", Unit::Count, DONE).ask(expr, "all");
    let latency = |expr| lines("A", Unit::Seconds, DONE).ask(expr, "all");
    for (seeded, found) in [
        (rate(r"sum(rate(tokenward_refreshes_total{@a}[5m]))"), "there is no metric"),
        (
            rate(r#"sum(rate(tokenward_refresh_total{@a, result="success"}[5m]))"#),
            "has no label result",
        ),
        (
            rate(r#"sum(rate(tokenward_refresh_total{@a, outcome="mfa-required"}[5m]))"#),
            r#"never "mfa-required""#,
        ),
        (
            rate(r#"sum(rate(tokenward_refresh_total{@a, outcome=~"success|gone"}[5m]))"#),
            r#"never "gone""#,
        ),
        (rate(r"sum(rate(tokenward_provider_requests_total{@a}[5m]))"), "has no label audience"),
        (
            rate(r"sum by (provider) (rate(tokenward_refresh_total{@a}[5m]))"),
            "has the label provider",
        ),
        (count(r"sum(tokenward_refresh_total{@a})"), "only grows"),
        (rate(r"sum(rate(tokenward_mfa_held{@a}[5m]))"), "goes up and down"),
        (rate(r"sum(rate(tokenward_refresh_total{@a}))"), "a range"),
        (rate(r"sum(rate(tokenward_refresh_duration_seconds{@a}[5m]))"), "is a histogram"),
        (rate(r"sum(rate(tokenward_refresh_total[5m]))"), "not narrowed by job"),
        (rate(r"sum(irate(tokenward_refresh_total{@a}[5m]))"), "not used here"),
        (rate(r"sum(rate(tokenward_refresh_total{@a}[5m])"), "not closed"),
        (
            latency(
                r"histogram_quantile(0.9, sum(rate(tokenward_refresh_duration_seconds_bucket{@a}[5m])))",
            ),
            "kept apart by le",
        ),
        (
            rate(r#"sum(rate(tokenward_refresh_duration_seconds_bucket{@a, le="1"}[5m]))"#),
            "written alike",
        ),
        (
            rate(r#"sum(rate(tokenward_refresh_duration_seconds_bucket{@a, le="0.3"}[5m]))"#),
            "has no bucket",
        ),
    ] {
        assert_found(seeded, found);
    }
}

#[test]
fn a_panel_that_cannot_be_read_is_found() {
    let good = r"sum(rate(tokenward_refresh_total{@a}[5m]))";
    let plain = || lines("A", Unit::PerSecond, DONE).ask(good, "all");
    for (seeded, found) in [
        (lines("A", Unit::Count, DONE).ask(good, "all"), "the unit Count does not fit"),
        (lines("A", Unit::PerSecond, DONE).ask(good, "{{outcome}}"), "does not keep"),
        (
            lines("A", Unit::PerSecond, DONE)
                .ask(r"sum by (outcome) (rate(tokenward_refresh_total{@a}[5m]))", "all"),
            "tell series",
        ),
        (lines("A", Unit::PerSecond, DONE).ask(good, ""), "has the legend"),
        (lines("A", Unit::PerSecond, "no sentence").ask(good, "all"), "no description"),
        (lines("A", Unit::PerSecond, DONE), "asks nothing"),
        (plain().wide(25), "columns wide"),
        (tile("A", Unit::PerSecond, DONE).ask(good, "a").ask(good, "b"), "more than one number"),
    ] {
        assert_found(seeded, found);
    }
    assert_eq!(lint::board(&with(plain())), []);
}

#[test]
fn a_mistake_in_a_rule_is_found() {
    let seeds: [(Seed, &str); 9] = [
        (
            |alert| alert.expr = alert.expr.replace("invalid_code", "wrong_code"),
            "never \"wrong_code\"",
        ),
        (
            |alert| alert.expr = alert.expr.replace("tokenward_mfa_attempts_total", "mfa_attempts"),
            "no metric",
        ),
        (|alert| alert.summary = "{{ $labels.route }} fails.", "names route"),
        (|alert| alert.description = "", "no sentence"),
        (|alert| alert.hold = "soon", "no duration"),
        (|alert| alert.board = "nowhere", "no dashboard"),
        (|alert| alert.trial.health.clear(), "no unit test"),
        (
            |alert| {
                alert.trial.fault = vec![(r#"tokenward_mfa_attempts_total{method="totp"}"#, "1")]
            },
            "never \"totp\"",
        ),
        (|alert| alert.name = "MfaGuesing", "is not there"),
    ];
    for (seed, found) in seeds {
        let mut seeded =
            rules::alerts().find(|alert| alert.name == "MfaGuessing").expect("an alert");
        assert_eq!(lint::alert(&seeded, home()), []);
        seed(&mut seeded);
        let findings = lint::alert(&seeded, home());
        let found = found.replace("no sentence", "that is a sentence");
        assert!(
            findings.iter().any(|finding| finding.wrong.contains(&found)),
            "{found}: {findings:?}"
        );
    }
    let named = |name: &str| Record {
        name: name.to_owned(),
        expr: "sum by (job) (rate(tokenward_refresh_total[5m]))".to_owned(),
    };
    assert_eq!(lint::record(&named("job:tokenward_refresh:rate5m")), []);
    for name in ["job_audience:tokenward_refresh:rate5m", "tokenward_refresh"] {
        assert!(!lint::record(&named(name)).is_empty(), "{name}");
    }
}

fn assert_found(seeded: Panel, found: &str) {
    let findings = lint::board(&with(seeded));
    assert!(findings.iter().any(|finding| finding.wrong.contains(found)), "{found}: {findings:?}");
}

fn with(panel: Panel) -> Board {
    let rows = vec![Row { title: "Row", panels: vec![panel] }];
    Board { file: "overview", title: "Seeded", question: "Is it found?", rows }
}
