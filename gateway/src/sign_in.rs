//! Signing in by redirect: the browser leaves for the provider, and comes back with a code.
//!
//! What is remembered of a browser that is away travels with it, sealed, in a cookie of its own for
//! each sign-in: two tabs do not disturb each other, and only the browser that left can come back.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokenward::core::event::LogoutKind;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::AccessToken;
use tokenward::core::sign_in::{Callback, Pending, judge, return_path};
use tokenward::core::snapshot::Device;
use tokenward::provider::{AuthorizeRequest, CodeExchange, SignedIn, code_challenge};
use tokenward::{SessionHandle, Tokenward};

use crate::config;
use crate::front::Front;
use crate::identify::{self, Caller};
use crate::pages::Trouble;
use crate::path;
use crate::route::below;
use crate::session::store_trouble;
use crate::step_up;

mod display;
pub(crate) mod failure;
#[cfg(test)]
mod hostile;
pub(crate) mod jar;
pub(crate) mod known;
pub(crate) mod pending;

pub(crate) use display::depart_for_display;
use known::Known;
use pending::{Errand, Recalled, Slot, Stepping};

/// The scopes that speak to the provider: who signs in, and that the session may be kept fresh.
pub(crate) const PROTOCOL_SCOPES: &str = "openid profile email offline_access";

/// What a person wants to sign in for.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    return_to: Option<String>,
    // RFC 8707 calls an audience a resource.
    #[serde(alias = "resource")]
    audience: Option<String>,
}

/// What the provider sent the browser back with.
#[derive(Deserialize)]
pub(crate) struct Returned {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl From<Returned> for Callback {
    fn from(returned: Returned) -> Self {
        let Returned { code, state, iss: issuer, error, error_description: description } = returned;
        Self { code, state, issuer, error, description }
    }
}

/// What the provider is asked for.
struct Plan {
    /// The audience that the session will belong to comes first.
    audiences: Vec<Audience>,
    /// The scopes of all that is asked for.
    asked: ScopeSet,
    /// The scopes of the first audience.
    kept: ScopeSet,
}

/// Where a browser that has come back goes on.
struct Arrival {
    /// The handle of the session that began; `None` after a step-up, whose session stays, and where
    /// it is a display's.
    handle: Option<SessionHandle>,
    /// The session and the audience for which this browser is to be remembered.
    remember: Option<(SessionKey, Audience)>,
    return_to: String,
}

/// Whose session begins.
enum For {
    /// The browser's, with what was shown in it before.
    Browser(Option<Known>),
    /// A display's.
    Display(Device),
}

/// GET /auth/login: sends the browser to the provider.
pub(crate) async fn login(
    State(front): State<Arc<Front>>,
    uri: Uri,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let wanted = match wanted {
        Ok(Query(wanted)) => wanted,
        Err(rejection) => return bad_query(&rejection).reply(&headers),
    };
    match depart(&front, &headers, &uri, wanted).await {
        Ok(reply) => reply,
        Err(trouble) => trouble.reply(&headers),
    }
}

/// GET /auth/callback: completes the sign-in that the browser left for.
pub(crate) async fn callback(
    State(front): State<Arc<Front>>,
    uri: Uri,
    headers: HeaderMap,
    returned: Result<Query<Returned>, QueryRejection>,
) -> Response {
    let returned = match returned {
        Ok(Query(returned)) => returned,
        Err(rejection) => return bad_query(&rejection).reply(&headers),
    };
    let slot = returned.state.as_deref().and_then(Slot::of);
    let config = front.config();
    let mut reply = match arrive(&front, &headers, &uri, returned, slot.as_ref()).await {
        Ok(Arrival { handle: None, remember, return_to }) => {
            let mut reply = moved(StatusCode::SEE_OTHER, &return_to);
            if let Some((session, audience)) = remember {
                known::remember(&front, reply.headers_mut(), &session, &audience).await;
            }
            reply
        }
        Ok(Arrival { handle: Some(handle), return_to, .. }) => {
            let mut reply = moved(StatusCode::SEE_OTHER, &return_to);
            let lifetime = config.session.lifetime;
            let (name, https) = (&config.session.cookie, config.is_https());
            jar::put(reply.headers_mut(), name, &handle.expose(), https, lifetime);
            reply
        }
        Err(trouble) => {
            tracing::warn!(code = trouble.code(), "a sign-in did not come through");
            trouble.reply(&headers)
        }
    };
    if let Some(slot) = slot {
        let name = slot.cookie(&config.session.cookie);
        jar::remove(reply.headers_mut(), &name, config.is_https());
    }
    reply
}

async fn depart(
    front: &Front,
    headers: &HeaderMap,
    uri: &Uri,
    wanted: Wanted,
) -> Result<Response, Trouble> {
    let prefix = &front.config().prefix;
    let return_to = own_path(prefix, wanted.return_to.as_deref().unwrap_or("/"));
    let plan = plan(front, wanted.audience.as_deref())?;
    leave(front, (headers, uri), plan, return_to, Errand::SignIn).await
}

/// Makes the reply that leads to the provider.
async fn leave(
    front: &Front,
    (headers, uri): (&HeaderMap, &Uri),
    plan: Plan,
    return_to: &str,
    errand: Errand,
) -> Result<Response, Trouble> {
    let config = front.config();
    let origin = front.origin(headers, uri)?;
    let provider = front.tokenward().provider();
    let metadata = provider.discover().await.map_err(|error| {
        tracing::error!(%error, "a sign-in cannot begin");
        failure::of_provider(&error)
    })?;
    let [state, nonce, code_verifier] = secrets()?;
    let pending = Pending {
        state,
        nonce,
        code_verifier: AccessToken::new(&code_verifier),
        issuer: metadata.issuer.clone(),
        return_to: return_to.to_owned(),
        audience: plan.audiences[0].clone(),
        scopes: plan.kept,
    };
    let request = AuthorizeRequest {
        redirect_uri: &format!("{origin}{}/callback", config.prefix),
        state: &pending.state,
        nonce: &pending.nonce,
        code_challenge: &code_challenge(&code_verifier),
        scopes: &plan.asked,
        audiences: &plan.audiences,
        prompt: None,
        max_age: None,
        acr_values: None,
        login_hint: None,
    };
    let place = provider.authorize_url(&request).await.map_err(|error| {
        tracing::error!(%error, "a sign-in cannot begin");
        failure::of_provider(&error)
    })?;
    let mut reply = moved(StatusCode::SEE_OTHER, place.as_str());
    pending::remember(front, headers, reply.headers_mut(), &pending, errand)?;
    Ok(reply)
}

async fn arrive(
    front: &Arc<Front>,
    headers: &HeaderMap,
    uri: &Uri,
    returned: Returned,
    slot: Option<&Slot>,
) -> Result<Arrival, Trouble> {
    let config = front.config();
    let known = slot.and_then(|slot| pending::recall(front, headers, slot));
    let Recalled { pending, age, errand } =
        known.ok_or_else(|| failure::unknown(&config.prefix))?;
    let again = |trouble: Trouble| match errand {
        Errand::Display(code) => display::with_way_back(trouble, code),
        Errand::SignIn | Errand::StepUp(_) => {
            failure::with_way_back(trouble, &config.prefix, &pending.return_to)
        }
    };
    let callback = Callback::from(returned);
    let provider = front.tokenward().provider();
    // Known since the departure; where this process started only since, it is fetched anew.
    let metadata =
        provider.discover().await.map_err(|error| again(failure::of_provider(&error)))?;
    let issuer_required = metadata.authorization_response_iss;
    let code = judge(&pending, &callback, issuer_required, age)
        .map_err(|fault| again(failure::of_callback(&fault)))?;
    let origin = front.origin(headers, uri)?;
    let redirect_uri = format!("{origin}{}/callback", config.prefix);
    let came_with = (code.to_owned(), redirect_uri);
    match errand {
        Errand::StepUp(stepping) => {
            let Stepping { session, remember, .. } = stepping;
            step_up::complete(front, headers, stepping, &pending, came_with).await?;
            let remember = remember.then_some((session, pending.audience));
            Ok(Arrival { handle: None, remember, return_to: pending.return_to })
        }
        Errand::Display(code) => {
            let return_to = pending.return_to.clone();
            display::arrive(front, code, pending, came_with).await?;
            Ok(Arrival { handle: None, remember: None, return_to })
        }
        Errand::SignIn => {
            let known = known::recall(front, headers);
            let completion = complete(
                front.tokenward().clone(),
                pending.clone(),
                came_with,
                For::Browser(known),
            );
            // A closed tab must not cut an exchange: what it brings would be lost (law L4).
            let completed = tokio::spawn(completion).await;
            let handle = completed.unwrap_or_else(|_| Err(failure::ours())).map_err(again)?;
            end_former(front, headers).await;
            Ok(Arrival { handle: Some(handle), remember: None, return_to: pending.return_to })
        }
    }
}

/// Exchanges the code and makes the session durable; its handle is new each time, so that nobody
/// can have planted it (session fixation).
async fn complete(
    tokenward: Tokenward,
    pending: Pending,
    (code, redirect_uri): (String, String),
    whom: For,
) -> Result<SessionHandle, Trouble> {
    let exchange = CodeExchange {
        code: &code,
        code_verifier: pending.code_verifier.expose(),
        redirect_uri: &redirect_uri,
        nonce: &pending.nonce,
        audience: Some(&pending.audience),
        max_age: None,
    };
    let signed_in: SignedIn =
        tokenward.provider().exchange_code(exchange).await.map_err(|error| {
            tracing::error!(%error, "the code of a sign-in was not exchanged");
            failure::of_exchange(&error)
        })?;
    let subject = &signed_in.identity.subject;
    let Pending { audience, scopes, .. } = pending;
    let kept = match whom {
        For::Browser(known) => {
            let remembered = known.and_then(|known| known.of(subject, tokenward.clock().unix()));
            tokenward.sign_in_remembered(signed_in, audience, scopes, remembered).await
        }
        For::Display(device) => tokenward.sign_in_device(signed_in, audience, scopes, device).await,
    };
    kept.map_err(|error| {
        tracing::error!(%error, "a sign-in could not be made durable");
        store_trouble()
    })
}

/// Ends the session that this browser had before: nobody would ever use it again.
async fn end_former(front: &Front, headers: &HeaderMap) {
    let cookie = &front.config().session.cookie;
    let Caller::Browser(former) = identify::identify(headers, cookie) else { return };
    if let Err(error) = front.tokenward().end(&former, LogoutKind::User).await {
        tracing::warn!(session = %former.id(), %error, "a replaced session is not ended yet");
    }
}

fn plan(front: &Front, wanted: Option<&str>) -> Result<Plan, Trouble> {
    let mut known = front.audiences();
    let first = match wanted {
        None => 0,
        Some(wanted) => known
            .iter()
            .position(|(audience, _)| audience.as_str() == wanted)
            .ok_or_else(|| failure::unknown_audience(&front.config().prefix))?,
    };
    if known.is_empty() {
        return Err(failure::nothing_to_sign_in_for());
    }
    known[..=first].rotate_right(1);
    Ok(plan_for(front, known))
}

/// Makes the plan for these audiences, of which there is one at least.
fn plan_for(front: &Front, known: Vec<(Audience, ScopeSet)>) -> Plan {
    let kept = known[0].1.clone();
    // A provider that is asked for one audience grants the scopes of that one only.
    let speaks_of = match front.config().provider.audience_parameter {
        config::AudienceParameter::Audience => 1,
        config::AudienceParameter::None | config::AudienceParameter::Resource => known.len(),
    };
    let none = ScopeSet::default();
    let needed = known[..speaks_of].iter().fold(none, |all, (_, scopes)| all.merge(scopes));
    let asked = front.config().sign_in_scopes(&needed);
    Plan { audiences: known.into_iter().map(|(audience, _)| audience).collect(), asked, kept }
}

/// Returns the checked path, or the start page where it would lead back into a sign-in, or to what
/// the gateway refuses.
pub(crate) fn own_path<'a>(prefix: &str, asked: &'a str) -> &'a str {
    let place = return_path(asked);
    let path = place.split(['?', '#']).next().unwrap_or(place);
    let path = utf8_percent_encode(path, CONTROLS).to_string();
    match path::settle(&path) {
        Ok(settled) if !below(prefix, &settled) => place,
        Ok(_) | Err(_) => "/",
    }
}

/// Draws `state`, `nonce` and the PKCE secret: 256 bits each, as RFC 7636 §4.1 wants of the last.
pub(crate) fn secrets() -> Result<[String; 3], Trouble> {
    let mut drawn: [String; 3] = Default::default();
    for text in &mut drawn {
        // A handle is 256 random bits in base64url, and that is what is wanted here.
        text.push_str(&SessionHandle::random().expose());
    }
    Ok(drawn)
}

/// Redirects; what is no ASCII in `place` is escaped.
pub(crate) fn moved(status: StatusCode, place: &str) -> Response {
    let mut reply = status.into_response();
    let place = utf8_percent_encode(place, CONTROLS).to_string();
    if let Ok(place) = HeaderValue::try_from(place) {
        reply.headers_mut().insert(header::LOCATION, place);
    }
    reply
}

/// The characters that may stand unescaped in the value of a query parameter.
pub(crate) const QUERY_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/');

/// Says that the query of an address is none of ours.
pub(crate) fn bad_query(rejection: &QueryRejection) -> Trouble {
    Trouble::new(
        StatusCode::BAD_REQUEST,
        "invalid_request",
        "This address is not understood",
        format!("The query of the address cannot be read: {}.", rejection.body_text()),
    )
}
