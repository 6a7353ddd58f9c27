//! A bounded place for things that expire: codes, pending logins, browser sessions.

use std::collections::{HashMap, VecDeque};

/// Things by their secret name, each with an expiry. Expired ones go whenever something is put in;
/// beyond the capacity the oldest goes.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    kept: HashMap<String, (T, u64)>,
    order: VecDeque<String>,
    lifetime_ms: u64,
    capacity: usize,
}

impl<T> Shelf<T> {
    pub(crate) fn new(lifetime_ms: u64, capacity: usize) -> Self {
        Self { kept: HashMap::new(), order: VecDeque::new(), lifetime_ms, capacity }
    }

    /// Puts a thing on the shelf for the shelf's lifetime.
    pub(crate) fn put(&mut self, name: String, thing: T, now_ms: u64) {
        while let Some(oldest) = self.order.front() {
            let expired = self.kept.get(oldest).is_none_or(|(_, until)| *until <= now_ms);
            if !expired && self.order.len() < self.capacity {
                break;
            }
            self.kept.remove(oldest);
            self.order.pop_front();
        }
        self.order.push_back(name.clone());
        self.kept.insert(name, (thing, now_ms.saturating_add(self.lifetime_ms)));
    }

    /// Returns a thing that has not expired.
    pub(crate) fn look(&mut self, name: &str, now_ms: u64) -> Option<&mut T> {
        self.kept.get_mut(name).filter(|(_, until)| *until > now_ms).map(|(thing, _)| thing)
    }

    /// Removes a thing that has not expired.
    pub(crate) fn take(&mut self, name: &str, now_ms: u64) -> Option<T> {
        let (thing, until) = self.kept.remove(name)?;
        (until > now_ms).then_some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_expired_or_overflows_is_gone() {
        let mut shelf = Shelf::new(100, 2);
        shelf.put("a".into(), 1, 0);
        shelf.put("b".into(), 2, 50);
        assert_eq!(shelf.look("a", 99), Some(&mut 1));
        assert_eq!(shelf.look("a", 100), None);
        shelf.put("c".into(), 3, 60);
        assert_eq!(shelf.take("a", 61), None, "the oldest went, the shelf holds two");
        assert_eq!(shelf.take("b", 61), Some(2));
        assert_eq!(shelf.take("b", 61), None);
    }
}
