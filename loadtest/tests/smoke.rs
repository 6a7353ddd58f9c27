//! Three seconds of load against the real programs: everything that a run needs works together.
#![expect(clippy::expect_used, reason = "what cannot be run fails the test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use tokenward_loadtest::verdict::{State, Verdict};

/// A short day: tokens are replaced while it goes on, and some people sign out.
const PLAN: &str = r#"
about = "Three seconds of an ordinary day."
[load]
connections = 4
[[load.stage]]
rate = 30
lasting = "3s"
[sessions]
count = 6
[provider]
access_token_life = "4s"
[[act]]
at = "1s"
does = "logout"
share = 0.34
"#;

#[test]
fn three_seconds_of_load_end_in_a_verdict_and_a_page() {
    let program = Path::new(env!("CARGO_BIN_EXE_tokenward-loadtest"));
    let built = program.parent().expect("a program lies in a folder");
    build_what_is_lacking(built);
    let folder = tempfile::tempdir().expect("a folder for the results");
    let file = |name: &str| folder.path().join(name);
    fs::write(file("short.toml"), PLAN).expect("the plan is written");
    let mut command = Command::new(program);
    command.arg("run").arg(file("short.toml")).args(["--seed", "7"]);
    command.arg("--json").arg(file("short.json")).arg("--html").arg(file("short.html"));
    let output = command.output().expect("the load test starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.lines().any(|line| line == "short pass"), "{said}");

    let text = fs::read_to_string(file("short.json")).expect("the verdict was written");
    let verdict: Verdict = serde_json::from_str(&text).expect("it is a verdict");
    assert_eq!(verdict.requests.sent, verdict.requests.ok, "{said}");
    assert!(verdict.exchanges.expiries > 0, "tokens came to their end: {said}");
    assert!(verdict.cpu_us_per_request > 0.0 && verdict.rss_bytes > 1_000_000, "{said}");
    let sessions = verdict.sessions;
    assert_eq!((sessions.total, sessions.lost, sessions.zombie), (6, 0, 0), "{said}");
    let laws = verdict.detail.laws;
    assert!(laws.len() > 9 && laws.iter().all(|law| law.state == State::Kept), "{laws:?}");

    let page = fs::read_to_string(file("short.html")).expect("the page was written");
    assert!(page.contains("<svg") && page.trim_end().ends_with("</html>"), "{}", page.len());
}

#[test]
fn whoever_mistypes_a_plan_is_told_the_nearest() {
    let command =
        Command::new(env!("CARGO_BIN_EXE_tokenward-loadtest")).args(["run", "stedy"]).output();
    let output = command.expect("the load test starts");
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `steady`?"));
}

/// A test of the whole workspace has built all programs before it comes here; a test of this package
/// alone has not.
fn build_what_is_lacking(built: &Path) {
    if ["tokenward", "tokenward-sandbox"].iter().all(|program| built.join(program).is_file()) {
        return;
    }
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--bins", "--package=tokenward-gateway", "--package=tokenward-sandbox"]);
    assert!(command.status().expect("cargo starts").success(), "the programs do not build");
}
