//! What can go wrong with a store, and who must act.

use std::io;
use std::sync::Arc;

use thiserror::Error;

use super::board::NoteFault;
use super::record::RecordFault;
use super::seal::{RingFault, SealFault};
use crate::core::name::SessionKey;

/// Why a store could not do what it was asked. Names the place and the remedy, never a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// More is asked than the store can do in time.
    #[error("the store is busy ({why}): it is tried again")]
    Busy {
        /// What it waited for.
        why: &'static str,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// What was read is not what was written.
    #[error(
        "{place} is damaged ({detail}): stop tokenward, keep a copy of the state directory, and \
         restore it from a backup"
    )]
    Corrupt {
        /// What is damaged.
        place: Arc<str>,
        /// How that shows.
        detail: Arc<str>,
    },
    /// A new session would have taken the key of another.
    #[error("session {session} exists already")]
    Exists {
        /// The session's public id.
        session: Arc<str>,
    },
    /// The disk, the quota or the store's own limit is reached.
    #[error(
        "no space is left for {place}: free some or raise the limit; what was saved before is \
         safe, and writing goes on by itself"
    )]
    Full {
        /// What cannot grow.
        place: Arc<str>,
    },
    /// The operating system refused.
    #[error("{place} cannot be used: {detail}")]
    Io {
        /// The file or directory.
        place: Arc<str>,
        /// What the operating system or the database says.
        detail: Arc<str>,
    },
    /// Commits that were answered cannot be read back.
    #[error(
        "{place} is damaged ({detail}), and what was saved from there on cannot be read: stop \
         tokenward, keep a copy of the state directory, and restore it from a backup; to go on \
         without those writes instead (sessions refreshed or ended since then may have to sign in \
         or out again), make the empty file {accept} and start again"
    )]
    LogDamaged {
        /// The log.
        place: Arc<str>,
        /// How that shows.
        detail: Arc<str>,
        /// The file by which an operator accepts the loss.
        accept: Arc<str>,
    },
    /// Another process uses the state directory.
    #[error(
        "{place} is in use by another process: stop that one, or give this one a state directory \
         of its own"
    )]
    Locked {
        /// The lock file.
        place: Arc<str>,
    },
    /// What gateways tell each other for a while cannot be read or written.
    #[error("a note on the board of the store {0}")]
    Note(#[from] NoteFault),
    /// The place cannot be written.
    #[error("{place} is read-only: make it writable for the user tokenward runs as")]
    ReadOnly {
        /// The file or directory.
        place: Arc<str>,
    },
    /// The server does not let us do what we must.
    #[error(
        "{place} refuses tokenward ({detail}): check the user, its password and its access list \
         under [store]"
    )]
    Refused {
        /// The server.
        place: Arc<str>,
        /// What it says.
        detail: Arc<str>,
    },
    /// One session's record cannot be read or written.
    #[error("the record of session {session}: {fault}")]
    Record {
        /// The session's public id.
        session: Arc<str>,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// The key ring cannot be used.
    #[error(transparent)]
    Ring(#[from] RingFault),
    /// One session's record cannot be opened or sealed.
    #[error("the sealed record of session {session}: {fault}")]
    Seal {
        /// The session's public id.
        session: Arc<str>,
        /// What is wrong with it.
        fault: SealFault,
    },
    /// A newer version has written here.
    #[error(
        "{place} was written by a newer version (schema {found}, this one knows {known}): run \
         that version, or restore a backup from before the upgrade"
    )]
    TooNew {
        /// The file.
        place: Arc<str>,
        /// Its version.
        found: i64,
        /// The newest version this program reads.
        known: i64,
    },
    /// The server does not prove that it is the one that is meant.
    #[error(
        "{place} is not trusted ({detail}): name who vouches for it as ca under [store], and the \
         server as its certificate does"
    )]
    Untrusted {
        /// The server.
        place: Arc<str>,
        /// What is wrong with its certificate.
        detail: Arc<str>,
    },
    /// The server cannot be reached, or cannot do anything at present.
    #[error("{place} does not answer ({detail}): it is asked again until it does")]
    Unreachable {
        /// The server.
        place: Arc<str>,
        /// How that shows.
        detail: Arc<str>,
    },
}

/// Who can do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nobody needs to: it passes, and asking again is right.
    Again,
    /// The operator of the machine.
    Operator,
    /// Whoever wrote the program that called: it is a bug.
    Program,
}

impl StoreError {
    /// Returns who must act.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Busy { .. } | Self::Unreachable { .. } => Remedy::Again,
            Self::Closed | Self::Exists { .. } => Remedy::Program,
            Self::Corrupt { .. }
            | Self::Full { .. }
            | Self::Io { .. }
            | Self::Locked { .. }
            | Self::LogDamaged { .. }
            | Self::Note(_)
            | Self::ReadOnly { .. }
            | Self::Refused { .. }
            | Self::Record { .. }
            | Self::Ring(_)
            | Self::Seal { .. }
            | Self::TooNew { .. }
            | Self::Untrusted { .. } => Remedy::Operator,
        }
    }

    /// Returns the reason code shown in metrics and events.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Closed => "closed",
            Self::Corrupt { .. } => "corrupt",
            Self::Exists { .. } => "exists",
            Self::Full { .. } => "full",
            Self::Io { .. } => "io",
            Self::Locked { .. } => "locked",
            Self::LogDamaged { .. } => "log_damaged",
            Self::Note(_) => "note",
            Self::ReadOnly { .. } => "read_only",
            Self::Record { .. } => "record",
            Self::Refused { .. } => "refused",
            Self::Ring(_) => "key_ring",
            Self::Seal { .. } => "seal",
            Self::TooNew { .. } => "too_new",
            Self::Unreachable { .. } => "unreachable",
            Self::Untrusted { .. } => "untrusted",
        }
    }

    /// Says that `key` is taken.
    pub fn exists(key: &SessionKey) -> Self {
        Self::Exists { session: key.id().into() }
    }

    /// Says that what is stored in `place` is not what was written.
    pub fn corrupt(place: impl Into<Arc<str>>, detail: impl Into<Arc<str>>) -> Self {
        Self::Corrupt { place: place.into(), detail: detail.into() }
    }

    /// Says what the operating system did not want at `place`.
    pub fn io(place: impl Into<Arc<str>>, error: &io::Error) -> Self {
        let place = place.into();
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::Full { place }
        } else if matches!(
            kind,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        ) {
            Self::ReadOnly { place }
        } else {
            Self::Io { place, detail: error.to_string().into() }
        }
    }

    /// Says that the server at `place` does not answer.
    #[cfg(feature = "redis")]
    pub(super) fn unreachable(place: &Arc<str>, detail: impl Into<Arc<str>>) -> Self {
        Self::Unreachable { place: Arc::clone(place), detail: detail.into() }
    }

    pub(super) fn record(key: &SessionKey, fault: RecordFault) -> Self {
        Self::Record { session: key.id().into(), fault }
    }

    pub(super) fn seal(key: &SessionKey, fault: SealFault) -> Self {
        Self::Seal { session: key.id().into(), fault }
    }
}
