//! Alerts about refreshes, rotation and the provider.

use super::slo::BUDGET;
use super::{Alert, Severity, Trial};

pub(super) fn alerts() -> Vec<Alert> {
    let mut alerts: Vec<Alert> = BURNS.iter().map(budget_burn).collect();
    alerts.extend([reuse(), not_stored(), late(), provider_down()]);
    alerts
}

/// One pair of windows: how fast the budget of 30 days burns, and who is told.
struct Burn {
    factor: f64,
    long: &'static str,
    short: &'static str,
    hold: &'static str,
    severity: Severity,
}

/// 2 % of the budget in an hour, 5 % in six, 10 % in a day, 10 % in three days.
const BURNS: [Burn; 4] = [
    Burn { factor: 14.4, long: "1h", short: "5m", hold: "2m", severity: Severity::Page },
    Burn { factor: 6.0, long: "6h", short: "30m", hold: "15m", severity: Severity::Page },
    Burn { factor: 3.0, long: "1d", short: "2h", hold: "1h", severity: Severity::Ticket },
    Burn { factor: 1.0, long: "3d", short: "6h", hold: "1h", severity: Severity::Ticket },
];

const SUCCESS: &str = r#"tokenward_refresh_total{job="tokenward",instance="a",audience="A",trigger="proactive",outcome="success"}"#;
const ILL: &str = r#"tokenward_refresh_total{job="tokenward",instance="a",audience="A",trigger="proactive",outcome="provider_error"}"#;
const HELD: &str = r#"tokenward_refresh_total{job="tokenward",instance="a",audience="A",trigger="proactive",outcome="mfa_required"}"#;

fn budget_burn(burn: &Burn) -> Alert {
    let Burn { factor, long, short, hold, severity } = burn;
    let limit = format!("{:.4}", factor * BUDGET);
    Alert {
        name: "RefreshErrorBudgetBurn",
        expr: format!(
            "job:tokenward_refresh_errors:ratio_rate{long} > {limit}\n\
             and job:tokenward_refresh_errors:ratio_rate{short} > {limit}"
        ),
        hold,
        severity: *severity,
        labels: vec![("window", long)],
        summary: "{{ $value | humanizePercentage }} of the refreshes fail; 0.5 % are allowed.",
        description: "Refreshes fail for technical reasons so often that the error budget of 30 \
                      days is burnt too fast. Demands for MFA and sessions that are over do not \
                      count.",
        board: "refresh",
        trial: Trial {
            fault: vec![(SUCCESS, "0+80x130"), (ILL, "0+20x130")],
            health: vec![
                ("one failure in a thousand", vec![(SUCCESS, "0+999x130"), (ILL, "0+1x130")]),
                ("a policy asks everybody", vec![(SUCCESS, "0+10x130"), (HELD, "0+90x130")]),
                ("a blip two hours ago", vec![(SUCCESS, "0+5000x130"), (ILL, "0+20x5 100x125")]),
            ],
        },
    }
}

fn reuse() -> Alert {
    Alert {
        name: "RefreshTokenReuse",
        expr: r#"sum by (job, audience) (increase(tokenward_refresh_reuse_total{action="detected"}[15m])) > 0"#
            .to_owned(),
        hold: "0s",
        severity: Severity::Page,
        labels: Vec::new(),
        summary: "The provider saw a refresh token of {{ $labels.audience }} twice and revoked its family.",
        description: "A refresh token was sent twice outside the provider's reuse window: the \
                      session is over. Once, this is a lost reply; more often, the reuse window is \
                      too short, the store loses writes, or somebody else has the token.",
        board: "refresh",
        trial: Trial {
            fault: vec![(
                r#"tokenward_refresh_reuse_total{job="tokenward",instance="a",audience="A",action="detected"}"#,
                "0x125 1x5",
            )],
            health: vec![("prevented here", vec![
                (r#"tokenward_refresh_reuse_total{job="tokenward",instance="a",audience="A",action="detected"}"#, "0x130"),
                (r#"tokenward_refresh_reuse_total{job="tokenward",instance="a",audience="A",action="prevented"}"#, "0+5x130"),
            ])],
        },
    }
}

fn not_stored() -> Alert {
    Alert {
        name: "RotationNotStored",
        expr: r#"sum by (job, instance) (increase(tokenward_rotation_total{outcome="persist_failed"}[5m])) > 0"#
            .to_owned(),
        hold: "0s",
        severity: Severity::Page,
        labels: Vec::new(),
        summary: "{{ $labels.instance }} holds refresh tokens in memory that it cannot store.",
        description: "The provider gave a new refresh token and the store does not take it. It is \
                      tried again and again; if the process ends before that succeeds, the session \
                      is lost.",
        board: "sessions",
        trial: Trial {
            fault: vec![(
                r#"tokenward_rotation_total{job="tokenward",instance="a",audience="A",outcome="persist_failed"}"#,
                "0x127 1 2 3",
            )],
            health: vec![("all is stored", vec![
                (r#"tokenward_rotation_total{job="tokenward",instance="a",audience="A",outcome="rotated"}"#, "0+9x130"),
                (r#"tokenward_rotation_total{job="tokenward",instance="a",audience="A",outcome="persist_failed"}"#, "0x100 1x30"),
            ])],
        },
    }
}

fn late() -> Alert {
    Alert {
        name: "RefreshLate",
        expr: r#"(
  sum by (job, audience) (increase(tokenward_refresh_late_total[30m]))
  / sum by (job, audience) (increase(tokenward_refresh_total{trigger="proactive",outcome="success"}[30m]))
) > 0.05
and sum by (job, audience) (increase(tokenward_refresh_late_total[30m])) >= <5|2>"#
            .to_owned(),
        hold: "10m",
        severity: Severity::Ticket,
        labels: Vec::new(),
        summary: "{{ $value | humanizePercentage }} of the refreshes for {{ $labels.audience }} end after the old token did.",
        description: "Refreshes that should be done ahead of time finish after the access token has \
                      expired, so that callers wait. The margin is too small for this provider, or \
                      the provider has become slow.",
        board: "refresh",
        trial: Trial {
            fault: vec![
                (SUCCESS, "0+5x130"),
                (r#"tokenward_refresh_late_total{job="tokenward",instance="a",audience="A"}"#, "0+1x130"),
            ],
            health: vec![("one in a hundred", vec![
                (SUCCESS, "0+100x130"),
                (r#"tokenward_refresh_late_total{job="tokenward",instance="a",audience="A"}"#, "0+1x130"),
            ])],
        },
    }
}

fn provider_down() -> Alert {
    Alert {
        name: "ProviderDown",
        // The breaker tries again and again: half open for a moment is not well.
        expr: r#"max by (job, provider) (avg_over_time(tokenward_provider_breaker{state="open"}[5m])) > 0.5"#
            .to_owned(),
        hold: "0s",
        severity: Severity::Page,
        labels: Vec::new(),
        summary: "The gateways have stopped calling the provider {{ $labels.provider }}.",
        description: "The circuit breaker towards the provider was open for most of 5 minutes: it \
                      does not answer, or answers with errors. Tokens that are still valid are \
                      served; sessions whose tokens run out have to wait.",
        board: "refresh",
        trial: Trial {
            fault: vec![(
                r#"tokenward_provider_breaker{job="tokenward",instance="a",provider="default",state="open"}"#,
                "0x120 1x10",
            )],
            health: vec![("a blip of a minute", vec![(
                r#"tokenward_provider_breaker{job="tokenward",instance="a",provider="default",state="open"}"#,
                "0x128 1 0",
            )])],
        },
    }
}
