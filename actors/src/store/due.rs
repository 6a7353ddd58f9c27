//! Pages of the due index: which sessions must be woken without a caller, the most urgent first.

use crate::core::name::SessionKey;
use crate::core::time::Instant;

/// One page of the due index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// The sessions and when each is due; `None` where that was written before the last boot.
    pub sessions: Vec<(SessionKey, Option<Instant>)>,
    /// Where the next page starts; `None` where this one is the last.
    pub next: Option<Mark>,
}

/// Where a page of the due index ended; has a meaning only for the store that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub(super) [i64; 3]);
