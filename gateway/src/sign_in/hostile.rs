//! Fuzz targets: the cookies of browsers that were away. What was not sealed here opens nothing,
//! and what was means the same each time.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokenward::core::time::UnixSeconds;
use tokenward::store::seal::Purpose;
use tokenward_fuzz::fuzz;

use super::*;
use crate::hostile::{COOKIE, Endpoints};

/// The state of the sign-in that the corpora tell of.
const STATE: &str = "SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS";

/// The longest cookie that browsers keep (RFC 6265 §6.1).
const BROWSERS_KEEP: usize = 4_096;

/// The sign-ins that one browser may have under way.
const AT_ONCE: usize = 5;

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

fn carrying(name: &str, value: &[u8]) -> Option<HeaderMap> {
    let cookie = [name.as_bytes(), b"=", value].concat();
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_bytes(&cookie).ok()?);
    Some(headers)
}

fn sealed(purpose: Purpose, place: &[u8], plain: &[u8]) -> String {
    let ring = Endpoints::open().front.tokenward().vault().ring();
    URL_SAFE_NO_PAD.encode(ring.seal(purpose, place, plain).unwrap())
}

/// Replaces `BOOT` by the boot of this machine, so that the age of a sign-in is known.
fn of_this_boot(bytes: &[u8]) -> Vec<u8> {
    let boot = Endpoints::open().front.tokenward().clock().boot().0;
    match std::str::from_utf8(bytes) {
        Ok(text) => text.replace("\"BOOT\"", &format!("{boot:?}")).into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

/// Returns everything that is known of a sign-in but its age.
fn told(Recalled { pending, errand, .. }: &Recalled) -> (String, String, String) {
    let Pending { state, nonce, code_verifier, issuer, audience, scopes, return_to } = pending;
    let errand = match errand {
        Errand::SignIn => "a session of its own".to_owned(),
        Errand::Display(code) => code.to_string(),
        Errand::StepUp(Stepping { session, remember, by_link }) => {
            format!("{:?} {remember} {by_link}", session.0)
        }
    };
    let verifier = code_verifier.expose();
    let rest = format!("{state:?} {nonce:?} {verifier:?} {issuer:?} {audience:?} {scopes}");
    (rest, errand, return_to.clone())
}

// The input is what the cookie holds inside.
fuzz!(pending_sign_ins, |bytes| {
    let front = &Endpoints::open().front;
    let slot = Slot::of(STATE).unwrap();
    let name = slot.cookie(COOKIE);
    let found = |value: &[u8]| pending::recall(front, &carrying(&name, value)?, &slot);
    assert!(found(bytes).is_none(), "nobody sealed it");
    assert!(found(URL_SAFE_NO_PAD.encode(bytes).as_bytes()).is_none(), "nobody sealed it");
    let plain = of_this_boot(bytes);
    let kept = sealed(Purpose::Cookie, b"sign-in SSSSSSSS", &plain);
    let Some(first) = found(kept.as_bytes()) else { return };
    let Some(own) = Slot::of(&first.pending.state) else { return };
    let mut reply = HeaderMap::new();
    let none = HeaderMap::new();
    pending::remember(front, &none, &mut reply, &first.pending, first.errand)
        .expect("what was read can be kept");
    let [ref set] = set_cookies(&reply)[..] else { panic!("{reply:?}") };
    let (set_name, value) = set.split_once('=').expect("a value");
    assert_eq!(set_name, own.cookie(COOKIE));
    let headers = carrying(set_name, value.as_bytes()).expect("a header");
    let again = pending::recall(front, &headers, &own).expect("what was kept is found");
    assert!(again.age.is_some_and(|age| age < Duration::from_secs(600)));
    let (first, again) = (told(&first), told(&again));
    assert_eq!((&first.0, &first.1), (&again.0, &again.1));
    assert!(first.2 == again.2 || again.2 == "/" && plain.len() > BROWSERS_KEEP / 2, "{again:?}");
});

/// Returns the cookies that a reply sets, after checking what they say of themselves.
fn set_cookies(reply: &HeaderMap) -> Vec<String> {
    let lines = reply.get_all(header::SET_COOKIE).into_iter();
    lines
        .map(|line| {
            let line = std::str::from_utf8(line.as_bytes()).expect("text").to_owned();
            let (pair, attributes) = line.split_once("; ").expect("attributes");
            let of_age = attributes.strip_prefix("HttpOnly; SameSite=Lax; Path=/; Max-Age=");
            assert!(of_age.is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{line}");
            assert!(line.starts_with("tokenward-in-"), "{line}");
            pair.to_owned()
        })
        .collect()
}

// Each line is a Cookie header; `SEALED` in it stands for a sign-in that was started a while ago.
fuzz!(cookie_jars, |bytes| {
    let front = &Endpoints::open().front;
    let text = of_this_boot(include_bytes!("../../../loadtest/fuzz/corpus/pending_sign_ins/own"));
    let old = sealed(Purpose::Cookie, b"sign-in SSSSSSSS", &text);
    let lines = match std::str::from_utf8(bytes) {
        Ok(text) => text.replace("SEALED", &old).into_bytes(),
        Err(_) => bytes.to_vec(),
    };
    let mut asked = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        asked.append(header::COOKIE, value);
    }
    let slot = Slot::of(STATE).unwrap();
    let found = carrying(&slot.cookie(COOKIE), old.as_bytes());
    let Recalled { pending, errand, .. } =
        found.and_then(|found| pending::recall(front, &found, &slot)).expect("the corpus opens");
    let mut reply = HeaderMap::new();
    pending::remember(front, &asked, &mut reply, &pending, errand).expect("there is room");

    let set = set_cookies(&reply);
    let (last, removed) = set.split_last().expect("the new one");
    assert!(last.starts_with(&format!("{}=", slot.cookie(COOKIE))) && last.len() < BROWSERS_KEEP);
    let name_of = |pair: &str| pair.split_once('=').map(|(name, _)| name.to_owned());
    let removed: BTreeSet<String> = removed
        .iter()
        .map(|pair| pair.strip_suffix('=').expect("it is emptied").to_owned())
        .collect();
    let is_slot = |name: &&str| name.strip_prefix("tokenward-in-").is_some_and(|s| s.len() == 8);
    let left: BTreeSet<&str> = pending::cookies(&asked)
        .map(|(name, _)| name)
        .filter(is_slot)
        .filter(|name| !removed.contains(*name) && name_of(last).as_deref() != Some(name))
        .collect();
    assert!(left.len() < AT_ONCE, "{left:?} stay beside the new one");
});

// The input is what the cookie holds inside.
fuzz!(remembered_browsers, |bytes| {
    let front = &Endpoints::open().front;
    let name = format!("{COOKIE}-known");
    let found = |value: &[u8]| known::recall(front, &carrying(&name, value)?);
    assert!(found(bytes).is_none(), "nobody sealed it");
    assert!(found(URL_SAFE_NO_PAD.encode(bytes).as_bytes()).is_none(), "nobody sealed it");
    let kept = sealed(Purpose::Known, name.as_bytes(), bytes);
    let Some(known) = found(kept.as_bytes()) else { return };
    let inside: Value = serde_json::from_slice(bytes).expect("JSON");
    assert_eq!(inside["issuer"], "http://localhost:9/");
    let Some(shown) = known.of("ada", NOW) else { return };
    assert_eq!(inside["subject"], "ada");
    let age = inside["at"].as_u64().and_then(|at| NOW.0.checked_sub(at)).expect("the past");
    assert!(shown.age == Duration::from_secs(age));
    assert!(inside["for_s"].as_u64().is_some_and(|for_s| age < for_s), "it is too old");
});
