//! The contract of `tokenward::store::Board`, run for every board.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::sync::Arc;
use std::time::Duration;

use tokenward::clock::{Clock, ManualHand};
#[cfg(feature = "redis")]
use tokenward::store::redis::{Redis, RedisSettings};
use tokenward::store::{
    Board, MemoryBoard, NOTE_BYTES_MAX, NOTE_KEEP_MAX, Note, NoteFault, NoteKey, NoteVersion,
    StoreError, Wrote,
};

#[cfg(feature = "redis")]
use crate::redis_server::RedisServer;

const MINUTE: Duration = Duration::from_secs(60);
const KEY: NoteKey = NoteKey([7; 32]);

/// A board with the clock it counts by.
struct Wall {
    board: Arc<dyn Board>,
    hand: ManualHand,
    #[cfg(feature = "redis")]
    _server: Option<RedisServer>,
}

fn memory() -> Wall {
    let (clock, hand) = Clock::manual();
    let board = Arc::new(MemoryBoard::new(clock));
    Wall {
        board,
        hand,
        #[cfg(feature = "redis")]
        _server: None,
    }
}

#[cfg(feature = "redis")]
async fn redis() -> Wall {
    let (clock, hand) = Clock::manual();
    let server = RedisServer::start();
    let settings = RedisSettings { buckets: 4, ..server.settings() };
    let board = Arc::new(Redis::connect(&settings, clock).await.expect("connects"));
    Wall { board, hand, _server: Some(server) }
}

macro_rules! every_board {
    ($($story:ident)*) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $story() { super::$story(super::memory()).await; })*
        }
        #[cfg(feature = "redis")]
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() { super::$story(super::redis().await).await; })*
        }
    };
}

every_board! {
    of_all_who_have_seen_the_same_one_writes
    a_write_replaces_the_version_that_was_seen_and_no_other
    a_note_is_gone_when_its_time_is_over
    l14_a_note_is_bounded
}

impl Wall {
    async fn write(&self, seen: Option<NoteVersion>, text: &[u8]) -> Wrote {
        self.board.write(KEY, seen, text.to_vec(), MINUTE).await.expect("asked")
    }

    async fn written(&self, seen: Option<NoteVersion>, text: &[u8]) -> NoteVersion {
        match self.write(seen, text).await {
            Wrote::Done(version) => version,
            Wrote::Moved(there) => panic!("somebody was first: {there:?}"),
        }
    }

    async fn read(&self) -> Option<Note> {
        self.board.read(KEY).await.expect("read")
    }
}

fn note(version: NoteVersion, text: &[u8]) -> Note {
    Note { version, text: text.to_vec() }
}

async fn of_all_who_have_seen_the_same_one_writes(wall: Wall) {
    let mut seen = None;
    for round in 0..4_u8 {
        let asking: Vec<_> = (0..64_u8)
            .map(|who| {
                let board = Arc::clone(&wall.board);
                tokio::spawn(async move { board.write(KEY, seen, vec![round, who], MINUTE).await })
            })
            .collect();
        let (mut won, mut lost) = (Vec::new(), Vec::new());
        for (who, asked) in asking.into_iter().enumerate() {
            match asked.await.expect("no panic").expect("asked") {
                Wrote::Done(version) => won.push(note(version, &[round, who as u8])),
                Wrote::Moved(there) => lost.push(there.expect("somebody was first")),
            }
        }
        let [winner] = &won[..] else { panic!("{won:?}") };
        assert!(lost.iter().all(|there| there == winner), "who has lost is told what is there");
        assert_eq!(wall.read().await.as_ref(), Some(winner));
        seen = Some(winner.version);
    }
}

async fn a_write_replaces_the_version_that_was_seen_and_no_other(wall: Wall) {
    assert_eq!(wall.read().await, None);
    let never = NoteVersion([9; 16]);
    assert_eq!(wall.write(Some(never), b"x").await, Wrote::Moved(None), "there is none");
    // A text may hold anything, and be empty.
    let odd = [0, b'\n', 0xff, b'\'', 0];
    let first = wall.written(None, &odd).await;
    assert_eq!(wall.read().await, Some(note(first, &odd)));
    let second = wall.written(Some(first), b"").await;
    assert_ne!(first, second);
    for seen in [None, Some(first), Some(never)] {
        assert_eq!(wall.write(seen, b"late").await, Wrote::Moved(Some(note(second, b""))));
    }
    assert_eq!(wall.read().await, Some(note(second, b"")));
    let other = wall.board.read(NoteKey([8; 32])).await.expect("read");
    assert_eq!(other, None, "another key");
}

async fn a_note_is_gone_when_its_time_is_over(wall: Wall) {
    let first = wall.written(None, b"a").await;
    wall.hand.advance(MINUTE - Duration::from_millis(1));
    let second = wall.written(Some(first), b"b").await;
    wall.hand.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(wall.read().await, Some(note(second, b"b")), "each write keeps it anew");
    wall.hand.advance(Duration::from_millis(1));
    assert_eq!(wall.read().await, None);
    assert_eq!(wall.write(Some(second), b"c").await, Wrote::Moved(None));
    wall.written(None, b"d").await;
}

async fn l14_a_note_is_bounded(wall: Wall) {
    let write = async |bytes: usize, keep: Duration| {
        wall.board.write(NoteKey([1; 32]), None, vec![b'x'; bytes], keep).await
    };
    let refused = write(NOTE_BYTES_MAX + 1, MINUTE).await;
    assert_eq!(refused, Err(StoreError::Note(NoteFault::TooLong)));
    assert!(matches!(write(NOTE_BYTES_MAX, NOTE_KEEP_MAX * 2).await, Ok(Wrote::Done(_))));
    wall.hand.advance(NOTE_KEEP_MAX);
    assert!(matches!(write(0, Duration::ZERO).await, Ok(Wrote::Done(_))), "it is over at once");
    wall.hand.advance(Duration::from_millis(1));
    assert!(matches!(write(1, MINUTE).await, Ok(Wrote::Done(_))));
}
