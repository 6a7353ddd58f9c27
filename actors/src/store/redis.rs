//! The store that machines share: a Redis that the operator runs already.
//!
//! A session is two keys: a small hash with its head, and its sealed record. Sessions lie in buckets,
//! each with its indexes, and all keys of a bucket are in one slot of a cluster; so each step of the
//! contract is one script, which runs alone and as a whole, and reads the server's clock. The scripts
//! follow [`crate::core::lease`] line by line, and the tests hold them to it.
//!
//! An answer that does not come says nothing: of the errors of a killed server most have been done.
//! So each write carries what tells it from all others, is sent once more on a new connection, and
//! finds itself done or does itself. Nothing is ever done twice.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use redis::{Cmd, Value, cmd};

use self::dial::Dial;
use self::hub::Hub;
use self::line::Line;
use self::reply::{Reply, body_arguments, head_arguments, number, span};
use self::script::{Index, Names, Request, Source};
use self::seen::{Seen, Sight};
use self::server_time::ServerTime;
use self::spool::Spool;
use super::{
    Answer, Board, Body, DuePage, IndexKey, Loaded, Mark, News, PAGE_MAX, Row, SharedTime, Store,
    StoreError, Tombstone,
};
use crate::clock::Clock;
use crate::core::event::EndReason;
use crate::core::lease::{Begin, Begun, Commit, Head, Intent, Verdict};
use crate::core::name::{Epoch, SessionKey};
use crate::core::time::Instant;

mod afterlife;
mod board;
mod dial;
mod door;
mod hub;
mod line;
mod listing;
mod reply;
mod rights;
mod script;
mod seen;
mod server_time;
mod settings;
mod spool;
mod start;

pub use self::settings::{Address, BUCKETS_DEFAULT, Password, Place, PlaceFault, RedisSettings};

/// Keeps sessions in a Redis, for any number of machines at once.
///
/// Durable means what the server's own settings say: see [`crate::store`].
pub struct Redis {
    line: Line,
    hub: Hub,
    names: Names,
    time: ServerTime,
    clock: Clock,
    place: Arc<str>,
    /// Whose messages are our own: random for each start.
    ourselves: [u8; 16],
    /// What is told again where the server forgets it.
    seen: Seen,
    /// Where unconfirmed commits are kept; `None` where they are in memory only.
    spool: Option<Spool>,
    /// The bucket whose turn it is to prove that it can be written.
    pulse: AtomicU16,
}

impl Redis {
    /// Connects on the current tokio runtime, and makes the store where there is none.
    ///
    /// # Errors
    /// Says what the operator must do where the server cannot be reached, refuses us, or holds what
    /// this version does not know.
    pub async fn connect(settings: &RedisSettings, clock: Clock) -> Result<Self, StoreError> {
        let place: Arc<str> = settings.name().into();
        let dial = Dial::new(settings).map_err(|error| line::fault(&place, &error))?;
        let dial = Arc::new(dial);
        let line = Line::start(Arc::clone(&dial), Arc::clone(&place));
        let prefix = settings.prefix.clone();
        let mut names = Names { prefix, buckets: settings.buckets.max(1) };
        let time = ServerTime::new(clock.clone());
        names.buckets =
            start::lay_out(&line, &names, &time, (&clock, &place, settings.username.as_deref()))
                .await?;
        start::warn(&line, &place).await;
        let ourselves = random();
        let hub = Hub::start(dial, names.channel(), ourselves);
        let pulse = AtomicU16::new(0);
        let seen = Seen::new(clock.clone());
        let spool = None;
        Ok(Self { line, hub, names, time, clock, place, ourselves, seen, spool, pulse })
    }

    /// Has commits that the server does not confirm kept in the state directory `dir`.
    ///
    /// # Errors
    /// Where the directory cannot be used.
    pub fn spooling(mut self, dir: &Path) -> Result<Self, StoreError> {
        let spool =
            Spool::open(dir).map_err(|error| StoreError::io(dir.to_string_lossy(), &error))?;
        self.spool = Some(spool);
        Ok(self)
    }

    /// Starts to commit again what the server has not confirmed or may have forgotten; ends with the
    /// store.
    #[must_use]
    pub fn started(self) -> Arc<Self> {
        let redis = Arc::new(self);
        afterlife::start(&redis);
        redis
    }

    /// Asks a script about a session.
    async fn run(
        &self,
        script: &'static Source,
        key: &SessionKey,
        own: Vec<Vec<u8>>,
    ) -> Result<Reply<'_>, StoreError> {
        self.run_on(script, self.names.of(key), &key.0, own).await
    }

    /// Asks a script about what is kept under some keys of one bucket.
    async fn run_on(
        &self,
        script: &'static Source,
        keys: Vec<Vec<u8>>,
        about: &[u8; 32],
        own: Vec<Vec<u8>>,
    ) -> Result<Reply<'_>, StoreError> {
        let dictated = self.time.dictated().map(|now| now.to_string().into_bytes());
        let mut arguments = vec![
            about.to_vec(),
            dictated.unwrap_or_default(),
            self.ourselves.to_vec(),
            self.names.channel().into_bytes(),
        ];
        arguments.extend(own);
        let asked_at = self.clock.now();
        let request = Request::Script { script, keys, arguments };
        let value = self.line.ask(&request).await?;
        let mut reply = Reply::of(value, &self.place)?;
        let server = reply.stamp()?;
        self.time.hear(asked_at, server);
        Ok(reply.with(self.time.shared()))
    }

    async fn plain(&self, command: Cmd) -> Result<Value, StoreError> {
        self.line.ask(&Request::Plain(command)).await
    }

    async fn create_row(&self, key: &SessionKey, row: Row) -> Result<(), StoreError> {
        let mut reply = self.introduce(key, &row).await?;
        match reply.word()?.as_str() {
            "created" | "kept" => {
                self.seen.wrote(key, Sight::Living(Box::new(row)));
                Ok(())
            }
            "exists" => Err(StoreError::exists(key)),
            _ => Err(reply.strange()),
        }
    }

    async fn introduce(&self, key: &SessionKey, row: &Row) -> Result<Reply<'_>, StoreError> {
        let shared = self.time.shared();
        let mut own = body_arguments(&row.body, shared.as_ref());
        own.extend(head_arguments(&row.head, shared.as_ref()));
        self.run(&script::CREATE, key, own).await
    }

    async fn load_row(&self, key: &SessionKey) -> Result<Loaded, StoreError> {
        let mut loaded = self.read_row(key).await?;
        // Nobody is to go by what was true before the server forgot.
        if self.seen.is_newer_than(key, &loaded) && self.tell_again(key).await? {
            loaded = self.read_row(key).await?;
        }
        self.seen.read(key, &loaded);
        Ok(loaded)
    }

    async fn read_row(&self, key: &SessionKey) -> Result<Loaded, StoreError> {
        let mut reply = self.run(&script::LOAD, key, Vec::new()).await?;
        match reply.word()?.as_str() {
            "living" => reply.row().map(|row| Loaded::Living(Box::new(row))),
            "ended" => reply.end_reason(key).map(Loaded::Ended),
            "absent" => Ok(Loaded::Absent),
            _ => Err(reply.strange()),
        }
    }

    async fn take_lease(&self, key: &SessionKey, ask: Begin) -> Result<Begun, StoreError> {
        let (begun, stored) = self.try_lease(key, &ask).await?;
        // Whoever knows a newer token than the server does must not spend the server's: that one was
        // spent before the server forgot.
        let forgot = match begun {
            Begun::Moved => stored < Some(ask.consumes.0),
            Begun::Ended => true,
            Begun::Leased { .. } | Begun::Busy(_) => false,
        };
        if forgot && self.tell_again(key).await? {
            return self.try_lease(key, &ask).await.map(|(begun, _)| begun);
        }
        Ok(begun)
    }

    /// Asks for the lease; where the token was replaced, beside it comes the generation that is there.
    async fn try_lease(
        &self,
        key: &SessionKey,
        ask: &Begin,
    ) -> Result<(Begun, Option<u64>), StoreError> {
        let own = vec![
            ask.owner.0.to_be_bytes().to_vec(),
            number(ask.consumes.0),
            span(ask.lease),
            span(ask.settle),
            ask.takes_over.map(|Epoch(epoch)| number(epoch)).unwrap_or_default(),
            random::<8>().to_vec(),
        ];
        let asked_at = self.clock.now();
        let mut reply = self.run(&script::BEGIN, key, own).await?;
        let begun = match reply.word()?.as_str() {
            "leased" => {
                // Our own lease is over no later than the server thinks. Where a connection was waited
                // for, it was given long after it was asked for.
                let intent = reply.intent()?;
                let given = intent.since.unwrap_or(asked_at).clamp(asked_at, self.clock.now());
                let (since, until) = (Some(given), Some(given + ask.lease));
                let intent = Intent { since, until, ..intent };
                self.seen.leased(key, intent);
                Begun::Leased { intent, follows: Epoch(reply.number()?) }
            }
            "busy" => Begun::Busy(reply.intent()?),
            "moved" => return Ok((Begun::Moved, Some(reply.number()?))),
            "ended" => Begun::Ended,
            _ => return Err(reply.strange()),
        };
        Ok((begun, None))
    }

    async fn bury(&self, key: &SessionKey, reason: EndReason) -> Result<Option<Row>, StoreError> {
        // Where the answer is lost, the second asking finds a tombstone and not what it wiped.
        let seen = match self.load_row(key).await {
            Ok(Loaded::Living(row)) => Some(*row),
            Ok(Loaded::Ended(_) | Loaded::Absent) => return Ok(None),
            // Damage does not keep a session from ending.
            Err(StoreError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut reply = self.entomb(key, reason).await?;
        let row = match reply.word()?.as_str() {
            "wiped" => reply.row().ok().or(seen),
            "wiped before" => seen,
            "ended" => return Ok(None),
            _ => return Err(reply.strange()),
        };
        self.seen.wrote(key, Sight::Ended(reason));
        Ok(Some(row.unwrap_or_else(unreadable)))
    }

    async fn entomb(&self, key: &SessionKey, reason: EndReason) -> Result<Reply<'_>, StoreError> {
        let own = vec![reason.code().as_bytes().to_vec(), random::<8>().to_vec()];
        self.run(&script::END, key, own).await
    }

    async fn engrave_words(&self, key: &SessionKey, words: Vec<u8>) -> Result<(), StoreError> {
        self.run(&script::ENGRAVE, key, vec![words]).await.map(drop)
    }

    async fn read_tombstone(&self, key: SessionKey) -> Result<Option<Tombstone>, StoreError> {
        let mut reply = self.run(&script::LOAD, &key, Vec::new()).await?;
        if reply.word()? != "ended" {
            return Ok(None);
        }
        let reason = reply.end_reason(&key)?;
        let at = reply.earliest()?;
        let words = reply.maybe_bytes()?.unwrap_or_default();
        Ok(Some(Tombstone { key, reason, at, words }))
    }

    /// Removes a tombstone that is old enough; answers whether it was.
    async fn sweep(&self, key: &SessionKey, until: i64) -> Result<bool, StoreError> {
        let own = vec![number(until.unsigned_abs())];
        let mut reply = self.run(&script::SWEEP, key, own).await?;
        Ok(reply.word()? == "swept")
    }

    async fn beat(&self) -> Result<(), StoreError> {
        let turn = self.pulse.fetch_add(1, Ordering::Relaxed);
        let mut beat = cmd("INCR");
        beat.arg(self.names.pulse(turn % self.names.buckets));
        self.plain(beat).await.map(drop)
    }
}

/// The row of a session that has ended and of which nothing could be read.
fn unreadable() -> Row {
    let by_subject = IndexKey([0; 32]);
    let body = Body { sealed: Vec::new(), due: None, by_subject, by_provider_session: None };
    Row { head: Head::new(), body }
}

#[expect(clippy::expect_used, reason = "without the kernel's randomness nothing here is safe")]
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    bytes
}

impl Store for Redis {
    fn create(&self, key: SessionKey, row: Row) -> Answer<'_, ()> {
        Box::pin(async move { self.create_row(&key, row).await })
    }

    fn load(&self, key: SessionKey) -> Answer<'_, Loaded> {
        Box::pin(async move { self.load_row(&key).await })
    }

    fn begin(&self, key: SessionKey, ask: Begin) -> Answer<'_, Begun> {
        Box::pin(async move { self.take_lease(&key, ask).await })
    }

    fn commit(&self, key: SessionKey, commit: Commit, body: Body) -> Answer<'_, Verdict> {
        Box::pin(self.commit_surely(key, commit, body))
    }

    fn end(&self, key: SessionKey, reason: EndReason) -> Answer<'_, Option<Row>> {
        Box::pin(async move { self.bury(&key, reason).await })
    }

    fn engrave(&self, key: SessionKey, words: Vec<u8>) -> Answer<'_, ()> {
        Box::pin(async move { self.engrave_words(&key, words).await })
    }

    fn tombstone(&self, first: SessionKey, last: SessionKey) -> Answer<'_, Option<Tombstone>> {
        Box::pin(async move { self.first_tombstone(&first, &last).await })
    }

    fn tombstones(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        Box::pin(self.keys_after(Index::Tombs, after, limit.min(PAGE_MAX)))
    }

    fn inter(&self, tombstone: Tombstone) -> Answer<'_, bool> {
        Box::pin(self.bring_tombstone(tombstone))
    }

    fn due(&self, until: Instant, after: Option<Mark>, limit: usize) -> Answer<'_, DuePage> {
        Box::pin(self.due_page(until, after, limit.min(PAGE_MAX)))
    }

    fn in_doubt(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        Box::pin(self.keys_after(Index::Doubt, after, limit.min(PAGE_MAX)))
    }

    fn find(&self, by: IndexKey) -> Answer<'_, Vec<SessionKey>> {
        Box::pin(self.named(by))
    }

    fn list(&self, after: Option<SessionKey>, limit: usize) -> Answer<'_, Vec<SessionKey>> {
        Box::pin(self.keys_after(Index::All, after, limit.min(PAGE_MAX)))
    }

    fn count(&self) -> Answer<'_, u64> {
        Box::pin(self.count_all())
    }

    fn purge(&self, limit: usize) -> Answer<'_, usize> {
        Box::pin(self.sweep_old(limit.min(PAGE_MAX)))
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(self.beat())
    }

    fn shared_time(&self) -> Option<SharedTime> {
        self.time.shared()
    }

    fn news(&self) -> Option<News> {
        Some(self.hub.news())
    }

    fn board(&self) -> Option<&dyn Board> {
        Some(self)
    }
}
