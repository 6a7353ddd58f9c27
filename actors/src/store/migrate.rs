//! Moves sessions from one store to another, sealed as they are: nothing is opened, no token is spent.

use std::cmp::Ordering;
use std::time::Duration;

use super::{Loaded, PAGE_MAX, Row, StoreError, Tombstone, Vault};
use crate::core::lease::{Begin, Commit, Head, Verdict};
use crate::core::name::{Generation, SessionKey};
use crate::core::time::Instant;

/// Over how long the sessions are spread whose due time is unknown: all at once the provider would
/// feel.
const SPREAD: Duration = Duration::from_secs(60);

/// What a move has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Sessions that were copied.
    pub copied: u64,
    /// Sessions that were there as they had been before they moved here: they are as here again.
    pub renewed: u64,
    /// Sessions that were there already, from a move that was cut short.
    pub there: u64,
    /// Sessions that have gone on over there: what is here is older and stays here.
    pub newer: u64,
    /// Sessions that had ended here, and have over there from then on.
    pub ended: u64,
}

/// Why sessions cannot be moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveFault {
    /// Somebody may be spending a refresh token.
    #[error(
        "session {session} is being refreshed by a gateway: stop every gateway that uses the old \
         store, wait {wait:?}, and run this again; what was copied stays copied"
    )]
    Leased {
        /// The session's public id.
        session: String,
        /// How long its lease lasts.
        wait: Duration,
    },
    /// What one of them seals the other cannot open.
    #[error(
        "the two stores have different key rings: copy keys.json of the old state directory into the \
         new one"
    )]
    Ring,
    /// One of the stores failed; it may be tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Vault {
    /// Copies every session to another store, page by page; `tell` hears how far it is. The ended
    /// ones go first: no late write brings one back to life (law L10), not even one that was copied
    /// while it lived.
    ///
    /// May be repeated after it was cut short, and undone by a move the other way: of each session
    /// the state that went on for longer stays. The old store is not changed, and must not be served
    /// from again: its refresh tokens will be spent by the other.
    ///
    /// # Errors
    /// [`MoveFault`] says what the operator must do; what was copied stays copied.
    pub async fn move_to(
        &self,
        other: &Self,
        mut tell: impl FnMut(&Moved),
    ) -> Result<Moved, MoveFault> {
        if self.ring().newest() != other.ring().newest() {
            return Err(MoveFault::Ring);
        }
        self.refuse_leases().await?;
        let mut moved = Moved::default();
        self.move_tombstones(other, &mut moved).await?;
        let mut after = None;
        loop {
            let page = self.list(after, PAGE_MAX).await?;
            for key in &page {
                if let Loaded::Living(row) = self.store().load(*key).await? {
                    self.refuse_lease(key, &row)?;
                    other.receive(*key, *row, &mut moved).await?;
                }
            }
            tell(&moved);
            match page.last() {
                Some(last) if page.len() >= PAGE_MAX => after = Some(*last),
                Some(_) | None => return Ok(moved),
            }
        }
    }

    async fn move_tombstones(&self, other: &Self, moved: &mut Moved) -> Result<(), MoveFault> {
        let mut after = None;
        loop {
            let page = self.store().tombstones(after, PAGE_MAX).await?;
            for key in &page {
                if let Some(tombstone) = self.store().tombstone(*key, *key).await? {
                    moved.ended += u64::from(other.inter(tombstone).await?);
                }
            }
            match page.last() {
                Some(last) if page.len() >= PAGE_MAX => after = Some(*last),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Ends a session as it has ended in another store; answers whether this did it.
    async fn inter(&self, tombstone: Tombstone) -> Result<bool, StoreError> {
        let Tombstone { key, reason, words, .. } = &tombstone;
        match self.store().load(*key).await {
            Ok(Loaded::Ended(_)) => Ok(false),
            Ok(Loaded::Absent) => self.store().inter(tombstone).await,
            // Damage does not keep a session from ending.
            Ok(Loaded::Living(_)) | Err(StoreError::Corrupt { .. }) => {
                let has_ended = self.store().end(*key, *reason).await?.is_some();
                if has_ended {
                    self.store().engrave(*key, words.clone()).await?;
                }
                Ok(has_ended)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks at all leases first, so that nothing is half done where one lives.
    async fn refuse_leases(&self) -> Result<(), MoveFault> {
        let mut after = None;
        loop {
            let page = self.in_doubt(after, PAGE_MAX).await?;
            for key in &page {
                if let Loaded::Living(row) = self.store().load(*key).await? {
                    self.refuse_lease(key, &row)?;
                }
            }
            match page.last() {
                Some(last) if page.len() >= PAGE_MAX => after = Some(*last),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// An intent that has outlived its lease is moved with its session, which is in doubt over there
    /// as it is here.
    fn refuse_lease(&self, key: &SessionKey, row: &Row) -> Result<(), MoveFault> {
        let until = row.head.intent.and_then(|intent| intent.until);
        let wait = until.unwrap_or(Instant::ZERO).left_at(self.clock().now());
        match wait.is_zero() {
            true => Ok(()),
            false => Err(MoveFault::Leased { session: key.id(), wait }),
        }
    }

    async fn receive(
        &self,
        key: SessionKey,
        mut row: Row,
        moved: &mut Moved,
    ) -> Result<(), MoveFault> {
        // A due time of an earlier boot is unknown: whoever is woken for nothing goes to sleep again.
        let share = f64::from(key.0[4]) / f64::from(u8::MAX);
        row.body.due = row.body.due.or(Some(self.clock().now() + SPREAD.mul_f64(share)));
        let count = match self.store().load(key).await? {
            Loaded::Absent => {
                self.store().create(key, row).await?;
                &mut moved.copied
            }
            Loaded::Living(there) => {
                let age = |head: &Head| (head.generation, head.epoch);
                match age(&there.head).cmp(&age(&row.head)) {
                    Ordering::Less if self.renew(key, row, &there.head).await? => {
                        &mut moved.renewed
                    }
                    Ordering::Equal => &mut moved.there,
                    Ordering::Less | Ordering::Greater => &mut moved.newer,
                }
            }
            Loaded::Ended(_) => &mut moved.newer,
        };
        *count += 1;
        Ok(())
    }

    /// Replaces a session whose tokens have been spent elsewhere since; answers whether it did.
    ///
    /// For the store it is one more exchange, which brought all that happened elsewhere.
    async fn renew(&self, key: SessionKey, row: Row, there: &Head) -> Result<bool, StoreError> {
        let Row { head, body } = row;
        // A generation can only be written over one that is before it.
        let before = Generation(head.generation.0.saturating_sub(1));
        let commit = Commit {
            consumed: before.max(there.generation),
            epoch: head.epoch.max(there.epoch),
            rotated: true,
        };
        let Verdict::Accept(after) = self.store().commit(key, commit, body).await? else {
            return Ok(false);
        };
        if let Some(intent) = head.intent {
            // It is in doubt there too, and its lease is over there too.
            let lease = Duration::ZERO;
            let (owner, settle, consumes) = (intent.owner, intent.settle, after.generation);
            let ask = Begin { owner, consumes, lease, settle, takes_over: None };
            self.store().begin(key, ask).await?;
        }
        Ok(true)
    }
}
