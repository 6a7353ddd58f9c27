//! Contexts: what the provider's mfa_token is good for, for how long, and what a caller's handle
//! says of it (law L9).

use std::fmt;
use std::time::Duration;

use crate::secret::MfaToken;
use crate::snapshot::Hold;
use crate::time::Instant;

/// How long a context lasts where nobody says otherwise: what the providers known allow.
pub const CONTEXT_TTL: Duration = Duration::from_secs(300);

/// The longest time that may be configured: a person who takes a day has gone away.
pub const CONTEXT_TTL_MAX: Duration = Duration::from_secs(24 * 3600);

/// The name of a context: a hash of the provider's mfa_token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub [u8; 32]);

impl fmt::Debug for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The provider's door for one demand, open until it is used or its time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// What the provider knows the demand by.
    pub mfa_token: MfaToken,
    /// When the demand arrived.
    pub opened_at: Instant,
    /// How long the context lasts from then.
    pub ttl: Duration,
}

impl Context {
    /// Returns the name that handles know it by.
    pub const fn id(&self) -> ContextId {
        self.mfa_token.id()
    }

    /// Returns when it is over.
    pub fn ends_at(&self) -> Instant {
        self.opened_at + self.ttl
    }

    /// Reports whether it is over at `now`; the boundary itself is too late.
    pub fn is_over(&self, now: Instant) -> bool {
        self.ends_at() <= now
    }
}

/// What a caller's handle says, once its seal has been opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The context it names.
    pub id: ContextId,
    /// When that context ends; `None` where it was opened before the last boot.
    pub ends_at: Option<Instant>,
}

/// What a handle is good for.
#[derive(Clone, Copy, Debug)]
pub enum Standing<'a> {
    /// The context is open.
    Open(&'a Hold, &'a Context),
    /// Its time is over.
    Expired,
    /// There is no such context: it was used, replaced or released.
    NotFound,
}

/// Decides what a handle is good for at `now`.
///
/// An expired context answers so even after it was purged, because the handle tells its own end.
pub fn standing<'a>(claim: &Claim, holds: &'a [Hold], now: Instant) -> Standing<'a> {
    let found = holds.iter().find_map(|hold| {
        let context = hold.context.as_ref().filter(|context| context.id() == claim.id)?;
        Some((hold, context))
    });
    match found {
        Some((hold, context)) if !context.is_over(now) => Standing::Open(hold, context),
        Some(_) => Standing::Expired,
        None if claim.ends_at.is_none_or(|ends_at| ends_at <= now) => Standing::Expired,
        None => Standing::NotFound,
    }
}

/// Drops the contexts that are over; their holds stay.
pub fn purge(holds: &mut [Hold], now: Instant) {
    for hold in holds {
        if hold.context.as_ref().is_some_and(|context| context.is_over(now)) {
            hold.context = None;
        }
    }
}

/// How long contexts last, by what the operator wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// The time.
    pub ttl: Duration,
    /// Whether what the operator wrote was no use, so that the default holds: worth a warning.
    pub is_fallback: bool,
}

/// Reads how long contexts last: the option before the environment, whole seconds.
pub fn context_ttl(option: Option<&str>, environment: Option<&str>) -> Ttl {
    let Some(written) = option.or(environment) else {
        return Ttl { ttl: CONTEXT_TTL, is_fallback: false };
    };
    let seconds = written.trim().parse().ok().map(Duration::from_secs);
    match seconds.filter(|ttl| !ttl.is_zero() && *ttl <= CONTEXT_TTL_MAX) {
        Some(ttl) => Ttl { ttl, is_fallback: false },
        None => Ttl { ttl: CONTEXT_TTL, is_fallback: true },
    }
}
