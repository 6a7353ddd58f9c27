//! Alerts about the machinery: actors, store, gateway, devices, and the metrics themselves.

use super::{Alert, Severity, Trial};

pub(super) fn alerts() -> Vec<Alert> {
    vec![
        restart_loop(),
        mailbox_backlog(),
        store_errors(),
        lease_conflicts(),
        gateway_errors(),
        webhook_failing(),
        configuration_refused(),
        device_stale(),
        dishonest(),
        down(),
    ]
}

/// An alert whose texts and test are still to be said.
fn alert(name: &'static str, severity: Severity, hold: &'static str, expr: &str) -> Alert {
    Alert {
        name,
        expr: expr.to_owned(),
        hold,
        severity,
        labels: Vec::new(),
        summary: "",
        description: "",
        board: "sessions",
        trial: Trial::default(),
    }
}

fn restart_loop() -> Alert {
    const SERIES: &str = r#"tokenward_actor_restarts_total{job="tokenward",instance="a",actor="session",reason="panic"}"#;
    Alert {
        summary: "{{ $labels.instance }} restarts {{ $labels.actor }} actors again and again.",
        description: "More than 5 actors of a kind crashed in 10 minutes. Each was restarted from \
                      its record, so that nobody lost a session; but something makes them crash, \
                      and that is a bug.",
        trial: Trial {
            fault: vec![(SERIES, "0+1x130")],
            health: vec![("one crash", vec![(SERIES, "0x125 1x5")])],
        },
        ..alert(
            "ActorRestartLoop",
            Severity::Page,
            "0s",
            "sum by (job, instance, actor) (increase(tokenward_actor_restarts_total[10m])) > <5|2>",
        )
    }
}

fn mailbox_backlog() -> Alert {
    const SERIES: &str =
        r#"tokenward_actor_mailbox_messages{job="tokenward",instance="a",actor="router"}"#;
    Alert {
        summary: "{{ $value | humanize }} messages wait for {{ $labels.actor }} actors of {{ $labels.instance }}.",
        description: "More than 5000 messages have waited in the mailboxes of one kind of actor for \
                      2 minutes: the machine is too slow for its load, or an actor hangs.",
        trial: Trial {
            fault: vec![(SERIES, "0x120 9000x10")],
            health: vec![("a storm that is over in a minute", vec![(SERIES, "0x128 9000 10")])],
        },
        ..alert(
            "MailboxBacklog",
            Severity::Ticket,
            "2m",
            "max by (job, instance, actor) (min_over_time(tokenward_actor_mailbox_messages[2m])) > <5000|50>",
        )
    }
}

fn store_errors() -> Alert {
    const FAILED: &str = r#"tokenward_store_operations_total{job="tokenward",instance="a",backend="embedded",op="compare_and_swap",outcome="error"}"#;
    const BUSY: &str = r#"tokenward_store_operations_total{job="tokenward",instance="a",backend="embedded",op="get",outcome="conflict"}"#;
    Alert {
        summary: "The {{ $labels.backend }} store of {{ $labels.instance }} fails.",
        description: "Operations on the token store fail or run out of time. Refreshes stop, \
                      because a refresh token must be stored before it is used; tokens that are \
                      valid are still served.",
        trial: Trial {
            fault: vec![(FAILED, "0+1x130")],
            health: vec![(
                "conflicts, which are answers",
                vec![(FAILED, "0x130"), (BUSY, "0+3x130")],
            )],
        },
        ..alert(
            "StoreErrors",
            Severity::Page,
            "1m",
            r#"sum by (job, instance, backend) (increase(tokenward_store_operations_total{outcome=~"error|timeout"}[5m])) > 0"#,
        )
    }
}

fn lease_conflicts() -> Alert {
    const OK: &str = r#"tokenward_store_operations_total{job="tokenward",instance="a",backend="redis",op="lease",outcome="ok"}"#;
    const LOST: &str = r#"tokenward_store_operations_total{job="tokenward",instance="a",backend="redis",op="lease",outcome="conflict"}"#;
    Alert {
        summary: "{{ $value | humanizePercentage }} of the leases are refused because another machine holds them.",
        description: "Machines ask for the lease of the same sessions. That is safe, and costs \
                      time; it should be rare, because a balancer sends one session to one machine.",
        trial: Trial {
            fault: vec![(OK, "0+8x130"), (LOST, "0+2x130")],
            health: vec![("one in a hundred", vec![(OK, "0+99x130"), (LOST, "0+1x130")])],
        },
        ..alert(
            "LeaseConflicts",
            Severity::Ticket,
            "10m",
            r#"(
  sum by (job) (increase(tokenward_store_operations_total{op=~"compare_and_swap|lease",outcome="conflict"}[10m]))
  / sum by (job) (increase(tokenward_store_operations_total{op=~"compare_and_swap|lease"}[10m]))
) > 0.05
and sum by (job) (increase(tokenward_store_operations_total{op=~"compare_and_swap|lease",outcome="conflict"}[10m])) >= <10|2>"#,
        )
    }
}

fn gateway_errors() -> Alert {
    const GOOD: &str = r#"tokenward_http_request_duration_seconds_count{job="tokenward",instance="a",route="r",outcome="ok"}"#;
    const OURS: &str = r#"tokenward_http_request_duration_seconds_count{job="tokenward",instance="a",route="r",outcome="gateway_error"}"#;
    const THEIRS: &str = r#"tokenward_http_request_duration_seconds_count{job="tokenward",instance="a",route="r",outcome="server_error"}"#;
    Alert {
        summary: "The gateway itself answers {{ $value | humanizePercentage }} of the requests with an error.",
        description: "More than 1 % of the requests are answered with 5xx by the gateway and not by \
                      an upstream: no access token could be had, or the upstream was not reached.",
        board: "gateway",
        trial: Trial {
            fault: vec![(GOOD, "0+90x130"), (OURS, "0+10x130")],
            health: vec![(
                "an upstream that is ill",
                vec![(GOOD, "0+50x130"), (OURS, "0x130"), (THEIRS, "0+50x130")],
            )],
        },
        ..alert(
            "GatewayErrors",
            Severity::Page,
            "5m",
            "job:tokenward_http_requests_gateway_error:ratio_rate5m > 0.01",
        )
    }
}

fn webhook_failing() -> Alert {
    const DONE: &str =
        r#"tokenward_webhook_letters_total{job="tokenward",instance="a",outcome="delivered"}"#;
    const AGAIN: &str =
        r#"tokenward_webhook_letters_total{job="tokenward",instance="a",outcome="failed"}"#;
    const LOST: &str =
        r#"tokenward_webhook_letters_total{job="tokenward",instance="a",outcome="given_up"}"#;
    Alert {
        summary: "Receivers of webhooks do not take what {{ $labels.instance }} tells them.",
        description: "Letters were given up or dropped in the last hour, or most tries of the last \
                      half hour failed: somebody who counts on hearing that sessions end, are held \
                      or are in doubt does not hear it. Sessions themselves are not touched.",
        board: "gateway",
        trial: Trial {
            fault: vec![(DONE, "0x130"), (AGAIN, "0x100 0+1x30"), (LOST, "0x130")],
            health: vec![
                (
                    "a receiver that was restarted",
                    vec![(DONE, "0+1x130"), (AGAIN, "0x120 0+4x2 8x7"), (LOST, "0x130")],
                ),
                (
                    "one that gave up long ago",
                    vec![(DONE, "0+1x130"), (AGAIN, "0x130"), (LOST, "0x10 1x120")],
                ),
            ],
        },
        ..alert(
            "WebhookFailing",
            Severity::Ticket,
            "0s",
            r#"sum by (job, instance) (increase(tokenward_webhook_letters_total{outcome=~"given_up|dropped"}[1h])) > 0
or sum by (job, instance) (increase(tokenward_webhook_letters_total{outcome="failed"}[30m]))
  > 5 + 2 * sum by (job, instance) (increase(tokenward_webhook_letters_total{outcome="delivered"}[30m]))"#,
        )
    }
}

fn configuration_refused() -> Alert {
    const SERIES: &str = r#"tokenward_config_last_reload_successful{job="tokenward",instance="a"}"#;
    Alert {
        summary: "{{ $labels.instance }} runs with another configuration than its file.",
        description: "The last reload was refused, and the old configuration stays. The next start \
                      would fail.",
        board: "overview",
        trial: Trial {
            fault: vec![(SERIES, "1x110 0x20")],
            health: vec![("accepted", vec![(SERIES, "0x10 1x120")])],
        },
        ..alert(
            "ConfigurationRefused",
            Severity::Ticket,
            "5m",
            "max by (job, instance) (tokenward_config_last_reload_successful) == 0",
        )
    }
}

fn device_stale() -> Alert {
    const SERIES: &str =
        r#"tokenward_device_content_timestamp_seconds{job="device",instance="wall"}"#;
    Alert {
        summary: "{{ $labels.instance }} shows what is {{ $value | humanizeDuration }} old.",
        description: "A display has not fetched anything for more than an hour. It lost the network, \
                      the power, or its session: the display itself says which.",
        board: "devices",
        trial: Trial {
            fault: vec![(SERIES, "0+60x60 3600x70")],
            health: vec![
                ("fetched each minute", vec![(SERIES, "0+60x130")]),
                ("never fetched", vec![(SERIES, "0x130")]),
            ],
        },
        ..alert(
            "DeviceStale",
            Severity::Ticket,
            "5m",
            "time() - max by (job, instance) (tokenward_device_content_timestamp_seconds > 0) > <3600|60>",
        )
    }
}

fn dishonest() -> Alert {
    const SERIES: &str =
        r#"tokenward_label_overflow_total{job="tokenward",instance="a",label="route"}"#;
    Alert {
        summary: "Series of {{ $labels.label }} are folded into \"other\".",
        description: "There are more names in the configuration than the metrics have room for: what \
                      is beyond the cap is counted as \"other\", and alerts about single names \
                      do not see it.",
        board: "overview",
        trial: Trial {
            fault: vec![(SERIES, "0+1x130")],
            health: vec![("no name too many", vec![(SERIES, "0x130")])],
        },
        ..alert(
            "MetricsDishonest",
            Severity::Ticket,
            "0s",
            "sum by (job, instance, label) (increase(tokenward_label_overflow_total[1h])) > 0",
        )
    }
}

fn down() -> Alert {
    Alert {
        summary: "{{ $labels.instance }} of {{ $labels.job }} does not answer Prometheus.",
        description: "A gateway or a display that was scraped before cannot be reached: it is down, \
                      or the network between is.",
        board: "overview",
        trial: Trial {
            fault: vec![(r#"up{job="tokenward",instance="a"}"#, "1x120 0x10")],
            health: vec![
                (
                    "a scrape that failed once",
                    vec![(r#"up{job="tokenward",instance="a"}"#, "1x128 0 1")],
                ),
                ("somebody else's job", vec![(r#"up{job="node",instance="a"}"#, "0x130")]),
            ],
        },
        ..alert("TokenwardDown", Severity::Page, "2m", r#"up{job=~"tokenward.*"} == 0"#)
    }
}
