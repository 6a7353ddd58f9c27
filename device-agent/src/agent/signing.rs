//! How a person signs the display in (RFC 8628): codes, questions, and when to stop.

use std::time::Duration;

use tokenward::core::device_sign_in::{self, Heard, Next};
use tokenward::core::refusal::Refusal;
use tokenward::core::time::Instant;

use super::reply::{Coded, Miss, Polled};
use super::stage::{Code, Stage, Trouble, Wants};
use super::{Agent, Effect, Errand};

/// How many codes in a row may go unused: an hour at the usual quarter. Then nobody is there, and
/// a display that minted codes for ever would be an open door with a moving lock.
pub(super) const CODES_MAX: u32 = 4;

/// The shortest life of a code that is believed: one question must fall inside.
const LIFE_MIN: Duration = Duration::from_secs(30);

/// The longest: RFC 8628 §6.1 wants short ones, and nobody stands before a display for an hour.
const LIFE_MAX: Duration = Duration::from_secs(60 * 60);

impl Agent {
    pub(super) fn coded(&mut self, now: Instant, coded: Coded) {
        self.answered();
        let spent = match self.stage {
            Stage::NeedsCode { spent } => spent,
            Stage::Ended { .. } => 0,
            Stage::AskPerson(_) | Stage::CodeOpen(_) | Stage::Held(_) | Stage::Online => return,
        };
        let Coded { code, expires_in } = coded;
        let interval = code.interval.clamp(Duration::from_secs(1), device_sign_in::INTERVAL_MAX);
        let expires_at = now + expires_in.clamp(LIFE_MIN, LIFE_MAX);
        self.due = Some((now + interval, Errand::Poll));
        self.stage = Stage::CodeOpen(Code { interval, pause: interval, expires_at, spent, ..code });
    }

    pub(super) fn polled(&mut self, now: Instant, polled: Polled) {
        self.answered();
        match polled {
            Polled::Granted(handle) => {
                self.memory.handle = Some(handle);
                self.effects.push_back(Effect::Save);
                self.stage = Stage::Online;
                self.due = Some((now, Errand::Fetch));
            }
            Polled::Refused(refusal) => self.poll_refused(now, &refusal),
        }
    }

    pub(super) fn poll_missed(&mut self, now: Instant, miss: Miss) {
        let asked = miss.asked().unwrap_or_default();
        self.trouble = Some(Trouble::of(miss, self.is_clock_right()));
        if let Stage::CodeOpen(code) = &mut self.stage
            && let Next::Poll(pause) = device_sign_in::next(Heard::Nothing, code.pause)
        {
            code.pause = pause;
            self.due = Some((now + pause.max(asked), Errand::Poll));
        }
    }

    fn poll_refused(&mut self, now: Instant, refusal: &Refusal) {
        let Stage::CodeOpen(code) = &mut self.stage else { return };
        match device_sign_in::next(Heard::Refused(refusal), code.interval) {
            Next::Poll(pause) => {
                if refusal.error.as_deref() == Some("slow_down") {
                    // From then on (RFC 8628 §3.5), and not for the next question only.
                    code.interval = pause;
                }
                code.pause = code.interval;
                self.due = Some((now + pause, Errand::Poll));
            }
            Next::Restart => self.next_code(now),
            Next::Done | Next::Stop => self.ask_person(Wants::Consent),
        }
    }

    pub(super) fn expire_code(&mut self, now: Instant) {
        if self.stage.code().is_some_and(|code| code.expires_at <= now) {
            self.next_code(now);
        }
    }

    /// Asks for another code, or waits for a person where enough of them went unused.
    fn next_code(&mut self, now: Instant) {
        let spent = self.stage.code().map_or(0, |code| code.spent) + 1;
        if spent >= CODES_MAX {
            return self.ask_person(Wants::Presence);
        }
        self.flight = None;
        self.stage = Stage::NeedsCode { spent };
        self.due = Some((now, Errand::AskCode));
    }

    fn ask_person(&mut self, wants: Wants) {
        self.flight = None;
        self.due = None;
        self.stage = Stage::AskPerson(wants);
    }
}
