//! The display's own numbers, which ride on its requests in one header (RFC 9651).
//!
//! What is counted is what happened since the gateway last answered: counters are taken off once
//! an answer came, so that a request that was lost loses no count.

use std::fmt::Write as _;

use crate::panel::Counts;

/// The name of the header.
pub const HEADER: &str = "tokenward-device";

/// What became of fetches, by the labels of `tokenward_device_fetches_total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetches {
    /// Fetches that were answered with a content, or that it is unchanged.
    pub ok: u64,
    /// Fetches that were refused for want of a factor.
    pub mfa: u64,
    /// Fetches that were refused because the session is over.
    pub unauthorized: u64,
    /// Fetches that got no answer.
    pub offline: u64,
    /// Fetches that were answered with something that does not help.
    pub error: u64,
}

/// How the display is at the moment of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The panel's name.
    pub panel: &'static str,
    /// Whether the panel answers.
    pub is_up: bool,
    /// Where the agent stands.
    pub state: &'static str,
    /// The seconds since the shown content was fetched; `None` where none is shown.
    pub stale: Option<u64>,
    /// Whether the clock is synchronised.
    pub is_clock_right: bool,
    /// The seconds since the program began.
    pub uptime: u64,
}

/// The counters, of which some were told already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// What became of fetches since the beginning.
    pub fetches: Fetches,
    told: Told,
}

/// Counters at the moment a header was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    fetches: Fetches,
    draws: Counts,
}

impl Numbers {
    /// Writes the header, and returns what counts as told once an answer came.
    pub fn header(&self, condition: &Condition, draws: Counts) -> (String, Told) {
        let flag = |is_set: bool| if is_set { "" } else { "=?0" };
        let mut text = format!(
            "v=\"{}\", panel=\"{}\", up{}, state={}",
            env!("CARGO_PKG_VERSION"),
            condition.panel,
            flag(condition.is_up),
            condition.state,
        );
        let mut add = |key: &str, number: u64| {
            // Writing to a string cannot fail.
            let _ = write!(text, ", {key}={}", number.min(INTEGER_MAX));
        };
        if let Some(seconds) = condition.stale {
            add("stale", seconds);
        }
        add("uptime", condition.uptime);
        let (now, then) = (&self.fetches, &self.told.fetches);
        let (drawn, before) = (&draws, &self.told.draws);
        for (key, now, then) in [
            ("fetch-ok", now.ok, then.ok),
            ("fetch-mfa", now.mfa, then.mfa),
            ("fetch-unauthorized", now.unauthorized, then.unauthorized),
            ("fetch-offline", now.offline, then.offline),
            ("fetch-error", now.error, then.error),
            ("draw-ok", drawn.ok, before.ok),
            ("draw-nack", drawn.nack, before.nack),
            ("draw-bus", drawn.bus, before.bus),
            ("draw-timeout", drawn.timeout, before.timeout),
            ("draw-skipped", drawn.skipped, before.skipped),
        ] {
            if now > then {
                add(key, now - then);
            }
        }
        text.push_str(", clock");
        text.push_str(flag(condition.is_clock_right));
        (text, Told { fetches: self.fetches, draws })
    }

    /// Takes off what a request told that was answered.
    pub fn answered(&mut self, told: Told) {
        self.told = told;
    }
}

/// The greatest integer of RFC 9651 §3.3.1.
const INTEGER_MAX: u64 = 999_999_999_999_999;

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Condition = Condition {
        panel: "ssd1306-128x64",
        is_up: true,
        state: "online",
        stale: Some(0),
        is_clock_right: true,
        uptime: 3600,
    };

    #[test]
    fn what_was_answered_is_told_once_and_what_was_lost_again() {
        let mut numbers = Numbers::default();
        numbers.fetches.ok = 12;
        let draws = Counts { ok: 40, nack: 2, ..Counts::default() };
        let (text, _lost) = numbers.header(&WELL, draws);
        let (again, told) = numbers.header(&WELL, draws);
        assert_eq!(text, again);
        assert_eq!(
            text,
            format!(
                "v=\"{}\", panel=\"ssd1306-128x64\", up, state=online, stale=0, uptime=3600, \
                 fetch-ok=12, draw-ok=40, draw-nack=2, clock",
                env!("CARGO_PKG_VERSION")
            )
        );
        numbers.answered(told);
        numbers.fetches.offline += 1;
        let (text, _) = numbers.header(&WELL, Counts { ok: 41, ..draws });
        assert!(text.contains("fetch-offline=1, draw-ok=1, clock"), "{text}");
        assert!(!text.contains("fetch-ok"), "{text}");
    }

    #[test]
    fn the_longest_header_is_one_that_the_gateway_reads() {
        let many = u64::MAX;
        let fetches =
            Fetches { ok: many, mfa: many, unauthorized: many, offline: many, error: many };
        let numbers = Numbers { fetches, told: Told::default() };
        let draws = Counts { ok: many, nack: many, bus: many, timeout: many, skipped: many };
        let worst = Condition {
            is_up: false,
            is_clock_right: false,
            stale: Some(many),
            uptime: many,
            ..WELL
        };
        let (text, _) = numbers.header(&worst, draws);
        assert!(text.len() <= 512, "{}", text.len());
        assert!(text.contains("up=?0") && text.ends_with("clock=?0"));
    }
}
