//! One row as SQLite has it, with the checksum that shows when it is not what was written.

use std::time::Duration;

use rusqlite::types::Value;
use sha2::{Digest, Sha256};

use crate::core::event::EndReason;
use crate::core::lease::{Head, Intent};
use crate::core::name::{Epoch, Generation, Owner, SessionKey};
use crate::core::time::Instant;
use crate::store::IndexKey;

/// A boot's number that no boot has: for a moment that is unknown.
const NO_BOOT: i64 = 0;

/// The columns that hold the head; [`Columns::head_values`] has their order.
pub(super) const HEAD_COLUMNS: usize = 12;

/// A moment as it is stored: the number of the boot in this store, and nanoseconds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) boot: i64,
    pub(super) nanos: i64,
}

impl Stamp {
    pub(super) fn new(at: Instant, boot: i64) -> Self {
        // Nobody lives to see the difference: 292 years after boot.
        Self { boot, nanos: i64::try_from(at.as_nanos()).unwrap_or(i64::MAX) }
    }

    /// Returns the moment, unless it belongs to another boot.
    pub(super) fn on(self, boot: i64) -> Option<Instant> {
        (self.boot == boot).then(|| Instant::from_nanos(self.nanos.cast_unsigned()))
    }
}

/// Every column of a session but its key and its record.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) generation: i64,
    pub(super) parent: Option<i64>,
    pub(super) born_in: i64,
    pub(super) epoch: i64,
    pub(super) intent: Option<IntentColumns>,
    pub(super) due: Option<Stamp>,
    pub(super) ended: Option<(String, Stamp)>,
    pub(super) by_subject: Option<[u8; 32]>,
    pub(super) by_provider_session: Option<[u8; 32]>,
}

/// The columns of an unresolved intent.
#[derive(Clone, Debug)]
pub(super) struct IntentColumns {
    pub(super) epoch: i64,
    pub(super) owner: [u8; 16],
    pub(super) consumes: i64,
    pub(super) boot: i64,
    pub(super) since: i64,
    pub(super) until: i64,
    pub(super) settle: i64,
    pub(super) again: bool,
}

impl Columns {
    /// Returns the columns of a session with nothing but a head.
    pub(super) fn new(head: &Head, boot: i64) -> Self {
        Self {
            // Numbers keep their bits: SQLite has signed ones only, and nothing orders by them.
            generation: head.generation.0.cast_signed(),
            parent: head.parent.map(|parent| parent.0.cast_signed()),
            born_in: head.born_in.0.cast_signed(),
            epoch: head.epoch.0.cast_signed(),
            intent: head.intent.as_ref().map(|intent| IntentColumns::new(intent, boot)),
            due: None,
            ended: None,
            by_subject: None,
            by_provider_session: None,
        }
    }

    /// Replaces the head.
    pub(super) fn set_head(&mut self, head: &Head, boot: i64) {
        let Self { generation, parent, born_in, epoch, intent, .. } = Self::new(head, boot);
        *self = Self { generation, parent, born_in, epoch, intent, ..self.clone() };
    }

    /// Returns the head, with moments of another boot unknown.
    pub(super) fn head(&self, boot: i64) -> Head {
        Head {
            generation: Generation(self.generation.cast_unsigned()),
            parent: self.parent.map(|parent| Generation(parent.cast_unsigned())),
            born_in: Epoch(self.born_in.cast_unsigned()),
            epoch: Epoch(self.epoch.cast_unsigned()),
            intent: self.intent.as_ref().map(|intent| intent.read(boot)),
            tombstone: self.ended.is_some(),
        }
    }

    /// Returns why the session ended: `None` where it lives; the code where this version does not
    /// know it.
    pub(super) fn end_reason(&self) -> Option<Result<EndReason, &str>> {
        let (code, _) = self.ended.as_ref()?;
        Some(EndReason::from_code(code).ok_or(code))
    }

    /// Returns the names the session is found by, `None` for a tombstone.
    pub(super) fn names(&self) -> Option<(IndexKey, Option<IndexKey>)> {
        Some((IndexKey(self.by_subject?), self.by_provider_session.map(IndexKey)))
    }

    pub(super) fn head_values(&self) -> [Value; HEAD_COLUMNS] {
        let intent = self.intent.as_ref();
        let number = |read: fn(&IntentColumns) -> i64| intent.map(read).into();
        [
            self.generation.into(),
            self.parent.into(),
            self.born_in.into(),
            self.epoch.into(),
            number(|intent| intent.epoch),
            intent.map(|intent| intent.owner.to_vec()).into(),
            number(|intent| intent.consumes),
            number(|intent| intent.boot),
            number(|intent| intent.since),
            number(|intent| intent.until),
            number(|intent| intent.settle),
            number(|intent| i64::from(intent.again)),
        ]
    }

    pub(super) fn due_values(&self) -> [Value; 2] {
        [self.due.map(|due| due.boot).into(), self.due.map(|due| due.nanos).into()]
    }

    pub(super) fn end_values(&self) -> [Value; 3] {
        let (code, stamp) = self.ended.clone().unzip();
        [code.into(), stamp.map(|stamp| stamp.boot).into(), stamp.map(|stamp| stamp.nanos).into()]
    }

    pub(super) fn name_values(&self) -> [Value; 2] {
        let blob = |name: Option<[u8; 32]>| name.map(|name| name.to_vec()).into();
        [blob(self.by_subject), blob(self.by_provider_session)]
    }

    /// Returns what tells these columns of this session from any others.
    ///
    /// SQLite does not notice a flipped bit inside a value. The record has its seal; this guards
    /// the rest, above all the generation and the tombstone. It is no defence against somebody who
    /// can write the file.
    pub(super) fn checksum(&self, key: &SessionKey) -> i64 {
        let mut hash = Sha256::new();
        hash.update(key.0);
        let values = [
            &self.head_values()[..],
            &self.due_values()[..],
            &self.end_values()[..],
            &self.name_values()[..],
        ];
        for value in values.into_iter().flatten() {
            match value {
                Value::Null => hash.update([0]),
                Value::Integer(number) => hash.update([&[1][..], &number.to_be_bytes()].concat()),
                Value::Real(number) => hash.update([&[2][..], &number.to_be_bytes()].concat()),
                Value::Text(text) => hash.update([&[3][..], text.as_bytes(), &[0]].concat()),
                Value::Blob(bytes) => hash.update([&[4, bytes.len() as u8][..], bytes].concat()),
            }
        }
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl IntentColumns {
    fn new(intent: &Intent, boot: i64) -> Self {
        let stamped = intent.since.zip(intent.until).map(|(since, until)| {
            (boot, Stamp::new(since, boot).nanos, Stamp::new(until, boot).nanos)
        });
        let (boot, since, until) = stamped.unwrap_or((NO_BOOT, 0, 0));
        Self {
            epoch: intent.epoch.0.cast_signed(),
            owner: intent.owner.0.to_be_bytes(),
            consumes: intent.consumes.0.cast_signed(),
            boot,
            since,
            until,
            settle: i64::try_from(intent.settle.as_nanos()).unwrap_or(i64::MAX),
            again: intent.again,
        }
    }

    fn read(&self, boot: i64) -> Intent {
        let on = |nanos| Stamp { boot: self.boot, nanos }.on(boot);
        Intent {
            epoch: Epoch(self.epoch.cast_unsigned()),
            owner: Owner(u128::from_be_bytes(self.owner)),
            consumes: Generation(self.consumes.cast_unsigned()),
            since: on(self.since),
            until: on(self.until),
            settle: Duration::from_nanos(self.settle.cast_unsigned()),
            again: self.again,
        }
    }
}
