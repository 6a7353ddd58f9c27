//! A sealed text opens only whole, unchanged, for its purpose, and with its ring.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

const BOUND: &[u8] = b"session 1";

fn ring() -> KeyRing {
    KeyRing::ephemeral().expect("randomness")
}

fn opened(ring: &KeyRing, sealed: &[u8]) -> Result<Vec<u8>, SealFault> {
    ring.open_sealed(Purpose::Record, BOUND, sealed).map(|plain| plain.to_vec())
}

#[test]
fn l13_a_sealed_text_opens_for_its_purpose_and_its_session_only() {
    let ring = ring();
    let sealed = ring.seal(Purpose::Record, BOUND, b"plain").expect("sealed");
    assert_eq!(opened(&ring, &sealed), Ok(b"plain".to_vec()));
    for (purpose, bound_to) in [(Purpose::Cookie, BOUND), (Purpose::Record, b"session 2")] {
        let refused = ring.open_sealed(purpose, bound_to, &sealed).expect_err("another's");
        assert_eq!(refused, SealFault::Tampered);
    }
    let again = ring.seal(Purpose::Record, BOUND, b"plain").expect("sealed");
    assert_ne!(again, sealed, "each sealing has a nonce of its own");
}

#[test]
fn l13_each_kind_of_damage_has_its_name() {
    let ring = ring();
    let sealed = ring.seal(Purpose::Record, BOUND, b"plain").expect("sealed");
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 0x10;
        let fault = opened(&ring, &flipped).expect_err("changed");
        let named = match at {
            0 => matches!(fault, SealFault::UnknownForm(0x11)),
            1..=4 => matches!(fault, SealFault::UnknownKey(_)),
            _ => fault == SealFault::Tampered,
        };
        assert!(named, "byte {at}: {fault:?}");
    }
    for end in 0..HEADER_BYTES + TAG_BYTES {
        assert_eq!(opened(&ring, &sealed[..end]), Err(SealFault::Truncated), "cut at {end}");
    }
}

#[test]
fn l13_a_new_key_seals_and_the_old_one_still_opens_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.json");
    let ring = KeyRing::open_or_create(&path).expect("created");
    let old = ring.seal(Purpose::Record, BOUND, b"old").expect("sealed");
    let id = ring.rotate().expect("rotated");
    let new = ring.seal(Purpose::Record, BOUND, b"new").expect("sealed");
    assert_eq!(new[1..5], id.0);
    assert_ne!(old[1..5], new[1..5]);

    let reopened = KeyRing::open_or_create(&path).expect("read");
    assert_eq!(reopened.newest(), Some(id));
    assert_eq!(opened(&reopened, &old), Ok(b"old".to_vec()));
    assert_eq!(opened(&reopened, &new), Ok(b"new".to_vec()));

    let stranger = self::ring();
    assert!(matches!(opened(&stranger, &old), Err(SealFault::UnknownKey(_))));
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_ring_file_that_is_none_is_refused_without_quoting_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.json");
    let key = |id: &str, secret: &str| format!(r#"{{"id":"{id}","secret":"{secret}"}}"#);
    let good = key("00000001", &"A".repeat(43));
    for (text, said) in [
        (String::new(), "line"),
        ("s3cret".to_owned(), "line"),
        (r#"{"version":1,"keys":["s3cret"]}"#.to_owned(), "line"),
        (r#"{"version":2,"keys":[]}"#.to_owned(), "version 2"),
        (r#"{"version":1,"keys":[]}"#.to_owned(), "between 1 and 64"),
        (format!(r#"{{"version":1,"keys":[{}]}}"#, key("1", "s3cret")), "key 1"),
        (format!(r#"{{"version":1,"keys":[{good},{good}]}}"#), "key 2"),
    ] {
        fs::write(&path, &text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        let fault = KeyRing::open_or_create(&path).expect_err(&text).to_string();
        assert!(fault.contains(said) && !fault.contains("s3cret"), "{text}: {fault}");
        assert_eq!(fs::read_to_string(&path).expect("left alone"), text);
    }
}

#[test]
fn l13_a_ring_that_everybody_may_read_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.json");
    KeyRing::open_or_create(&path).expect("created");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).expect("set");
    assert!(matches!(KeyRing::open(&path), Err(RingFault::Exposed(_))));
}

#[test]
fn l14_a_ring_is_bounded() {
    let ring = ring();
    for _ in 1..RING_KEYS_MAX {
        ring.rotate().expect("room");
    }
    assert!(matches!(ring.rotate(), Err(RingFault::Full(_))));
}
