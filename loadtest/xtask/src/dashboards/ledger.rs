//! The gateway's counters against the provider's ledger: they must agree exactly.

use std::time::Duration;

use serde_json::Value;
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

use super::scene::Scene;

/// How long the two may differ after the callers have gone quiet: an exchange that is on its way, and
/// one that is repeated.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);

const GAP: Duration = Duration::from_millis(200);

/// A sum of the ledger, and what must be the same in the exposition.
const PAIRS: [(&str, &str, &str); 4] = [
    ("token_requests", "tokenward_provider_requests_total", "endpoint=\"token\""),
    ("mfa_wrong_codes", "tokenward_mfa_attempts_total", "outcome=\"invalid_code\""),
    ("mfa_verified", "tokenward_mfa_attempts_total", "outcome=\"success\""),
    ("reuse_detected", "tokenward_refresh_reuse_total", "action=\"detected\""),
];

/// Lets the callers rest, compares, and notes what differs.
///
/// # Errors
/// `Ours` where one of the two cannot be read.
pub(super) fn agrees(scene: &Scene) -> Result<(), Failure> {
    scene.hush(true);
    let mut last = Ok(Vec::new());
    clock::poll(SETTLE_LIMIT, GAP, || {
        last = differences(scene);
        matches!(&last, Ok(differences) if differences.is_empty()).then_some(())
    });
    scene.hush(false);
    for difference in last? {
        scene.note(difference);
    }
    Ok(())
}

fn differences(scene: &Scene) -> Result<Vec<String>, Failure> {
    let ledger: Value = scene.control.read("ledger/summary")?;
    let text = scene.numbers()?;
    let mut differences = Vec::new();
    for (key, metric, label) in PAIRS {
        let (theirs, ours) = (ledger[key].as_u64().unwrap_or(u64::MAX), sum(&text, metric, label));
        if theirs != ours {
            differences.push(format!("{key} is {theirs} in the ledger, {metric} says {ours}"));
        }
    }
    let opened = sum(&text, "tokenward_mfa_challenges_total", "");
    let closed = sum(&text, "tokenward_mfa_challenges_closed_total", "");
    let pending = sum(&text, "tokenward_mfa_challenges_pending", "");
    if opened != closed + pending {
        differences.push(format!("{opened} demands opened, {closed} closed, {pending} pending"));
    }
    Ok(differences)
}

/// Sums the samples of a metric with a label.
fn sum(text: &str, metric: &str, label: &str) -> u64 {
    let ours = text.lines().filter(|line| {
        line.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{')) && line.contains(label)
    });
    ours.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
