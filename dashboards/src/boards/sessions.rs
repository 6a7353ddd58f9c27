//! Do sessions live, and is what keeps them alive well?

use crate::panel::Colour::{Blue, Orange, Red, Yellow};
use crate::panel::{Board, Row, Unit, bars, lines, log_lines, stack, tile};

pub(super) fn board() -> Board {
    Board {
        file: "sessions",
        title: "Tokenward: sessions and store",
        question: "Why do sessions go away, do the actors keep up, and is the store well?",
        rows: vec![now(), sessions(), actors(), store()],
    }
}

fn now() -> Row {
    Row {
        title: "Now",
        panels: vec![
            tile("In memory", Unit::Count, "Sessions in use, or at work; the others rest in the store.")
                .ask("sum(tokenward_sessions{@a})", "sessions")
                .below(Blue),
            tile("Held for MFA", Unit::Count, "APIs of sessions that are held until a person shows a factor.")
                .ask("sum(tokenward_mfa_held{@a})", "held")
                .from(1.0, Yellow)
                .from(100.0, Orange),
            tile("In doubt", Unit::Count, "Sessions whose last refresh was sent and never answered.")
                .ask("sum(tokenward_sessions_in_doubt{@})", "in doubt")
                .from(1.0, Yellow)
                .from(20.0, Orange),
            tile("Revoked", Unit::Count, "Sessions that the provider ended, in the time range.")
                .ask(r#"round(sum(increase(tokenward_session_events_total{@a, event="revoked"}[$__range])))"#, "revoked")
                .from(1.0, Yellow)
                .from(50.0, Orange),
            tile("Crashes", Unit::Count, "Actors that were restarted, in the time range. No session is lost by that, but each is a bug.")
                .ask("round(sum(increase(tokenward_actor_restarts_total{@}[$__range])))", "restarts")
                .from(1.0, Orange)
                .from(5.0, Red),
            tile("Store fails", Unit::Count, "Operations on the store that failed or ran out of time, in the time range.")
                .ask(r#"round(sum(increase(tokenward_store_operations_total{@, outcome=~"error|timeout"}[$__range])))"#, "failures")
                .from(1.0, Red),
        ],
    }
}

fn sessions() -> Row {
    Row {
        title: "Sessions",
        panels: vec![
            stack("In memory, by state", Unit::Count, "What the sessions in memory are doing.")
                .ask("sum by (state) (tokenward_sessions{@a})", "{{state}}"),
            stack(
                "What happens to them",
                Unit::PerSecond,
                "created, restored from the store, evicted to it, and the ways in which they end.",
            )
            .ask(
                "sum by (event) (rate(tokenward_session_events_total{@a}[$__rate_interval]))",
                "{{event}}",
            ),
            bars(
                "Ended by somebody (time range)",
                Unit::Count,
                "user: signed out. admin: by an operator. backchannel, provider: by the provider.",
            )
            .ask(
                "round(sum by (kind) (increase(tokenward_logout_total{@}[$__range])))",
                "{{kind}}",
            ),
            bars(
                "Streams cut by us (time range)",
                Unit::Count,
                "Long answers and WebSockets that ended with their session, or with the gateway.",
            )
            .ask(
                "round(sum by (reason) (increase(tokenward_streams_closed_total{@}[$__range])))",
                "{{reason}}",
            ),
        ],
    }
}

fn actors() -> Row {
    Row {
        title: "Actors",
        panels: vec![
            lines("Messages that wait", Unit::Count, "In mailboxes, by kind of actor; `store`: operations that are not answered yet.")
                .ask("sum by (actor) (tokenward_actor_mailbox_messages{@})", "{{actor}}")
                .wide(8),
            log_lines("How long they wait", Unit::Seconds, "99 of 100 messages were read faster.")
                .ask(
                    "histogram_quantile(0.99, sum by (le, actor) (rate(tokenward_actor_message_wait_seconds_bucket{@}[$__rate_interval]))) > 0",
                    "{{actor}}",
                )
                .wide(8),
            stack("Restarts", Unit::PerSecond, "Actors that crashed and were read back, by kind.")
                .ask("sum by (actor) (rate(tokenward_actor_restarts_total{@}[$__rate_interval]))", "{{actor}}")
                .wide(8),
        ],
    }
}

fn store() -> Row {
    Row {
        title: "Store",
        panels: vec![
            stack("Operations", Unit::PerSecond, "lease: before a refresh. compare_and_swap: what it brought. get: a session is brought to life.")
                .ask("sum by (op) (rate(tokenward_store_operations_total{@}[$__rate_interval]))", "{{op}}"),
            stack("Operations that were not ok", Unit::PerSecond, "conflict: another machine was first. not_found: the session had ended. error and timeout: the store is ill.")
                .ask(
                    r#"sum by (op, outcome) (rate(tokenward_store_operations_total{@, outcome!="ok"}[$__rate_interval]))"#,
                    "{{op}}: {{outcome}}",
                ),
            log_lines("Latency", Unit::Seconds, "99 of 100 operations were faster, by kind.")
                .ask(
                    "histogram_quantile(0.99, sum by (le, op) (rate(tokenward_store_operation_duration_seconds_bucket{@}[$__rate_interval]))) > 0",
                    "{{op}}",
                ),
            log_lines("Time until a rotated token is stored", Unit::Seconds, "The window in which a crash would cost a session.")
                .ask(
                    "histogram_quantile(0.99, sum by (le, backend) (rate(tokenward_rotation_persist_seconds_bucket{@}[$__rate_interval])))",
                    "99 of 100: {{backend}}",
                )
                .from(0.05, Red),
        ],
    }
}
