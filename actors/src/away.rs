//! Holds of sessions that have left memory: they wait for a person all the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::core::name::SessionKey;
use crate::core::snapshot::Hold;
use crate::metrics::{AudienceIndex, Metrics};

/// The most sessions whose holds are counted while they are away, some 100 bytes each: where more
/// people are asked at once, the number says enough.
const AWAY_MAX: usize = 65_536;

/// Keeps `tokenward_mfa_held` true for what is not in memory.
///
/// Sessions that have not been looked at since the process started are not known here, and those of
/// a store that other machines use may be released there: they are counted in memory only.
pub(crate) struct Away {
    metrics: Arc<Metrics>,
    held: Mutex<HashMap<SessionKey, Box<[AudienceIndex]>>>,
}

impl Away {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, held: Mutex::default() }
    }

    /// Takes note of what is held of a session that leaves.
    pub(crate) fn leaves(&self, key: SessionKey, holds: &[Hold]) {
        let mut held = self.held();
        if holds.is_empty() || held.len() >= AWAY_MAX {
            return;
        }
        let audiences = holds.iter().map(|hold| self.metrics.audience(hold.audience.as_str()));
        let audiences: Box<[AudienceIndex]> = audiences.collect();
        self.metrics.mfa_held(&audiences, 1.0);
        if let Some(before) = held.insert(key, audiences) {
            self.metrics.mfa_held(&before, -1.0);
        }
    }

    /// Forgets a session: it counts its holds itself, or has none any more.
    pub(crate) fn returns(&self, key: &SessionKey) {
        if let Some(audiences) = self.held().remove(key) {
            self.metrics.mfa_held(&audiences, -1.0);
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SessionKey, Box<[AudienceIndex]>>> {
        // Each change is whole before the lock is given back.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
