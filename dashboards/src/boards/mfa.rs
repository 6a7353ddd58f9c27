//! Do people get through MFA?

use crate::panel::Colour::{Green, Orange, Red, Yellow};
use crate::panel::{Board, Panel, Row, Shape, Unit, bars, lines, stack, table, tile};

/// The story of the wall display, for whoever meets it for the first time.
const REMEDY: &str = "\
A refresh runs in the background: nobody is there to show a factor. When the provider demands one \
all the same, the API is **held** until a person comes by; wall displays and scheduled jobs stop.

It nearly always comes from a rule or an Action that asks for MFA on *every* token request:

1. Replace it by an MFA **policy**: policies leave refreshes alone.
2. Where it must stay, let it return early when `context.protocol === 'oauth2-refresh-token'` \
(Action: `event.transaction.protocol`), at least for the clients whose metadata says that nobody \
sits there, such as `device_type: display`.
3. Then retry the held sessions: `POST /api/sessions/{id}/retry` on the admin listener.

The table says which API it is. `tokenward check` finds it before it happens.";

pub(super) fn board() -> Board {
    Board {
        file: "mfa",
        title: "Tokenward: MFA",
        question: "How many people are asked for a factor, succeed, fail and give up, how long does it take, and which policy blocks background refresh?",
        rows: vec![glance(), asked(), outcome(), ending(), blocked()],
    }
}

fn glance() -> Row {
    Row {
        title: "At a glance (the time range above)",
        panels: vec![
            tile("Asked", Unit::Count, "How often a person was asked for a factor.")
                .ask("round(sum(increase(tokenward_mfa_challenges_total{@a}[$__range])))", "asked")
                .below(crate::panel::Colour::Blue),
            tile(
                "Got through",
                Unit::Ratio,
                "Share of the demands that ended with a factor passed. A person who mistypes twice and then gets it right got through.",
            )
            .ask(
                r#"sum(increase(tokenward_mfa_challenges_closed_total{@a, outcome="completed"}[$__range])) / sum(increase(tokenward_mfa_challenges_closed_total{@a, outcome!="superseded"}[$__range]))"#,
                "got through",
            )
            .below(Red)
            .from(0.5, Orange)
            .from(0.8, Green)
            .says(&[("nan", "nobody asked")]),
            tile(
                "Tries that fail",
                Unit::Ratio,
                "Share of the factors shown that were refused. The alert is at 35 %.",
            )
            .ask(
                r#"sum(increase(tokenward_mfa_attempts_total{@a, outcome!="success"}[$__range])) / sum(increase(tokenward_mfa_attempts_total{@a}[$__range]))"#,
                "failed",
            )
            .from(0.2, Orange)
            .from(0.35, Red)
            .says(&[("nan", "nobody tried")]),
            tile(
                "Gave up",
                Unit::Ratio,
                "Share of the demands that ran out, or whose session ended, without a factor. The alert is at 50 %.",
            )
            .ask(
                r#"sum(increase(tokenward_mfa_challenges_closed_total{@a, outcome=~"abandoned|expired"}[$__range])) / sum(increase(tokenward_mfa_challenges_closed_total{@a, outcome!="superseded"}[$__range]))"#,
                "gave up",
            )
            .from(0.25, Orange)
            .from(0.5, Red)
            .says(&[("nan", "nobody asked")]),
            tile("Time to get through", Unit::Seconds, "Half of the people who got through were faster than this.")
                .ask(
                    "histogram_quantile(0.5, sum by (le) (increase(tokenward_mfa_duration_seconds_bucket{@a}[$__range])))",
                    "median",
                )
                .from(60.0, Orange)
                .from(180.0, Red)
                .says(&[("nan", "nobody got through")]),
            blocked_now(),
        ],
    }
}

fn blocked_now() -> Panel {
    tile(
        "Background blocked",
        Unit::Count,
        "Refreshes that nobody waited for and that the provider answered with a demand for MFA. Any number above 0 is a policy that reaches too far: see the last row.",
    )
    .ask(
        r#"round(sum(increase(tokenward_refresh_total{@a, trigger="proactive", outcome="mfa_required"}[$__range])))"#,
        "blocked",
    )
    .from(1.0, Red)
}

fn asked() -> Row {
    Row {
        title: "Who is asked, and why",
        panels: vec![
            stack("Asked, by API", Unit::PerSecond, "Demands for a factor, by the audience that they are for.")
                .ask("sum by (audience) (rate(tokenward_mfa_challenges_total{@a}[$__rate_interval]))", "{{audience}}"),
            stack(
                "Asked, by what set it off",
                Unit::PerSecond,
                "refresh: the provider demanded it. step_up: an API or the configuration demanded it. login: at a sign-in.",
            )
            .ask("sum by (trigger) (rate(tokenward_mfa_challenges_total{@a}[$__rate_interval]))", "{{trigger}}"),
        ],
    }
}

fn outcome() -> Row {
    Row {
        title: "How the tries go",
        panels: vec![
            stack("Tries, by outcome", Unit::PerSecond, "Each factor that was shown, by what the provider said.")
                .ask("sum by (outcome) (rate(tokenward_mfa_attempts_total{@a}[$__rate_interval]))", "{{outcome}}"),
            lines(
                "Tries that succeed, by API",
                Unit::Ratio,
                "Share of the factors that were accepted, over 15 minutes. The alert comes below 65 %.",
            )
            .ask(
                r#"sum by (audience) (increase(tokenward_mfa_attempts_total{@a, outcome="success"}[15m])) / (sum by (audience) (increase(tokenward_mfa_attempts_total{@a}[15m])) > 0)"#,
                "{{audience}}",
            )
            .below(Red)
            .from(0.65, Green),
            bars(
                "Why they fail, by factor (time range)",
                Unit::Count,
                "Refused factors by kind and reason: wrong code, refused by the person, too late, too many tries, provider ill.",
            )
            .ask(
                r#"round(sum by (method, outcome) (increase(tokenward_mfa_attempts_total{@a, outcome!="success"}[$__range]))) > 0"#,
                "{{method}}: {{outcome}}",
            )
            .below(Orange),
            bars(
                "Success, by factor (time range)",
                Unit::Ratio,
                "Share of the tries with each kind of factor that were accepted: a factor far below the others has a problem of its own, such as messages that do not arrive.",
            )
            .ask(
                r#"sum by (method) (increase(tokenward_mfa_attempts_total{@a, outcome="success"}[$__range])) / (sum by (method) (increase(tokenward_mfa_attempts_total{@a}[$__range])) > 0)"#,
                "{{method}}",
            )
            .below(Red)
            .from(0.65, Orange)
            .from(0.8, Green),
        ],
    }
}

fn ending() -> Row {
    Row {
        title: "How it ends",
        panels: vec![
            stack(
                "Demands that ended, by how",
                Unit::PerSecond,
                "completed: a factor was passed. expired: nobody came in time. abandoned: the session ended first. superseded: a newer demand took its place.",
            )
            .ask("sum by (outcome) (rate(tokenward_mfa_challenges_closed_total{@a}[$__rate_interval]))", "{{outcome}}"),
            lines(
                "Waiting for a person now",
                Unit::Count,
                "Demands that are open, and calls for these APIs that are held until somebody answers.",
            )
            .ask("sum by (audience) (tokenward_mfa_challenges_pending{@a})", "open: {{audience}}")
            .ask("sum by (audience) (tokenward_mfa_held{@a})", "held: {{audience}}"),
            lines("How long it takes, by factor", Unit::Seconds, "Nine of ten people who got through were faster than this.")
                .ask(
                    "histogram_quantile(0.9, sum by (le, method) (rate(tokenward_mfa_duration_seconds_bucket{@a}[$__rate_interval])))",
                    "{{method}}",
                ),
            lines("How long it takes, by API", Unit::Seconds, "Half of the people, and nine of ten.")
                .ask(
                    "histogram_quantile(0.5, sum by (le, audience) (rate(tokenward_mfa_duration_seconds_bucket{@a}[$__rate_interval])))",
                    "half: {{audience}}",
                )
                .ask(
                    "histogram_quantile(0.9, sum by (le, audience) (rate(tokenward_mfa_duration_seconds_bucket{@a}[$__rate_interval])))",
                    "nine of ten: {{audience}}",
                ),
        ],
    }
}

fn blocked() -> Row {
    Row {
        title: "Which policy blocks background refresh",
        panels: vec![
            lines(
                "Refreshes answered with a demand for MFA",
                Unit::Ratio,
                "Share of the refreshes of each API, over 30 minutes. A few are step-ups; most of them at once are a rule that was switched on. The alert is at 50 %.",
            )
            .ask(
                r#"sum by (audience) (increase(tokenward_refresh_total{@a, outcome="mfa_required"}[30m])) / (sum by (audience) (increase(tokenward_refresh_total{@a}[30m])) > 0)"#,
                "{{audience}}",
            )
            .from(0.5, Red)
            .wide(8),
            table(
                "Blocked refreshes (time range)",
                Unit::Count,
                "By API and by what set the refresh off: proactive and forced ones have nobody present.",
            )
            .ask(
                r#"round(sum by (audience, trigger) (increase(tokenward_refresh_total{@a, outcome="mfa_required"}[$__range]))) > 0"#,
                "{{audience}}",
            )
            .below(Yellow)
            .wide(8),
            Panel::new(
                Shape::Text(REMEDY),
                "What to do about it",
                Unit::Plain,
                "The remedy for a policy that blocks background refresh.",
            )
            .wide(8),
        ],
    }
}
