//! Every session survives its record, and no bytes do harm.

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use super::*;
use crate::core::name::{Audience, Generation};
use crate::core::refusal::MfaDemand;
use crate::core::scope::ScopeSet;
use crate::core::secret::MfaToken;
use crate::core::snapshot::{Device, Hold};
use crate::core::step_up::{Context, ContextId, Origin, Proof, Remembered, Strength};
use crate::core::time::Instant;

/// Everything of a session that must survive, as text: tokens too, which have none of their own.
fn shown(snapshot: &Snapshot) -> String {
    let mut text = format!("{snapshot:?}");
    let refresh = snapshot.refresh_token.as_ref().map(RefreshToken::seal);
    let id = snapshot.id_token.as_ref().map(IdToken::expose);
    write!(text, " {refresh:?} {id:?}").expect("a String takes all");
    for entry in &snapshot.entries {
        write!(text, " {}", entry.access_token.expose()).expect("a String takes all");
    }
    text
}

/// A session with one of everything, as the committed vector has it.
fn specimen(now: Instant) -> Snapshot {
    let audience = |text| Audience::parse(text).expect("an audience");
    Snapshot {
        provider: "https://tenant.example/".into(),
        subject: "auth0|alice".into(),
        provider_session: Some("sid-1".into()),
        primary: audience("https://api.example"),
        refresh_token: Some(RefreshToken::new("v1.refresh")),
        id_token: Some(IdToken::new("h.p.s")),
        entries: vec![Entry {
            audience: audience("https://api.example"),
            access_token: AccessToken::new("access"),
            requested: ScopeSet::parse("openid read write"),
            granted: ScopeSet::parse("openid read"),
            received_at: now,
            lifetime: Duration::from_millis(10_500),
            born_in: Epoch(300),
        }],
        holds: vec![hold(now)],
        proofs: vec![Proof {
            at: Some(now),
            class: Some("gold".to_owned()),
            methods: vec!["mfa".to_owned()],
        }],
        remembered: Some(Remembered {
            proof: Proof {
                at: None,
                class: Some("gold".to_owned()),
                methods: vec!["mfa".to_owned()],
            },
            age: Duration::from_secs(3_600),
        }),
        device: Some(Device {
            kind: DeviceKind::parse("display").expect("a kind"),
            audiences: vec![audience("https://api.example")],
        }),
        authentication: Authentication {
            at: Some(UnixSeconds(1_767_225_600)),
            class: Some("urn:mfa".to_owned()),
            methods: vec!["pwd".to_owned(), "otp".to_owned()],
        },
        ceiling: Some(UnixSeconds(1_767_312_000)),
        head: Head::new(),
    }
}

fn hold(now: Instant) -> Hold {
    let audience = |text| Audience::parse(text).expect("an audience");
    Hold {
        audience: audience("https://pay.example"),
        scopes: ScopeSet::parse("transfer"),
        since: now,
        probe_at: Some(now + Duration::from_secs(21_600)),
        demand: MfaDemand {
            challenge: vec!["otp".to_owned()],
            enroll: vec!["push".to_owned()],
            is_listed: true,
            ..MfaDemand::default()
        },
        origin: Origin::Upstream,
        strength: Strength {
            classes: vec!["gold".to_owned()],
            max_age: Some(Duration::from_secs(300)),
            factor: true,
            each_time: false,
        },
        context: Some(Context {
            mfa_token: MfaToken::new("Fe26.secret", ContextId([7; 32])),
            opened_at: now,
            ttl: Duration::from_secs(300),
        }),
    }
}

/// The specimen as version 1 wrote it, on a boot of sixteen bytes 0xb0, at 10,000 s. For ever.
const VECTOR_1: &str = include_str!("vector_1.hex");

/// The same as version 2 wrote it. For ever.
const VECTOR_2: &str = include_str!("vector_2.hex");

/// The same as version 3 wrote it. For ever.
const VECTOR_3: &str = include_str!("vector_3.hex");

/// The same as version 4 wrote it. For ever.
const VECTOR_4: &str = include_str!("vector_4.hex");

/// The same as version 5 writes it where no machine shares the store. For ever.
const VECTOR_5: &str = include_str!("vector_5.hex");

/// The specimen as far as version 3 knew it.
fn specimen_3(now: Instant) -> Snapshot {
    Snapshot { device: None, ..specimen(now) }
}

/// The specimen as far as version 2 knew it.
fn specimen_2(now: Instant) -> Snapshot {
    Snapshot { remembered: None, ..specimen_3(now) }
}

/// The specimen as far as version 1 knew it.
fn specimen_1(now: Instant) -> Snapshot {
    let mut specimen = specimen_2(now);
    let hold = &mut specimen.holds[0];
    (hold.origin, hold.strength, hold.context) = (Origin::Provider, Strength::default(), None);
    hold.demand.is_listed = false;
    specimen.proofs.clear();
    specimen
}

fn vector(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let text = std::str::from_utf8(&digits).expect("digits are ASCII");
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("two digits"))
        .collect()
}

#[test]
fn versions_are_readable_for_ever_and_the_newest_is_what_is_written() {
    let (clock, _hand) = Clock::manual();
    let mut written = encode(&specimen(clock.now()), &clock, None).expect("fits").to_vec();
    written[1..17].fill(0xb0);
    let hex = written.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!(
        hex,
        vector(VECTOR_5).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    );

    for (hex, expected) in [
        (VECTOR_1, specimen_1(clock.now())),
        (VECTOR_2, specimen_2(clock.now())),
        (VECTOR_3, specimen_3(clock.now())),
        (VECTOR_4, specimen(clock.now())),
        (VECTOR_5, specimen(clock.now())),
    ] {
        let mut read = vector(hex);
        read[1..17].copy_from_slice(&clock.boot().0);
        let snapshot = decode(&read, Head::new(), &clock, None).expect("it is readable");
        assert_eq!(shown(&snapshot), shown(&expected));
    }
}

#[test]
fn l12_another_boot_drops_access_tokens_and_counts_holds_anew() {
    let (before, _hand) = Clock::manual();
    let bytes = encode(&specimen(before.now()), &before, None).expect("fits");
    let (after, hand) = Clock::manual();
    hand.advance(Duration::from_secs(5));

    let snapshot = decode(&bytes, Head::new(), &after, None).expect("readable");
    assert!(snapshot.entries.is_empty(), "their age is unknown");
    assert_eq!(snapshot.holds[0].since, after.now());
    assert_eq!(snapshot.holds[0].probe_at, Some(after.now() + Duration::from_secs(21_600)));
    assert_eq!(snapshot.refresh_token.as_ref().map(RefreshToken::seal), Some("v1.refresh"));
    assert_eq!(snapshot.holds[0].context, None, "nobody knows how old its context is");
    assert_eq!(snapshot.proofs[0].at, None, "nor when the person authenticated");
}

#[test]
fn l12_another_machine_on_the_same_store_knows_how_old_everything_is() {
    let (there, _hand) = Clock::manual();
    let (here, hand) = Clock::manual();
    hand.advance(Duration::from_secs(70));
    // The shared time is 5 s ahead there; here, known within 3 ms, it is 61 s behind.
    let known = |ahead_min, ahead_max| SharedTime {
        id: BootId([9; 16]),
        ahead_min,
        ahead_max,
        known_from: 0,
    };
    let (theirs, ours) = (known(5_000_000, 5_000_000), known(-61_001_000, -60_998_000));
    let bytes = encode(&specimen(there.now()), &there, Some(&theirs)).expect("fits");

    let snapshot = decode(&bytes, Head::new(), &here, Some(&ours)).expect("readable");
    let written_at = Duration::from_millis(10_005_000 + 60_998);
    let written_at = Instant::ZERO + written_at;
    assert_eq!(snapshot.entries[0].received_at, written_at, "no later than it was");
    assert_eq!(snapshot.holds[0].since, written_at);
    assert_eq!(snapshot.proofs[0].at, Some(written_at));
    assert!(snapshot.holds[0].context.is_some());

    let other = SharedTime { id: BootId([8; 16]), ..ours };
    for unknown in [None, Some(&other)] {
        let snapshot = decode(&bytes, Head::new(), &here, unknown).expect("readable");
        assert!(snapshot.entries.is_empty() && snapshot.proofs[0].at.is_none());
    }
}

#[test]
fn l12_a_token_from_the_future_has_no_age() {
    let (clock, _hand) = Clock::manual();
    let bytes =
        encode(&specimen(clock.now() + Duration::from_nanos(1)), &clock, None).expect("fits");
    assert!(decode(&bytes, Head::new(), &clock, None).expect("readable").entries.is_empty());
}

#[test]
fn l9_an_mfa_token_is_stored_for_as_long_as_its_context_lasts() {
    let (clock, hand) = Clock::manual();
    let snapshot = specimen(clock.now());
    let holds_it = || {
        let bytes = encode(&snapshot, &clock, None).expect("fits");
        bytes.windows(11).any(|part| part == b"Fe26.secret")
    };
    assert!(holds_it());
    hand.advance(Duration::from_secs(300));
    assert!(!holds_it(), "purged on write");
}

#[test]
fn l14_a_session_that_outgrows_its_record_is_refused() {
    let (clock, _hand) = Clock::manual();
    let mut snapshot = specimen(clock.now());
    let wide = RefreshToken::new(&"x".repeat(RECORD_BYTES_MAX));
    snapshot.refresh_token = Some(wide);
    let refused = encode(&snapshot, &clock, None).expect_err("too large");
    assert!(matches!(refused, RecordFault::TooLarge { bytes } if bytes > RECORD_BYTES_MAX));
}

#[test]
fn a_cut_or_lengthened_record_is_refused() {
    let (clock, _hand) = Clock::manual();
    let bytes = vector(VECTOR_5);
    for end in 0..bytes.len() {
        assert!(decode(&bytes[..end], Head::new(), &clock, None).is_err(), "cut at {end}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(decode(&longer, Head::new(), &clock, None).is_err());
    let newer = [&[6], &bytes[1..]].concat();
    let refused = decode(&newer, Head::new(), &clock, None).expect_err("unknown");
    assert_eq!(refused, RecordFault::UnknownVersion(6));
}

/// Nanoseconds at which a manual clock starts: what was received later has no age.
const PAST: u64 = 10_000_000_000_000;

fn audiences() -> impl Strategy<Value = Audience> {
    "[!-~é]{1,40}".prop_map(|text| Audience::parse(&text).expect("an audience"))
}

fn scopes() -> impl Strategy<Value = ScopeSet> {
    "([a-z:]{1,8} ){0,6}".prop_map(|text| ScopeSet::parse(&text))
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(".{0,12}", 0..4)
}

fn entries() -> impl Strategy<Value = Entry> {
    let span = (any::<u64>(), 0..1_000_000_000_u32);
    (audiences(), ".{1,80}", scopes(), scopes(), 0..=PAST, span, any::<u64>()).prop_map(
        |(audience, token, requested, granted, received, (seconds, nanos), epoch)| Entry {
            audience,
            access_token: AccessToken::new(&token),
            requested,
            granted,
            received_at: Instant::from_nanos(received),
            lifetime: Duration::new(seconds, nanos),
            born_in: Epoch(epoch),
        },
    )
}

fn holds() -> impl Strategy<Value = Hold> {
    let probe = prop_oneof![Just(None), any::<u64>().prop_map(|at| Some(Instant::from_nanos(at)))];
    (audiences(), scopes(), 0..=PAST, probe, names(), names()).prop_map(
        |(audience, scopes, since, probe_at, challenge, enroll)| Hold {
            audience,
            scopes,
            since: Instant::from_nanos(since),
            probe_at,
            demand: MfaDemand { challenge, enroll, ..MfaDemand::default() },
            origin: Origin::Provider,
            strength: Strength::default(),
            context: None,
        },
    )
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    let maybe = || prop::option::of(".{0,80}");
    let seconds = || prop::option::of(any::<u64>().prop_map(UnixSeconds));
    let who = (".{0,40}", ".{0,40}", maybe(), audiences());
    let authentication = (seconds(), maybe(), names());
    let lists = (prop::collection::vec(entries(), 0..5), prop::collection::vec(holds(), 0..4));
    (who, (maybe(), maybe()), authentication, seconds(), lists, any::<u64>()).prop_map(
        |(who, (refresh, id), (at, class, methods), ceiling, (entries, holds), generation)| {
            Snapshot {
                provider: who.0.into(),
                subject: who.1.into(),
                provider_session: who.2.map(Into::into),
                primary: who.3,
                refresh_token: refresh.map(|text| RefreshToken::new(&text)),
                id_token: id.map(|text| IdToken::new(&text)),
                entries,
                holds,
                proofs: Vec::new(),
                remembered: None,
                device: None,
                authentication: Authentication { at, class, methods },
                ceiling,
                head: Head { generation: Generation(generation), ..Head::new() },
            }
        },
    )
}

proptest! {
    #[test]
    fn every_session_survives_its_record(snapshot in snapshots()) {
        let (clock, _hand) = Clock::manual();
        let bytes = encode(&snapshot, &clock, None).expect("fits");
        let read = decode(&bytes, snapshot.head, &clock, None).expect("readable");
        assert_eq!(shown(&read), shown(&snapshot));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let (clock, _hand) = Clock::manual();
        let _ = decode(&bytes, Head::new(), &clock, None);
        for known in [VERSION_1, VERSION_2] {
            if let Some(version) = bytes.first_mut() {
                *version = known;
            }
            let _ = decode(&bytes, Head::new(), &clock, None);
        }
    }

    #[test]
    fn no_flipped_byte_makes_a_reader_panic(at in 0..200_usize, flip in 1..=255_u8) {
        let (clock, _hand) = Clock::manual();
        let mut bytes = vector(VECTOR_2);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        let _ = decode(&bytes, Head::new(), &clock, None);
    }
}
