//! The codes that are open at us as the authorization server of our devices (RFC 8628 §3).
//!
//! A code waits until a person says yes or no on another screen. A yes is claimed before the
//! person's sign-in is exchanged, so that of two people who approve one code only one gets a
//! session. The device fetches its answer once, and once more within a minute where that reply was
//! lost. Nothing here outlives the process: a device whose code is forgotten asks for another.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Pace;
use super::user_code::UserCode;
use crate::name::Audience;
use crate::scope::ScopeSet;
use crate::secret::AccessToken;
use crate::time::Instant;

/// How long a device may ask again for an answer that it was given: a connection that broke, and
/// the device's own patience before it asks anew.
pub const ANSWER_KEPT: Duration = Duration::from_secs(60);

/// How long a claimed code waits for the exchange of its person's sign-in: several times the hard
/// deadline of an exchange. After it, the code may be approved anew.
pub const CLAIM_KEPT: Duration = Duration::from_secs(60);

/// How long an ended code is remembered, so that a person is told how it ended.
const END_KEPT: Duration = Duration::from_secs(600);

/// How much sooner than it was told a device may ask: timers are not exact.
const EARLY: Duration = Duration::from_millis(500);

/// The characters of a device's name of its kind.
pub const KIND_CHARS_MAX: usize = 64;

/// The hash of a device code, by which it is known here (law L13).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeId(pub [u8; 32]);

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

/// Why a code is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFault {
    /// There are as many as there may be; the first may end after so long.
    Full(Duration),
    /// The user code is in use: draw another.
    Taken,
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

/// The codes that are open, and those that ended lately.
#[derive(Debug, Default)]
pub struct Codes {
    codes: BTreeMap<CodeId, Code>,
    by_user: BTreeMap<UserCode, CodeId>,
}

#[derive(Debug)]
struct Code {
    wish: Wish,
    interval: Duration,
    /// When a person's time is over.
    ends_at: Instant,
    pace: Pace,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    Claimed { until: Instant },
    Granted(AccessToken),
    Fetched { handle: Option<AccessToken>, until: Instant },
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

impl Codes {
    /// Opens a code for a device at `now`.
    ///
    /// # Errors
    /// [`OpenFault`] where it cannot be opened.
    pub fn open(
        &mut self,
        (id, user): (CodeId, UserCode),
        wish: Wish,
        terms: Terms,
        now: Instant,
    ) -> Result<(), OpenFault> {
        self.forget(now);
        if self.by_user.contains_key(&user) || self.codes.contains_key(&id) {
            return Err(OpenFault::Taken);
        }
        let open = self.codes.values().filter(|code| !code.has_ended(now));
        if open.clone().count() >= terms.open_max {
            let first = open.map(|code| code.ends_at.since(now)).min();
            return Err(OpenFault::Full(first.unwrap_or(terms.interval)));
        }
        if self.codes.len() >= terms.open_max.saturating_mul(2) {
            // Only how some codes ended is forgotten sooner.
            self.keep(|code| !code.has_ended(now) || code.handle().is_some());
        }
        let (interval, ends_at) = (terms.interval, now + terms.lifetime);
        let (pace, state) = (Pace::default(), State::Waiting);
        self.codes.insert(id, Code { wish, interval, ends_at, pace, state });
        self.by_user.insert(user, id);
        Ok(())
    }

    /// Returns what a code asks for and how it stands; `None` where there is none.
    pub fn look(&self, user: UserCode, now: Instant) -> Option<(&Wish, Standing)> {
        let code = self.codes.get(self.by_user.get(&user)?)?;
        Some((&code.wish, code.standing(now)))
    }

    /// Reports whether a user code is in use, or was lately.
    pub fn has(&self, user: UserCode) -> bool {
        self.by_user.contains_key(&user)
    }

    /// Takes a person's no.
    ///
    /// # Errors
    /// Says how the code stands where it waits no more; `None` where there is none.
    pub fn deny(&mut self, user: UserCode, now: Instant) -> Result<(), Option<Standing>> {
        self.waiting(user, now)?.state = State::Denied;
        Ok(())
    }

    /// Claims a code for a person whose yes is about to become a session.
    ///
    /// # Errors
    /// As [`Codes::deny`].
    pub fn claim(&mut self, user: UserCode, now: Instant) -> Result<Wish, Option<Standing>> {
        let code = self.waiting(user, now)?;
        code.state = State::Claimed { until: now + CLAIM_KEPT };
        Ok(code.wish.clone())
    }

    /// Gives a claimed code back: no session came of it.
    pub fn release(&mut self, user: UserCode) {
        if let Some(code) = self.of(user)
            && let State::Claimed { .. } = code.state
        {
            code.state = State::Waiting;
        }
    }

    /// Keeps the session of a claimed code for its device.
    ///
    /// # Errors
    /// Gives the session back where there is no claim any more: nobody will ever fetch it.
    pub fn grant(&mut self, user: UserCode, handle: AccessToken) -> Result<(), AccessToken> {
        match self.of(user) {
            Some(code) if matches!(code.state, State::Claimed { .. }) => {
                code.state = State::Granted(handle);
                Ok(())
            }
            Some(_) | None => Err(handle),
        }
    }

    /// Answers a device that asks at `now`.
    pub fn poll(&mut self, id: CodeId, kind: &DeviceKind, now: Instant) -> Answer {
        let Some(code) = self.codes.get_mut(&id).filter(|code| code.wish.kind == *kind) else {
            return Answer::Unknown;
        };
        match &code.state {
            State::Granted(handle) => {
                let handle = handle.clone();
                let kept = Some(handle.clone());
                code.state = State::Fetched { handle: kept, until: now + ANSWER_KEPT };
                Answer::Granted(handle)
            }
            State::Fetched { handle: Some(handle), until } if now < *until => {
                Answer::Granted(handle.clone())
            }
            State::Fetched { .. } => Answer::Unknown,
            State::Denied => Answer::Denied,
            // A yes in the last moment is not lost.
            State::Waiting if now >= code.ends_at => Answer::Expired,
            State::Waiting | State::Claimed { .. } => {
                let interval = code.interval.saturating_sub(EARLY);
                if code.pace.allows(interval, now) { Answer::Pending } else { Answer::SlowDown }
            }
        }
    }

    /// Forgets what is over at `now`; returns the sessions that no device has fetched in time.
    #[must_use]
    pub fn sweep(&mut self, now: Instant) -> Vec<AccessToken> {
        let mut unfetched = Vec::new();
        for code in self.codes.values_mut() {
            let fetch_until = code.ends_at + ANSWER_KEPT;
            match &mut code.state {
                State::Granted(handle) if now >= fetch_until => {
                    unfetched.push(handle.clone());
                    code.state = State::Fetched { handle: None, until: now };
                }
                State::Fetched { handle, until } if now >= *until => *handle = None,
                State::Waiting
                | State::Claimed { .. }
                | State::Granted(_)
                | State::Fetched { .. }
                | State::Denied => {}
            }
        }
        self.forget(now);
        unfetched
    }

    fn of(&mut self, user: UserCode) -> Option<&mut Code> {
        self.codes.get_mut(self.by_user.get(&user)?)
    }

    fn waiting(&mut self, user: UserCode, now: Instant) -> Result<&mut Code, Option<Standing>> {
        let code = self.of(user).ok_or(None)?;
        match code.standing(now) {
            Standing::Waiting(_) => Ok(code),
            standing @ (Standing::Claimed
            | Standing::Approved
            | Standing::Denied
            | Standing::Expired) => Err(Some(standing)),
        }
    }

    fn forget(&mut self, now: Instant) {
        self.keep(|code| now < code.ends_at + END_KEPT || code.handle().is_some());
    }

    fn keep(&mut self, stays: impl Fn(&Code) -> bool) {
        self.codes.retain(|_, code| stays(code));
        self.by_user.retain(|_, id| self.codes.contains_key(id));
    }
}

impl Code {
    fn standing(&self, now: Instant) -> Standing {
        match &self.state {
            State::Denied => Standing::Denied,
            State::Fetched { .. } | State::Granted(_) => Standing::Approved,
            State::Claimed { until } if now < *until => Standing::Claimed,
            State::Claimed { .. } | State::Waiting if now >= self.ends_at => Standing::Expired,
            State::Claimed { .. } | State::Waiting => Standing::Waiting(self.ends_at.since(now)),
        }
    }

    fn has_ended(&self, now: Instant) -> bool {
        match self.standing(now) {
            Standing::Claimed | Standing::Waiting(_) => false,
            Standing::Approved | Standing::Denied | Standing::Expired => true,
        }
    }

    /// Returns the session that the device has not fetched yet, or may fetch once more.
    fn handle(&self) -> Option<&AccessToken> {
        match &self.state {
            State::Granted(handle) => Some(handle),
            State::Fetched { handle, .. } => handle.as_ref(),
            State::Claimed { .. } | State::Denied | State::Waiting => None,
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
