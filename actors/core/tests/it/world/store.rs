//! One store for all machines: a record and its head, judged by the rules of the core.

use tokenward_core::event::EndReason;
use tokenward_core::lease::{self, Begin, Begun, Commit, Verdict};
use tokenward_core::name::Epoch;
use tokenward_core::secret::RefreshToken;
use tokenward_core::session::exchange::Reading;
use tokenward_core::snapshot::Snapshot;
use tokenward_core::time::Instant;

/// The record of the one session that a world is about.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) record: Snapshot,
    pub(crate) ended: Option<EndReason>,
    pub(crate) ended_at: Option<Instant>,
    /// When the present generation was written.
    pub(crate) moved_at: Instant,
    /// Answers to come that fail without effect.
    pub(crate) failures: u32,
    /// Answers to come that get lost after the effect.
    pub(crate) lost_answers: u32,
}

/// What a machine asks of the store.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Begin(Begin),
    Commit(Commit, Box<Snapshot>),
    Load,
    End(EndReason, Option<RefreshToken>),
}

/// What the store answers.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Begun(Option<Begun>),
    Committed(Option<Verdict>),
    Loaded(Reading),
    Ended(bool),
}

impl Store {
    pub(crate) fn new(record: Snapshot) -> Self {
        let moved_at = Instant::ZERO;
        Self { record, ended: None, ended_at: None, moved_at, failures: 0, lost_answers: 0 }
    }

    pub(crate) fn take(&mut self, ask: &Ask, now: Instant) -> Told {
        if self.failures > 0 {
            self.failures -= 1;
            return failed(ask);
        }
        let told = self.apply(ask, now);
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return failed(ask);
        }
        told
    }

    pub(crate) fn read(&self) -> Reading {
        match self.ended {
            Some(reason) => Reading::Ended(reason),
            None => Reading::Living(Box::new(self.record.clone())),
        }
    }

    /// Returns the epoch of the unresolved intent.
    pub(crate) fn doubt(&self) -> Option<Epoch> {
        self.record.head.intent.map(|intent| intent.epoch)
    }

    fn apply(&mut self, ask: &Ask, now: Instant) -> Told {
        match ask {
            Ask::Begin(begin) => {
                let begun = lease::begin(&self.record.head, begin, now);
                if let Begun::Leased(intent) = begun {
                    self.record.head.epoch = intent.epoch;
                    self.record.head.intent = Some(intent);
                }
                Told::Begun(Some(begun))
            }
            Ask::Commit(commit, snapshot) => {
                let verdict = lease::commit(&self.record.head, commit);
                if let Verdict::Accept(head) = verdict {
                    if head.generation != self.record.head.generation {
                        self.moved_at = now;
                    }
                    self.record = (**snapshot).clone();
                    self.record.head = head;
                }
                Told::Committed(Some(verdict))
            }
            Ask::Load => Told::Loaded(self.read()),
            Ask::End(reason, _) => {
                self.ended.get_or_insert(*reason);
                self.ended_at.get_or_insert(now);
                self.record.head.tombstone = true;
                Told::Ended(true)
            }
        }
    }
}

fn failed(ask: &Ask) -> Told {
    match ask {
        Ask::Begin(_) => Told::Begun(None),
        Ask::Commit(..) => Told::Committed(None),
        Ask::Load => Told::Loaded(Reading::Failed),
        Ask::End(..) => Told::Ended(false),
    }
}
