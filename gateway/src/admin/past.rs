//! The latest facts of all sessions, by number: what a stream of events reads, and where one that
//! broke goes on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokenward::{EventStream, Heard, LifecycleEvent};
use tokio::sync::watch;

/// The facts that a listener may be behind, or go back to: at a quarter of a kilobyte each, a
/// quarter of a megabyte. A busy gateway fills it in some seconds, which is how long a stream needs
/// to be opened anew.
const KEPT_MAX: usize = 1_024;

/// The ring of facts.
pub(super) struct Past {
    /// Tells the numbers of this run from those of another one.
    run: u64,
    kept: Mutex<Kept>,
    /// The number of the next fact.
    next: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    facts: VecDeque<(u64, LifecycleEvent)>,
    next: u64,
}

impl Past {
    /// Makes an empty ring; `run` is another for each run.
    pub(super) fn new(run: u64) -> Self {
        Self { run, kept: Mutex::default(), next: watch::Sender::new(0) }
    }

    /// Subscribes to the number of the next fact, which rises.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// Returns the first fact that is kept from `number` on, with its own number: a higher one where
    /// facts between are lost.
    pub(super) fn from(&self, number: u64) -> Option<(u64, LifecycleEvent)> {
        let kept = self.kept();
        let at = kept.facts.partition_point(|(known, _)| *known < number);
        kept.facts.get(at).cloned()
    }

    /// Writes the id of a fact, as a listener gives it back.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// Reads an id, and returns the number of the fact that follows; `None` where it is not of this
    /// run.
    pub(super) fn after(&self, id: &str) -> Option<u64> {
        let (run, number) = id.split_once('-')?;
        let number: u64 = number.parse().ok()?;
        let next = self.kept().next;
        (run.parse() == Ok(self.run) && number < next).then(|| number + 1)
    }

    fn take(&self, heard: Heard) {
        let next = {
            let mut kept = self.kept();
            match heard {
                Heard::Event(fact) => {
                    if kept.facts.len() >= KEPT_MAX {
                        kept.facts.pop_front();
                    }
                    let number = kept.next;
                    kept.facts.push_back((number, fact));
                    kept.next += 1;
                }
                // Their numbers stay free, by which listeners know.
                Heard::Missed(count) => kept.next += count,
            }
            kept.next
        };
        self.next.send_replace(next);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // No holder stops half way.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the facts until the framework is gone.
pub(super) async fn follow(past: Arc<Past>, mut facts: EventStream) {
    while let Some(heard) = facts.next().await {
        past.take(heard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(at_ms: u64) -> Heard {
        Heard::Event(LifecycleEvent {
            at_ms,
            session: "s".to_owned(),
            event: "held".into(),
            audience: None,
            factor: None,
            text: String::new(),
        })
    }

    #[test]
    fn l14_a_listener_resumes_where_it_was_or_learns_that_it_missed_something() {
        let past = Past::new(7);
        assert_eq!((past.from(0), past.after("7-0")), (None, None), "nothing was told");
        (0..3).for_each(|at| past.take(fact(at)));
        let after = past.after(&past.id(0)).unwrap();
        assert_eq!(past.from(after).map(|(number, fact)| (number, fact.at_ms)), Some((1, 1)));
        assert_eq!(past.after(&past.id(2)), Some(3));
        assert_eq!(past.from(3), None, "it has everything");
        for stranger in ["7-3", "6-0", "7", "7-x", "-", "7-18446744073709551615"] {
            assert_eq!(past.after(stranger), None, "{stranger}");
        }
        past.take(Heard::Missed(10));
        past.take(fact(13));
        assert_eq!(past.from(3).map(|(number, _)| number), Some(13));
        (0..KEPT_MAX as u64).for_each(|at| past.take(fact(at)));
        assert_eq!(past.kept().facts.len(), KEPT_MAX);
        assert_eq!(past.from(1).map(|(number, _)| number), Some(14), "the oldest one is gone");
    }
}
