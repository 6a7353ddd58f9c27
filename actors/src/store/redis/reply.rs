//! What scripts answer, read with suspicion: another program may have written to the same server.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use crate::core::event::EndReason;
use crate::core::lease::{Head, Intent};
use crate::core::name::{Epoch, Generation, Owner, SessionKey};
use crate::core::time::Instant;
use crate::store::shared_time::micros;
use crate::store::{Body, IndexKey, Row, SharedTime, StoreError};

/// An answer, read from its front.
pub(super) struct Reply<'r> {
    values: std::vec::IntoIter<Value>,
    place: &'r Arc<str>,
    /// How the moments in it are placed.
    shared: Option<SharedTime>,
}

impl<'r> Reply<'r> {
    /// Takes an answer apart; each is a list.
    pub(super) fn of(value: Value, place: &'r Arc<str>) -> Result<Self, StoreError> {
        let Value::Array(values) = value else { return Err(strange(place)) };
        Ok(Self { values: values.into_iter(), place, shared: None })
    }

    /// Places the moments that follow.
    pub(super) fn with(mut self, shared: Option<SharedTime>) -> Self {
        self.shared = shared;
        self
    }

    /// Returns the next value; `None` where there is nothing under its name.
    pub(super) fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.values.next() {
            Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
            Some(Value::Nil) | None => Ok(None),
            Some(_) => Err(self.strange()),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.maybe_bytes()?.ok_or_else(|| self.strange())
    }

    pub(super) fn word(&mut self) -> Result<String, StoreError> {
        String::from_utf8(self.bytes()?).map_err(|_| self.strange())
    }

    pub(super) fn maybe_number(&mut self) -> Result<Option<u64>, StoreError> {
        let Some(bytes) = self.maybe_bytes()? else { return Ok(None) };
        let text = str::from_utf8(&bytes).ok();
        let number = text.and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| self.strange())
    }

    pub(super) fn number(&mut self) -> Result<u64, StoreError> {
        self.maybe_number()?.ok_or_else(|| self.strange())
    }

    /// Returns a moment of the server's time.
    pub(super) fn stamp(&mut self) -> Result<i64, StoreError> {
        i64::try_from(self.number()?).map_err(|_| self.strange())
    }

    /// Returns a moment as the earliest it can have been here; `None` where there is none, and
    /// where nobody knows.
    pub(super) fn earliest(&mut self) -> Result<Option<Instant>, StoreError> {
        self.moment(SharedTime::earliest)
    }

    fn latest(&mut self) -> Result<Option<Instant>, StoreError> {
        self.moment(SharedTime::latest)
    }

    /// Returns the list that comes next.
    pub(super) fn list(&mut self) -> Result<Self, StoreError> {
        let value = self.values.next().ok_or_else(|| self.strange())?;
        Ok(Self::of(value, self.place)?.with(self.shared))
    }

    pub(super) fn head(&mut self) -> Result<Head, StoreError> {
        let mut told = self.list()?;
        Ok(Head {
            generation: Generation(told.number()?),
            parent: told.maybe_number()?.map(Generation),
            born_in: Epoch(told.number()?),
            epoch: Epoch(told.number()?),
            intent: told.maybe_intent()?,
            tombstone: false,
        })
    }

    pub(super) fn intent(&mut self) -> Result<Intent, StoreError> {
        let intent = self.list()?.maybe_intent()?;
        intent.ok_or_else(|| self.strange())
    }

    /// Reads a session from its head on.
    pub(super) fn row(&mut self) -> Result<Row, StoreError> {
        let head = self.head()?;
        let due = self.earliest()?;
        let by_subject = self.index_key()?.ok_or_else(|| self.strange())?;
        let by_provider_session = self.index_key()?;
        let sealed = self.bytes()?;
        Ok(Row { head, body: Body { sealed, due, by_subject, by_provider_session } })
    }

    pub(super) fn end_reason(&mut self, key: &SessionKey) -> Result<EndReason, StoreError> {
        let code = self.word()?;
        EndReason::from_code(&code).ok_or_else(|| {
            let place = format!("session {} in {}", key.id(), self.place);
            let detail = format!("it ended for a reason this version does not know: {code}");
            StoreError::corrupt(place, detail)
        })
    }

    fn maybe_intent(&mut self) -> Result<Option<Intent>, StoreError> {
        let Some(epoch) = self.maybe_number()? else { return Ok(None) };
        Ok(Some(Intent {
            epoch: Epoch(epoch),
            owner: Owner(u128::from_be_bytes(self.array()?)),
            consumes: Generation(self.number()?),
            since: self.earliest()?,
            until: self.latest()?,
            settle: Duration::from_micros(self.number()?),
            again: self.maybe_number()? == Some(1),
        }))
    }

    fn index_key(&mut self) -> Result<Option<IndexKey>, StoreError> {
        let Some(bytes) = self.maybe_bytes()? else { return Ok(None) };
        bytes.try_into().map(|bytes| Some(IndexKey(bytes))).map_err(|_| self.strange())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        self.bytes()?.try_into().map_err(|_| self.strange())
    }

    fn moment(
        &mut self,
        place: fn(&SharedTime, i64) -> Option<Instant>,
    ) -> Result<Option<Instant>, StoreError> {
        let Some(stamp) = self.maybe_number()? else { return Ok(None) };
        let stamp = i64::try_from(stamp).map_err(|_| self.strange())?;
        Ok(self.shared.and_then(|shared| place(&shared, stamp)))
    }

    /// Says that the server answers what our scripts do not.
    pub(super) fn strange(&self) -> StoreError {
        strange(self.place)
    }
}

/// Says that what is stored at `place` is not what our scripts have written.
pub(super) fn strange(place: &Arc<str>) -> StoreError {
    StoreError::corrupt(Arc::clone(place), "a record has a form that tokenward does not write")
}

/// Writes a head in the order in which scripts tell it; what is not there is empty.
pub(super) fn head_arguments(head: &Head, shared: Option<&SharedTime>) -> Vec<Vec<u8>> {
    let mut arguments = vec![
        number(head.generation.0),
        head.parent.map(|Generation(parent)| number(parent)).unwrap_or_default(),
        number(head.born_in.0),
        number(head.epoch.0),
    ];
    let intent = head.intent.as_ref();
    arguments.extend(intent.map(|intent| intent_arguments(intent, shared)).unwrap_or_default());
    arguments
}

/// Writes an intent in the order in which scripts tell it.
pub(super) fn intent_arguments(intent: &Intent, shared: Option<&SharedTime>) -> [Vec<u8>; 7] {
    [
        number(intent.epoch.0),
        intent.owner.0.to_be_bytes().to_vec(),
        number(intent.consumes.0),
        stamp(intent.since, shared),
        stamp(intent.until, shared),
        span(intent.settle),
        number(u64::from(intent.again)),
    ]
}

/// Writes what a commit or a creation replaces as a whole.
pub(super) fn body_arguments(body: &Body, shared: Option<&SharedTime>) -> Vec<Vec<u8>> {
    let Body { sealed, due, by_subject, by_provider_session } = body;
    let by_provider_session = by_provider_session.map(|IndexKey(name)| name.to_vec());
    let due = stamp(*due, shared);
    vec![sealed.clone(), due, by_subject.0.to_vec(), by_provider_session.unwrap_or_default()]
}

pub(super) fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

pub(super) fn span(span: Duration) -> Vec<u8> {
    number(micros(Instant::ZERO + span).unsigned_abs())
}

pub(super) fn stamp(at: Option<Instant>, shared: Option<&SharedTime>) -> Vec<u8> {
    let stamp = at.zip(shared).map(|(at, shared)| shared.stamp(at).unsigned_abs());
    stamp.map(number).unwrap_or_default()
}
