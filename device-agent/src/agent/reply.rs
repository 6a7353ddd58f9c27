//! What comes back of an errand, reduced to what decides.

use std::time::Duration;

use tokenward::SessionHandle;
use tokenward::core::refusal::Refusal;

use super::stage::{Code, Demand};
use crate::content::Content;

/// What came back of an errand.
#[derive(Debug)]
pub enum Return {
    /// When a code was asked for.
    Coded(Coded),
    /// When the content was fetched.
    Fetched(Fetched),
    /// When the session was looked at.
    Looked(Looked),
    /// When no answer came, or none that helps.
    Missed(Miss),
    /// When it was asked whether a person has used the code.
    Polled(Polled),
}

/// A code that a person can use, with what the provider says of it.
#[derive(Debug)]
pub struct Coded {
    /// The code; its expiry is counted from the moment of this answer.
    pub code: Code,
    /// How long it can be used.
    pub expires_in: Duration,
}

/// What the content's address answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// A content.
    Fresh {
        /// What it says.
        content: Content,
        /// The name of this version of it.
        etag: Option<String>,
    },
    /// A person must show another factor.
    Held(Demand),
    /// The session is over.
    SignedOut,
    /// What is shown is still right.
    Unchanged,
}

/// What the session's own address answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked {
    /// Nothing is held.
    Free,
    /// The demand stands, perhaps under another link.
    Held(Demand),
    /// The session is over.
    SignedOut,
}

/// What a question for the session was answered.
#[derive(Debug)]
pub enum Polled {
    /// The credential.
    Granted(SessionHandle),
    /// A no, or not yet.
    Refused(Refusal),
}

/// Why there is no answer that helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The gateway is too busy, and may say for how long.
    Busy(Option<Duration>),
    /// The gateway's certificate is not valid at what our clock shows.
    CertificateTime,
    /// The gateway answered with something that does not help.
    Failed(Complaint),
    /// No connection, or no answer in time.
    Offline,
}

/// What is wrong, and what mends it; for the person who runs the gateway, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong, in a few words.
    pub what: String,
    /// What mends it, in a sentence.
    pub remedy: &'static str,
}

/// What the gateway tells of the session as it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The session is over, and perhaps why, in words.
    Ended(Option<String>),
    /// A person must show another factor for something.
    Held,
    /// Some facts did not reach us.
    Missed,
    /// A question was sent to the person's phone.
    Pushing,
    /// Something that was held is free again.
    Released,
}

impl Miss {
    /// Returns how long the gateway asked to be left alone.
    pub(super) fn asked(&self) -> Option<Duration> {
        match self {
            Self::Busy(asked) => *asked,
            Self::CertificateTime | Self::Failed(_) | Self::Offline => None,
        }
    }
}
