//! Commits live on after they were answered, or were not: in memory against a server that forgets its
//! last writes, and on disk against our own death.
//!
//! A replica that takes over may lack what the old master answered last; a server that flushes each
//! second may lose that second. Then the session's generation has gone back to a refresh token that
//! was spent. Its owner commits again what it committed before, as soon as there is a new connection:
//! where nothing was lost that changes nothing, and where something was it moves forward again.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{sleep, timeout};

use super::Redis;
use super::spool::Kept;
use crate::clock::Clock;
use crate::core::lease::{Commit, Verdict};
use crate::core::name::SessionKey;
use crate::core::time::Instant;
use crate::store::{Body, StoreError};

/// For how long a commit is remembered: longer than Sentinels take to agree on a new master and to
/// promote it, with the second that was lost before.
const REMEMBERED_FOR: Duration = Duration::from_secs(120);

/// The most commits that are remembered, some 5 KB each.
const REMEMBERED_MAX: usize = 4_096;

/// How many are committed again at once.
const ABREAST: usize = 64;

/// When a commit that is not answered goes to disk: a healthy server answers long before, and a
/// process that dies sooner loses no more than where it had died before the provider answered.
const KEEP_AFTER: Duration = Duration::from_millis(500);

/// How often what is on disk is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// What was committed lately.
pub(super) struct Remembered {
    clock: Clock,
    commits: Mutex<VecDeque<(Instant, Kept)>>,
}

impl Remembered {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, commits: Mutex::default() }
    }

    fn add(&self, kept: Kept) {
        let now = self.clock.now();
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        commits.push_back((now, kept));
        while commits.front().is_some_and(|(at, _)| now.since(*at) > REMEMBERED_FOR)
            || commits.len() > REMEMBERED_MAX
        {
            commits.pop_front();
        }
    }

    fn all(&self) -> Vec<Kept> {
        let now = self.clock.now();
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let young = commits.iter().filter(|(at, _)| now.since(*at) <= REMEMBERED_FOR);
        young.map(|(_, kept)| kept.clone()).collect()
    }

    fn of(&self, key: &SessionKey) -> Vec<Kept> {
        self.all().into_iter().filter(|kept| kept.key == *key).collect()
    }
}

impl Redis {
    /// Commits, and keeps what must not be lost until the server has answered.
    pub(super) async fn commit_surely(
        &self,
        key: SessionKey,
        commit: Commit,
        body: Body,
    ) -> Result<Verdict, StoreError> {
        if !commit.rotated {
            return self.write(&key, commit, body).await;
        }
        let kept = Kept { key, commit, body: body.clone() };
        let answer = {
            let mut writing = std::pin::pin!(self.write(&key, commit, body));
            match timeout(KEEP_AFTER, &mut writing).await {
                Ok(answer @ Ok(_)) => answer,
                Ok(error @ Err(_)) => {
                    self.keep(&kept).await;
                    error
                }
                Err(_) => {
                    self.keep(&kept).await;
                    writing.await
                }
            }
        };
        if answer.is_ok()
            && let Some(spool) = &self.spool
        {
            // A try before this one may have left it there too.
            spool.forget(&key, &commit);
        }
        if let Ok(Verdict::Accept(_)) = answer {
            self.remembered.add(kept);
        }
        answer
    }

    /// Commits again what was committed lately of a session whose generation has gone back; returns
    /// whether there was anything.
    pub(super) async fn restore(&self, key: &SessionKey) -> bool {
        let lately = self.remembered.of(key);
        let known = !lately.is_empty();
        tracing::error!(session = %key.id(), known, "the server has forgotten a rotation");
        for kept in lately {
            self.again(kept).await;
        }
        known
    }

    async fn keep(&self, kept: &Kept) {
        let Some(spool) = self.spool.clone() else { return };
        let (kept, id) = (kept.clone(), kept.key.id());
        let done = tokio::task::spawn_blocking(move || spool.keep(&kept)).await;
        if let Err(error) = done.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            tracing::error!(session = id, %error, "a commit is in memory only until it is answered");
        }
    }

    /// Commits once more; returns whether it was decided on.
    async fn again(&self, kept: Kept) -> bool {
        let Kept { key, commit, body } = kept;
        match self.write(&key, commit, body).await {
            Ok(Verdict::Accept(_)) => true,
            // The server knows better, or the session has ended.
            Ok(Verdict::Superseded | Verdict::Ended) => true,
            Err(_) => false,
        }
    }
}

/// Starts what commits again; ends with the store.
pub(super) fn start(redis: &Arc<Redis>) {
    tokio::spawn(commit_spooled(Arc::downgrade(redis)));
    tokio::spawn(commit_after_reconnect(Arc::downgrade(redis)));
}

async fn commit_spooled(redis: Weak<Redis>) {
    while let Some(alive) = redis.upgrade() {
        if let Some(spool) = alive.spool.clone() {
            let listed = tokio::task::spawn_blocking(move || spool.list()).await;
            for kept in listed.ok().and_then(Result::ok).unwrap_or_default() {
                let (key, commit) = (kept.key, kept.commit);
                // Its due time was of another boot: whoever is woken by it finds out.
                let body = Body { due: Some(alive.clock.now()), ..kept.body };
                let decided = alive.again(Kept { body, ..kept }).await;
                if let Some(spool) = alive.spool.as_ref().filter(|_| decided) {
                    spool.forget(&key, &commit);
                    tracing::info!(session = %key.id(), "a commit that was kept is decided on");
                }
            }
        }
        drop(alive);
        sleep(AGAIN).await;
    }
}

async fn commit_after_reconnect(redis: Weak<Redis>) {
    let Some(mut connections) = redis.upgrade().map(|alive| alive.line.connections()) else {
        return;
    };
    // The first connection is that of the start.
    while connections.changed().await.is_ok() {
        let is_connected = connections.borrow_and_update().is_connected();
        let Some(alive) = redis.upgrade().filter(|_| is_connected) else { continue };
        let again = stream::iter(alive.remembered.all()).map(|kept| alive.again(kept));
        let decided =
            again.buffer_unordered(ABREAST).filter(|decided| std::future::ready(*decided));
        let commits = decided.count().await;
        tracing::debug!(commits, "committed again on a new connection");
    }
}
