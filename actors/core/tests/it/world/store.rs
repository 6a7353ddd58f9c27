//! One store for all machines: a record and its head, judged by the rules of the core.

use std::time::Duration;

use tokenward_core::event::EndReason;
use tokenward_core::lease::{self, Begin, Begun, Commit, Head, Intent, Verdict};
use tokenward_core::secret::RefreshToken;
use tokenward_core::session::exchange::Reading;
use tokenward_core::snapshot::Snapshot;
use tokenward_core::time::Instant;

use super::machine::Clock;

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
    /// Whether the next wish arrives twice, and only the second answer is heard.
    pub(crate) hears_twice: bool,
    /// How long the next wish travels.
    pub(crate) slow: Duration,
    /// How long the next answer travels.
    pub(crate) late: Duration,
    /// How often an older state has taken this one's place.
    pub(crate) era: u64,
    /// Until when nobody asks for a lease, because others may know what was forgotten.
    pub(super) told_until: Instant,
    /// The boot whose clock the record, and the intent, are written in.
    written_on: u64,
    intent_on: u64,
    past: Vec<Past>,
}

/// What was there before a write.
#[derive(Debug)]
struct Past {
    at: Instant,
    /// Who wrote then: its machine and its process.
    writer: (usize, u64),
    record: Snapshot,
    moved_at: Instant,
    written_on: u64,
    intent_on: u64,
}

/// The most writes that can be forgotten.
const PAST_MAX: usize = 64;

/// What a machine asks of the store.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Begin(Begin),
    Commit(Commit, Box<Snapshot>),
    /// To write a lease again that it may have forgotten.
    Hold(Intent),
    Load,
    End(EndReason, Option<RefreshToken>),
}

/// What the store answers.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Begun(Option<Begun>),
    Committed(Option<Verdict>),
    Held(bool),
    Loaded(Reading),
    Ended(bool),
}

impl Store {
    pub(crate) fn new(record: Snapshot) -> Self {
        Self {
            record,
            ended: None,
            ended_at: None,
            moved_at: Instant::ZERO,
            failures: 0,
            lost_answers: 0,
            hears_twice: false,
            slow: Duration::ZERO,
            late: Duration::ZERO,
            era: 0,
            told_until: Instant::ZERO,
            written_on: 0,
            intent_on: 0,
            past: Vec::new(),
        }
    }

    /// Falls back to what it was at a moment, as where a replica takes over that had not heard of
    /// the last writes; returns who wrote what is forgotten.
    pub(crate) fn fall_back(&mut self, to: Instant) -> Vec<(usize, u64)> {
        let kept = self.past.partition_point(|past| past.at <= to);
        let forgotten: Vec<Past> = self.past.drain(kept..).collect();
        let writers = forgotten.iter().map(|past| past.writer).collect();
        let Some(oldest) = forgotten.into_iter().next() else {
            return Vec::new();
        };
        self.record = oldest.record;
        self.record.head.tombstone = self.ended.is_some();
        (self.moved_at, self.written_on, self.intent_on) =
            (oldest.moved_at, oldest.written_on, oldest.intent_on);
        self.era += 1;
        writers
    }

    /// Takes a wish at `now`, from a process on a machine that counts by `clock`.
    pub(crate) fn take(
        &mut self,
        ask: &Ask,
        writer: (usize, u64),
        clock: Clock,
        now: Instant,
    ) -> Told {
        if self.failures > 0 {
            self.failures -= 1;
            return failed(ask);
        }
        let mut told = self.apply(ask, writer, clock, now);
        if std::mem::take(&mut self.hears_twice) {
            told = self.apply(ask, writer, clock, now);
        }
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return failed(ask);
        }
        told
    }

    /// Ends every illness that is still to come.
    pub(crate) fn heals(&mut self) {
        (self.failures, self.lost_answers, self.hears_twice) = (0, 0, false);
        (self.slow, self.late) = (Duration::ZERO, Duration::ZERO);
    }

    /// Returns the record as a machine reads it at `now` by its own clock: moments of another boot
    /// are unknown, so its access tokens are gone and its holds begin anew.
    pub(crate) fn read(&self, clock: Clock, now: Instant) -> Reading {
        if let Some(reason) = self.ended {
            return Reading::Ended(reason);
        }
        let mut record = self.record.clone();
        if self.written_on != clock.boot {
            record.entries.clear();
            for hold in &mut record.holds {
                hold.probe_at = hold.probe_at.map(|at| now + at.since(hold.since));
                hold.since = now;
            }
        }
        record.head = self.head(clock);
        Reading::Living(Box::new(record))
    }

    /// Reports whether there is an intent whose lease is over, or of unknown age.
    pub(crate) fn is_overdue(&self, clock: Clock, now: Instant) -> bool {
        let intent = self.head(clock).intent;
        self.ended.is_none() && intent.is_some_and(|intent| intent.until.is_none_or(|at| at <= now))
    }

    fn head(&self, clock: Clock) -> Head {
        let mut head = self.record.head;
        if self.intent_on != clock.boot
            && let Some(intent) = &mut head.intent
        {
            (intent.since, intent.until) = (None, None);
        }
        head
    }

    fn remember(&mut self, writer: (usize, u64), at: Instant) {
        if self.past.len() == PAST_MAX {
            self.past.remove(0);
        }
        let Self { moved_at, written_on, intent_on, .. } = *self;
        let record = self.record.clone();
        self.past.push(Past { at, writer, record, moved_at, written_on, intent_on });
    }

    fn apply(&mut self, ask: &Ask, writer: (usize, u64), clock: Clock, now: Instant) -> Told {
        match ask {
            Ask::Begin(begin) => {
                // Epochs are of the store's clock, and the lease is over by the asker's.
                let mut begun = lease::begin(&self.head(clock), begin, now);
                if let Begun::Leased { intent, .. } = &mut begun {
                    let since = clock.at(now);
                    (intent.since, intent.until) = (Some(since), Some(since + begin.lease));
                    let intent = *intent;
                    self.remember(writer, now);
                    self.record.head.epoch = intent.epoch;
                    self.record.head.intent = Some(intent);
                    self.intent_on = clock.boot;
                }
                Told::Begun(Some(begun))
            }
            Ask::Commit(commit, snapshot) => {
                let verdict = lease::commit(&self.head(clock), commit);
                if let Verdict::Accept(head) = verdict {
                    self.remember(writer, now);
                    if head.generation != self.record.head.generation {
                        self.moved_at = now;
                    }
                    self.record = (**snapshot).clone();
                    self.record.head = head;
                    self.written_on = clock.boot;
                }
                Told::Committed(Some(verdict))
            }
            Ask::Hold(intent) => {
                if let Some(head) = lease::recall(&self.record.head, intent) {
                    self.remember(writer, now);
                    self.record.head = head;
                    self.intent_on = clock.boot;
                }
                Told::Held(true)
            }
            Ask::Load => Told::Loaded(self.read(clock, clock.at(now))),
            Ask::End(reason, _) => {
                self.ended.get_or_insert(*reason);
                self.ended_at.get_or_insert(now);
                self.record.head.tombstone = true;
                Told::Ended(true)
            }
        }
    }
}

impl Told {
    /// Reports whether it says that nothing could be written, as far as is known.
    pub(super) fn is_no_write(&self) -> bool {
        matches!(
            self,
            Told::Begun(None) | Told::Committed(None) | Told::Ended(false) | Told::Held(false)
        )
    }
}

pub(super) fn failed(ask: &Ask) -> Told {
    match ask {
        Ask::Begin(_) => Told::Begun(None),
        Ask::Commit(..) => Told::Committed(None),
        Ask::Hold(_) => Told::Held(false),
        Ask::Load => Told::Loaded(Reading::Failed),
        Ask::End(..) => Told::Ended(false),
    }
}
