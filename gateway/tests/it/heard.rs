//! What of a reply may hold which secret: some are given to callers on purpose, and nowhere else.

use http::header::SET_COOKIE;
use serde_json::Value;
use tokenward_sandbox::secrecy::{Kind, Watch};

use super::desk::Reply;

/// Where factors are shown to the person whom they belong to: the handle of a challenge, the
/// secret of a new authenticator, a new recovery code.
const SHOWN: [&str; 3] = ["/auth/mfa/associate", "/auth/mfa/challenge", "/auth/mfa/verify"];

/// What a display that signs in is told, and nobody else: its code, then the handle of its session,
/// which RFC 8628 calls an access token.
const OF_DISPLAYS: [(&str, &str, Kind); 2] = [
    ("/auth/device/code", "device_code", Kind::DeviceCode),
    ("/auth/device/token", "access_token", Kind::SessionHandle),
];

/// Notes everything of a reply but what it is to carry: cookies, handles, the ID token of a logout,
/// and a factor where it is set up or used.
///
/// The sealed handle of a demand is learned like a secret: no log, address or metric may have it.
pub(super) fn note(watch: &Watch, place: &str, reply: &Reply) {
    for line in reply.headers.get_all(SET_COOKIE) {
        let pair = line.to_str().unwrap().split(';').next().unwrap();
        watch.secrets().learn(Kind::Cookie, pair.split_once('=').unwrap().1);
    }
    let path = place.split(['?', ' ']).nth(1).unwrap_or_default();
    let handles = handles(path, &reply.body);
    for (kind, handle) in &handles {
        watch.secrets().learn(*kind, handle);
    }
    let mut headers = reply.headers.clone();
    headers.remove(SET_COOKIE);
    let headers = without_hint(&format!("{headers:?}"));
    watch.note(&format!("the header of {place}"), headers);

    let mut body = without_hint(&reply.body);
    for (_, handle) in handles.iter().filter(|(_, handle)| !handle.is_empty()) {
        body = body.replace(handle, "");
    }
    if SHOWN.contains(&path) {
        let leaks = watch.secrets().search().look(place, body.as_bytes());
        let leaks: Vec<_> =
            leaks.into_iter().filter(|leak| leak.kind != Some(Kind::Factor)).collect();
        assert!(leaks.is_empty(), "{leaks:#?}");
    } else {
        watch.note(place, body);
    }
}

/// Leaves out the ID token of a logout, which goes to the provider through the browser, or is told
/// to programs (OpenID Connect RP-Initiated Logout §2).
fn without_hint(text: &str) -> String {
    let mut parts = text.split("id_token_hint=");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(
            part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c)),
        );
    }
    kept
}

/// Returns the handles in a problem document, a listing, an adoption's answer, a display's sign-in
/// or a page.
fn handles(path: &str, body: &str) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    if let Ok(document) = serde_json::from_str(body) {
        collect(&document, &mut found);
        let given = OF_DISPLAYS.into_iter().filter(|(at, ..)| *at == path);
        found.extend(given.filter_map(|(_, name, kind)| {
            document[name].as_str().map(|secret| (kind, secret.to_owned()))
        }));
    }
    for field in body.split("name=\"mfa_token\" value=\"").skip(1) {
        found.extend(field.split('"').next().map(|handle| (Kind::MfaToken, handle.to_owned())));
    }
    found
}

fn collect(document: &Value, found: &mut Vec<(Kind, String)>) {
    for (name, kind) in [("mfa_token", Kind::MfaToken), ("handle", Kind::SessionHandle)] {
        found.extend(document[name].as_str().map(|handle| (kind, handle.to_owned())));
    }
    let (members, items) = (document.as_object(), document.as_array());
    members.into_iter().flatten().for_each(|(_, member)| collect(member, found));
    items.into_iter().flatten().for_each(|item| collect(item, found));
}
