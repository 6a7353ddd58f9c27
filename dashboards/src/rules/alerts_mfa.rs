//! Alerts about people and their factors.

use super::{Alert, Severity, Trial};

pub(super) fn alerts() -> Vec<Alert> {
    vec![failure_rate(), abandonment(), policy_blocks_refresh(), guessing()]
}

fn failure_rate() -> Alert {
    Alert {
        name: "MfaFailureRateHigh",
        expr: r#"(
  sum by (job, audience) (increase(tokenward_mfa_attempts_total{outcome!="success"}[15m]))
  / sum by (job, audience) (increase(tokenward_mfa_attempts_total[15m]))
) > 0.35
and sum by (job, audience) (increase(tokenward_mfa_attempts_total[15m])) >= <20|3>"#
            .to_owned(),
        hold: "5m",
        severity: Severity::Page,
        labels: Vec::new(),
        summary: "{{ $value | humanizePercentage }} of the factors shown for {{ $labels.audience }} fail.",
        description: "More than 35 % of the factors that people show are refused, and there are at \
                      least 20 tries in 15 minutes. A few mistyped codes are normal; a third is not.",
        board: "mfa",
        trial: Trial {
            fault: vec![
                (
                    r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="success"}"#,
                    "0+2x130",
                ),
                (
                    r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="invalid_code"}"#,
                    "0+3x130",
                ),
            ],
            health: vec![
                (
                    "one in five mistypes",
                    vec![
                        (
                            r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="success"}"#,
                            "0+4x130",
                        ),
                        (
                            r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="invalid_code"}"#,
                            "0+1x130",
                        ),
                    ],
                ),
                (
                    "one person at night mistypes three times",
                    vec![
                        (
                            r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="success"}"#,
                            "0x130",
                        ),
                        (
                            r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="invalid_code"}"#,
                            "0x122 1 2 3x6",
                        ),
                    ],
                ),
            ],
        },
    }
}

fn abandonment() -> Alert {
    Alert {
        name: "MfaAbandonmentHigh",
        expr: r#"(
  sum by (job, audience) (increase(tokenward_mfa_challenges_closed_total{outcome=~"abandoned|expired"}[1h]))
  / sum by (job, audience) (increase(tokenward_mfa_challenges_closed_total[1h]))
) > 0.5
and sum by (job, audience) (increase(tokenward_mfa_challenges_closed_total[1h])) >= <10|3>"#
            .to_owned(),
        hold: "10m",
        severity: Severity::Ticket,
        labels: Vec::new(),
        summary: "{{ $value | humanizePercentage }} of the people asked for {{ $labels.audience }} give up.",
        description: "More than half of the MFA challenges end without a factor being passed, and \
                      at least 10 ended in an hour. People cannot, or do not want to, answer.",
        board: "mfa",
        trial: Trial {
            fault: vec![
                (r#"tokenward_mfa_challenges_closed_total{job="tokenward",instance="a",audience="A",outcome="completed"}"#, "0+1x130"),
                (r#"tokenward_mfa_challenges_closed_total{job="tokenward",instance="a",audience="A",outcome="expired"}"#, "0+2x130"),
            ],
            health: vec![
                ("a third goes away", vec![
                    (r#"tokenward_mfa_challenges_closed_total{job="tokenward",instance="a",audience="A",outcome="completed"}"#, "0+2x130"),
                    (r#"tokenward_mfa_challenges_closed_total{job="tokenward",instance="a",audience="A",outcome="abandoned"}"#, "0+1x130"),
                ]),
            ],
        },
    }
}

fn policy_blocks_refresh() -> Alert {
    Alert {
        name: "MfaPolicyBlocksRefresh",
        expr: r#"(
  sum by (job, audience) (increase(tokenward_refresh_total{outcome="mfa_required"}[30m]))
  / sum by (job, audience) (increase(tokenward_refresh_total[30m]))
) > 0.5
and sum by (job, audience) (increase(tokenward_refresh_total{outcome="mfa_required"}[30m])) >= <3|2>"#
            .to_owned(),
        hold: "5m",
        severity: Severity::Page,
        labels: Vec::new(),
        summary: "{{ $value | humanizePercentage }} of the refreshes for {{ $labels.audience }} are answered with a demand for MFA.",
        description: "The provider demands a second factor on most refreshes of one API, where \
                      nobody is present to show it. A rule or an Action that asks on every token \
                      request was probably switched on; a policy would leave refreshes alone.",
        board: "mfa",
        trial: Trial {
            fault: vec![
                (r#"tokenward_refresh_total{job="tokenward",instance="a",audience="A",trigger="proactive",outcome="success"}"#, "0+1x60 60x70"),
                (r#"tokenward_refresh_total{job="tokenward",instance="a",audience="A",trigger="proactive",outcome="mfa_required"}"#, "0x60 0+1x70"),
            ],
            health: vec![
                ("a step-up now and then", vec![
                    (r#"tokenward_refresh_total{job="tokenward",instance="a",audience="A",trigger="proactive",outcome="success"}"#, "0+5x130"),
                    (r#"tokenward_refresh_total{job="tokenward",instance="a",audience="A",trigger="demand",outcome="mfa_required"}"#, "0+1x130"),
                ]),
                ("one session of a quiet API", vec![
                    (r#"tokenward_refresh_total{job="tokenward",instance="a",audience="A",trigger="demand",outcome="success"}"#, "0x130"),
                    (r#"tokenward_refresh_total{job="tokenward",instance="a",audience="A",trigger="demand",outcome="mfa_required"}"#, "0x110 1x20"),
                ]),
            ],
        },
    }
}

fn guessing() -> Alert {
    Alert {
        name: "MfaGuessing",
        expr: r#"sum by (job, audience) (increase(tokenward_mfa_attempts_total{outcome=~"invalid_code|rate_limited"}[10m])) > <30|3>
and sum by (job, audience) (increase(tokenward_mfa_attempts_total{outcome=~"invalid_code|rate_limited"}[10m]))
  > 3 * sum by (job, audience) (increase(tokenward_mfa_attempts_total{outcome="success"}[10m]))"#
            .to_owned(),
        hold: "0s",
        severity: Severity::Page,
        labels: Vec::new(),
        summary: "{{ $value | humanize }} wrong codes in 10 minutes for {{ $labels.audience }}.",
        description: "More than 30 wrong codes in 10 minutes, and more than three for each right \
                      one. Somebody may hold stolen sessions or passwords and guess the codes.",
        board: "mfa",
        trial: Trial {
            fault: vec![
                (r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="success"}"#, "0+1x130"),
                (r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="invalid_code"}"#, "0+3x130"),
                (r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="rate_limited"}"#, "0+2x130"),
            ],
            health: vec![
                ("Monday morning", vec![
                    (r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="success"}"#, "0+40x130"),
                    (r#"tokenward_mfa_attempts_total{job="tokenward",instance="a",audience="A",method="otp",outcome="invalid_code"}"#, "0+5x130"),
                ]),
            ],
        },
    }
}
