//! The exchanges that can outlive their session, and their end with it (law L10).
//!
//! An ordinary request is over soon after its session is, and pays nothing here. What can last is
//! entered: a tunnel, and a body of no known or of great length in either direction. A connection
//! carries a bounded number of them and connections are counted, so that the list is bounded too.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Context;

use futures_util::StreamExt as _;
use futures_util::task::AtomicWaker;
use http_body::SizeHint;
use tokenward::core::name::SessionKey;
use tokenward::{HeardEnd, SessionEnd};

use crate::house::House;
use crate::tokens::Ends;

/// How many parts the list has, each with its lock: more than a machine has threads that would
/// meet at one. Session keys are hashes, so their first byte spreads them.
const SHARDS: usize = 64;

/// The longest body of known length that counts as short: what the kernel's socket buffers take
/// without waiting for the other side.
const SHORT_MAX: u64 = 64 * 1024;

/// Reports whether a body can still be on its way long after its head.
pub(crate) fn lasts(length: &SizeHint) -> bool {
    length.exact().is_none_or(|length| length > SHORT_MAX)
}

/// The running exchanges that end with their sessions.
pub(crate) struct Streams {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    running: BTreeMap<(SessionKey, u64), Weak<Leash>>,
    next: u64,
}

/// One running exchange; leaves the list when dropped.
pub(crate) struct Leash {
    streams: Arc<Streams>,
    session: SessionKey,
    number: u64,
    is_cut: AtomicBool,
    reply: AtomicWaker,
    upload: AtomicWaker,
}

/// Who waits for the cut: the two directions may be carried by different tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Whoever carries the reply, or both directions of a tunnel.
    Reply,
    /// Whoever carries the request's body.
    Upload,
}

impl Streams {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { shards: std::array::from_fn(|_| Mutex::default()) })
    }

    /// Enters an exchange of a session.
    ///
    /// Whoever enters looks afterwards whether the session still lives: an end that came before
    /// the entry did not find it.
    pub(crate) fn enter(self: &Arc<Self>, session: SessionKey) -> Arc<Leash> {
        let mut shard = self.shard(&session);
        let number = shard.next;
        shard.next += 1;
        let leash = Arc::new(Leash {
            streams: Arc::clone(self),
            session,
            number,
            is_cut: AtomicBool::new(false),
            reply: AtomicWaker::new(),
            upload: AtomicWaker::new(),
        });
        shard.running.insert((session, number), Arc::downgrade(&leash));
        leash
    }

    /// Takes what runs of a session off the list, to be cut.
    pub(crate) fn take(&self, session: &SessionKey) -> Vec<Arc<Leash>> {
        let mut shard = self.shard(session);
        let all = (*session, 0)..=(*session, u64::MAX);
        let entries: Vec<_> = shard.running.range(all).map(|(entry, _)| *entry).collect();
        // They are dropped by the caller: to drop a leash takes this lock.
        entries.iter().filter_map(|entry| shard.running.remove(entry)?.upgrade()).collect()
    }

    /// Returns the sessions of which something runs.
    fn sessions(&self) -> Vec<SessionKey> {
        let mut sessions = Vec::new();
        for shard in &self.shards {
            sessions.extend(lock(shard).running.keys().map(|(session, _)| *session));
        }
        sessions.dedup();
        sessions
    }

    fn shard(&self, session: &SessionKey) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(session.0[0]) % SHARDS])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // No holder stops half way.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Leash {
    /// Reports whether the session has ended; otherwise the task is woken when it does.
    pub(crate) fn is_cut(&self, side: Side, cx: &Context<'_>) -> bool {
        if self.is_cut.load(Ordering::Acquire) {
            return true;
        }
        match side {
            Side::Reply => self.reply.register(cx.waker()),
            Side::Upload => self.upload.register(cx.waker()),
        }
        // A cut between the look and the registration woke nobody.
        self.is_cut.load(Ordering::Acquire)
    }

    /// Ends the exchange: whoever carries it is woken.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.reply.wake();
        self.upload.wake();
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.streams.shard(&self.session).running.remove(&(self.session, self.number));
    }
}

/// Closes the streams of each session that ends; stops with the framework or with the gateway.
pub(crate) async fn follow(house: Weak<House>, mut ends: Ends) {
    while let Some(heard) = ends.next().await {
        let Some(house) = house.upgrade() else { return };
        match heard {
            HeardEnd::Ended(SessionEnd { session, reason }) => {
                house.close_streams(&session, reason);
            }
            HeardEnd::Missed(count) => {
                tracing::warn!(count, "ends of sessions were missed; every stream is looked at");
                for session in house.streams.sessions() {
                    house.close_if_over(&session).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn l10_an_end_wakes_both_sides_of_its_own_streams_only() {
        let streams = Streams::new();
        let (ours, theirs) = (SessionKey([1; 32]), SessionKey([65; 32]));
        let leashes = [ours, ours, theirs].map(|session| streams.enter(session));
        let bells = [(); 3].map(|()| Arc::new(Bell::default()));
        let wakers = [0, 1, 2].map(|at: usize| Waker::from(Arc::clone(&bells[at])));
        for (leash, waker) in leashes.iter().zip(&wakers) {
            let cx = Context::from_waker(waker);
            assert!(!leash.is_cut(Side::Reply, &cx) && !leash.is_cut(Side::Upload, &cx));
        }
        assert_eq!(streams.sessions(), [ours, theirs], "one shard holds both");

        streams.take(&ours).iter().for_each(|leash| leash.cut());
        assert!(streams.take(&ours).is_empty(), "each is cut once");
        let rung: Vec<usize> = bells.iter().map(|bell| bell.0.load(Ordering::Relaxed)).collect();
        assert_eq!(rung, [2, 2, 0]);
        let cx = Context::from_waker(&wakers[0]);
        assert!(leashes[0].is_cut(Side::Reply, &cx) && !leashes[2].is_cut(Side::Reply, &cx));

        drop(leashes);
        assert_eq!(streams.sessions(), [], "nothing stays behind");
    }
}
