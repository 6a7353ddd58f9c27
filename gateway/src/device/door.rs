//! Where a person brings a code: `/d` to type it, `/d/CODE` to be asked about it.
//!
//! Opening the address of a code does nothing: a yes is a click of the person on our own page, in
//! the browser that was shown it, after a look at the display (RFC 8628 §5.4).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use askama::Template as _;
use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokenward::SessionHandle;
use tokenward::core::device_sign_in::codes::Wish;
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::store::seal::Purpose;

use super::authorize::visitor;
use super::desk::Found;
use super::form::{Form, No, switched_off};
use super::page::{AskPage, TypePage, done, in_words, shown, trouble};
use super::pass::{CONFIRMED, LATER};
use super::{Astray, ROOT, link, place_of};
use crate::front::Front;
use crate::pages::{Allowed, Trouble};
use crate::sign_in::pending::cookies;
use crate::sign_in::{self, bad_query, failure, jar, moved};
use crate::step_up;

/// How long a browser may think about a code: as long as the longest code lives.
const THINKING: Duration = Duration::from_secs(3_600);

/// What was typed.
#[derive(Deserialize)]
pub(super) struct Typed {
    code: Option<String>,
}

/// Returns the pages, each under its full path. Of the step-up those are there that show a factor;
/// who has only seen a display's link sets none up.
pub(crate) fn pages() -> Router<Arc<Front>> {
    let at = |path: &str| format!("{ROOT}{path}");
    Router::new()
        .route(ROOT, get(typing))
        .route(&at("/"), get(typing))
        .route(&at("/signed-in"), get(signed_in))
        .route(CONFIRMED, get(confirmed))
        .route(LATER, get(later))
        .route(&at("/mfa"), get(step_up::page))
        .route(&at("/mfa/redirect"), get(step_up::leave))
        .route(&at("/mfa/authenticators"), get(step_up::authenticators))
        .route(&at("/mfa/challenge"), post(step_up::challenge))
        .route(&at("/mfa/verify"), post(step_up::verify))
        .route(&at("/{code}"), get(asking).post(answered))
}

/// Returns the address of the page that ends a sign-in.
pub(crate) fn signed_in_page() -> String {
    format!("{ROOT}/signed-in")
}

/// GET /d: asks for a code, and leads to it.
async fn typing(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    typed: Result<Query<Typed>, QueryRejection>,
) -> Response {
    if front.config().device.is_none() {
        return switched_off().reply(&headers);
    }
    let typed = match typed {
        Ok(Query(typed)) => typed,
        Err(rejection) => return bad_query(&rejection).reply(&headers),
    };
    let typed = typed.code.filter(|code| !code.trim().is_empty());
    let trouble = match typed.map(|code| UserCode::parse(&code)) {
        Some(Ok(code)) => return moved(StatusCode::SEE_OTHER, &format!("{ROOT}/{code}")),
        Some(Err(_)) => Some("A code has eight letters, none of them A, E, I, O, U or Y."),
        None => None,
    };
    shown(Allowed::Forms, |nonce| TypePage { nonce, trouble }.render())
}

/// GET /d/{code}: shows what a code asks for.
async fn asking(
    State(front): State<Arc<Front>>,
    code: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (head, _) = request.into_parts();
    let asked = asked(&front, &head, &written(code)).await;
    asked.unwrap_or_else(|trouble| trouble.reply(&head.headers))
}

async fn asked(front: &Front, head: &Parts, code: &str) -> Result<Response, Trouble> {
    let (code, place) = known(front, head, code)?;
    match front.displays().look(place, code).await.map_err(trouble)? {
        Found::SignIn(wish, left) => ask(front, &head.headers, code, &wish, left),
        Found::StepUp(linked) => link::open(front, code, &linked).await,
    }
}

/// Asks a person whether the display that shows this code may sign in.
fn ask(
    front: &Front,
    headers: &HeaderMap,
    code: UserCode,
    wish: &Wish,
    left: Duration,
) -> Result<Response, Trouble> {
    let cookie = browser(front, headers);
    let proof = proof(front, code, &cookie)?;
    let audiences: Vec<String> = wish.audiences.iter().map(ToString::to_string).collect();
    let (code, left) = (code.to_string(), in_words(left));
    let mut reply = shown(Allowed::FormsThatLeave, |nonce| {
        let (kind, audiences) = (wish.kind.as_str(), audiences.as_slice());
        AskPage { nonce, code: &code, kind, audiences, left: &left, proof: &proof }.render()
    });
    let config = front.config();
    let name = name(&config.session.cookie);
    jar::put(reply.headers_mut(), &name, &cookie, config.is_https(), THINKING);
    Ok(reply)
}

/// POST /d/{code}: takes a person's yes or no.
async fn answered(
    State(front): State<Arc<Front>>,
    code: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let said = match Form::read(&head.headers, body).await.and_then(|form| Said::of(&form)) {
        Ok(said) => said,
        Err(no) => return no.reply(&head.headers),
    };
    match taken(&front, &head, &written(code), &said).await {
        Ok(reply) => reply,
        Err(trouble) => trouble.reply(&head.headers),
    }
}

/// GET /d/signed-in: where a person ends who has approved a display.
async fn signed_in() -> Response {
    let detail = "It goes on by itself in a few seconds. You can close this page.";
    done(true, "The display is signed in", detail)
}

/// GET /d/confirmed: where a person ends who has shown a factor for a display.
async fn confirmed() -> Response {
    let detail = "The display goes on by itself in a few seconds. You can close this page.";
    done(true, "Confirmed", detail)
}

/// GET /d/later: where a person ends who has opened a display's link and thought better of it.
async fn later() -> Response {
    let detail = "The display goes on asking. Scan what it shows once more when you want to \
                  confirm.";
    done(false, "Nothing was confirmed", detail)
}

/// A person's answer.
struct Said {
    yes: bool,
    proof: String,
}

impl Said {
    fn of(form: &Form) -> Result<Self, No> {
        let yes = form.one("answer")? == Some("yes");
        Ok(Self { yes, proof: form.one("proof")?.unwrap_or_default().to_owned() })
    }
}

async fn taken(front: &Front, head: &Parts, code: &str, said: &Said) -> Result<Response, Trouble> {
    front.guard(&head.headers, &head.uri)?;
    let (code, place) = known(front, head, code)?;
    check_proof(front, &head.headers, code, &said.proof)?;
    let found = front.displays().look(place, code).await.map_err(trouble)?;
    let Found::SignIn(wish, _) = found else { return Err(trouble(Astray::Wrong)) };
    if said.yes {
        return sign_in::depart_for_display(front, (&head.headers, &head.uri), code, &wish).await;
    }
    front.displays().deny(code).await.map_err(trouble)?;
    tracing::info!(kind = wish.kind.as_str(), %place, "a person refused a device");
    let detail = "Nobody was signed in. The display says so, too. If you did not expect this \
                  question, it is good that you said no.";
    Ok(done(false, "The display stays signed out", detail))
}

/// Returns what stands in an address where a code belongs; nothing for what is no text.
fn written(code: Result<Path<String>, PathRejection>) -> String {
    code.map(|Path(code)| code).unwrap_or_default()
}

/// Reads the code of an address, where devices may sign in at all.
fn known(front: &Front, head: &Parts, code: &str) -> Result<(UserCode, IpAddr), Trouble> {
    let config = front.config();
    if config.device.is_none() {
        return Err(switched_off());
    }
    let place = place_of(&config, visitor(head)?, &head.headers);
    // What cannot be a code guesses at nothing.
    UserCode::parse(code).map(|code| (code, place)).map_err(|_| trouble(Astray::Wrong))
}

/// Returns what this browser is known by while it looks at codes; drawn where it has nothing yet.
fn browser(front: &Front, headers: &HeaderMap) -> String {
    let drawn = || SessionHandle::random().expose().to_string();
    carried(front, headers).unwrap_or_else(drawn)
}

fn carried(front: &Front, headers: &HeaderMap) -> Option<String> {
    let name = name(&front.config().session.cookie);
    let mut values = cookies(headers).filter(|(found, _)| *found == name).map(|(_, value)| value);
    let value = values.next()?;
    (values.next().is_none() && SessionHandle::parse(value).is_ok()).then(|| value.to_owned())
}

/// Makes what the form of a page carries: it opens for one code in one browser.
fn proof(front: &Front, code: UserCode, cookie: &str) -> Result<String, Trouble> {
    let ring = front.tokenward().vault().ring();
    let sealed = ring.seal(Purpose::Cookie, &bound_to(code, cookie), b"").map_err(|fault| {
        tracing::error!(%fault, "a page cannot be bound to its browser");
        failure::ours()
    })?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

fn check_proof(
    front: &Front,
    headers: &HeaderMap,
    code: UserCode,
    proof: &str,
) -> Result<(), Trouble> {
    let ring = front.tokenward().vault().ring();
    let opened = carried(front, headers).zip(URL_SAFE_NO_PAD.decode(proof).ok());
    let opened = opened.and_then(|(cookie, sealed)| {
        ring.open_sealed(Purpose::Cookie, &bound_to(code, &cookie), &sealed).ok()
    });
    opened.map(|_| ()).ok_or_else(|| {
        Trouble::new(
            StatusCode::FORBIDDEN,
            "stale_page",
            "Please look at it once more",
            "The answer does not come from a page that this browser was shown, or the page is too \
             old. Open the code again, in a browser that keeps cookies.",
        )
        .way_out("Open the code again", format!("{ROOT}/{code}"))
    })
}

fn bound_to(code: UserCode, cookie: &str) -> Vec<u8> {
    format!("display {code} {cookie}").into_bytes()
}

/// The name begins like the session cookie's, so that no upstream ever sees it.
fn name(session_cookie: &str) -> String {
    format!("{session_cookie}-door")
}
