//! What the embedded store promises beside the contract: durability, and secrets kept.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokenward::clock::Clock;
use tokenward::core::lease::{Begin, Commit, Head, Verdict};
use tokenward::core::name::{Audience, Epoch, Generation, Owner};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::{AccessToken, IdToken, RefreshToken};
use tokenward::core::snapshot::{Entry, Snapshot};
use tokenward::core::time::Instant;
use tokenward::store::seal::{KeyRing, RingFault, SealFault};
use tokenward::store::{
    Body, Embedded, Loaded, Restored, Row, Store, StoreError, TOMBSTONE_KEEP, Vault, Wiped,
};

use crate::stores_bench::{ENDED, ask, body, key, leased, living, rotated, row};

fn snapshot(clock: &Clock) -> Snapshot {
    let primary = Audience::parse("https://api.example").expect("an audience");
    let refresh = Some(RefreshToken::new("refresh-s3cret"));
    let mut snapshot =
        Snapshot::new("https://idp".into(), "alice-s3cret".into(), primary.clone(), refresh);
    snapshot.provider_session = Some("sid-s3cret".into());
    snapshot.id_token = Some(IdToken::new("id-s3cret"));
    snapshot.entries.push(Entry {
        audience: primary,
        access_token: AccessToken::new("access-s3cret"),
        requested: ScopeSet::parse("read"),
        granted: ScopeSet::parse("read"),
        received_at: clock.now(),
        lifetime: Duration::from_secs(60),
        born_in: Epoch(0),
    });
    snapshot
}

async fn restored(vault: &Vault, number: u64) -> Snapshot {
    match vault.load(key(number)).await.expect("readable") {
        Restored::Living(snapshot) => *snapshot,
        other @ (Restored::Ended(_) | Restored::Absent) => panic!("not living: {other:?}"),
    }
}

fn refresh_token(snapshot: &Snapshot) -> Option<&str> {
    snapshot.refresh_token.as_ref().map(RefreshToken::seal)
}

#[tokio::test]
async fn l2_everything_is_there_when_the_store_is_opened_again() {
    let (clock, _hand) = Clock::manual();
    let dir = tempfile::tempdir().expect("a directory");
    let store = Embedded::open(dir.path(), clock.clone()).expect("opens");
    let due = Body { due: Some(clock.now()), ..body("r0") };
    store.create(key(1), Row { head: Head::new(), body: due }).await.expect("created");
    store.create(key(2), row("r0")).await.expect("created");
    store.end(key(2), ENDED).await.expect("ended");
    leased(&store, key(1), ask(0)).await;
    let before = living(&store, key(1)).await;
    drop(store);

    let store = Embedded::open(dir.path(), clock.clone()).expect("opens again");
    assert_eq!(living(&store, key(1)).await, before);
    assert_eq!(store.load(key(2)).await, Ok(Loaded::Ended(ENDED)));
    assert_eq!(store.in_doubt(None, 9).await, Ok(vec![key(1)]));
    let page = store.due(clock.now(), None, 9).await.expect("readable");
    assert_eq!(page.sessions, vec![(key(1), Some(clock.now()))]);
}

#[tokio::test]
async fn l12_after_a_reboot_every_moment_is_unknown_and_no_epoch_is_given_again() {
    let (clock, _hand) = Clock::manual();
    let dir = tempfile::tempdir().expect("a directory");
    let store = Embedded::open(dir.path(), clock.clone()).expect("opens");
    let due = Body { due: Some(clock.now() + Duration::from_secs(9)), ..body("r0") };
    store.create(key(1), Row { head: Head::new(), body: due }).await.expect("created");
    store.create(key(2), row("r0")).await.expect("created");
    store.end(key(2), ENDED).await.expect("ended");
    let lost = leased(&store, key(1), ask(0)).await;
    drop(store);

    let (clock, hand) = Clock::manual();
    let store = Embedded::open(dir.path(), clock.clone()).expect("opens again");
    let read = living(&store, key(1)).await;
    let intent = read.head.intent.expect("still in doubt");
    assert_eq!((intent.since, intent.until, read.body.due), (None, None, None));
    assert_eq!((intent.epoch, intent.owner, intent.settle), (lost.epoch, lost.owner, lost.settle));
    let page = store.due(clock.now(), None, 9).await.expect("readable");
    assert_eq!(page.sessions, vec![(key(1), None)], "due before anything else");
    let takes_over = Some(lost.epoch);
    let again = leased(&store, key(1), Begin { takes_over, ..ask(0) }).await;
    assert!(again.again && again.epoch > lost.epoch);
    assert_eq!(again.since, Some(clock.now()));

    assert_eq!(store.purge(9).await, Ok(0), "it may have been written just before the boot");
    let since_boot = clock.now().since(Instant::ZERO);
    hand.advance(TOMBSTONE_KEEP - since_boot);
    assert_eq!(store.purge(9).await, Ok(1), "it is at least as old as the boot");
}

const CHILD_DIR: &str = "TOKENWARD_TEST_STATE";

#[tokio::test]
#[ignore = "the child of l2_what_was_answered_survives_kill_9, which starts it"]
async fn child_rotates_until_it_is_killed() {
    let Some(dir) = env::var_os(CHILD_DIR) else {
        return;
    };
    let store = Arc::new(Embedded::open(dir.as_ref(), Clock::system()).expect("opens"));
    for number in 0..16 {
        let store = Arc::clone(&store);
        store.create(key(number), row("0")).await.expect("created");
        tokio::spawn(async move {
            for generation in 0.. {
                let intent = leased(&*store, key(number), ask(generation)).await;
                let next = body(&(generation + 1).to_string());
                let commit = rotated(generation, intent.epoch);
                let verdict = store.commit(key(number), commit, next).await;
                assert!(matches!(verdict, Ok(Verdict::Accept(_))), "{verdict:?}");
                println!("saved {number} {}", generation + 1);
            }
        });
    }
    std::future::pending().await
}

#[tokio::test]
async fn l2_what_was_answered_survives_kill_9() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "stores_embedded::child_rotates_until_it_is_killed"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut saved = [0_u64; 16];
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut count = 0;
    while let Some(Ok(line)) = lines.next() {
        count += 1;
        if count == 2_000 {
            child.kill().expect("killed with SIGKILL");
        }
        // The harness writes its own words before the first line.
        let words: Vec<&str> = line.split("saved ").last().unwrap_or("").split(' ').collect();
        if let [number, generation] = words[..]
            && let (Ok(number), Ok(generation)) = (number.parse::<usize>(), generation.parse())
        {
            saved[number] = generation;
        }
    }
    child.wait().expect("it ended");
    assert!(count >= 2_000, "it was killed at work, after {count} lines");

    let store = Embedded::open(dir.path(), Clock::system()).expect("the lock went with it");
    for (number, saved) in (0_u64..).zip(saved) {
        let row = living(&store, key(number)).await;
        assert!(row.head.generation >= Generation(saved), "{number}: {row:?} after {saved}");
        assert_eq!(row.body.sealed, row.head.generation.0.to_string().into_bytes());
    }
}

#[tokio::test]
async fn l13_a_stolen_store_names_nobody_and_opens_nothing() {
    let (clock, _hand) = Clock::manual();
    let dir = tempfile::tempdir().expect("a directory");
    let vault = Vault::embedded(dir.path(), clock.clone()).expect("opens");
    vault.create(key(1), &snapshot(&clock), None).await.expect("created");
    vault.create(key(2), &snapshot(&clock), None).await.expect("created");
    vault.end(key(2), ENDED).await.expect("ended");

    let mut searched = 0;
    for file in fs::read_dir(dir.path()).expect("a directory") {
        let file = file.expect("a file");
        let bytes = fs::read(file.path()).expect("readable");
        searched += bytes.len();
        let found = bytes.windows(6).position(|part| part == b"s3cret");
        assert_eq!(found, None, "in {:?}", file.path());
        let mode = file.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} is for the user alone", file.path());
    }
    assert!(searched > 16_384, "the log was searched too");

    let store = Embedded::open(&copied(dir.path()), clock.clone()).expect("a copy opens");
    let stranger = Arc::new(KeyRing::ephemeral().expect("randomness"));
    let stolen = Vault::new(Arc::new(store), stranger, clock);
    let refused = stolen.load(key(1)).await.expect_err("without the ring");
    assert!(matches!(refused, StoreError::Seal { fault: SealFault::UnknownKey(_), .. }));
    assert!(!refused.to_string().contains("s3cret"));
}

/// Copies the files of a store that may be in use to a directory inside it.
fn copied(dir: &Path) -> std::path::PathBuf {
    let copy = dir.join("copy");
    fs::create_dir(&copy).expect("made");
    for name in ["sessions.db", "sessions.db-wal"] {
        fs::copy(dir.join(name), copy.join(name)).expect("copied");
    }
    copy
}

#[tokio::test]
async fn l13_a_new_sealing_key_signs_nobody_out_and_reseals_at_the_next_write() {
    let (clock, _hand) = Clock::manual();
    let dir = tempfile::tempdir().expect("a directory");
    let vault = Vault::embedded(dir.path(), clock.clone()).expect("opens");
    vault.create(key(1), &snapshot(&clock), None).await.expect("created");
    let id = vault.ring().rotate().expect("a new key");
    drop(vault);

    let vault = Vault::embedded(dir.path(), clock.clone()).expect("opens again");
    let mut session = restored(&vault, 1).await;
    assert_eq!(refresh_token(&session), Some("refresh-s3cret"));
    assert_eq!(session.entries.len(), 1, "the same boot: its age is known");
    session.refresh_token = Some(RefreshToken::new("next-s3cret"));
    let ask = Begin { owner: Owner(1), ..ask(0) };
    vault.begin(key(1), ask).await.expect("leased");
    let commit = Commit { consumed: Generation(0), epoch: Epoch(1), rotated: true };
    vault.commit(key(1), commit, &session, None).await.expect("written");
    let session = restored(&vault, 1).await;
    assert_eq!(refresh_token(&session), Some("next-s3cret"));
    assert_eq!(session.head.generation, Generation(1));
    drop(vault);

    let store = Embedded::open(dir.path(), clock.clone()).expect("opens");
    let sealed = living(&store, key(1)).await.body.sealed;
    let written: String = sealed[1..5].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(written, id.to_string(), "sealed with the new key");
}

#[tokio::test]
async fn l10_ending_answers_the_newest_refresh_token() {
    let (clock, _hand) = Clock::manual();
    let dir = tempfile::tempdir().expect("a directory");
    let vault = Vault::embedded(dir.path(), clock.clone()).expect("opens");
    vault.create(key(1), &snapshot(&clock), None).await.expect("created");
    assert_eq!(vault.of_subject("https://idp", "alice-s3cret").await, Ok(vec![key(1)]));
    assert_eq!(vault.of_provider_session("https://idp", "sid-s3cret").await, Ok(vec![key(1)]));

    let Ok(Wiped::Living(last)) = vault.end(key(1), ENDED).await else { panic!("it lived") };
    assert_eq!(refresh_token(&last), Some("refresh-s3cret"));
    assert!(matches!(vault.end(key(1), ENDED).await, Ok(Wiped::Nothing)));
    assert!(matches!(vault.load(key(1)).await, Ok(Restored::Ended(ENDED))));
}

#[tokio::test]
async fn a_missing_key_ring_is_made_for_an_empty_store_only() {
    let (clock, _hand) = Clock::manual();
    let dir = tempfile::tempdir().expect("a directory");
    let ring = dir.path().join("keys.json");
    drop(Vault::embedded(dir.path(), clock.clone()).expect("opens"));
    fs::remove_file(&ring).expect("there was one");
    let vault = Vault::embedded(dir.path(), clock.clone()).expect("nothing is lost with it");
    vault.create(key(1), &snapshot(&clock), None).await.expect("created");
    drop(vault);

    fs::remove_file(&ring).expect("there was one");
    let refused = Vault::embedded(dir.path(), clock).err().expect("sessions would be lost");
    assert!(matches!(refused, StoreError::Ring(RingFault::Missing(_))), "{refused:?}");
    assert!(!ring.exists(), "no new ring was made");
}
