//! Fuzz targets: what is read back from a store, a file, a browser. Whoever changed it is told so,
//! and is told nothing else.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::OnceLock;

use tokenward_fuzz::fuzz;

use crate::SessionHandle;
use crate::clock::Clock;
use crate::core::lease::Head;
use crate::store::record::{self, RECORD_BYTES_MAX};
use crate::store::seal::{KeyRing, Purpose};

/// What every secret of the corpora holds, and no text for people may.
const MARK: &str = "s3cret";

fuzz!(records, |bytes| {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    let clock = CLOCK.get_or_init(|| Clock::manual().0);
    let mut bytes = bytes.to_vec();
    // Of this boot: only then are moments and access tokens kept.
    if let Some(boot) = bytes.get_mut(1..17) {
        boot.copy_from_slice(&clock.boot().0);
    }
    match record::decode(&bytes, Head::new(), clock, None) {
        Ok(snapshot) => {
            let written = record::encode(&snapshot, clock, None).expect("what was read fits");
            assert!(written.len() <= RECORD_BYTES_MAX);
            let again =
                record::decode(&written, Head::new(), clock, None).expect("what was written");
            assert_eq!(format!("{snapshot:?}"), format!("{again:?}"));
            let rewritten = record::encode(&again, clock, None).expect("as before");
            assert!(*rewritten == *written, "the second writing differs from the first");
        }
        Err(fault) => assert!(!fault.to_string().contains(MARK)),
    }
});

fn ring() -> &'static KeyRing {
    static RING: OnceLock<KeyRing> = OnceLock::new();
    RING.get_or_init(|| KeyRing::ephemeral().expect("randomness"))
}

// The input says what to change of a sealed text: place and bits, three bytes each; what is left
// over at the end is appended.
fuzz!(seals, |bytes| {
    let sealed = ring().seal(Purpose::Cookie, b"here", b"s3cret").expect("sealed");
    let mut changed = sealed.clone();
    let changes = bytes.chunks_exact(3);
    changed.extend_from_slice(changes.remainder());
    for change in changes {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]]));
        match changed.get_mut(place) {
            Some(byte) => *byte ^= change[2],
            None => changed.truncate(place % sealed.len()),
        }
    }
    let opened = ring().open_sealed(Purpose::Cookie, b"here", &changed);
    assert_eq!(opened.is_ok(), changed == sealed, "{changed:02x?}");
    for (purpose, place) in [(Purpose::Record, &b"here"[..]), (Purpose::Cookie, b"there")] {
        assert!(ring().open_sealed(purpose, place, &changed).is_err());
    }
    assert!(ring().open_sealed(Purpose::Cookie, b"here", bytes).is_err(), "never sealed");
});

fuzz!(ring_files, |bytes| {
    static PLACE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| tempfile::tempdir().expect("a directory"));
    let path = place.path().join("keys.json");
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    std::io::Write::write_all(&mut opened.expect("opened"), bytes).expect("written");
    match KeyRing::open(&path) {
        Ok(ring) => {
            assert!(ring.newest().is_some());
            let sealed = ring.seal(Purpose::Record, b"x", b"plain").expect("sealed");
            assert!(ring.open_sealed(Purpose::Record, b"x", &sealed).is_ok());
            assert!(self::ring().open_sealed(Purpose::Record, b"x", &sealed).is_err());
        }
        Err(fault) => assert!(!format!("{fault} {fault:?}").contains(MARK), "{fault}"),
    }
    assert_eq!(fs::read(&path).expect("there"), bytes, "a file that is none is left alone");
});

fuzz!(handles, |bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(handle) = SessionHandle::parse(text) {
        assert_eq!(*handle.expose(), text, "one handle has one text");
    }
});
