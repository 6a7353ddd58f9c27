//! What other machines write becomes known here: the sessions in memory are read again.
//!
//! A store that machines share tells of each change, and whoever waits here for an exchange that runs
//! elsewhere is answered when word of it comes. While nothing is told, because the way is cut,
//! whatever is in memory is looked up again and again, so that a logout elsewhere is known here within
//! about a second all the same. A store that cannot be read changes nothing: what is known is served
//! on.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::core::name::SessionKey;
use crate::router::RouterMessage;
use crate::shared::Shared;
use crate::store::{News, Tiding};

/// How often the sessions in memory are looked up while nothing is told.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many sessions are looked up at a time, and how long to wait before the next ones: what serves
/// callers gets its turn, and 100,000 sessions in memory are through in some 4 s.
const ABREAST: usize = 256;
const PACE: Duration = Duration::from_millis(10);

/// Starts to listen, where the store tells anything; ends with the framework.
pub(crate) fn start(shared: &Arc<Shared>) {
    if let Some(news) = shared.vault.news() {
        tokio::spawn(follow(news, Arc::downgrade(shared)));
    }
}

async fn follow(mut news: News, shared: Weak<Shared>) {
    loop {
        let heard = tokio::time::timeout(LOOK_EVERY, news.next()).await;
        let Some(alive) = shared.upgrade() else { return };
        match heard {
            Ok(None) => return,
            Ok(Some(Tiding::Changed(key))) => read_again(&alive, key),
            Ok(Some(Tiding::Missed)) => read_all_again(&alive).await,
            Err(_) if !news.is_live() => read_all_again(&alive).await,
            Err(_) => {}
        }
    }
}

/// Has the router read a session again, if it is in memory.
fn read_again(shared: &Shared, key: SessionKey) {
    shared.router(&key).send(RouterMessage::Reread(key));
}

/// Reads all sessions in memory again, as fast as the store answers and no faster.
async fn read_all_again(shared: &Shared) {
    for some in shared.directory.keys().chunks(ABREAST) {
        // Nobody's key: its answer comes after those to what was asked before.
        if shared.vault.load(SessionKey([0; 32])).await.is_err() {
            return;
        }
        some.iter().for_each(|key| read_again(shared, *key));
        tokio::time::sleep(PACE).await;
    }
}
