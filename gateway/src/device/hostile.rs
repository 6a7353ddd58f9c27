//! Fuzz targets: what devices send, and the browsers of people who stand before them.

use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Request, header};
use serde_json::Value;
use tokenward::core::device_sign_in::codes::{DeviceKind, KIND_CHARS_MAX, Wish};
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::core::name::Audience;
use tokenward::core::scope::ScopeSet;
use tokenward::store::seal::Purpose;
use tokenward_fuzz::fuzz;

use super::desk::Opened;
use super::form::{Form, No};
use super::{Pass, authorize, kept};
use crate::hostile::{Answer, COOKIE, Endpoints, MARK};

const FORM: &str = "application/x-www-form-urlencoded";

/// The code of a display that waits for its person all the time.
fn waiting() -> &'static (String, UserCode) {
    static WAITING: OnceLock<(String, UserCode)> = OnceLock::new();
    WAITING.get_or_init(|| {
        let front = &Endpoints::open().front;
        let mut terms = front.config().device.as_ref().unwrap().terms;
        terms.lifetime = Duration::from_secs(86_400);
        let wish = Wish {
            kind: DeviceKind::parse("display").unwrap(),
            audiences: vec![Audience::parse("https://api.example").unwrap()],
            scopes: ScopeSet::default(),
        };
        let place = [192, 0, 2, 2].into();
        let opened = Endpoints::open().wait(front.displays().open(place, &wish, terms));
        let Ok(Opened { device_code, user_code }) = opened else {
            panic!("no code is open yet");
        };
        (device_code.expose().to_string(), user_code)
    })
}

/// Reads `ENDPOINT` from the first line, and takes the rest for the form; `DEVICE` and `USER` in it
/// stand for the codes of a display that waits.
fn split(bytes: &[u8]) -> (&[u8], Vec<u8>) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let body = bytes.get(end + 1..).unwrap_or_default();
    let (device_code, user_code) = waiting();
    let body = match std::str::from_utf8(body) {
        Ok(text) => {
            text.replace("DEVICE", device_code).replace("USER", &user_code.to_string()).into_bytes()
        }
        Err(_) => body.to_vec(),
    };
    (&bytes[..end], body)
}

fn posted(path: &str, body: Vec<u8>) -> Answer {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, FORM)
        .header(header::COOKIE, format!("{COOKIE}-door={}", &waiting().0[..43]));
    Endpoints::open().ask(request.body(Body::from(body)).unwrap())
}

fuzz!(device_forms, |bytes| {
    let (endpoint, body) = split(bytes);
    match endpoint {
        b"code" => wished(body),
        b"door" => {
            // No form answers for a person whom no page was shown.
            let answer = posted(&format!("/d/{}", waiting().1), body);
            assert!(matches!(answer.status.as_u16(), 400 | 403), "{answer:?}");
            answer.check();
        }
        _ => {
            let answer = posted("/auth/device/token", body);
            answer.check();
            let told: Value = serde_json::from_str(&answer.body).expect("JSON");
            let known = ["authorization_pending", "slow_down", "invalid_grant", "invalid_request"];
            let error = told["error"].as_str().unwrap_or_default();
            let known = known.contains(&error) || error == "unsupported_grant_type";
            assert!(answer.status == 400 && known, "{answer:?}");
        }
    }
});

/// Reads the form of a device that asks for a code: what it gets is what its kind may have.
fn wished(body: Vec<u8>) {
    let endpoints = Endpoints::open();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FORM));
    let form = match endpoints.wait(Form::read(&headers, Body::from(body.clone()))) {
        Ok(form) => form,
        Err(no) => panic!("a short form is read: {no:?}"),
    };
    let allowed = &endpoints.front.config().device.as_ref().unwrap().audiences.clone();
    match authorize::wish(&endpoints.front, allowed, &form) {
        Ok(Wish { kind, audiences, scopes }) => {
            assert!(audiences == *allowed, "one may be asked for, and one is there: {audiences:?}");
            let known = ScopeSet::parse("read:api openid profile email offline_access");
            assert!(scopes.iter().all(|scope| known.contains(scope)), "{scopes}");
            let kind = kind.as_str();
            assert!(kind.len() <= KIND_CHARS_MAX, "{kind}");
            assert!(kind.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{kind}");
            for name in ["client_id", "scope"] {
                let pairs = url::form_urlencoded::parse(&body);
                let said = pairs.filter(|(key, value)| key == name && !value.is_empty());
                assert!(said.count() <= 1, "{name} is there twice");
            }
        }
        Err(No::Oauth(error, description)) => {
            assert!(!error.contains(MARK) && !description.contains(MARK));
        }
        Err(No::Trouble(trouble)) => panic!("{trouble:?}"),
    }
}

fuzz!(user_codes, |bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(code) = UserCode::parse(text) {
        let shown = code.to_string();
        assert_eq!(UserCode::parse(&shown), Ok(code), "{text:?}");
        let letters = |text: &str| -> Vec<char> {
            let letters = text.chars().filter(char::is_ascii_alphabetic);
            letters.map(|letter| letter.to_ascii_uppercase()).collect()
        };
        assert_eq!(letters(&shown), letters(text), "{text:?} is read as {shown}");
        assert_eq!((shown.len(), shown.as_bytes()[4]), (9, b'-'));
    }
    let escaped: String = url::form_urlencoded::byte_serialize(bytes).collect();
    for path in [format!("/d/{text}"), format!("/d?code={text}"), format!("/d?code={escaped}")] {
        let Ok(request) = Request::get(path).body(Body::empty()) else { continue };
        let answer = Endpoints::open().ask(request);
        let status = answer.status.as_u16();
        assert!(matches!(status, 200 | 303 | 400 | 404 | 405 | 410 | 429), "{answer:?}");
        answer.check();
        if let Some(place) = answer.headers.get(header::LOCATION) {
            let place = place.to_str().expect("plain text");
            assert!(place.strip_prefix("/d/").is_some_and(|code| UserCode::parse(code).is_ok()));
        }
    }
});

// The input is what a note on the store's board says inside.
fuzz!(display_notes, |bytes| {
    let vault = Endpoints::open().front.tokenward().vault();
    match kept::read(bytes, vault) {
        Ok(kept) => {
            let written = kept::write(&kept, vault).expect("what was read can be written");
            assert_eq!(kept::read(&written, vault), Ok(kept));
        }
        Err(fault) => assert!(!fault.to_string().contains(MARK)),
    }
});

// The input is what a cookie holds inside; `BOOT` in it stands for the boot of this machine.
fuzz!(passes, |bytes| {
    let front = &Endpoints::open().front;
    let (clock, ring) = (front.tokenward().clock(), front.tokenward().vault().ring());
    let name = format!("{COOKIE}-pass");
    let found = |value: &[u8]| {
        let cookie = [name.as_bytes(), b"=", value].concat();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_bytes(&cookie).ok()?);
        Pass::of(front, &headers)
    };
    assert!(found(bytes).is_none(), "nobody sealed it");
    assert!(found(URL_SAFE_NO_PAD.encode(bytes).as_bytes()).is_none(), "nobody sealed it");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let plain = text.replace("\"BOOT\"", &format!("{:?}", clock.boot().0));
    let place = format!("held display {name}");
    let sealed = ring.seal(Purpose::Cookie, place.as_bytes(), plain.as_bytes()).unwrap();
    let before = clock.now().as_nanos();
    let Some(pass) = found(URL_SAFE_NO_PAD.encode(sealed).as_bytes()) else { return };
    let inside: Value = serde_json::from_str(&plain).expect("JSON");
    assert_eq!(inside["boot"], serde_json::json!(clock.boot().0), "{text}");
    assert!(inside["until"].as_u64().is_some_and(|until| until > before), "{text}");
    assert_eq!(inside["audience"].as_str(), Some(pass.need().audience.as_str()));
    assert_eq!(inside["session"], serde_json::json!(pass.session().0));
});
