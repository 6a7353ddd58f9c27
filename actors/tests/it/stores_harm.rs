//! What the embedded store does when it is harmed: one clear error, nothing lost, no panic.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use rusqlite::Connection;
use tempfile::TempDir;
use tokenward::clock::Clock;
use tokenward::core::lease::{Head, Verdict};
use tokenward::core::name::Epoch;
use tokenward::store::{Embedded, Loaded, Remedy, Row, Store, StoreError};

use crate::stores_bench::{ENDED, ask, body, key, leased, living, rotated, row};

const PAGE: usize = 8192;

fn opened(dir: &Path) -> Result<Embedded, StoreError> {
    Embedded::open(dir, Clock::system())
}

fn refused(dir: &Path) -> StoreError {
    let error = opened(dir).expect_err("refused");
    assert_eq!(error.remedy(), Remedy::Operator, "{error}");
    error
}

/// Makes a store with a few sessions and closes it.
async fn closed_store() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path()).expect("opens");
    for number in 0..4 {
        store.create(key(number), row(&"r".repeat(2_000))).await.expect("created");
    }
    let file = dir.path().join("sessions.db");
    (dir, file)
}

/// Changes the closed store as SQLite lets anybody do.
fn meddle(file: &Path, statement: &str) {
    let connection = Connection::open(file).expect("SQLite opens it");
    connection.execute_batch(statement).expect("SQL");
}

#[tokio::test]
async fn l1_a_second_process_is_refused_for_as_long_as_the_first_lives() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = opened(dir.path()).expect("opens");
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&*dir.path().to_string_lossy()), "{error}");
    drop(first);
    drop(opened(dir.path()).expect("the lock went with it"));
}

#[tokio::test]
async fn what_is_no_store_of_ours_is_refused_and_left_alone() {
    let (_dir, file) = closed_store().await;
    let good = fs::read(&file).expect("readable");
    let mut cut = good.clone();
    cut.truncate(good.len() - PAGE / 2);
    let cases: [(&str, Vec<u8>); 4] = [
        ("not a database", b"#!/bin/sh\necho no\n".repeat(100)),
        ("empty", Vec::new()),
        ("not a database", [b"SQLite format 4\0", &good[16..]].concat()),
        ("malformed", cut),
    ];
    for (said, bytes) in cases {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("sessions.db");
        fs::write(&file, &bytes).expect("written");
        let error = refused(dir.path());
        assert!(matches!(error, StoreError::Corrupt { .. }), "{said}: {error:?}");
        assert!(error.to_string().contains("sessions.db"), "{error}");
        assert_eq!(fs::read(&file).expect("readable"), bytes, "{said}: left as it was");
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version_or_another_program_is_refused() {
    let (dir, file) = closed_store().await;
    meddle(&file, "PRAGMA user_version = 99");
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::TooNew { found: 99, known: 1, .. }), "{error:?}");

    meddle(&file, "PRAGMA user_version = 1; PRAGMA application_id = 7");
    let error = refused(dir.path());
    assert!(error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn a_flipped_byte_in_the_head_of_any_page_is_noticed() {
    let (dir, file) = closed_store().await;
    let good = fs::read(&file).expect("readable");
    assert!(good.len() >= 8 * PAGE, "{} bytes", good.len());
    for page in 1..good.len() / PAGE {
        let mut bad = good.clone();
        bad[page * PAGE] ^= 0x55;
        fs::write(&file, &bad).expect("written");
        let error = refused(dir.path());
        assert!(matches!(error, StoreError::Corrupt { .. }), "page {page}: {error:?}");
    }
    fs::write(&file, &good).expect("written");
    let store = opened(dir.path()).expect("the good one opens");
    assert_eq!(store.count().await, Ok(4));
}

#[tokio::test]
async fn l11_a_changed_head_is_noticed_and_its_session_can_still_be_ended() {
    let (dir, file) = closed_store().await;
    for change in ["generation = 7", "epoch = 9", "ended = NULL, parent = 0", "due_at = 5"] {
        meddle(&file, &format!("UPDATE session SET {change} WHERE id = 1"));
    }
    let store = opened(dir.path()).expect("opens");
    let damaged = store.load(key(0)).await.expect_err("changed");
    assert!(matches!(damaged, StoreError::Corrupt { .. }), "{damaged:?}");
    assert!(damaged.to_string().contains(&key(0).id()), "{damaged}");
    assert_eq!(store.begin(key(0), ask(7)).await, Err(damaged.clone()), "nothing is spent on it");
    assert_eq!(store.commit(key(0), rotated(7, Epoch(1)), body("x")).await, Err(damaged));

    assert!(store.end(key(0), ENDED).await.expect("written").is_some());
    assert_eq!(store.load(key(0)).await, Ok(Loaded::Ended(ENDED)));
    leased(&store, key(1), ask(0)).await;
}

#[tokio::test]
async fn a_store_whose_file_was_taken_away_is_not_made_anew_over_its_log() {
    let (dir, file) = closed_store().await;
    fs::rename(&file, dir.path().join("sessions.db-wal")).expect("moved");
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(!file.exists());
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).expect("set");
    // Permissions do not bind root; the kernel's own directory does.
    let root = fs::metadata(dir.path()).expect("there").uid() == 0;
    let place = if root { Path::new("/sys/kernel") } else { dir.path() };
    let error = refused(place);
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains(&*place.to_string_lossy()), "{error}");

    let file = dir.path().join("file");
    if root {
        fs::write(&file, "").expect("written");
        let error = refused(&file);
        assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l14_a_full_store_fails_the_write_that_needs_room_and_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let limit = 64 * PAGE as u64;
    let store = Embedded::open_limited(dir.path(), Clock::system(), limit).expect("opens");
    let large = body(&"x".repeat(3 * PAGE));
    let mut stored = 0;
    let full = loop {
        let row = Row { head: Head::new(), body: large.clone() };
        match store.create(key(stored), row).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Full { .. }), "{full:?}");
    assert_eq!(full.remedy(), Remedy::Operator);
    assert!(stored > 4, "{stored}");

    // In one group: writes that need room, and writes that need none.
    let (mut small, mut failed) = (Vec::new(), Vec::new());
    for number in 0..8 {
        let row = Row { head: Head::new(), body: large.clone() };
        failed.push(store.create(key(1_000 + number), row));
        small.push(store.ping());
    }
    let (small, failed) = futures_util::join!(join_all(small), join_all(failed));
    assert!(small.iter().all(Result::is_ok), "{small:?}");
    assert!(failed.iter().all(|one| *one == Err(full.clone())), "{failed:?}");
    for number in 0..stored {
        assert_eq!(living(&store, key(number)).await.body, large, "nothing was lost");
    }

    store.end(key(0), ENDED).await.expect("a logout frees room");
    leased(&store, key(1), ask(0)).await;
    let commit = store.commit(key(1), rotated(0, Epoch(1)), large).await;
    assert!(matches!(commit, Ok(Verdict::Accept(_))), "{commit:?}");
}
