//! Where a display stands.

use std::fmt;
use std::time::Duration;

use tokenward::core::time::Instant;
use zeroize::Zeroizing;

use super::reply::{Complaint, Miss};

/// Where a display stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing is asked until a person comes.
    AskPerson(Wants),
    /// A person can sign the display in with a code.
    CodeOpen(Code),
    /// The session is over; the reason is shown before a code is asked for.
    Ended {
        /// Why, in words; `None` where the gateway did not say.
        reason: Option<String>,
    },
    /// Another factor is demanded, and nothing is fetched.
    Held(Hold),
    /// Nobody has signed the display in, and there is no code yet.
    NeedsCode {
        /// How many codes in a row went unused.
        spent: u32,
    },
    /// The display is signed in and shows what it fetches.
    Online,
}

/// Why a person must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Somebody said no to the last code.
    Consent,
    /// Nobody used the last codes.
    Presence,
}

/// A code of RFC 8628 §3.2 that is open.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    /// What the display asks with; a secret.
    pub device_code: Zeroizing<String>,
    /// What the person types.
    pub user_code: String,
    /// Where the person types it.
    pub uri: String,
    /// Where it is typed already.
    pub uri_complete: Option<String>,
    /// How often the display may ask.
    pub interval: Duration,
    /// How long it waits before the next question, which is longer while nobody answers.
    pub pause: Duration,
    /// When it ends.
    pub expires_at: Instant,
    /// How many codes before it went unused.
    pub spent: u32,
}

/// A demand for another factor, as the gateway describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// The link that a person opens on a phone; names the demand and opens nothing else.
    pub step_up_uri: Option<String>,
    /// The API that asks.
    pub audience: Option<String>,
    /// Who must be turned to where there is no link: the provider's host, in direct mode.
    pub provider: Option<String>,
}

/// A display that waits for another factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What is demanded.
    pub demand: Demand,
    /// Since when.
    pub since: Instant,
    /// How many fetches were refused since then.
    pub refusals: u32,
    /// When the last of them was.
    pub refused_at: Instant,
    /// Whether a question was sent to the person's phone.
    pub is_pushing: bool,
}

/// What keeps a display from the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The gateway asks to be left alone.
    Busy,
    /// Our clock is not set, and certificates cannot be judged by it.
    Clock,
    /// The gateway answers, but not with what helps.
    Gateway(Complaint),
    /// There is no way to the gateway.
    Network,
}

impl Stage {
    /// Returns the code that is open.
    pub fn code(&self) -> Option<&Code> {
        match self {
            Self::CodeOpen(code) => Some(code),
            Self::AskPerson(_)
            | Self::Ended { .. }
            | Self::Held(_)
            | Self::NeedsCode { .. }
            | Self::Online => None,
        }
    }
}

impl Trouble {
    pub(super) fn of(miss: Miss, is_clock_right: bool) -> Self {
        match miss {
            Miss::Busy(_) => Self::Busy,
            Miss::CertificateTime if is_clock_right => Self::Gateway(Complaint {
                what: "certificate out of date".to_owned(),
                remedy: "Renew the gateway's certificate.",
            }),
            Miss::CertificateTime => Self::Clock,
            Miss::Failed(complaint) => Self::Gateway(complaint),
            Miss::Offline => Self::Network,
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What opens a session to whoever types it is no text for a log either.
        f.debug_struct("Code").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
