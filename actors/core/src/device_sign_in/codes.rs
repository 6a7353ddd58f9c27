//! One code that is open at us as the authorization server of our devices (RFC 8628 §3).
//!
//! A code waits until a person says yes or no on another screen. A yes is claimed before the
//! person's sign-in is exchanged, so that of two people who approve one code only one gets a
//! session. The device fetches its answer once, and once more within a minute where that reply was
//! lost.
//!
//! The machines of a fleet change a code in turn, each the one that it has seen: so every change is
//! found done where it is made a second time. Moments are of the time that the machines have in
//! common, and the less favourable end of what is known of it decides (law L12).

use std::fmt;
use std::time::Duration;

use crate::name::Audience;
use crate::scope::ScopeSet;
use crate::secret::AccessToken;
use crate::time::{Present, Stamp};

/// How long a device may ask again for an answer that it was given: a connection that broke, and
/// the device's own patience before it asks anew.
pub const ANSWER_KEPT: Duration = Duration::from_secs(60);

/// How long a claimed code waits for the exchange of its person's sign-in: several times the hard
/// deadline of an exchange. After it, the code may be approved anew.
pub const CLAIM_KEPT: Duration = Duration::from_secs(60);

/// How long an ended code is remembered, so that a person is told how it ended.
const END_KEPT: Duration = Duration::from_secs(600);

/// The characters of a device's name of its kind.
pub const KIND_CHARS_MAX: usize = 64;

/// The hash of a device code, by which it is known here (law L13).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeId(pub [u8; 32]);

/// What tells one person's yes from all others: random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim(pub [u8; 16]);

/// What a device says that it is, such as `display`: printable ASCII, at most 64 characters. It is
/// what the device claims, and shown to people as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKind(String);

/// A text that names no kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindFault;

/// What a device asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What it says that it is.
    pub kind: DeviceKind,
    /// The APIs, the one that its session will belong to first; never empty.
    pub audiences: Vec<Audience>,
    /// The scopes that it names; empty for what the APIs' routes need.
    pub scopes: ScopeSet,
}

/// How codes are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a person has.
    pub lifetime: Duration,
    /// How often a device asks.
    pub interval: Duration,
    /// How many codes may wait at once.
    pub open_max: usize,
}

/// How a code stands, for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits for a yes or no, for so long.
    Waiting(Duration),
    /// Somebody has said yes, and their sign-in is being completed.
    Claimed,
    /// Somebody has said yes; the device has its session, or is about to fetch it.
    Approved,
    /// Somebody has said no.
    Denied,
    /// Nobody has said anything in time.
    Expired,
}

/// What a device hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its session's handle.
    Granted(AccessToken),
    /// Nobody has said anything yet.
    Pending,
    /// The same, and it asks too often.
    SlowDown,
    /// A no.
    Denied,
    /// Nobody has said anything in time.
    Expired,
    /// There is no such code, it is another device's, or its answer was fetched.
    Unknown,
}

/// A code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The hash of what its device asks with.
    pub id: CodeId,
    /// What the device asks for.
    pub wish: Wish,
    /// How often the device was told to ask.
    pub interval: Duration,
    /// When it was opened.
    pub opened_at: Stamp,
    /// When a person's time is over.
    pub ends_at: Stamp,
    /// What has become of it.
    pub state: State,
}

/// What has become of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has said anything.
    Waiting,
    /// Somebody has said yes; until a session has come of it, or until then, nobody else may.
    Claimed {
        /// Whose yes it is.
        by: Claim,
        /// When it is given back.
        until: Stamp,
    },
    /// The session waits for its device.
    Granted {
        /// The session's handle.
        handle: AccessToken,
        /// When the device comes too late.
        until: Stamp,
    },
    /// The device has its answer, or came too late.
    Fetched {
        /// The session's handle, where the device may ask once more.
        handle: Option<AccessToken>,
        /// When it may no more.
        until: Stamp,
    },
    /// Somebody has said no.
    Denied,
}

impl DeviceKind {
    /// Takes what a device calls itself.
    ///
    /// # Errors
    /// [`KindFault`] where it is empty, too long, or not printable ASCII.
    pub fn parse(text: &str) -> Result<Self, KindFault> {
        let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let fits = !text.trim().is_empty() && text.len() <= KIND_CHARS_MAX;
        if printable && fits { Ok(Self(text.trim().to_owned())) } else { Err(KindFault) }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Code {
    /// Opens a code for a device.
    pub fn open(id: CodeId, wish: Wish, terms: Terms, now: Present) -> Self {
        let (opened_at, ends_at) = (now.earliest, now.earliest + terms.lifetime);
        Self { id, wish, interval: terms.interval, opened_at, ends_at, state: State::Waiting }
    }

    /// Returns how it stands.
    pub fn standing(&self, now: Present) -> Standing {
        let waits = now.is_before(self.ends_at) && now.places(self.opened_at);
        match &self.state {
            State::Denied => Standing::Denied,
            State::Fetched { .. } | State::Granted { .. } => Standing::Approved,
            State::Claimed { until, .. } if now.places(*until) && !now.is_past(*until) => {
                Standing::Claimed
            }
            State::Claimed { .. } | State::Waiting if waits => {
                Standing::Waiting(self.ends_at.since(now.latest))
            }
            State::Claimed { .. } | State::Waiting => Standing::Expired,
        }
    }

    /// Takes a person's no.
    ///
    /// # Errors
    /// Says how the code stands where it waits no more.
    pub fn deny(&mut self, now: Present) -> Result<(), Standing> {
        self.waits(now)?;
        self.state = State::Denied;
        Ok(())
    }

    /// Claims it for a person whose yes is about to become a session.
    ///
    /// # Errors
    /// As [`Code::deny`].
    pub fn claim(&mut self, by: Claim, now: Present) -> Result<(), Standing> {
        if matches!(&self.state, State::Claimed { by: known, .. } if *known == by) {
            return Ok(());
        }
        self.waits(now)?;
        self.state = State::Claimed { by, until: now.latest + CLAIM_KEPT };
        Ok(())
    }

    /// Gives a claim back: no session came of it.
    pub fn release(&mut self, by: Claim) {
        if matches!(&self.state, State::Claimed { by: known, .. } if *known == by) {
            self.state = State::Waiting;
        }
    }

    /// Keeps the session of a claim for the device; answers how long the device may take. A claim that
    /// is over counts as long as nobody else has made one.
    ///
    /// # Errors
    /// Gives the session back where the claim is gone: nobody will ever fetch it.
    pub fn grant(
        &mut self,
        by: Claim,
        handle: AccessToken,
        now: Present,
    ) -> Result<Duration, AccessToken> {
        match &self.state {
            State::Claimed { by: known, .. } if *known == by => {
                let until = self.ends_at.max(now.earliest) + ANSWER_KEPT;
                self.state = State::Granted { handle, until };
                Ok(until.since(now.earliest))
            }
            State::Granted { handle: known, until }
            | State::Fetched { handle: Some(known), until }
                if *known == handle =>
            {
                Ok(until.since(now.earliest))
            }
            State::Claimed { .. }
            | State::Denied
            | State::Fetched { .. }
            | State::Granted { .. }
            | State::Waiting => Err(handle),
        }
    }

    /// Answers the device that asks with `id` and calls itself `kind`.
    pub fn fetch(&mut self, id: CodeId, kind: &DeviceKind, now: Present) -> Answer {
        if self.id != id || self.wish.kind != *kind {
            return Answer::Unknown;
        }
        match &self.state {
            State::Granted { handle, until } if now.is_before(*until) => {
                let handle = handle.clone();
                let (kept, until) = (Some(handle.clone()), now.earliest + ANSWER_KEPT);
                self.state = State::Fetched { handle: kept, until };
                Answer::Granted(handle)
            }
            State::Fetched { handle: Some(handle), until } if now.is_before(*until) => {
                Answer::Granted(handle.clone())
            }
            State::Fetched { .. } | State::Granted { .. } => Answer::Unknown,
            State::Denied => Answer::Denied,
            State::Claimed { .. } | State::Waiting => match self.standing(now) {
                Standing::Expired => Answer::Expired,
                Standing::Approved
                | Standing::Claimed
                | Standing::Denied
                | Standing::Waiting(_) => Answer::Pending,
            },
        }
    }

    /// Takes a session back that the device has not fetched; answers whether it was there. From then
    /// on nobody fetches it.
    pub fn withdraw(&mut self, handle: &AccessToken) -> bool {
        match &self.state {
            State::Granted { handle: known, until } if known == handle => {
                self.state = State::Fetched { handle: None, until: *until };
                true
            }
            State::Claimed { .. }
            | State::Denied
            | State::Fetched { .. }
            | State::Granted { .. }
            | State::Waiting => false,
        }
    }

    /// Returns how much longer it is worth remembering.
    pub fn keep(&self, now: Present) -> Duration {
        let over_at = match &self.state {
            State::Denied | State::Waiting => self.ends_at,
            State::Claimed { until, .. }
            | State::Fetched { until, .. }
            | State::Granted { until, .. } => self.ends_at.max(*until),
        };
        (over_at + END_KEPT).since(now.earliest)
    }

    fn waits(&self, now: Present) -> Result<(), Standing> {
        match self.standing(now) {
            Standing::Waiting(_) => Ok(()),
            standing @ (Standing::Claimed
            | Standing::Approved
            | Standing::Denied
            | Standing::Expired) => Err(standing),
        }
    }
}

impl fmt::Debug for CodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[device code]")
    }
}

#[cfg(test)]
mod tests;
