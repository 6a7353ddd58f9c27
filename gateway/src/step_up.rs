//! Stepping up: a person shows another factor, here or at the provider, and goes on.
//!
//! What is held is held by the framework; these endpoints show it and carry the person's answer.
//! Browsers get pages, programs JSON, from the same addresses: who wants a page says so. The
//! provider's own `mfa_token` never leaves the framework; callers see a sealed handle of it, in
//! bodies only, never in an address.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tokenward::core::name::SessionKey;
use tokenward::core::session::Need;
use tokenward::core::step_up::{Factor, Fields};
use tokenward::step_up::{
    Associated, Association, Authenticator, ChallengeWish, Challenged, HoldView, MfaFault, Verified,
};

use crate::device;
use crate::front::Front;
use crate::pages::{Trouble, wants_page};
use crate::sign_in::{known, moved};

mod about;
mod ask;
mod fault;
mod found;
mod page;
mod picture;
mod redirect;
mod visit;

use about::About;
use ask::{Asked, Associate, Challenge, Place, Verify};
pub(crate) use found::found;
use page::{Code, Screen};
pub(crate) use redirect::{complete, leave};
use visit::Visit;

/// GET /auth/mfa: shows what is held, and the ways to confirm.
pub(crate) async fn page(
    State(front): State<Arc<Front>>,
    uri: Uri,
    headers: HeaderMap,
    place: Result<Query<Place>, QueryRejection>,
) -> Response {
    let place = match ask::place(place) {
        Ok(place) => place,
        Err(trouble) => return trouble.reply(&headers),
    };
    let Some(visit) = Visit::of(&front, &uri, &headers) else {
        if wants_page(&headers) && !visit::is_by_link(&uri) {
            return moved(StatusCode::SEE_OTHER, &About::new(&front, &place).sign_in());
        }
        return visit::nobody(&front, &uri).reply(&headers);
    };
    let place = visit.place(place);
    let about = About::new(&front, &place).before(&visit);
    match shown(&front, &visit, &place, about.clone()).await {
        Ok(screen) => screen.reply(),
        Err(fault) => about.trouble(&front, visit.key(), fault).reply(&headers),
    }
}

/// GET /auth/mfa/authenticators: the ways to confirm, for programs.
pub(crate) async fn authenticators(
    State(front): State<Arc<Front>>,
    uri: Uri,
    headers: HeaderMap,
    place: Result<Query<Place>, QueryRejection>,
) -> Response {
    let place = match ask::place(place) {
        Ok(place) => place,
        Err(trouble) => return trouble.reply(&headers),
    };
    let Some(visit) = Visit::beside_handle(&front, &uri, &headers) else {
        return visit::nobody(&front, &uri).reply(&headers);
    };
    let place = visit.place(place);
    let about = About::new(&front, &place).before(&visit);
    match listed(&front, &visit, &place, &headers).await {
        Ok(listed) => Json(listed).into_response(),
        Err(fault) => about.trouble(&front, visit.key(), fault).reply(&headers),
    }
}

/// POST /auth/mfa/challenge: starts one way to confirm: sends the message, or asks for the code.
pub(crate) async fn challenge(State(front): State<Arc<Front>>, request: Request) -> Response {
    let Asked { headers, key, about, said } = match ask::read::<Challenge>(&front, request).await {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    let factor = match said.factor() {
        Ok(factor) => factor,
        Err(fault) => return about.trouble(&front, &key, fault).reply(&headers),
    };
    let wish = ChallengeWish { factor, authenticator: said.authenticator.clone() };
    match front.tokenward().challenge(&key, &about.mfa_token, &wish).await {
        Ok(challenged) if wants_page(&headers) => challenge_screen(about, challenged).reply(),
        Ok(challenged) => Json(challenged).into_response(),
        Err(fault) => again(&front, &headers, &key, about, fault).await,
    }
}

/// POST /auth/mfa/associate: sets a first factor up; its secrets are shown this once.
pub(crate) async fn associate(State(front): State<Arc<Front>>, request: Request) -> Response {
    let Asked { headers, key, about, said } = match ask::read::<Associate>(&front, request).await {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    let factor = match said.factor() {
        Ok(factor) => factor,
        Err(fault) => return about.trouble(&front, &key, fault).reply(&headers),
    };
    let wish = Association { factor, phone_number: said.phone_number(), email: said.email() };
    match front.tokenward().associate(&key, &about.mfa_token, &wish).await {
        Ok(associated) if wants_page(&headers) => enroll_screen(about, factor, associated).reply(),
        Ok(associated) => Json(associated).into_response(),
        Err(fault) => again(&front, &headers, &key, about, fault).await,
    }
}

/// POST /auth/mfa/verify: confirms; a push that is not answered yet is told as such.
pub(crate) async fn verify(State(front): State<Arc<Front>>, request: Request) -> Response {
    let Asked { headers, key, about, said } = match ask::read::<Verify>(&front, request).await {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    let (otp, binding_code) =
        (ask::digits(said.otp.as_ref()), ask::digits(said.binding_code.as_ref()));
    let fields = Fields {
        otp: otp.as_deref(),
        oob_code: said.oob_code.as_deref(),
        binding_code: binding_code.as_deref(),
        recovery_code: said.recovery_code.as_deref(),
    };
    let verified = match fields.evidence() {
        Ok(evidence) => front.tokenward().verify(&key, &about.mfa_token, evidence).await,
        Err(why) => Err(MfaFault::InvalidRequest(why)),
    };
    match verified {
        Ok(verified) => {
            if about.by_link {
                let need =
                    Need { audience: verified.audience.clone(), scopes: verified.scopes.clone() };
                device::close_link(&front, &key, need).await;
            }
            let ticked = about.ticked;
            let mut reply = done(&headers, about, &verified);
            if ticked {
                known::remember(&front, reply.headers_mut(), &key, &verified.audience).await;
            }
            reply
        }
        Err(fault) => match screen_again(&said, &about, &fault) {
            Some(screen) if wants_page(&headers) => screen.reply(),
            Some(_) | None => again(&front, &headers, &key, about, fault).await,
        },
    }
}

async fn listed(
    front: &Front,
    visit: &Visit,
    place: &Place,
    headers: &HeaderMap,
) -> Result<Vec<Authenticator>, MfaFault> {
    let handle = match ask::handle(headers) {
        Some(handle) => handle,
        None => handle_of(held(front, visit, place).await?.as_ref())?,
    };
    visit.check(front, &handle).await?;
    let mut listed = front.tokenward().authenticators(visit.key(), &handle).await?;
    if visit.is_by_link() {
        listed.iter_mut().for_each(|one| one.name = None);
    }
    Ok(listed)
}

/// Finds what to show for a place: the ways to confirm, or that there is nothing to confirm.
async fn shown(
    front: &Front,
    visit: &Visit,
    place: &Place,
    about: About,
) -> Result<Screen, MfaFault> {
    let Some(view) = held(front, visit, place).await? else {
        return Ok(Screen::nothing(about));
    };
    screen_of(front, visit.key(), about.of(front, &view), &view, None).await
}

/// Returns what is held for a place, with a living context where one is to be had.
///
/// A person is here and waits: a context that has ended is worth one question to the provider.
async fn held(front: &Front, visit: &Visit, place: &Place) -> Result<Option<HoldView>, MfaFault> {
    let is_meant = |view: &HoldView| place.is_for(view) && visit.admits(view);
    let Some(view) = found(front, visit.key(), is_meant, place.need()).await? else {
        return Ok(None);
    };
    if view.by_api || view.by != "provider" {
        return Ok(Some(view));
    }
    let Some(need) = ask::need(&view.audience, &view.scope) else { return Ok(Some(view)) };
    match front.tokenward().renew_hold(visit.key(), &need).await {
        Ok(renewed) => Ok(renewed),
        // Asked a moment ago: what is known will do.
        Err(MfaFault::TooManyAttempts { .. }) => Ok(Some(view)),
        Err(fault) => Err(fault),
    }
}

async fn screen_of(
    front: &Front,
    key: &SessionKey,
    about: About,
    view: &HoldView,
    trouble: Option<String>,
) -> Result<Screen, MfaFault> {
    let listed = match &view.mfa_token {
        Some(handle) if view.by_api => front.tokenward().authenticators(key, handle).await,
        Some(_) | None => Ok(Vec::new()),
    };
    match listed {
        Ok(known) => Ok(Screen::choose(about, view, &known, trouble)),
        // Nothing is set up yet, or the list is not offered: what the demand names is shown.
        Err(MfaFault::Authenticators(_) | MfaFault::EnrollRequired) => {
            Ok(Screen::choose(about, view, &[], trouble))
        }
        Err(fault) => Err(fault),
    }
}

fn handle_of(view: Option<&HoldView>) -> Result<String, MfaFault> {
    match view {
        None => Err(MfaFault::TokenNotFound),
        Some(view) => view.mfa_token.clone().ok_or(MfaFault::RedirectOnly),
    }
}

fn challenge_screen(about: About, challenged: Challenged) -> Screen {
    let Challenged { factor, oob_code, binding_method, interval_s, .. } = challenged;
    match (oob_code, binding_method) {
        (Some(oob_code), None) => Screen::push(about, oob_code, interval_s),
        (Some(oob_code), Some(_)) => Screen::code(about, Code::sent(factor, oob_code), None),
        (None, _) if factor == Factor::RecoveryCode.code() => {
            Screen::code(about, Code::Recovery, None)
        }
        (None, _) => Screen::code(about, Code::Otp, None),
    }
}

fn enroll_screen(about: About, factor: Factor, associated: Associated) -> Screen {
    match associated.barcode_uri {
        Some(address) if associated.oob_code.is_none() => {
            Screen::enroll(about, &address, associated.secret, associated.recovery_codes)
        }
        Some(_) | None => match (associated.oob_code, associated.binding_method) {
            (Some(oob_code), None) => Screen::push(about, oob_code, associated.interval_s),
            (Some(oob_code), Some(_)) => {
                Screen::code(about, Code::sent(factor.code(), oob_code), None)
            }
            (None, _) => Screen::code(about, Code::Otp, None),
        },
    }
}

/// Shows the same form once more where the person may simply try again.
fn screen_again(said: &Verify, about: &About, fault: &MfaFault) -> Option<Screen> {
    let words = || Some(fault::words(fault));
    match fault {
        MfaFault::Pending { retry_after } | MfaFault::SlowDown { retry_after } => {
            let oob_code = said.oob_code.clone()?;
            Some(Screen::push(about.clone(), oob_code, retry_after.as_secs().max(1)))
        }
        MfaFault::WrongCode | MfaFault::InvalidRequest(_) | MfaFault::NotNow { .. } => {
            Some(Screen::code(about.clone(), Code::of(said), words()))
        }
        MfaFault::Authenticators(_)
        | MfaFault::Challenge(_)
        | MfaFault::ChallengeInvalid
        | MfaFault::CodeRefused(_)
        | MfaFault::EnrollRequired
        | MfaFault::Enrollment(_)
        | MfaFault::Verify(_)
        | MfaFault::NoAvailableFactors
        | MfaFault::NotMet { .. }
        | MfaFault::OperatorFault { .. }
        | MfaFault::RedirectOnly
        | MfaFault::Rejected
        | MfaFault::Required(_)
        | MfaFault::SignInRequired { .. }
        | MfaFault::TokenExpired
        | MfaFault::TokenInvalid
        | MfaFault::TokenNotFound
        | MfaFault::TooManyAttempts { .. }
        | MfaFault::WrongPerson => None,
    }
}

/// Tells a fault: to a person with the ways that are left, to a program as a problem.
async fn again(
    front: &Front,
    headers: &HeaderMap,
    key: &SessionKey,
    about: About,
    fault: MfaFault,
) -> Response {
    let goes_on = matches!(
        fault,
        MfaFault::Challenge(_)
            | MfaFault::ChallengeInvalid
            | MfaFault::EnrollRequired
            | MfaFault::Enrollment(_)
            | MfaFault::InvalidRequest(_)
            | MfaFault::Rejected
            | MfaFault::Required(_)
            | MfaFault::Verify(_)
    );
    if wants_page(headers) && goes_on {
        let view = if let MfaFault::Required(hold) = &fault {
            Ok(front.tokenward().view_of(key, hold))
        } else {
            front.tokenward().open_hold(key, &about.mfa_token).await
        };
        let words = Some(fault::words(&fault));
        if let Ok(view) = view
            && let Ok(screen) =
                screen_of(front, key, about.clone().of(front, &view), &view, words).await
        {
            return screen.reply();
        }
    }
    about.trouble(front, key, fault).reply(headers)
}

/// Leads on after a success; a new recovery code is shown first, because it is shown only now.
fn done(headers: &HeaderMap, about: About, verified: &Verified) -> Response {
    let recovery_code = verified.recovery_code.as_ref().map(|code| code.expose().to_owned());
    if wants_page(headers) {
        return match recovery_code {
            Some(code) => Screen::done(about, code).reply(),
            None => moved(StatusCode::SEE_OTHER, &about.return_to),
        };
    }
    let mut told = json!({
        "audience": verified.audience.as_str(),
        "scope": verified.scopes.to_string(),
        "return_to": about.return_to,
    });
    if let Some(code) = recovery_code {
        told["recovery_code"] = json!(code);
    }
    Json(told).into_response()
}

/// Returns the path of the page for what is held.
pub(crate) fn address(prefix: &str, view: &HoldView, return_to: Option<&str>) -> String {
    about::address(prefix, &view.audience, &view.scope, return_to)
}

/// Adds what a program needs to go on to a trouble that is a hold.
pub(crate) fn with_hold(trouble: Trouble, view: &HoldView, step_up_uri: &str) -> Trouble {
    let told = members(view, Some(step_up_uri));
    told.into_iter().fold(trouble, |trouble, (name, value)| trouble.with(name, value))
}

/// Returns all that a program needs to go on with a hold: what is held, and where a person meets it,
/// where that is known.
pub(crate) fn members(view: &HoldView, step_up_uri: Option<&str>) -> Map<String, Value> {
    let mut told = match serde_json::to_value(view) {
        Ok(Value::Object(told)) => told,
        // A view is an object of texts and numbers, which is written without fail.
        Ok(_) | Err(_) => Map::new(),
    };
    if let Some(step_up_uri) = step_up_uri {
        told.insert("step_up_uri".to_owned(), step_up_uri.into());
    }
    told
}
