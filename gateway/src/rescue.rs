//! Turns every way in which a request can fail into one reply; the only place that does.
//!
//! A phase says what is wrong and knows no status; here each wrong has its status, its code, its
//! sentence and the headers that tell the caller what to do next.

use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use percent_encoding::utf8_percent_encode;
use tokenward::AccessError;
use tokenward::step_up::HoldView;

use crate::forward::{ReplyBody, UpstreamFault};
use crate::path::PathFault;
use crate::problem::Problem;
use crate::route::Astray;
use crate::sign_in::QUERY_VALUE;
use crate::step_up;
use crate::tokens::Unlinked;

/// Why a request is not answered by its upstream.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// When there is no access token for it.
    Access(AccessError),
    /// When the body is longer than the route allows.
    BodyTooLarge,
    /// When one of the caller's chunks broke the protocol before anything was answered.
    BrokenBody,
    /// When a control endpoint panicked: our bug.
    ControlFailed,
    /// When a browser was made to send it by a foreign page.
    Forged,
    /// When a person must show another factor first.
    Held(Box<Held>),
    /// When the framing or the head has two readings; says which.
    Ambiguous(&'static str),
    /// When the header is longer than allowed.
    HeaderTooLarge,
    /// When the request came through this gateway before.
    Loop,
    /// When the method is CONNECT or TRACE.
    MethodNotAllowed,
    /// When nobody signed in.
    NotSignedIn,
    /// When no route serves the host and path, or more than one.
    Astray(Astray),
    /// When the path has two readings.
    Path(PathFault),
    /// When the body of a request to the control room took too long.
    SlowBody,
    /// When the bearer credential is no session handle.
    Stranger,
    /// When the upstream gave no answer.
    Upstream(UpstreamFault),
}

/// What a person must show a factor for, and where.
#[derive(Debug)]
pub(crate) struct Held {
    /// What is held.
    pub(crate) view: HoldView,
    /// The short address for a display, whose person is elsewhere; `None` for everybody else.
    pub(crate) link: Option<Result<String, Unlinked>>,
}

/// What a reply depends on beside the refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The method.
    pub(crate) method: &'a Method,
    /// The headers, as the caller sent them.
    pub(crate) headers: &'a HeaderMap,
    /// What was asked for; `None` where it was not understood.
    pub(crate) target: Option<&'a PathAndQuery>,
    /// The prefix of the gateway's own endpoints.
    pub(crate) prefix: &'a str,
    /// The origin under which callers know the gateway, where it is configured.
    pub(crate) origin: Option<&'a str>,
}

/// How long a caller is sent away where nobody knows better: long enough for a restart.
const RETRY_LATER: Duration = Duration::from_secs(1);

/// Makes the reply to a request that failed.
pub(crate) fn rescue(refusal: Refusal, asked: Asked<'_>) -> Response<ReplyBody> {
    if asked.navigates()
        && let Some(place) = place_for(&refusal, asked)
        && let Some(redirect) = redirect(place)
    {
        return redirect;
    }
    problem(refusal, asked).reply()
}

impl Asked<'_> {
    /// Reports whether a person waits for a page, rather than a program for data.
    fn navigates(&self) -> bool {
        if *self.method != Method::GET {
            return false;
        }
        match self.headers.get("sec-fetch-mode") {
            Some(mode) => mode.as_bytes() == b"navigate",
            // Browsers without fetch metadata name HTML; programs accept anything or JSON.
            None => self.headers.get(header::ACCEPT).is_some_and(|accept| {
                accept.as_bytes().windows(9).any(|part| part == b"text/html")
            }),
        }
    }
}

/// Returns where a person is led who can do something about it.
fn place_for(refusal: &Refusal, asked: Asked<'_>) -> Option<String> {
    let target = asked.target.map_or("/", PathAndQuery::as_str);
    if let Refusal::Held(held) = refusal {
        return Some(step_up::address(asked.prefix, &held.view, Some(target)));
    }
    let needs_sign_in = matches!(
        refusal,
        Refusal::NotSignedIn | Refusal::Access(AccessError::SignInRequired { .. })
    );
    let return_to = utf8_percent_encode(target, QUERY_VALUE);
    needs_sign_in.then(|| format!("{}/login?return_to={return_to}", asked.prefix))
}

fn redirect(place: String) -> Option<Response<ReplyBody>> {
    let mut reply = Response::new(ReplyBody::empty());
    *reply.status_mut() = StatusCode::FOUND;
    reply.headers_mut().insert(header::LOCATION, HeaderValue::try_from(place).ok()?);
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(reply)
}

fn problem(refusal: Refusal, asked: Asked<'_>) -> Problem {
    match refusal {
        Refusal::Access(error) => access(error),
        Refusal::Ambiguous(why) => bad(why),
        Refusal::BodyTooLarge => beyond(&BODY_TOO_LARGE),
        Refusal::BrokenBody => bad("The request body broke off or was not framed correctly."),
        Refusal::ControlFailed => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "The gateway failed on this request; its log says where.",
        ),
        Refusal::Forged => Problem::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "Cross-site request refused",
            "A page of another origin sent this request with your session's cookie.",
        ),
        Refusal::Held(shown) => held(*shown, asked),
        Refusal::HeaderTooLarge => beyond(&HEADER_TOO_LARGE),
        Refusal::Loop => Problem::new(
            StatusCode::LOOP_DETECTED,
            "loop",
            "Loop detected",
            "The request came through this gateway before: a route leads back to it.",
        ),
        Refusal::MethodNotAllowed => method_not_allowed(),
        Refusal::NotSignedIn => login_required("Nobody is signed in.", CHALLENGE),
        Refusal::Astray(Astray::NoRoute) => Problem::new(
            StatusCode::NOT_FOUND,
            "no_route",
            "No route",
            "No route of the gateway serves this host and path.",
        ),
        Refusal::Astray(Astray::TwoRoutes) => bad(
            "The request is refused because servers that read its path leniently would serve it by \
             another route.",
        ),
        Refusal::Path(fault) => {
            bad(&format!("The request is refused because {fault}, which servers read differently."))
        }
        Refusal::SlowBody => beyond(&SLOW_BODY),
        Refusal::Stranger => login_required(
            "The bearer credential is not a session handle of this gateway.",
            CHALLENGE_INVALID,
        ),
        Refusal::Upstream(fault) => upstream(&fault),
    }
}

/// A bound that a request went beyond: status, code, title and sentence.
type Bound = (StatusCode, &'static str, &'static str, &'static str);

const BODY_TOO_LARGE: Bound = (
    StatusCode::PAYLOAD_TOO_LARGE,
    "body_too_large",
    "Body too large",
    "The request body is longer than is taken here.",
);

const HEADER_TOO_LARGE: Bound = (
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "header_too_large",
    "Header too large",
    "The request's headers are longer than the gateway allows.",
);

const SLOW_BODY: Bound = (
    StatusCode::REQUEST_TIMEOUT,
    "body_too_slow",
    "Body too slow",
    "The request body did not come whole in time.",
);

fn beyond((status, error, title, detail): &Bound) -> Problem {
    Problem::new(*status, error, title, *detail).header(header::CONNECTION, CLOSE)
}

fn bad(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", "Bad request", detail)
        .header(header::CONNECTION, CLOSE)
}

fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "Method not allowed",
        "CONNECT and TRACE are not forwarded.",
    )
    .header(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"))
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");
const CHALLENGE_INVALID: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

fn login_required(detail: &str, challenge: HeaderValue) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "login_required", "Sign-in required", detail)
        .header(header::WWW_AUTHENTICATE, challenge)
}

fn access(error: AccessError) -> Problem {
    let sentence = sentence(&error);
    match error {
        AccessError::Denied { .. } => {
            Problem::new(StatusCode::FORBIDDEN, "access_denied", "Access denied", sentence)
        }
        AccessError::Downscoped { missing } => {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{missing}\"");
            Problem::new(
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                "Insufficient scope",
                sentence,
            )
            .header(
                header::WWW_AUTHENTICATE,
                HeaderValue::try_from(challenge).unwrap_or(CHALLENGE_SCOPE),
            )
            .with("missing", missing.to_string().into())
        }
        // Told as what is held wherever a session is known, and nobody else is answered so.
        AccessError::MfaRequired(_) => {
            Problem::new(StatusCode::FORBIDDEN, "mfa_required", FACTOR_REQUIRED, sentence)
        }
        AccessError::NotNow { retry_after, .. } => unavailable(sentence).retry_after(retry_after),
        AccessError::OperatorFault { .. } => unavailable(sentence).retry_after(RETRY_OPERATOR),
        AccessError::Rejected { .. } | AccessError::Unusable { .. } => {
            Problem::new(StatusCode::BAD_GATEWAY, "provider_rejects", "Provider rejects", sentence)
        }
        AccessError::SignInRequired { .. } => login_required(&sentence, CHALLENGE_INVALID),
        // Only a forced replacement is answered so, and the upstream's own 401 is passed on then.
        AccessError::Unchanged => unavailable(sentence).retry_after(RETRY_LATER),
    }
}

const CHALLENGE_SCOPE: HeaderValue =
    HeaderValue::from_static("Bearer error=\"insufficient_scope\"");

/// How long a caller is sent away when the operator must act: it will not be sooner.
const RETRY_OPERATOR: Duration = Duration::from_secs(60);

fn unavailable(detail: String) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        "Temporarily unavailable",
        detail,
    )
}

/// Makes a sentence of an error, which is a fragment.
fn sentence(error: &AccessError) -> String {
    let fragment = error.to_string();
    let mut letters = fragment.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => fragment,
    }
}

const FACTOR_REQUIRED: &str = "Another factor required";

/// Tells a program what is held, and all it needs to go on.
fn held(Held { view, link }: Held, asked: Asked<'_>) -> Problem {
    let place = match link {
        Some(Ok(link)) => Some(link),
        // A display would show an address that leads its person nowhere.
        Some(Err(Unlinked)) => None,
        None => {
            let page = step_up::address(asked.prefix, &view, None);
            Some(format!("{}{page}", asked.origin.unwrap_or_default()))
        }
    };
    let detail = format!("Another factor is required for {}.", view.audience);
    let problem = Problem::new(StatusCode::FORBIDDEN, "mfa_required", FACTOR_REQUIRED, detail);
    step_up::members(&view, place.as_deref())
        .into_iter()
        .fold(problem, |problem, (name, value)| problem.with(&name, value))
        .header(header::WWW_AUTHENTICATE, factor_challenge(&view))
}

/// Asks for a factor as RFC 9470 §3 has it.
fn factor_challenge(view: &HoldView) -> HeaderValue {
    let mut challenge = "Bearer error=\"insufficient_user_authentication\"".to_owned();
    if !view.acr_values.is_empty() {
        challenge.push_str(&format!(", acr_values=\"{}\"", view.acr_values.join(" ")));
    }
    if let Some(seconds) = view.max_age_s {
        challenge.push_str(&format!(", max_age=\"{seconds}\""));
    }
    HeaderValue::try_from(challenge).unwrap_or(CHALLENGE_FACTOR)
}

const CHALLENGE_FACTOR: HeaderValue =
    HeaderValue::from_static("Bearer error=\"insufficient_user_authentication\"");

fn upstream(fault: &UpstreamFault) -> Problem {
    let detail = format!("The upstream did not answer: {fault}.");
    match fault {
        UpstreamFault::ConnectTimeout | UpstreamFault::ResponseTimeout => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "Upstream timeout",
            detail,
        ),
        UpstreamFault::Busy => unavailable(detail).retry_after(RETRY_LATER),
        UpstreamFault::Body
        | UpstreamFault::Connect
        | UpstreamFault::Dns
        | UpstreamFault::Reset
        | UpstreamFault::Tls
        | UpstreamFault::Target => {
            Problem::new(StatusCode::BAD_GATEWAY, "upstream_failed", "Upstream failed", detail)
        }
    }
}
