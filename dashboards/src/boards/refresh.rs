//! Do sessions stay alive, and does the provider do its part?

use crate::panel::Colour::{Blue, Green, Orange, Red, Yellow};
use crate::panel::{Board, Row, Unit, bars, lines, log_lines, stack, tile};

pub(super) fn board() -> Board {
    Board {
        file: "refresh",
        title: "Tokenward: refresh and provider",
        question: "Do refreshes succeed in time, is every rotated token stored, and is the provider well?",
        rows: vec![now(), refreshes(), rotation(), provider()],
    }
}

fn now() -> Row {
    Row {
        title: "Now",
        panels: vec![
            tile("Succeed", Unit::Ratio, "Share of the refreshes that succeeded over 30 minutes; the promise is 99.5 %.")
                .ask(
                    r#"sum(increase(tokenward_refresh_total{@a, outcome="success"}[30m])) / sum(increase(tokenward_refresh_total{@a, outcome!~"mfa_required|invalid_grant|invalid_scope"}[30m]))"#,
                    "succeeded",
                )
                .below(Red)
                .from(0.98, Orange)
                .from(0.995, Green)
                .says(&[("nan", "none due")]),
            tile(
                "Budget burns",
                Unit::Count,
                "How many times faster than allowed the error budget of 30 days is spent, over an hour. At 14.4 somebody is woken.",
            )
            .ask(r#"max(job:tokenward_refresh_errors:ratio_rate1h{job=~"$job"}) / 0.005"#, "burn rate")
            .from(1.0, Yellow)
            .from(6.0, Orange)
            .from(14.4, Red)
            .says(&[("nan", "none due")]),
            tile("Under way", Unit::Count, "Refreshes in flight at this moment.")
                .ask("sum(tokenward_refresh_in_flight{@a})", "in flight")
                .below(Blue),
            tile("Provider", Unit::Plain, "Whether the gateways call the provider.")
                .ask(r#"max(tokenward_provider_breaker{@, state="open"} * 2 or tokenward_provider_breaker{@, state="half_open"})"#, "breaker")
                .from(1.0, Orange)
                .from(2.0, Red)
                .says(&[("0", "answers"), ("1", "being tried"), ("2", "down")]),
            tile(
                "In doubt",
                Unit::Count,
                "Sessions whose last refresh was sent and never answered. They resolve by themselves; they should not pile up.",
            )
            .ask("sum(tokenward_sessions_in_doubt{@})", "in doubt")
            .from(1.0, Yellow)
            .from(20.0, Orange),
            tile("Reuse detected", Unit::Count, "Refresh tokens that the provider saw twice, in the time range. Each is a session lost.")
                .ask(r#"round(sum(increase(tokenward_refresh_reuse_total{@a, action="detected"}[$__range])))"#, "detected")
                .from(1.0, Red),
        ],
    }
}

fn refreshes() -> Row {
    Row {
        title: "Refreshes",
        panels: vec![
            stack("By outcome", Unit::PerSecond, "Finished refreshes by how they ended, success at the base.")
                .ask("sum by (outcome) (rate(tokenward_refresh_total{@a}[$__rate_interval])) > 0", "{{outcome}}"),
            stack("By what set them off", Unit::PerSecond, "proactive: ahead of time. demand: a caller waited. forced: an API refused the token.")
                .ask("sum by (trigger) (rate(tokenward_refresh_total{@a}[$__rate_interval]))", "{{trigger}}"),
            log_lines("How long they take", Unit::Seconds, "From the decision to the stored token, by how it ended.")
                .ask(
                    "histogram_quantile(0.5, sum by (le, class) (rate(tokenward_refresh_duration_seconds_bucket{@a}[$__rate_interval])))",
                    "half: {{class}}",
                )
                .ask(
                    "histogram_quantile(0.99, sum by (le, class) (rate(tokenward_refresh_duration_seconds_bucket{@a}[$__rate_interval])))",
                    "99 of 100: {{class}}",
                ),
            lines("Error budget: burn rate by window", Unit::Count, "1 spends the budget of 30 days in 30 days; both windows of a pair must be high before somebody is told.")
                .ask(r#"job:tokenward_refresh_errors:ratio_rate5m{job=~"$job"} / 0.005"#, "5 minutes")
                .ask(r#"job:tokenward_refresh_errors:ratio_rate1h{job=~"$job"} / 0.005"#, "1 hour")
                .ask(r#"job:tokenward_refresh_errors:ratio_rate6h{job=~"$job"} / 0.005"#, "6 hours")
                .from(14.4, Red),
            lines("Callers served by one refresh", Unit::Count, "On average, and at most for 99 of 100 refreshes: what waiting together saved.")
                .ask(
                    "sum by (audience) (rate(tokenward_refresh_waiters_sum{@a}[$__rate_interval])) / sum by (audience) (rate(tokenward_refresh_waiters_count{@a}[$__rate_interval]))",
                    "average: {{audience}}",
                )
                .ask(
                    "histogram_quantile(0.99, sum by (le) (rate(tokenward_refresh_waiters_bucket{@a}[$__rate_interval])))",
                    "99 of 100",
                ),
            lines("Late, downscoped, for somebody else", Unit::PerSecond, "Refreshes that ended after the old token; grants with fewer scopes than asked; replies whose token was for another API.")
                .ask("sum(rate(tokenward_refresh_late_total{@a}[$__rate_interval]))", "late")
                .ask("sum(rate(tokenward_token_scope_reduced_total{@a}[$__rate_interval]))", "fewer scopes")
                .ask("sum(rate(tokenward_token_audience_mismatch_total{@a}[$__rate_interval]))", "for somebody else"),
        ],
    }
}

fn rotation() -> Row {
    Row {
        title: "Rotation",
        panels: vec![
            stack("Refresh tokens", Unit::PerSecond, "rotated: a new one came and was stored. persist_failed: tries to store one that failed.")
                .ask("sum by (outcome) (rate(tokenward_rotation_total{@a}[$__rate_interval]))", "{{outcome}}"),
            log_lines("Time until a new one is stored", Unit::Seconds, "The window in which a crash would cost a session. The promise is 50 ms for 99.9 %.")
                .ask(
                    "histogram_quantile(0.5, sum by (le, backend) (rate(tokenward_rotation_persist_seconds_bucket{@}[$__rate_interval])))",
                    "half: {{backend}}",
                )
                .ask(
                    "histogram_quantile(0.999, sum by (le, backend) (rate(tokenward_rotation_persist_seconds_bucket{@}[$__rate_interval])))",
                    "999 of 1000: {{backend}}",
                )
                .from(0.05, Red),
            bars("Used twice (time range)", Unit::Count, "prevented: we noticed and did not send. detected: the provider noticed and ended the session.")
                .ask("round(sum by (action) (increase(tokenward_refresh_reuse_total{@a}[$__range])))", "{{action}}")
                .wide(24),
        ],
    }
}

fn provider() -> Row {
    Row {
        title: "Provider",
        panels: vec![
            stack("Requests by outcome", Unit::RequestsPerSecond, "All HTTP requests to the provider. oauth_error is an answer; the others from there on are not.")
                .ask("sum by (outcome) (rate(tokenward_provider_requests_total{@}[$__rate_interval])) > 0", "{{outcome}}"),
            stack("Requests by endpoint", Unit::RequestsPerSecond, "What the provider is asked.")
                .ask("sum by (endpoint) (rate(tokenward_provider_requests_total{@}[$__rate_interval])) > 0", "{{endpoint}}"),
            log_lines("Latency by endpoint", Unit::Seconds, "99 of 100 requests are faster.")
                .ask(
                    "histogram_quantile(0.99, sum by (le, endpoint) (rate(tokenward_provider_request_duration_seconds_bucket{@}[$__rate_interval]))) > 0",
                    "{{endpoint}}",
                ),
            stack("Breaker", Unit::Count, "Gateways by the state of their circuit breaker.")
                .ask("sum by (state) (tokenward_provider_breaker{@})", "{{state}}"),
        ],
    }
}
