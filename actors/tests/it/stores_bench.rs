//! What the stories about stores share: a store of each kind, and short words for what is asked.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokenward::clock::{Clock, ManualHand};
use tokenward::core::event::{EndReason, LogoutKind};
use tokenward::core::lease::{Begin, Begun, Commit, Head, Intent};
use tokenward::core::name::{Epoch, Generation, Owner, SessionKey};
#[cfg(feature = "redis")]
use tokenward::store::redis::{Redis, RedisSettings};
use tokenward::store::{Body, Embedded, IndexKey, Loaded, Memory, Row, Store};

#[cfg(feature = "redis")]
use crate::redis_server::RedisServer;

/// A store with the clock it counts by.
pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) hand: ManualHand,
    _dir: Option<TempDir>,
    #[cfg(feature = "redis")]
    _server: Option<RedisServer>,
}

pub(crate) const ENDED: EndReason = EndReason::LoggedOut(LogoutKind::User);

/// A session's key; their order is that of their numbers.
pub(crate) fn key(number: u64) -> SessionKey {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    SessionKey(key)
}

pub(crate) fn body(text: &str) -> Body {
    Body {
        sealed: text.as_bytes().to_vec(),
        due: None,
        by_subject: IndexKey::subject("https://idp", "alice"),
        by_provider_session: None,
    }
}

pub(crate) fn row(text: &str) -> Row {
    Row { head: Head::new(), body: body(text) }
}

pub(crate) fn ask(consumes: u64) -> Begin {
    Begin {
        owner: Owner(7 << 100),
        consumes: Generation(consumes),
        lease: Duration::from_secs(15),
        settle: Duration::from_millis(700),
        takes_over: None,
    }
}

pub(crate) fn rotated(consumed: u64, epoch: Epoch) -> Commit {
    Commit { consumed: Generation(consumed), epoch, rotated: true }
}

pub(crate) async fn living(store: &dyn Store, key: SessionKey) -> Row {
    match store.load(key).await.expect("readable") {
        Loaded::Living(row) => *row,
        other @ (Loaded::Ended(_) | Loaded::Absent) => panic!("not living: {other:?}"),
    }
}

pub(crate) async fn leased(store: &dyn Store, key: SessionKey, ask: Begin) -> Intent {
    match store.begin(key, ask).await.expect("written") {
        Begun::Leased { intent, .. } => intent,
        other @ (Begun::Busy(_) | Begun::Moved | Begun::Ended) => panic!("no lease: {other:?}"),
    }
}

pub(crate) fn memory() -> Bench {
    let (clock, hand) = Clock::manual();
    bench(Arc::new(Memory::new(clock.clone())), (clock, hand), None)
}

pub(crate) fn embedded() -> Bench {
    let (clock, hand) = Clock::manual();
    let dir = tempfile::tempdir().expect("a directory");
    let store = Embedded::open(dir.path(), clock.clone()).expect("opens");
    bench(Arc::new(store), (clock, hand), Some(dir))
}

/// A Redis whose scripts go by the test's hand.
#[cfg(feature = "redis")]
pub(crate) async fn redis() -> Bench {
    let (clock, hand) = Clock::manual();
    let server = RedisServer::start();
    // So few that each bucket of a listing can hold something.
    let settings = RedisSettings { buckets: 4, ..server.settings() };
    let store = Redis::connect(&settings, clock.clone()).await.expect("connects");
    Bench { _server: Some(server), ..bench(Arc::new(store), (clock, hand), None) }
}

fn bench(store: Arc<dyn Store>, (clock, hand): (Clock, ManualHand), dir: Option<TempDir>) -> Bench {
    Bench {
        store,
        clock,
        hand,
        _dir: dir,
        #[cfg(feature = "redis")]
        _server: None,
    }
}

/// Makes a test of each story for each store.
macro_rules! every_store {
    ($($story:ident)*) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $story() { super::$story(crate::stores_bench::memory()).await; })*
        }
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() { super::$story(crate::stores_bench::embedded()).await; })*
        }
        #[cfg(feature = "redis")]
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() { super::$story(crate::stores_bench::redis().await).await; })*
        }
    };
}

pub(crate) use every_store;
