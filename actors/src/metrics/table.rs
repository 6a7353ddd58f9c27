//! Handles in tables whose index is a closed label value: no search and no text on the hot path.

use std::marker::PhantomData;
use std::sync::OnceLock;

/// The values of one label, or of several: a place for each, in the catalogue's order.
pub(super) trait Closed: Copy {
    /// The number of places.
    const COUNT: usize;

    /// Returns the place of this value.
    fn at(self) -> usize;

    /// Returns the values of each label that makes up the place, the slowest first.
    fn values() -> Vec<&'static [&'static str]>;
}

/// No label at all: one place.
impl Closed for () {
    const COUNT: usize = 1;

    fn at(self) -> usize {
        0
    }

    fn values() -> Vec<&'static [&'static str]> {
        Vec::new()
    }
}

impl<A: Closed, B: Closed> Closed for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn at(self) -> usize {
        self.0.at() * B::COUNT + self.1.at()
    }

    fn values() -> Vec<&'static [&'static str]> {
        [A::values(), B::values()].concat()
    }
}

/// One handle for each value.
pub(super) struct Table<K, H> {
    cells: Box<[H]>,
    key: PhantomData<fn(K)>,
}

impl<K: Closed, H> Table<K, H> {
    /// Makes the cells in the order of their places.
    pub(super) fn new(mut make: impl FnMut(usize) -> H) -> Self {
        Self { cells: (0..K::COUNT).map(&mut make).collect(), key: PhantomData }
    }

    /// Returns the handle for `key`.
    pub(super) fn of(&self, key: K) -> &H {
        &self.cells[key.at()]
    }

    /// Returns every handle.
    pub(super) fn each(&self) -> impl Iterator<Item = &H> {
        self.cells.iter()
    }
}

/// A table whose handles are registered when they are first used: for counters with so many values
/// that most of them never occur.
pub(super) struct LazyTable<K, H>(Table<K, OnceLock<H>>);

impl<K: Closed, H> LazyTable<K, H> {
    /// Makes a table without a handle.
    pub(super) fn new() -> Self {
        Self(Table::new(|_| OnceLock::new()))
    }

    /// Returns the handle for `key`, registered by `register` where it is the first use.
    pub(super) fn of(&self, key: K, register: impl FnOnce() -> H) -> &H {
        self.0.of(key).get_or_init(register)
    }
}
