//! Confirming at the provider: the browser leaves with what is demanded, and comes back with a
//! code, which the framework exchanges (RFC 9470 §5). The session stays the same.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use tokenward::core::secret::AccessToken;
use tokenward::core::session::Need;
use tokenward::core::sign_in::Pending;
use tokenward::provider::{AuthorizeRequest, code_challenge};
use tokenward::step_up::{HoldView, MfaFault, StepUpReturn};

use super::about::About;
use super::ask::{self, Place};
use super::found;
use super::page::Screen;
use super::visit::{self, Visit};
use crate::device::{self, Pass};
use crate::front::Front;
use crate::pages::Trouble;
use crate::sign_in::pending::{self, Errand, Stepping};
use crate::sign_in::{failure, moved, secrets};

/// GET /auth/mfa/redirect: sends the browser to the provider with what is demanded.
pub(crate) async fn leave(
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
        return match visit::is_by_link(&uri) {
            true => visit::nobody(&front, &uri).reply(&headers),
            false => moved(StatusCode::SEE_OTHER, &About::new(&front, &place).sign_in()),
        };
    };
    let place = visit.place(place);
    let about = About::new(&front, &place).before(&visit);
    match depart(&front, &headers, &uri, &visit, (&place, &about)).await {
        Ok(Some(reply)) => reply,
        Ok(None) => Screen::nothing(about).reply(),
        Err(trouble) => trouble.reply(&headers),
    }
}

/// Completes a confirmation that came back with a code; returns where the person was going.
pub(crate) async fn complete(
    front: &Front,
    headers: &HeaderMap,
    Stepping { session: bound_to, by_link, .. }: Stepping,
    pending: &Pending,
    (code, redirect_uri): (String, String),
) -> Result<(), Trouble> {
    let about = About { by_link, ..about_of(front, pending) };
    let need = Need { audience: pending.audience.clone(), scopes: pending.scopes.clone() };
    let stands = match by_link {
        true => Pass::of(front, headers)
            .is_some_and(|pass| pass.session() == bound_to && *pass.need() == need),
        false => front.session_of(headers) == Some(bound_to),
    };
    if !stands {
        // The person signed out, or in anew, meanwhile: nothing of it belongs to that session.
        let fault = MfaFault::SignInRequired { reason: None };
        return Err(about.trouble(front, &bound_to, fault));
    }
    // The gateway that a person left from may be another one: what it holds is to be known here, too.
    let is_its = |view: &HoldView| ask::need(&view.audience, &view.scope).as_ref() == Some(&need);
    if let Err(fault) = found(front, &bound_to, is_its, Some(need.clone())).await {
        return Err(about.trouble(front, &bound_to, fault));
    }
    let returned = StepUpReturn {
        need: need.clone(),
        code,
        code_verifier: pending.code_verifier.expose().to_owned(),
        redirect_uri,
        nonce: pending.nonce.clone(),
    };
    match front.tokenward().complete_step_up(&bound_to, returned).await {
        Ok(_) => {
            if by_link {
                device::close_link(front, &bound_to, need).await;
            }
            Ok(())
        }
        Err(fault) => {
            tracing::warn!(session = %bound_to.id(), code = fault.code(), "a step-up failed");
            Err(about.trouble(front, &bound_to, fault))
        }
    }
}

/// Makes the reply that leads to the provider; `None` where nothing is held.
async fn depart(
    front: &Front,
    headers: &HeaderMap,
    uri: &Uri,
    visit: &Visit,
    (place, about): (&Place, &About),
) -> Result<Option<Response>, Trouble> {
    let key = visit.key();
    let told = |fault| about.trouble(front, key, fault);
    let origin = front.origin(headers, uri)?;
    let is_meant = |view: &HoldView| place.is_for(view) && visit.admits(view);
    let held = found(front, key, is_meant, place.need()).await.map_err(told)?;
    let Some(need) = held.and_then(|view| ask::need(&view.audience, &view.scope)) else {
        return Ok(None);
    };
    let wanted = match front.tokenward().step_up_request(key, &need).await {
        Ok(wanted) => wanted,
        Err(MfaFault::TokenNotFound) => return Ok(None),
        Err(fault) => return Err(told(fault)),
    };
    let provider = front.tokenward().provider();
    let gone = |error| {
        tracing::error!(%error, "a step-up cannot begin");
        failure::of_provider(&error)
    };
    let metadata = provider.discover().await.map_err(gone)?;
    let [state, nonce, code_verifier] = secrets()?;
    let challenge = code_challenge(&code_verifier);
    let pending = Pending {
        state,
        nonce,
        code_verifier: AccessToken::new(&code_verifier),
        issuer: metadata.issuer.clone(),
        return_to: about.return_to.clone(),
        audience: need.audience,
        scopes: need.scopes,
    };
    let scopes = front.config().sign_in_scopes(&wanted.scopes);
    let request = AuthorizeRequest {
        redirect_uri: &format!("{origin}{}/callback", front.config().prefix),
        state: &pending.state,
        nonce: &pending.nonce,
        code_challenge: &challenge,
        scopes: &scopes,
        audiences: &wanted.audiences,
        prompt: wanted.prompt,
        max_age: wanted.max_age,
        acr_values: wanted.acr_values.as_deref(),
        login_hint: None,
    };
    let place = provider.authorize_url(&request).await.map_err(gone)?;
    let mut reply = moved(StatusCode::SEE_OTHER, place.as_str());
    let stepping = Stepping { session: *key, remember: about.ticked, by_link: visit.is_by_link() };
    let errand = Errand::StepUp(stepping);
    pending::remember(front, headers, reply.headers_mut(), &pending, errand)?;
    Ok(Some(reply))
}

fn about_of(front: &Front, pending: &Pending) -> About {
    let place = Place {
        audience: Some(pending.audience.to_string()),
        scope: Some(pending.scopes.to_string()),
        return_to: Some(pending.return_to.clone()),
        remember: None,
    };
    About::new(front, &place)
}
