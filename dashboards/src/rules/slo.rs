//! The service levels that operators promise, as ratios over several windows.

use super::{Group, Record};

/// What spends the error budget of refreshes: somebody was at fault. That a person must act
/// (`mfa_required`), that a session is over (`invalid_grant`), and that the provider does not allow
/// a scope (`invalid_scope`) are answers, and leave the denominator.
pub(super) const BAD: &str = "provider_error|network|timeout|malformed|rate_limited|invalid_client\
                              |store_error|reuse_detected";

/// What is no attempt that could have succeeded.
const ANSWERS: &str = "mfa_required|invalid_grant|invalid_scope";

/// The windows of the burn rates (the SRE workbook's, chapter 5).
pub(super) const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// The share of refreshes that may fail.
pub(super) const BUDGET: f64 = 0.005;

pub(super) fn groups() -> Vec<Group> {
    let mut records: Vec<Record> = WINDOWS.iter().map(|window| refresh_errors(window)).collect();
    records.push(record(
        "job_audience:tokenward_mfa_attempts_success:ratio_rate15m",
        r#"sum by (job, audience) (rate(tokenward_mfa_attempts_total{outcome="success"}[15m]))
  / sum by (job, audience) (rate(tokenward_mfa_attempts_total[15m]))"#,
    ));
    records.push(record(
        "job_audience:tokenward_refresh_mfa_required:ratio_rate30m",
        r#"sum by (job, audience) (rate(tokenward_refresh_total{outcome="mfa_required"}[30m]))
  / sum by (job, audience) (rate(tokenward_refresh_total[30m]))"#,
    ));
    records.push(record(
        "job:tokenward_token_requests_hit:ratio_rate5m",
        r#"sum by (job) (rate(tokenward_token_requests_total{result="hit"}[5m]))
  / sum by (job) (rate(tokenward_token_requests_total[5m]))"#,
    ));
    records.push(record(
        "job:tokenward_http_requests_gateway_error:ratio_rate5m",
        r#"sum by (job) (rate(tokenward_http_request_duration_seconds_count{outcome="gateway_error"}[5m]))
  / sum by (job) (rate(tokenward_http_request_duration_seconds_count[5m]))"#,
    ));
    records.push(record(
        "job:tokenward_rotation_persist_fast:ratio_rate5m",
        r#"sum by (job) (rate(tokenward_rotation_persist_seconds_bucket{le="0.05"}[5m]))
  / sum by (job) (rate(tokenward_rotation_persist_seconds_count[5m]))"#,
    ));
    vec![Group { name: "tokenward.slo", records, alerts: Vec::new() }]
}

fn refresh_errors(window: &str) -> Record {
    let expr = format!(
        r#"sum by (job) (rate(tokenward_refresh_total{{outcome=~"{BAD}"}}[{window}]))
  / sum by (job) (rate(tokenward_refresh_total{{outcome!~"{ANSWERS}"}}[{window}]))"#
    );
    record(&format!("job:tokenward_refresh_errors:ratio_rate{window}"), &expr)
}

fn record(name: &str, expr: &str) -> Record {
    Record { name: name.to_owned(), expr: expr.to_owned() }
}
