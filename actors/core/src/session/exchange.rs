//! One trip that spends the refresh token: journal, call, save, then answer (law L2).
//!
//! A [`Flight`] is the whole trip as a machine of its own. The shell runs it in a task that
//! nothing cancels, step by step: do what [`Flight::step`] says, tell the flight what came of it,
//! until it has landed. The flight and not the session decides about the write, so that a reply is
//! saved even if the session's actor dies while the provider is thinking.
//!
//! ```text
//! Journal ──► Send ──► Save ──► Land(Saved)         what everybody hopes for
//!    │          │        ├────► Pause ──► Save      the store is ill: kept in memory, tried again
//!    │          │        ├────► Revoke ──► Land     the session ended meanwhile
//!    │          │        └────► Load ──► Land       a newer token is there already
//!    │          ├─────────────► Land(Doubt)         no answer: the intent stays
//!    │          ├─────────────► Load ──► Land       refused: does the token still count?
//!    ├──► Load ──► Send                             written since: read what, then spend
//!    ├──► Load ──► Land(Moved)                      somebody else was faster
//!    └──► Land(Busy), Land(StoreDown)
//! ```

mod flight;
mod step;

use std::time::Duration;

use super::Need;
use super::rotation::Turn;
use crate::event::{EndReason, Trigger};
use crate::grant::{NotSent, Unheard};
use crate::lease::{Commit, Intent};
use crate::name::Epoch;
use crate::policy::{Backoff, Deadlines};
use crate::refusal::{Fate, Refusal};
use crate::secret::{Passcode, RefreshToken};
use crate::snapshot::Snapshot;
use crate::step_up::{Errand, Report};
use crate::time::Instant;

/// How long to wait before the first repetition of a failed save; doubled up to
/// [`SAVE_PAUSE_MAX`].
pub const SAVE_PAUSE_FIRST: Duration = Duration::from_millis(50);

/// The longest wait between two tries to save. There is no last try: giving up would lose the
/// session, and a flight is one task and a few kilobytes.
pub const SAVE_PAUSE_MAX: Duration = Duration::from_secs(5);

/// One trip to the provider.
#[derive(Debug)]
pub struct Flight {
    /// Its number within its session, by which the session knows its landing.
    pub number: u64,
    /// What is asked for.
    pub need: Need,
    /// What set it off.
    pub trigger: Trigger,
    /// When it was decided.
    pub decided_at: Instant,
    /// The deadlines it keeps.
    pub deadlines: Deadlines,
    /// What it does at the provider.
    pub errand: Errand,
    backoff: Backoff,
    before: Snapshot,
    takes_over: Option<Epoch>,
    intent: Option<Intent>,
    sent_at: Option<Instant>,
    saving: Option<Saving>,
    reading: Option<Reread>,
    save_failures: u32,
    step: Step,
}

/// A write that is under way, and what the flight lands with once it is durable.
#[derive(Clone, Debug)]
struct Saving {
    commit: Commit,
    snapshot: Box<Snapshot>,
    then: Then,
}

/// What a durable write stands for.
#[derive(Clone, Debug)]
enum Then {
    Arrive(Outcome, Option<Passcode>),
    LookAgain,
    Refuse(Refusal, Fate),
    StepUp(Report),
    TurnBack(NotSent),
}

/// Why a flight reads the session again, where it is not to land with what it reads.
#[derive(Clone, Debug)]
enum Reread {
    /// The refresh token was refused: does it still count?
    Refused(Refusal, Fate),
    /// Somebody else held the lease since the session was read: what did they write?
    Stale,
}

/// What the shell must do next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Ask the store for the lease with [`Flight::ask`]; then [`Flight::journalled`].
    Journal,
    /// Ask the provider with what [`Flight::send`] returns; then [`Flight::replied`].
    Send,
    /// Write this; then [`Flight::saved`].
    Save {
        /// What the write is judged by.
        commit: Commit,
        /// What is written.
        snapshot: Box<Snapshot>,
    },
    /// Read the session again; then [`Flight::loaded`].
    Load,
    /// Revoke this token at the provider, once and without insisting; then [`Flight::revoked`].
    Revoke(RefreshToken),
    /// Wait until this moment; then [`Flight::paused`].
    Pause(Instant),
    /// Give the session what came of it: the flight is over.
    Land(Box<Landing>),
}

/// A request to the token endpoint.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The token to spend.
    pub refresh_token: RefreshToken,
    /// What to ask for.
    pub need: Need,
    /// What is done: only a refresh sends the refresh token.
    pub errand: Errand,
    /// How long it may take; the connection is cut then.
    pub deadline: Duration,
}

/// What came of a flight.
#[derive(Clone, Debug)]
pub enum Landing {
    /// Somebody else has spent the token and may still be waiting for the reply.
    Busy(Intent),
    /// Nobody knows whether the token was spent.
    Doubt {
        /// The intent that stays.
        epoch: Epoch,
        /// How the answer was lost; `None` where the doubt is older than this flight.
        how: Option<Unheard>,
        /// What was wrong with a 200 that named no new refresh token.
        malformed: Option<&'static str>,
        /// When the token may be sent once more.
        retry_at: Instant,
    },
    /// The session was ended meanwhile.
    Ended(EndReason),
    /// The record is gone: nothing is left to keep.
    Gone,
    /// Another machine has moved the session on.
    Moved(Box<Snapshot>),
    /// Nothing was sent and nothing spent; the intent is resolved.
    NotSent {
        /// What kept it.
        not_sent: NotSent,
        /// The session as it is stored.
        snapshot: Box<Snapshot>,
    },
    /// The provider said no. The intent is resolved, unless the session is to end, or the reply
    /// leaves open whether the refresh token was spent: then it is still in the snapshot.
    Refused {
        /// What it said.
        refusal: Refusal,
        /// What that means.
        fate: Fate,
        /// The session as it is stored.
        snapshot: Box<Snapshot>,
    },
    /// The reply is durable.
    Saved(Receipt),
    /// A step up did not meet the demand. The intent is resolved, unless it was there before.
    SteppedUp {
        /// What whoever waits is told.
        report: Report,
        /// The session as it is stored.
        snapshot: Box<Snapshot>,
    },
    /// The store could not be asked.
    StoreDown {
        /// The intent that is unresolved, as far as the flight knows: where there was a doubt
        /// before, or its own.
        doubt: Option<Epoch>,
    },
}

/// Evidence that a reply is durable: only a flight whose write was accepted can make one, and only
/// a receipt makes a session answer with new tokens.
#[derive(Clone, Debug)]
pub struct Receipt {
    snapshot: Box<Snapshot>,
    outcome: Outcome,
    rotated: bool,
    recovery_code: Option<Passcode>,
}

/// What a durable reply was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A 200 with or without use.
    Turned(Turn),
    /// A 200 that broke the protocol; its refresh token was salvaged.
    Malformed(&'static str),
}

impl Receipt {
    /// Returns the session as it is stored.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns what the reply was worth.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Returns the recovery code that replaces the one which was used.
    pub const fn recovery_code(&self) -> Option<&Passcode> {
        self.recovery_code.as_ref()
    }

    /// Reports whether the provider gave a new refresh token.
    pub const fn rotated(&self) -> bool {
        self.rotated
    }
}

/// What a store read back.
#[derive(Clone, Debug)]
pub enum Reading {
    /// The session.
    Living(Box<Snapshot>),
    /// Its tombstone.
    Ended(EndReason),
    /// Nothing.
    Absent,
    /// The store could not be asked.
    Failed,
}
