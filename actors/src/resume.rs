//! Wakes sessions that nobody calls: those in doubt after a restart, and those to be kept fresh
//! without traffic.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::core::name::SessionKey;
use crate::core::time::Instant;
use crate::router::RouterMessage;
use crate::session::SessionMessage;
use crate::shared::Shared;
use crate::store::PAGE_MAX;

/// How often the due index is read: a session that becomes due is never later than its alarm,
/// because each reading looks [`HORIZON`] ahead.
const EVERY: Duration = Duration::from_secs(30);

/// How far ahead the due index is read.
const HORIZON: Duration = Duration::from_secs(60);

/// The most sessions that the due index keeps in memory at once; the others stay in the store until
/// these have been refreshed and put back. After a reboot all are due: a million of them would take
/// sixteen gigabytes. A million with tokens of an hour come by at 280 a second and stay a minute
/// each, which is half of this.
const AWAKE_MAX: usize = 32_768;

/// How often the due index is read while more is due than may be awake.
const CROWDED_EVERY: Duration = Duration::from_secs(5);

/// Over how long the sessions of unknown due time are spread: after a reboot all of them are due
/// at once, and the provider should not feel it.
const SPREAD: Duration = Duration::from_secs(60);

/// Over how long machines that share a store spread the waking of one session: several times what a
/// refresh takes, and less than the shortest refresh-ahead of tokens that live ten seconds.
const STAGGER: Duration = Duration::from_secs(2);

/// How often the sessions in doubt are listed at least: a machine that dies leaves its doubts to
/// the others, and they are to be found while the provider's reuse window is open.
const DOUBT_EVERY: Duration = Duration::from_secs(5);

/// In how many parts of a lease the sessions in doubt are listed at least: a doubt is older by one
/// part when it is first seen, and waits for a whole lease from there. With short windows the lease
/// is less than half of the window, so that a third of it still leaves time to ask.
const LOOKS_PER_LEASE: u32 = 3;

/// The most doubts that are watched at once: after an outage of the provider every session may be
/// in doubt, and the others are watched when these are resolved.
const WATCHED_MAX: usize = 65_536;

/// How long to pause between two pages of doubts, so that what the first brings to life gets its
/// turn.
const PACE: Duration = Duration::from_millis(5);

/// Starts the tasks; they end with the framework.
pub(crate) fn start(shared: &Arc<Shared>) {
    let shared = Arc::downgrade(shared);
    tokio::spawn(watch_doubtful(shared.clone()));
    tokio::spawn(async move {
        if let Some(alive) = shared.upgrade() {
            wake_doubtful(&alive).await;
        }
        let mut awake = Awake::default();
        while let Some(next) = read_due(&shared, &mut awake).await {
            sweep(&shared).await;
            next.await;
        }
    });
}

/// Brings every session in doubt to life first (law L3): each waits out its own deadline then.
async fn wake_doubtful(shared: &Shared) {
    each_in_doubt(shared, |key| {
        shared.router(&key).send(RouterMessage::Deliver(key, SessionMessage::Wake));
        true
    })
    .await;
}

/// Tells `look` every session in doubt, page by page, until it wants no more.
async fn each_in_doubt(shared: &Shared, mut look: impl FnMut(SessionKey) -> bool) {
    let mut after = None;
    loop {
        let page = match shared.vault.in_doubt(after, PAGE_MAX).await {
            Ok(page) => page,
            Err(error) => {
                // They are resumed all the same when they are called or become due.
                tracing::error!(%error, "sessions in doubt cannot be listed");
                return;
            }
        };
        let go_on = page.iter().all(|key| look(*key));
        match page.last() {
            Some(last) if go_on && page.len() >= PAGE_MAX => after = Some(*last),
            Some(_) | None => return,
        }
        shared.clock.sleep_until(shared.clock.now() + PACE).await;
    }
}

/// Looks again and again for intents that have outlived their lease, because whoever wrote them
/// died, and lets this machine resolve them (law L3).
async fn watch_doubtful(shared: Weak<Shared>) {
    let mut seen = BTreeMap::new();
    while let Some(alive) = shared.upgrade().filter(|shared| !shared.is_draining()) {
        let (clock, now) = (alive.clock.clone(), alive.clock.now());
        let mut keys = Vec::new();
        each_in_doubt(&alive, |key| {
            keys.push(key);
            keys.len() < WATCHED_MAX
        })
        .await;
        seen = resolve_overdue(&alive, &keys, &seen, now);
        let every = DOUBT_EVERY.min(alive.policies().deadlines.lease / LOOKS_PER_LEASE);
        drop(alive);
        clock.sleep_until(now + every).await;
    }
}

/// Wakes what has been in doubt for a whole lease; returns since when each session has been.
///
/// A busy session may have been seen in another exchange each time: reading it again harms nothing.
fn resolve_overdue(
    shared: &Shared,
    keys: &[SessionKey],
    seen: &BTreeMap<SessionKey, Instant>,
    now: Instant,
) -> BTreeMap<SessionKey, Instant> {
    let lease = shared.policies().deadlines.lease;
    let mut since = BTreeMap::new();
    for key in keys {
        let first = seen.get(key).copied().unwrap_or(now);
        since.insert(*key, first);
        if now.since(first) < lease {
            continue;
        }
        let message = match shared.directory.find(key) {
            Some(_) => RouterMessage::Reread(*key),
            None => RouterMessage::Deliver(*key, SessionMessage::Wake),
        };
        shared.router(key).send(message);
    }
    since
}

/// Sets the alarms of what is due soon; `None` when the framework is gone.
async fn read_due(
    shared: &Weak<Shared>,
    awake: &mut Awake,
) -> Option<impl Future<Output = ()> + use<>> {
    let shared = shared.upgrade()?;
    if shared.is_draining() {
        return None;
    }
    let now = shared.clock.now();
    awake.forget_asleep(now, |key| shared.directory.find(key).is_some());
    let mut mark = None;
    loop {
        let page = match shared.vault.due(now + HORIZON, mark, PAGE_MAX).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "due sessions cannot be listed");
                break;
            }
        };
        for (key, at) in &page.sessions {
            // A session in memory has its own alarm.
            if shared.directory.find(key).is_none()
                && let Some(at) = awake.admit(*key, *at, now)
            {
                shared.router(key).alarms().set(*key, Some(at + stagger(&shared, key)));
            }
        }
        mark = page.next;
        if mark.is_none() || awake.is_full() {
            break;
        }
    }
    let (clock, pause) =
        (shared.clock.clone(), if awake.is_full() { CROWDED_EVERY } else { EVERY });
    Some(async move { clock.sleep_until(now + pause).await })
}

/// The sessions that the due index has woken, and when their alarms were to ring.
#[derive(Default)]
struct Awake(HashMap<SessionKey, Instant>);

impl Awake {
    /// Returns when to wake a session that is due; `None` where its alarm is set already, and where
    /// it must wait until others have gone.
    fn admit(&mut self, key: SessionKey, at: Option<Instant>, now: Instant) -> Option<Instant> {
        if self.is_full() || self.0.contains_key(&key) {
            return None;
        }
        let at = at.unwrap_or_else(|| now + spread(&key));
        self.0.insert(key, at);
        Some(at)
    }

    /// Forgets those whose alarm rang long enough ago for them to have come and gone.
    fn forget_asleep(&mut self, now: Instant, is_in_memory: impl Fn(&SessionKey) -> bool) {
        self.0.retain(|key, at| now < *at + EVERY || is_in_memory(key));
    }

    fn is_full(&self) -> bool {
        self.0.len() >= AWAKE_MAX
    }
}

/// Removes tombstones that no late exchange can meet any more.
async fn sweep(shared: &Weak<Shared>) {
    if let Some(shared) = shared.upgrade()
        && let Err(error) = shared.vault.purge(PAGE_MAX).await
    {
        // What stays costs a little room, and is swept next time.
        tracing::warn!(%error, "old tombstones were not removed");
    }
}

/// How much later than the first machine this one wakes a session: whoever comes first refreshes it,
/// and the others hear of that before their turn.
fn stagger(shared: &Shared, key: &SessionKey) -> Duration {
    if shared.alone {
        return Duration::ZERO;
    }
    // The owner is random for each start, and the key is a hash: their sum is as good as either.
    let share = (shared.owner.0 as u16).wrapping_add(u16::from_be_bytes([key.0[6], key.0[7]]));
    STAGGER.mul_f64(f64::from(share) / f64::from(u16::MAX))
}

/// A share of [`SPREAD`] that is the session's own.
fn spread(key: &SessionKey) -> Duration {
    let share = u16::from_be_bytes([key.0[4], key.0[5]]);
    SPREAD.mul_f64(f64::from(share) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests;
