//! What do callers feel, and what does the gateway cost?

use crate::panel::Colour::{Blue, Green, Orange, Red};
use crate::panel::{Board, Row, Unit, lines, log_lines, stack, tile};

pub(super) fn board() -> Board {
    Board {
        file: "gateway",
        title: "Tokenward: gateway",
        question: "What do callers feel, are errors ours or an upstream's, and what does the gateway cost?",
        rows: vec![now(), traffic(), time(), tokens(), process()],
    }
}

fn now() -> Row {
    Row {
        title: "Now",
        panels: vec![
            tile("Requests", Unit::RequestsPerSecond, "Requests answered, per second.")
                .ask("sum(rate(tokenward_http_requests_total{@r}[$__rate_interval]))", "requests")
                .below(Blue),
            tile("We fail", Unit::Ratio, "Share answered with 5xx by the gateway itself, over 5 minutes.")
                .ask(
                    r#"sum(rate(tokenward_http_request_duration_seconds_count{@r, outcome="gateway_error"}[5m])) / sum(rate(tokenward_http_request_duration_seconds_count{@r}[5m]))"#,
                    "gateway",
                )
                .from(0.001, Orange)
                .from(0.01, Red)
                .says(&[("nan", "no traffic")]),
            tile("Upstreams fail", Unit::Ratio, "Share answered with 5xx by an upstream, over 5 minutes.")
                .ask(
                    r#"sum(rate(tokenward_http_request_duration_seconds_count{@r, outcome="server_error"}[5m])) / sum(rate(tokenward_http_request_duration_seconds_count{@r}[5m]))"#,
                    "upstreams",
                )
                .from(0.01, Orange)
                .from(0.05, Red)
                .says(&[("nan", "no traffic")]),
            tile("99 of 100 are faster than", Unit::Seconds, "From the request's head to the last byte of the answer, over 5 minutes.")
                .ask(
                    "histogram_quantile(0.99, sum by (le) (rate(tokenward_http_request_duration_seconds_bucket{@r}[5m])))",
                    "p99",
                )
                .below(Blue)
                .says(&[("nan", "no traffic")]),
            tile("The gateway itself takes", Unit::Seconds, "Its own part, for 99 of 100 requests, without waiting for tokens, upstreams or callers.")
                .ask(
                    "histogram_quantile(0.99, sum by (le) (rate(tokenward_gateway_overhead_seconds_bucket{@r}[5m])))",
                    "p99",
                )
                .from(0.001, Orange)
                .from(0.01, Red)
                .says(&[("nan", "no traffic")]),
            tile("Served without waiting", Unit::Ratio, "Share of the access tokens that were at hand. The promise is 99 %.")
                .ask(
                    r#"sum(rate(tokenward_token_requests_total{@, result="hit"}[5m])) / sum(rate(tokenward_token_requests_total{@}[5m]))"#,
                    "at hand",
                )
                .below(Red)
                .from(0.95, Orange)
                .from(0.99, Green)
                .says(&[("nan", "no traffic")]),
        ],
    }
}

fn traffic() -> Row {
    Row {
        title: "Traffic",
        panels: vec![
            stack("Requests by status", Unit::RequestsPerSecond, "What callers were answered.")
                .ask("sum by (code) (rate(tokenward_http_requests_total{@r}[$__rate_interval]))", "{{code}}"),
            stack("Requests by route", Unit::RequestsPerSecond, "`gateway` is what the gateway answers without a route: its own pages, and nowhere.")
                .ask("sum by (route) (rate(tokenward_http_requests_total{@r}[$__rate_interval]))", "{{route}}"),
            stack("Ends of requests", Unit::RequestsPerSecond, "ok, errors by whose they are, and callers who went away.")
                .ask("sum by (outcome) (rate(tokenward_http_request_duration_seconds_count{@r}[$__rate_interval])) > 0", "{{outcome}}"),
            lines("In flight", Unit::Count, "Requests being served at this moment.")
                .ask("sum by (route) (tokenward_http_requests_in_flight{@r})", "{{route}}"),
            lines("Bodies", Unit::BytesPerSecond, "Bytes from callers and to callers.")
                .ask("sum(rate(tokenward_http_request_bytes_total{@r}[$__rate_interval]))", "in")
                .ask("sum(rate(tokenward_http_response_bytes_total{@r}[$__rate_interval]))", "out"),
            stack("Upstreams: no answer, and second tries", Unit::PerSecond, "Why upstreams gave no HTTP answer, and why a request was sent again.")
                .ask("sum by (reason) (rate(tokenward_upstream_errors_total{@r}[$__rate_interval]))", "no answer: {{reason}}")
                .ask("sum by (reason) (rate(tokenward_upstream_retries_total{@r}[$__rate_interval]))", "again: {{reason}}"),
        ],
    }
}

fn time() -> Row {
    Row {
        title: "Time",
        panels: vec![
            log_lines("Requests", Unit::Seconds, "What callers feel, by route.")
                .ask(
                    "histogram_quantile(0.5, sum by (le, route) (rate(tokenward_http_request_duration_seconds_bucket{@r}[$__rate_interval])))",
                    "half: {{route}}",
                )
                .ask(
                    "histogram_quantile(0.99, sum by (le, route) (rate(tokenward_http_request_duration_seconds_bucket{@r}[$__rate_interval])))",
                    "99 of 100: {{route}}",
                ),
            log_lines("Where it goes, for 99 of 100", Unit::Seconds, "The upstream until its head, the wait for an access token where there was one, and the gateway itself.")
                .ask(
                    "histogram_quantile(0.99, sum by (le) (rate(tokenward_upstream_response_seconds_bucket{@r}[$__rate_interval])))",
                    "upstream",
                )
                .ask(
                    "histogram_quantile(0.99, sum by (le) (rate(tokenward_token_wait_seconds_bucket{@}[$__rate_interval])))",
                    "access token",
                )
                .ask(
                    "histogram_quantile(0.99, sum by (le) (rate(tokenward_gateway_overhead_seconds_bucket{@r}[$__rate_interval])))",
                    "gateway",
                ),
        ],
    }
}

fn tokens() -> Row {
    Row {
        title: "Access tokens",
        panels: vec![
            stack("Wishes by how they were met", Unit::PerSecond, "hit: at hand. coalesced: by a refresh that was waited for. The rest was not met.")
                .ask("sum by (result) (rate(tokenward_token_requests_total{@}[$__rate_interval]))", "{{result}}"),
            lines("Life left when they are used", Unit::Seconds, "One of ten tokens had less life left than this. Close to 0 the refresh margin is too small.")
                .ask(
                    "histogram_quantile(0.1, sum by (le, audience) (rate(tokenward_token_remaining_seconds_bucket{@}[$__rate_interval])))",
                    "{{audience}}",
                ),
        ],
    }
}

fn process() -> Row {
    Row {
        title: "Process",
        panels: vec![
            lines("CPU", Unit::Count, "Cores in use, by instance.")
                .ask("rate(process_cpu_seconds_total{@}[5m])", "{{instance}}")
                .wide(8),
            lines("Memory", Unit::Bytes, "Resident memory, by instance.")
                .ask("process_resident_memory_bytes{@}", "{{instance}}")
                .wide(8),
            lines(
                "Open files",
                Unit::Count,
                "Connections, mostly; the limit is drawn beside them.",
            )
            .ask("process_open_fds{@}", "{{instance}}")
            .ask("process_max_fds{@}", "limit: {{instance}}")
            .wide(8),
            stack("Letters to webhooks", Unit::PerSecond, "failed: tried again. given_up and dropped: nobody heard of it; look at the receiver, and at the gateway's log.")
                .ask("sum by (outcome) (rate(tokenward_webhook_letters_total{@}[$__rate_interval]))", "{{outcome}}"),
        ],
    }
}
