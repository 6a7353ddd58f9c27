//! Do the displays show something fresh?

use crate::panel::Colour::{Blue, Orange, Red, Yellow};
use crate::panel::{Board, Row, Unit, lines, stack, tile};

pub(super) fn board() -> Board {
    Board {
        file: "devices",
        title: "Tokenward: devices",
        question: "Do the displays on the walls show something fresh, and if not, why?",
        rows: vec![now(), over_time()],
    }
}

fn now() -> Row {
    Row {
        title: "Now",
        panels: vec![
            tile("Programs", Unit::Count, "Displays that Prometheus reaches itself, and gateways that speak for theirs.")
                .ask("count(tokenward_device_content_timestamp_seconds{@} > 0)", "programs")
                .below(Blue)
                .wide(6),
            tile("The oldest content", Unit::Seconds, "Age of what the most outdated display shows. The alert is at an hour.")
                .ask("time() - min(tokenward_device_content_timestamp_seconds{@} > 0)", "age")
                .from(600.0, Yellow)
                .from(3_600.0, Red)
                .wide(6),
            tile("Held for MFA", Unit::Count, "Fetches that were refused because the API wants a factor, in the time range: see the MFA dashboard.")
                .ask(r#"round(sum(increase(tokenward_device_fetches_total{@, outcome="mfa_required"}[$__range])))"#, "held")
                .from(1.0, Red)
                .wide(6),
            tile("Wiring faults", Unit::Count, "Writes to displays that the bus did not take, in the time range.")
                .ask(r#"round(sum(increase(tokenward_device_display_writes_total{@, outcome=~"nack|bus_error|timeout"}[$__range])))"#, "faults")
                .from(1.0, Orange)
                .from(10.0, Red)
                .wide(6),
        ],
    }
}

fn over_time() -> Row {
    Row {
        title: "Over time",
        panels: vec![
            lines("Age of the content", Unit::Seconds, "How old what each display shows is, and for a gateway the oldest of its displays: a saw-tooth is well, a slope is not.")
                .ask("time() - max by (instance) (tokenward_device_content_timestamp_seconds{@} > 0)", "{{instance}}")
                .from(3_600.0, Red)
                .wide(24),
            stack("Fetches by outcome", Unit::PerSecond, "offline: the gateway was not reached. unauthorized: the display must be signed in again.")
                .ask("sum by (outcome) (rate(tokenward_device_fetches_total{@}[$__rate_interval]))", "{{outcome}}"),
            stack("Writes to the display", Unit::PerSecond, "nack: no display at this address. skipped: nothing had changed.")
                .ask("sum by (outcome) (rate(tokenward_device_display_writes_total{@}[$__rate_interval]))", "{{outcome}}"),
        ],
    }
}
