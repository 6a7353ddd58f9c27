//! Names from the configuration, each with its row of handles; too many of them share one row.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use metrics::Counter;

use super::catalogue::OTHER;

/// The rows of one label: one for each configured name, and one for all the others.
///
/// Names are taken from the configuration only, never from a request. There is room for all rows
/// from the start, so that a row is found without a lock and stays where it is through a reload.
pub(super) struct Family<R> {
    names: RwLock<BTreeMap<String, u8>>,
    rows: Box<[OnceLock<R>]>,
    folded: Counter,
}

impl<R> Family<R> {
    /// Makes room for `cap` names; `folded` counts what falls into the row of the others.
    pub(super) fn new(cap: usize, folded: Counter) -> Self {
        debug_assert!(cap < usize::from(u8::MAX), "a place fits a byte");
        Self {
            names: RwLock::default(),
            rows: (0..=cap).map(|_| OnceLock::new()).collect(),
            folded,
        }
    }

    /// Gives `name` a row, made by `make`, and returns its place: that of the others where no room
    /// is left.
    pub(super) fn learn(&self, name: &str, make: impl FnOnce(&str) -> R) -> u8 {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = names.get(name) {
            return *at;
        }
        let others = self.others();
        match u8::try_from(names.len()) {
            Ok(at) if at < others => {
                self.rows[usize::from(at)].get_or_init(|| make(name));
                names.insert(name.to_owned(), at);
                at
            }
            Ok(_) | Err(_) => others,
        }
    }

    /// Returns the place of `name`: that of the others where the configuration does not know it.
    pub(super) fn find(&self, name: &str) -> u8 {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(name).copied().unwrap_or_else(|| self.others())
    }

    /// Returns the row at `at`; the row of the others is made by `make` at its first use, and each
    /// use of it is counted.
    pub(super) fn row(&self, at: u8, make: impl FnOnce(&str) -> R) -> &R {
        if at >= self.others() {
            self.folded.increment(1);
        }
        let at = at.min(self.others());
        self.rows[usize::from(at)].get_or_init(|| make(OTHER))
    }

    /// Returns the rows that there are.
    pub(super) fn each(&self) -> impl Iterator<Item = &R> {
        self.rows.iter().filter_map(OnceLock::get)
    }

    fn others(&self) -> u8 {
        u8::try_from(self.rows.len() - 1).unwrap_or(u8::MAX)
    }
}
