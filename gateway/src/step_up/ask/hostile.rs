//! Fuzz targets: what callers say to the endpoints of a step-up. It is answered without a word of
//! it, and as a form it means what it means as JSON.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tokenward::SessionHandle;
use tokenward::core::step_up::{Evidence, Fields};
use tokenward::store::seal::Purpose;
use tokenward_fuzz::fuzz;

use super::*;
use crate::hostile::{COOKIE, Endpoints};

/// A session's handle, whose session nobody knows.
const SESSION: &str = "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Makes the handle of a hold: sealed as ours are, for the session, and of no hold that there is.
fn mfa_token(front: &Front) -> String {
    let key = SessionHandle::parse(SESSION).unwrap().key();
    let boot = front.tokenward().clock().boot().0;
    let plain = [&[7; 32][..], &boot, &u64::MAX.to_be_bytes()].concat();
    let ring = front.tokenward().vault().ring();
    URL_SAFE_NO_PAD.encode(ring.seal(Purpose::StepUp, &key.0, &plain).unwrap())
}

// The first line says `ENDPOINT KIND`, and `page` where a person waits; the rest is the body, in
// which `HANDLE` stands for the handle of a hold.
fuzz!(step_up_bodies, |bytes| {
    let endpoints = Endpoints::open();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let line = String::from_utf8_lossy(&bytes[..end]);
    let mut words = line.split(' ');
    let endpoint = match words.next() {
        Some("challenge") => "challenge",
        Some("associate") => "associate",
        Some(_) | None => "verify",
    };
    let kind = words.next().unwrap_or_default();
    let accept = if words.next() == Some("page") { "text/html" } else { "application/json" };
    let body = bytes.get(end + 1..).unwrap_or_default();
    let body = match std::str::from_utf8(body) {
        Ok(text) => text.replace("HANDLE", &mfa_token(&endpoints.front)).into_bytes(),
        Err(_) => body.to_vec(),
    };
    let request = axum::http::Request::post(format!("/auth/mfa/{endpoint}"))
        .header(header::CONTENT_TYPE, kind)
        .header(header::ACCEPT, accept)
        .header(header::COOKIE, format!("{COOKIE}={SESSION}"));
    let Ok(request) = request.body(Body::from(body)) else { return };
    let answer = endpoints.ask(request);
    answer.check();
    // The session is over, and nothing can come of it; a person may be shown the form once more.
    let status = answer.status.as_u16();
    assert!(matches!(status, 400 | 401) || status == 200 && accept == "text/html", "{answer:?}");
    if accept == "application/json" {
        let told: Value = serde_json::from_str(&answer.body).expect("JSON");
        let known = ["invalid_request", "login_required", "mfa_token_invalid"];
        assert!(told["error"].as_str().is_some_and(|error| known.contains(&error)), "{answer:?}");
    }
});

fuzz!(step_up_forms, |bytes| {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(bytes).into_owned().collect();
    let count = pairs.len();
    let object: Map<String, Value> =
        pairs.into_iter().map(|(name, value)| (name, value.into())).collect();
    if object.len() < count {
        return;
    }
    let json = Value::Object(object).to_string();
    same(bytes, &json, |said: Challenge| {
        let factor = said.factor().ok();
        (said.place.meant(), said.mfa_token, factor, said.authenticator)
    });
    same(bytes, &json, |said: Associate| {
        let (factor, number) = (said.factor().ok(), said.phone_number());
        assert!(number.as_ref().is_none_or(|number| !number.contains(char::is_whitespace)));
        (said.place.meant(), factor, number, said.email())
    });
    same(bytes, &json, |said: Verify| {
        let (otp, binding_code) = (digits(said.otp.as_ref()), digits(said.binding_code.as_ref()));
        let fields = Fields {
            otp: otp.as_deref(),
            oob_code: said.oob_code.as_deref(),
            binding_code: binding_code.as_deref(),
            recovery_code: said.recovery_code.as_deref(),
        };
        let evidence = fields.evidence();
        assert!(!matches!(&evidence, Ok(Evidence::Otp(_))) || otp.is_some());
        (said.place.meant(), said.mfa_token.clone(), evidence)
    });
});

impl Place {
    fn meant(&self) -> (Option<String>, Option<String>, Option<String>, bool) {
        (self.audience.clone(), self.scope.clone(), self.return_to.clone(), self.is_ticked())
    }
}

/// Checks that a form and the JSON object of its pairs are both read alike, or both are not.
fn same<T: DeserializeOwned, M: PartialEq>(form: &[u8], json: &str, meaning: impl Fn(T) -> M) {
    let read = |kind: &str, said: Vec<u8>| {
        let request = Request::post("/").header(header::CONTENT_TYPE, kind);
        let request = request.body(Body::from(said)).unwrap();
        Endpoints::open().wait(body::<T>(request)).map(&meaning)
    };
    let as_form = read("application/x-www-form-urlencoded", form.to_vec());
    let as_json = read("application/json", json.into());
    assert!(as_form.is_some() == as_json.is_some(), "one is refused: {json}");
    assert!(as_form == as_json, "they differ: {json}");
}
