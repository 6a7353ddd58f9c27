//! Wakes sessions that nobody calls: those in doubt after a restart, and those to be kept fresh
//! without traffic.

use std::collections::BTreeMap;
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

/// Over how long the sessions of unknown due time are spread: after a reboot all of them are due
/// at once, and the provider should not feel it.
const SPREAD: Duration = Duration::from_secs(60);

/// How often the sessions in doubt are listed: a machine that dies leaves its doubts to the others,
/// and they are to be found while the provider's reuse window is open.
const DOUBT_EVERY: Duration = Duration::from_secs(5);

/// How many sessions of one page are brought to life at once.
const PACE: Duration = Duration::from_millis(5);

/// Starts the tasks; they end with the framework.
pub(crate) fn start(shared: &Arc<Shared>) {
    let shared = Arc::downgrade(shared);
    tokio::spawn(watch_doubtful(shared.clone()));
    tokio::spawn(async move {
        if let Some(alive) = shared.upgrade() {
            wake_doubtful(&alive).await;
        }
        while let Some(next) = read_due(&shared).await {
            sweep(&shared).await;
            next.await;
        }
    });
}

/// Brings every session in doubt to life first (law L3): each waits out its own deadline then.
async fn wake_doubtful(shared: &Shared) {
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
        for key in &page {
            shared.router(key).send(RouterMessage::Deliver(*key, SessionMessage::Wake));
        }
        match page.last() {
            Some(last) if page.len() >= PAGE_MAX => after = Some(*last),
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
        match alive.vault.in_doubt(None, PAGE_MAX).await {
            Ok(keys) => seen = resolve_overdue(&alive, &keys, &seen, now),
            Err(error) => tracing::error!(%error, "sessions in doubt cannot be listed"),
        }
        drop(alive);
        clock.sleep_until(now + DOUBT_EVERY).await;
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
async fn read_due(shared: &Weak<Shared>) -> Option<impl Future<Output = ()> + use<>> {
    let shared = shared.upgrade()?;
    if shared.is_draining() {
        return None;
    }
    let now = shared.clock.now();
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
            if shared.directory.find(key).is_none() {
                let at = at.unwrap_or_else(|| now + spread(key));
                shared.router(key).alarms().set(*key, Some(at));
            }
        }
        mark = page.next;
        if mark.is_none() {
            break;
        }
    }
    let clock = shared.clock.clone();
    Some(async move { clock.sleep_until(now + EVERY).await })
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

/// A share of [`SPREAD`] that is the session's own.
fn spread(key: &SessionKey) -> Duration {
    let share = u16::from_be_bytes([key.0[4], key.0[5]]);
    SPREAD.mul_f64(f64::from(share) / f64::from(u16::MAX))
}
