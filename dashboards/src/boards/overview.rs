//! Is anything wrong, and whose fault is it?

use crate::panel::Colour::{Blue, Green, Orange, Red, Yellow};
use crate::panel::{Board, Panel, Row, Unit, stack, table, tile};

pub(super) fn board() -> Board {
    Board {
        file: "overview",
        title: "Tokenward: overview",
        question: "Is anything wrong, and whose fault is it: people, the provider, the upstreams, or us?",
        rows: vec![now(), over_time(), what_runs()],
    }
}

fn now() -> Row {
    Row {
        title: "Now",
        panels: vec![
            tile(
                "People pass MFA",
                Unit::Ratio,
                "Share of the factors shown in the last 15 minutes that were accepted. Below 65 % something is wrong with the factors, not with the people.",
            )
            .ask(
                r#"sum(increase(tokenward_mfa_attempts_total{@, outcome="success"}[15m])) / sum(increase(tokenward_mfa_attempts_total{@}[15m]))"#,
                "passed",
            )
            .below(Red)
            .from(0.65, Orange)
            .from(0.8, Green)
            .says(&[("nan", "nobody asked")]),
            tile(
                "Refreshes succeed",
                Unit::Ratio,
                "Share of the refreshes of the last 30 minutes that succeeded; demands for MFA and sessions that are over are left out. The promise is 99.5 %.",
            )
            .ask(
                r#"sum(increase(tokenward_refresh_total{@, outcome="success"}[30m])) / sum(increase(tokenward_refresh_total{@, outcome!~"mfa_required|invalid_grant|invalid_scope"}[30m]))"#,
                "succeeded",
            )
            .below(Red)
            .from(0.98, Orange)
            .from(0.995, Green)
            .says(&[("nan", "none due")]),
            provider(),
            upstreams(),
            ours(),
            tile(
                "People held up now",
                Unit::Count,
                "Demands for a factor that wait for a person at this moment.",
            )
            .ask("sum(tokenward_mfa_challenges_pending{@})", "waiting")
            .from(1.0, Yellow)
            .from(100.0, Orange),
        ],
    }
}

fn provider() -> Panel {
    tile(
        "Provider",
        Unit::Plain,
        "Whether the gateways call the provider. Open: they have stopped, because it does not answer.",
    )
    .ask(r#"max(tokenward_provider_breaker{@, state="open"} * 2 or tokenward_provider_breaker{@, state="half_open"})"#, "breaker")
    .from(1.0, Orange)
    .from(2.0, Red)
    .says(&[("0", "answers"), ("1", "being tried"), ("2", "down")])
}

fn upstreams() -> Panel {
    tile(
        "Upstreams fail",
        Unit::Ratio,
        "Share of the requests of the last 5 minutes that an upstream answered with 5xx.",
    )
    .ask(
        r#"sum(rate(tokenward_http_request_duration_seconds_count{@, outcome="server_error"}[5m])) / sum(rate(tokenward_http_request_duration_seconds_count{@}[5m]))"#,
        "upstreams",
    )
    .from(0.01, Orange)
    .from(0.05, Red)
    .says(&[("nan", "no traffic")])
}

fn ours() -> Panel {
    tile(
        "We fail",
        Unit::Ratio,
        "Share of the requests of the last 5 minutes that the gateway itself answered with 5xx. The promise is less than 0.1 %.",
    )
    .ask(
        r#"sum(rate(tokenward_http_request_duration_seconds_count{@, outcome="gateway_error"}[5m])) / sum(rate(tokenward_http_request_duration_seconds_count{@}[5m]))"#,
        "gateway",
    )
    .from(0.001, Orange)
    .from(0.01, Red)
    .says(&[("nan", "no traffic")])
}

fn over_time() -> Row {
    Row {
        title: "Over time",
        panels: vec![
            stack(
                "Requests by who answered",
                Unit::RequestsPerSecond,
                "All requests; what the gateway answers itself are sign-ins, MFA pages and refusals.",
            )
            .ask("sum by (answered_by) (rate(tokenward_http_requests_total{@}[$__rate_interval]))", "{{answered_by}}"),
            stack(
                "Refreshes by outcome",
                Unit::PerSecond,
                "Success at the base; whatever stands on it has a name in the runbooks.",
            )
            .ask("sum by (outcome) (rate(tokenward_refresh_total{@}[$__rate_interval])) > 0", "{{outcome}}"),
            stack(
                "Factors shown, by outcome",
                Unit::PerSecond,
                "What people's second factors came to.",
            )
            .ask("sum by (outcome) (rate(tokenward_mfa_attempts_total{@}[$__rate_interval])) > 0", "{{outcome}}"),
            stack(
                "Sessions in memory, by state",
                Unit::Count,
                "Sessions that somebody has used in the last minute or that are at work; the others rest in the store.",
            )
            .ask("sum by (state) (tokenward_sessions{@})", "{{state}}"),
        ],
    }
}

fn what_runs() -> Row {
    Row {
        title: "What runs",
        panels: vec![
            table("Alerts now", Unit::Plain, "What Prometheus holds against us at this moment.")
                .ask(r#"count by (alertname, severity, alertstate) (ALERTS{component="tokenward"})"#, "{{alertname}}")
                .below(Red)
                .wide(6),
            table("Builds", Unit::Plain, "How many instances run which build.")
                .ask("count by (job, version, commit) (tokenward_build_info{@})", "{{version}}")
                .below(Blue)
                .wide(6),
            table(
                "Configuration",
                Unit::Plain,
                "Whether the running configuration is that of the file, or the last reload was refused.",
            )
            .ask("min by (instance) (tokenward_config_last_reload_successful{@})", "{{instance}}")
            .below(Red)
            .from(1.0, Green)
            .says(&[("1", "as in the file"), ("0", "refused")])
            .wide(6),
            table(
                "Age of the configuration",
                Unit::Seconds,
                "How long ago the running configuration was accepted.",
            )
            .ask(
                "time() - max by (instance) (tokenward_config_last_reload_success_timestamp_seconds{@})",
                "{{instance}}",
            )
            .below(Blue)
            .wide(6),
        ],
    }
}
