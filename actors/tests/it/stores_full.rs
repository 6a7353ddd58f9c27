//! A disk that is really full: a small file system in memory, in a mount namespace of our own.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tokenward::clock::Clock;
use tokenward::core::lease::Verdict;
use tokenward::store::{Embedded, Loaded, Store, StoreError};

use crate::stores_bench::{ENDED, ask, body, key, leased, living, rotated, row};

const DISK: &str = "TOKENWARD_TEST_DISK";

/// Ways into a namespace: as a user, where the kernel lets users, or as root.
const WAYS: [&str; 2] = ["-Urm", "-m"];

/// Fills the disk to its last byte, as a neighbour's log would.
fn hog(dir: &Path) {
    let mut file =
        OpenOptions::new().append(true).create(true).open(dir.join("hog")).expect("opened");
    for size in [1 << 20, 4_096, 1] {
        let bytes = vec![1; size];
        let full = loop {
            match file.write(&bytes) {
                Ok(0) => break ErrorKind::StorageFull,
                Ok(_) => {}
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(full, ErrorKind::StorageFull);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of l10_a_logout_wins_on_a_full_disk, which gives it a disk"]
async fn child_on_a_small_disk() {
    let Some(disk) = env::var_os(DISK) else {
        return;
    };
    let dir = Path::new(&disk).join("state");
    let store = Embedded::open(&dir, Clock::system()).expect("opens");
    for number in 0..200 {
        store.create(key(number), row(&"r".repeat(3_000))).await.expect("there is room");
    }
    let intent = leased(&store, key(150), ask(0)).await;
    hog(Path::new(&disk));
    let mut refused = 0;
    for number in 1_000..9_000 {
        match store.create(key(number), row(&"x".repeat(3_000))).await {
            Ok(()) => assert_eq!(living(&store, key(number)).await, row(&"x".repeat(3_000))),
            Err(error) => {
                assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
                refused += 1;
                hog(Path::new(&disk));
            }
        }
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "the disk is full for good");

    let late = store.commit(key(150), rotated(0, intent.epoch), body("new")).await;
    assert!(matches!(late, Ok(Verdict::Accept(_))), "a spent token's heir is saved: {late:?}");
    for number in 0..100 {
        let ended = store.end(key(number), ENDED).await;
        assert!(ended.as_ref().is_ok_and(Option::is_some), "{number}: {ended:?}");
    }
    assert!(!dir.join("reserve").exists(), "it took the reserve");
    let asked = store.begin(key(120), ask(0)).await;
    assert!(matches!(asked, Err(StoreError::Full { .. })), "nothing new is begun: {asked:?}");
    drop(store);

    fs::remove_file(Path::new(&disk).join("hog")).expect("an operator makes room");
    let store = Embedded::open(&dir, Clock::system()).expect("opens again");
    assert!(dir.join("reserve").exists(), "it is set aside again");
    for number in 0..100 {
        assert_eq!(store.load(key(number)).await, Ok(Loaded::Ended(ENDED)), "{number}");
    }
    assert_eq!(living(&store, key(150)).await.body, body("new"));
    assert!(!leased(&store, key(120), ask(0)).await.again, "nothing was begun before");
    println!("the story was told");
}

#[test]
fn l10_a_logout_wins_on_a_full_disk() {
    let allowed = |way: &&&str| {
        let quiet = unshare(way).arg("true").stderr(Stdio::null()).status();
        quiet.is_ok_and(|status| status.success())
    };
    let Some(way) = WAYS.iter().find(allowed) else {
        println!("not told: this machine gives nobody a mount namespace (unshare -Urm true)");
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let told = unshare(way)
        .args([
            "sh",
            "-c",
            "mount -t tmpfs -o size=48m tmpfs \"$1\" && shift && exec \"$0\" \"$@\"",
        ])
        .arg(env::current_exe().expect("this test"))
        .arg(dir.path())
        .args(["--exact", "stores_full::child_on_a_small_disk", "--ignored", "--nocapture"])
        .env(DISK, dir.path())
        .output()
        .expect("the child starts");
    let words = [told.stdout, told.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    assert!(told.status.success() && words.contains("the story was told"), "{words}");
}

fn unshare(way: &str) -> Command {
    let mut command = Command::new("unshare");
    command.arg(way);
    command
}
