//! Damage of every kind to every file of the state directory: refused with the file's name, or
//! nothing lost; never less than was saved, and never a panic.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tokenward::clock::Clock;
use tokenward::core::lease::{Begin, Commit};
use tokenward::core::name::{Audience, Epoch, Generation};
use tokenward::core::secret::RefreshToken;
use tokenward::core::snapshot::Snapshot;
use tokenward::store::{Remedy, Restored, StoreError, Vault};

use crate::stores_bench::{ENDED, ask, key};

const SESSIONS: u64 = 8;
/// One of them has ended.
const OVER: u64 = 5;
const ROTATIONS: u64 = 3;

const STORE: &str = "sessions.db";
const LOG: &str = "sessions.db-wal";
const INDEX: &str = "sessions.db-shm";
const RING: &str = "keys.json";

/// The files of a state directory, as one moment left them.
#[derive(Clone)]
struct Image(Vec<(&'static str, Vec<u8>)>);

impl Image {
    /// Takes the files as a killed process leaves them.
    fn of(dir: &Path) -> Self {
        let names = [STORE, LOG, INDEX, RING, "lock"];
        let files =
            names.into_iter().filter_map(|name| Some((name, fs::read(dir.join(name)).ok()?)));
        Self(files.collect())
    }

    fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(name, _)| !names.contains(name));
        self
    }

    fn file(&mut self, name: &str) -> &mut Vec<u8> {
        let found = self.0.iter_mut().find(|(own, _)| *own == name);
        &mut found.expect("the image has it").1
    }

    fn laid_out(&self) -> TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, bytes) in &self.0 {
            fs::write(dir.path().join(name), bytes).expect("written");
        }
        let ring = dir.path().join(RING);
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(ring, private).expect("set");
        dir
    }
}

fn token(number: u64, generation: u64) -> String {
    format!("refresh-{number}-{generation}")
}

async fn rotate(vault: &Vault, number: u64, generation: u64) {
    let mut snapshot = match vault.load(key(number)).await.expect("readable") {
        Restored::Living(snapshot) => *snapshot,
        other @ (Restored::Ended(_) | Restored::Absent) => panic!("not living: {other:?}"),
    };
    let (consumed, epoch) = (Generation(generation - 1), Epoch(generation));
    vault.begin(key(number), Begin { ..ask(generation - 1) }).await.expect("leased");
    snapshot.refresh_token = Some(RefreshToken::new(&token(number, generation)));
    let commit = Commit { consumed, epoch, rotated: true };
    vault.commit(key(number), commit, &snapshot, None).await.expect("saved");
}

/// Makes a store whose log holds most of its history, as killed, and as closed.
async fn images() -> (Image, Image) {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Clock::system();
    let vault = Vault::embedded(dir.path(), clock).expect("opens");
    let primary = Audience::parse("https://api.example").expect("an audience");
    for number in 0..SESSIONS {
        let first = Some(RefreshToken::new(&token(number, 0)));
        let snapshot = Snapshot::new("https://idp".into(), "alice".into(), primary.clone(), first);
        vault.create(key(number), &snapshot, None).await.expect("created");
    }
    for generation in 1..=ROTATIONS {
        for number in 0..SESSIONS {
            rotate(&vault, number, generation).await;
        }
    }
    vault.end(key(OVER), ENDED).await.expect("ended");
    let killed = Image::of(dir.path());
    drop(vault);
    assert!(!dir.path().join(LOG).exists(), "a store that was closed has no log");
    (killed, Image::of(dir.path()))
}

/// Opens the directory; where it opens, everything that was saved is there or is missed aloud.
async fn judge(dir: &Path, damage: &str) -> Result<(), StoreError> {
    let vault = match Vault::embedded(dir, Clock::system()) {
        Ok(vault) => vault,
        Err(error) => {
            let (text, place) = (error.to_string(), dir.to_string_lossy());
            assert!(text.contains(&*place), "{damage}: {text} names no file");
            assert_eq!(error.remedy(), Remedy::Operator, "{damage}: {text}");
            return Err(error);
        }
    };
    for number in 0..SESSIONS {
        match vault.load(key(number)).await {
            Ok(Restored::Living(snapshot)) => {
                let kept = snapshot.refresh_token.as_ref().map(RefreshToken::seal);
                assert_ne!(number, OVER, "{damage}: an ended session lives");
                assert_eq!(kept, Some(&*token(number, ROTATIONS)), "{damage}: {number} went back");
            }
            Ok(Restored::Ended(reason)) => {
                assert_eq!((number, reason), (OVER, ENDED), "{damage}: {number} has ended");
            }
            Ok(Restored::Absent) => panic!("{damage}: {number} is gone"),
            Err(error) => assert!(error.to_string().contains(&key(number).id()), "{error}"),
        }
    }
    Ok(())
}

/// Equal numbers in each run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("below the bound")
    }
}

/// Flips a bit, overwrites a stretch with zeros, or cuts the end off.
fn spoil(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let at = dice.below(bytes.len());
    match dice.below(3) {
        0 => {
            bytes[at] ^= 1 << dice.below(8);
            format!("bit flipped at {at}")
        }
        1 => {
            let end = bytes.len().min(at + 1 + dice.below(600));
            bytes[at..end].fill(0);
            format!("zeros from {at} to {end}")
        }
        _ => {
            bytes.truncate(at);
            format!("cut off at {at}")
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_no_damage_to_any_file_loses_a_saved_session_in_silence() {
    let (killed, closed) = images().await;
    let mut dice = Dice(1);
    for (state, image, names, times) in [
        ("killed", &killed, &[STORE, LOG, INDEX, RING][..], 25),
        ("closed", &closed, &[STORE, RING][..], 25),
    ] {
        let dir = image.laid_out();
        judge(dir.path(), state).await.expect("undamaged it opens");
        for name in names {
            let mut refused = 0;
            for _ in 0..times {
                let mut image = image.clone();
                let what = spoil(image.file(name), &mut dice);
                let dir = image.laid_out();
                let outcome = judge(dir.path(), &format!("{state}, {name}: {what}")).await;
                refused += u32::from(outcome.is_err());
            }
            // The index alone is made anew at each start; all else must show some damage.
            assert_eq!(refused > 0, *name != INDEX, "{state}, {name}: {refused} refused");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_a_commit_in_the_middle_of_the_log_is_missed_even_after_a_power_cut() {
    let (killed, _) = images().await;
    // What the machine's memory held is gone: there is only the log itself.
    let mut image = killed.without(&[INDEX, "lock"]);
    let log = image.file(LOG).clone();
    let frame = 24 + 8192;
    let frames = (log.len() - 32) / frame;
    assert!(frames > 40, "{frames} frames");
    for number in (0..frames - 8).step_by(5) {
        let mut bad = log.clone();
        bad[32 + number * frame + 500] ^= 4;
        *image.file(LOG) = bad;
        let dir = image.laid_out();
        let error = judge(dir.path(), "power cut").await.expect_err("commits follow");
        assert!(matches!(error, StoreError::LogDamaged { .. }), "{number}: {error}");
        assert!(error.to_string().contains(LOG), "{error}");
    }

    // A tail that the disk never got is nobody's loss: the store opens with what came before.
    for cut in (32..log.len()).step_by(50_000) {
        *image.file(LOG) = log[..cut].to_vec();
        let dir = image.laid_out();
        drop(Vault::embedded(dir.path(), Clock::system()).expect("a torn tail is no damage"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_a_session_whose_key_is_damaged_anywhere_is_not_gone_in_silence() {
    let (_, mut closed) = images().await;
    let good = closed.file(STORE).clone();
    let sought = key(3).0;
    let places = good.windows(sought.len()).enumerate();
    let places: Vec<usize> =
        places.filter(|(_, bytes)| *bytes == sought).map(|(at, _)| at).collect();
    assert!(places.len() >= 2, "in its row and in an index: {places:?}");
    for place in places {
        closed.file(STORE)[place + sought.len() - 1] ^= 1;
        let dir = closed.laid_out();
        // Refused or not: the judge misses nobody.
        drop(judge(dir.path(), &format!("a key at {place}")).await);
        closed.file(STORE).clone_from(&good);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_go_on_with_what_is_left_of_the_log_once() {
    let (mut image, _) = images().await;
    let middle = image.file(LOG).len() / 2;
    image.file(LOG)[middle] ^= 1;
    let dir = image.laid_out();
    let refused = judge(dir.path(), "a flipped bit").await.expect_err("refused");
    let StoreError::LogDamaged { accept, .. } = &refused else { panic!("{refused:?}") };
    assert!(refused.to_string().contains(&**accept), "{refused}");
    let before = fs::read(dir.path().join(LOG)).expect("left as it was");
    assert_eq!(before, *image.file(LOG));

    fs::write(&**accept, "").expect("made");
    let vault = Vault::embedded(dir.path(), Clock::system()).expect("goes on");
    assert_eq!(vault.count().await, Ok(SESSIONS), "its logout is among the lost writes");
    assert_eq!(fs::read(dir.path().join("sessions.db-wal.damaged")).expect("kept"), before);
    assert!(!Path::new(&**accept).exists(), "it speaks for one damage only");
}
