//! What the wall display knows: plain values, from which `screen` draws and nothing else.
//!
//! The agent owns one [`Model`] and changes it as facts come in. It says nothing about pixels, and
//! drawing it twice gives the same picture: time comes in as minutes and turns, never from a clock.

use std::time::Duration;

/// Everything that a picture is drawn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// What the agent is doing, or what it waits for.
    pub phase: Phase,
    /// The last content that was fetched, whichever phase came after it: it is shown while the
    /// network is away, with its age.
    pub content: Option<Content>,
    /// What a clock on the wall shows; `None` until the machine's clock is synchronised.
    pub wall: Option<WallTime>,
    /// Minutes since the program began, on the clock that counts suspend: the beat of everything
    /// that guards against burn-in, and of healing the panel.
    pub minute: u64,
    /// Minutes since the phase or the content last changed: the glass is dimmed when nothing new
    /// was said for a while.
    pub unchanged_minutes: u64,
    /// How often a picture was asked for since the phase or the content last changed: pages and
    /// alternating pictures turn by it.
    pub turn: u64,
}

/// What the agent is doing, or what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// When the program has begun and knows nothing yet.
    Booting,
    /// When certificates cannot be judged, because the machine's clock is not synchronised.
    WaitingForClock,
    /// When nothing on the network answers; `why` in a few words, "no route", "gw.example: refused".
    NoNetwork {
        /// What was tried and failed, in a few words without secrets.
        why: String,
    },
    /// When a person may sign the display in with a code (RFC 8628 §3.3).
    SignIn(SignIn),
    /// When codes have expired unused so often that another is only asked for by a person.
    AskPerson {
        /// Whether a button is wired to the machine.
        button: bool,
    },
    /// When the display is signed in.
    Online,
    /// When a second factor is demanded and everything automatic stands still (seed 000).
    MfaRequired(MfaRequired),
    /// When the session has ended; `reason` in words a person understands.
    Ended {
        /// Why, in a few words: "signed out", "revoked".
        reason: String,
    },
    /// When somebody who runs the gateway must act before the display can go on.
    Trouble {
        /// What is wrong, in a few words.
        what: String,
        /// What mends it, in a sentence.
        remedy: String,
    },
    /// When the panel itself is looked at: every pixel, every edge.
    PanelTest,
}

/// A code that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// What the person types: "WDJB-MJHT".
    pub user_code: String,
    /// Where the person types it: `https://gw.example/d`.
    pub uri: String,
    /// The link that carries the code, for the QR code.
    pub uri_complete: Option<String>,
    /// How long the code still holds.
    pub left: Duration,
}

/// A second factor that is demanded of the person who signed the display in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MfaRequired {
    /// A link that opens the step-up on a phone.
    pub uri: Option<String>,
    /// Who must be turned to where there is no link.
    pub provider: Option<String>,
    /// Whether a push is on its way to the phone at this moment.
    pub pushing: bool,
}

/// Text that is worth a wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The text, as it was fetched.
    pub text: String,
    /// Who said it.
    pub author: Option<String>,
    /// How old it is, where it is older than it should be; `None` while it is fresh.
    pub stale: Option<Age>,
}

/// How long ago something was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// When it was fetched in this run, or when both moments had a synchronised clock.
    Known(Duration),
    /// When it was fetched before a restart without a clock to compare with.
    Unknown,
}

/// Hours and minutes as a clock on the same wall shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime {
    minute_of_day: u16,
}

impl Model {
    /// Returns what is known when the program begins.
    pub fn new() -> Self {
        Self {
            phase: Phase::Booting,
            content: None,
            wall: None,
            minute: 0,
            unchanged_minutes: 0,
            turn: 0,
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl WallTime {
    /// Minutes of a day.
    pub const DAY: u16 = 24 * 60;

    /// Makes a time of day of an hour and a minute, if there is such a time.
    pub fn new(hour: u8, minute: u8) -> Option<Self> {
        let there_is = hour < 24 && minute < 60;
        there_is.then(|| Self { minute_of_day: u16::from(hour) * 60 + u16::from(minute) })
    }

    /// Makes a time of day of a count of minutes; more than a day wraps around.
    pub fn of_minute(minute: u64) -> Self {
        let minute_of_day = u16::try_from(minute % u64::from(Self::DAY)).unwrap_or_default();
        Self { minute_of_day }
    }

    /// Returns the minutes since midnight.
    pub fn minute_of_day(self) -> u16 {
        self.minute_of_day
    }

    /// Returns the hour, 0 to 23.
    pub fn hour(self) -> u16 {
        self.minute_of_day / 60
    }

    /// Returns the minute, 0 to 59.
    pub fn minute(self) -> u16 {
        self.minute_of_day % 60
    }
}
