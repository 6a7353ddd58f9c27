//! What was answered lives on: in memory against a server that forgets its last writes, and on disk,
//! where it was not answered, against our own death.
//!
//! A replica that takes over may lack what the old master answered last; a server that flushes each
//! second may lose that second. Then a session has gone back to a refresh token that was spent, and
//! one that has ended lives. Whoever has seen more tells it again as soon as there is a new connection,
//! and nobody takes a lease before: where nothing was lost that changes nothing, and where something
//! was it moves forward again.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use redis::cmd;
use tokio::time::{sleep, timeout};

use super::reply::{body_arguments, intent_arguments, number};
use super::seen::Sight;
use super::spool::Kept;
use super::{Redis, script, start};
use crate::core::lease::{Commit, Head, Intent, Verdict};
use crate::core::name::SessionKey;
use crate::store::{Body, Row, StoreError};

/// The field of the layout that says which servers were told last what they may have forgotten.
const SERVERS: &str = "servers";

/// How many are told again at once.
const ABREAST: usize = 64;

/// How long after a new connection no lease is taken: the other machines have lost theirs at the same
/// moment, look for another one each second at least, and tell what only they know. Where a server
/// vanished without a word they know it when an answer is four seconds late: operators are told to
/// let at least three pass before another one takes its place.
const OTHERS_WITHIN: Duration = Duration::from_secs(2);

/// How long what we know ourselves is told at most before leases are taken again: a server that is that
/// slow would keep callers waiting for what is mostly there.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// When a commit that is not answered goes to disk: a healthy server answers long before, and a
/// process that dies sooner loses no more than where it had died before the provider answered.
const KEEP_AFTER: Duration = Duration::from_millis(500);

/// How often what is on disk is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// What a server says to a commit.
enum Written {
    Accepted(Head),
    /// It was there before.
    Kept(Head),
    Superseded,
    Ended,
    /// There is no such session.
    Absent,
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
        answer
    }

    async fn write(
        &self,
        key: &SessionKey,
        commit: Commit,
        body: Body,
    ) -> Result<Verdict, StoreError> {
        let written = self.put(key, commit, &body).await?;
        self.seen.resolved(key, commit.epoch);
        match written {
            Written::Accepted(head) | Written::Kept(head) => {
                self.seen.wrote(key, Sight::Living(Box::new(Row { head, body })));
                Ok(Verdict::Accept(head))
            }
            Written::Superseded => Ok(Verdict::Superseded),
            Written::Ended | Written::Absent => Ok(Verdict::Ended),
        }
    }

    async fn put(
        &self,
        key: &SessionKey,
        commit: Commit,
        body: &Body,
    ) -> Result<Written, StoreError> {
        let mut own = body_arguments(body, self.time.shared().as_ref());
        let rotated = number(u64::from(commit.rotated));
        own.extend([number(commit.consumed.0), number(commit.epoch.0), rotated]);
        let mut reply = self.run(&script::COMMIT, key, own).await?;
        match reply.word()?.as_str() {
            "accepted" => reply.head().map(Written::Accepted),
            "kept" => reply.head().map(Written::Kept),
            "superseded" => Ok(Written::Superseded),
            "ended" => Ok(Written::Ended),
            "absent" => Ok(Written::Absent),
            _ => Err(reply.strange()),
        }
    }

    /// Tells the server what was seen of a session lately; returns whether it had forgotten that.
    pub(super) async fn tell_again(&self, key: &SessionKey) -> Result<bool, StoreError> {
        let forgotten = match self.seen.of(key) {
            None => false,
            Some(Sight::Ended(reason)) => self.entomb(key, reason).await?.word()? == "wiped",
            Some(Sight::Living(row)) => self.tell_living(key, &row).await?,
        };
        if forgotten {
            tracing::error!(session = %key.id(), "the server had forgotten a write: it is told again");
        }
        Ok(forgotten)
    }

    async fn tell_living(&self, key: &SessionKey, row: &Row) -> Result<bool, StoreError> {
        let epoch = row.head.born_in;
        let written = match row.head.parent {
            Some(consumed) => {
                self.put(key, Commit { consumed, epoch, rotated: true }, &row.body).await?
            }
            // Of a session that has just signed in there is nothing but its creation.
            None => Written::Absent,
        };
        match written {
            Written::Accepted(_) => Ok(true),
            // The server knows better, or as much.
            Written::Kept(_) | Written::Superseded | Written::Ended => Ok(false),
            Written::Absent => Ok(self.introduce(key, row).await?.word()? == "created"),
        }
    }

    /// Tells the server of a lease that it may have forgotten: what it spends may be spent.
    async fn hold_again(&self, key: &SessionKey, intent: &Intent) -> Result<bool, StoreError> {
        let own = intent_arguments(intent, self.time.shared().as_ref()).to_vec();
        Ok(self.run(&script::HOLD, key, own).await?.word()? == "held")
    }

    async fn keep(&self, kept: &Kept) {
        let Some(spool) = self.spool.clone() else { return };
        let (kept, id) = (kept.clone(), kept.key.id());
        let done = tokio::task::spawn_blocking(move || spool.keep(&kept)).await;
        if let Err(error) = done.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            tracing::error!(session = id, %error, "a commit is in memory only until it is answered");
        }
    }

    /// Commits what is on disk because it was not answered.
    async fn commit_spooled(&self) {
        let Some(spool) = self.spool.clone() else { return };
        let listed = tokio::task::spawn_blocking(move || spool.list()).await;
        for Kept { key, commit, body } in listed.ok().and_then(Result::ok).unwrap_or_default() {
            // Its due time was of another boot: whoever is woken by it finds out.
            let body = Body { due: Some(self.clock.now()), ..body };
            let decided = self.write(&key, commit, body).await.is_ok();
            if let Some(spool) = self.spool.as_ref().filter(|_| decided) {
                spool.forget(&key, &commit);
                tracing::info!(session = %key.id(), "a commit that was kept is decided on");
            }
        }
    }

    /// Tells everything that was seen lately, and first of all what never was: its leases may be over,
    /// and then nothing else keeps the others from spending what it replaces.
    async fn tell_all_again(&self) {
        self.commit_spooled().await;
        let told = stream::iter(self.seen.latest())
            .map(|key| async move { self.tell_again(&key).await })
            .buffer_unordered(ABREAST);
        // After the sessions, without which there are no leases.
        let held = stream::iter(self.seen.leases())
            .map(|(key, intent)| async move { self.hold_again(&key, &intent).await })
            .buffer_unordered(ABREAST);
        let forgotten = told.chain(held);
        let forgotten = forgotten.filter(|told| std::future::ready(matches!(told, Ok(true))));
        let forgotten = forgotten.count().await;
        if forgotten > 0 {
            tracing::warn!(forgotten, "the server has lost writes that it had answered");
        }
    }

    /// Returns which servers answer: whoever restarts has another name. `None` where they do not say.
    async fn servers(&self) -> Option<BTreeSet<String>> {
        let mut info = cmd("INFO");
        info.arg("server");
        let told = start::text(self.plain(info).await.ok()?);
        let names = told.lines().filter_map(|line| line.trim().strip_prefix("run_id:"));
        Some(names.map(str::to_owned).collect()).filter(|names: &BTreeSet<_>| !names.is_empty())
    }

    /// Returns which servers were told last, by whichever machine; of a store where none has said so,
    /// those that answer.
    async fn servers_told(&self) -> Option<BTreeSet<String>> {
        let mut read = cmd("HGET");
        read.arg(self.names.layout()).arg(SERVERS);
        let listed = start::text(self.plain(read).await.ok()?);
        if listed.is_empty() {
            return self.servers().await;
        }
        Some(listed.split_whitespace().map(str::to_owned).collect())
    }

    /// Tells the servers where they are others than `before`; returns which they are.
    async fn tell_new_servers(
        &self,
        before: Option<&BTreeSet<String>>,
    ) -> Option<BTreeSet<String>> {
        let after = self.servers().await;
        if after.is_none() || after.as_ref() != before {
            let ours = timeout(TOLD_WITHIN, self.tell_all_again());
            let (told, ()) = tokio::join!(ours, sleep(OTHERS_WITHIN));
            if told.is_err() {
                tracing::warn!("the server is slow: not all that was seen lately is told again");
            }
        }
        if let Some(names) = &after {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let mut write = cmd("HSET");
            write.arg(self.names.layout()).arg(SERVERS).arg(names.join(" "));
            // Where this is lost, whoever starts next waits for nothing.
            let _ = self.plain(write).await;
        }
        after
    }
}

/// Starts what tells again; ends with the store.
pub(super) fn start(redis: &Arc<Redis>) {
    redis.line.wait_until_told();
    tokio::spawn(commit_spooled(Arc::downgrade(redis)));
    tokio::spawn(tell_after_reconnect(Arc::downgrade(redis)));
}

async fn commit_spooled(redis: Weak<Redis>) {
    while let Some(alive) = redis.upgrade() {
        alive.commit_spooled().await;
        drop(alive);
        sleep(AGAIN).await;
    }
}

async fn tell_after_reconnect(redis: Weak<Redis>) {
    let Some(mut connections) = redis.upgrade().map(|alive| alive.line.connections()) else {
        return;
    };
    let Some(alive) = redis.upgrade() else { return };
    let mut before = alive.servers_told().await;
    drop(alive);
    // The first connection counts, too: we may start while the others have just lost theirs.
    loop {
        let connection = connections.borrow_and_update().connected();
        if let (Some(alive), Some(number)) = (redis.upgrade(), connection) {
            before = alive.tell_new_servers(before.as_ref()).await;
            alive.line.told(number);
        }
        if connections.changed().await.is_err() {
            return;
        }
    }
}
