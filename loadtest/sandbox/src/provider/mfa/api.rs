//! The MFA API: challenges, and the list of a user's authenticators (WIRE a3).

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::hold;
use crate::ledger::Kind;
use crate::provider::policy::has_scope;
use crate::provider::refusal::{self as refusals, Refusal, invalid_request};
use crate::provider::token_endpoint::read_params;
use crate::provider::{Params, Provider};

use super::factor::{Factor, FactorKind};
use super::settings::Unenrolled;
use super::{Context, refusal};

/// Which of a user's factors a challenge takes that names none.
const PREFERRED: [FactorKind; 5] =
    [FactorKind::Push, FactorKind::Sms, FactorKind::Voice, FactorKind::Email, FactorKind::Otp];

/// Who calls the MFA API.
pub(super) enum Caller {
    /// Somebody with an `mfa_token`.
    Demanded { mfa_token: String, subject: String },
    /// Somebody with an access token for the MFA API.
    SignedIn { subject: String },
}

/// POST /mfa/challenge.
pub(crate) async fn challenge(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let params = read_params(&headers, &body).ok_or(refusals::UNREADABLE);
    let answer = params.and_then(|params| provider.challenge(&headers, &params));
    provider.told(answer.map(|body| Json(body).into_response()))
}

/// GET /mfa/authenticators.
pub(crate) async fn authenticators(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
) -> Response {
    let answer = provider.caller(&headers, "read:authenticators").map(|caller| {
        let tenant = hold(&provider.tenant);
        let with_type = tenant.settings.mfa.authenticator_type_field;
        let factors = tenant.factors(caller.subject());
        Json(factors.iter().map(|factor| shown(factor, with_type)).collect::<Vec<_>>())
    });
    provider.told(answer.map(IntoResponse::into_response))
}

/// DELETE /mfa/authenticators/{id}.
pub(crate) async fn remove(
    State(provider): State<Arc<Provider>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let answer = provider.remove_authenticator(&headers, &id);
    provider.told(answer.map(|()| StatusCode::NO_CONTENT.into_response()))
}

impl Caller {
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Demanded { subject, .. } | Self::SignedIn { subject } => subject,
        }
    }
}

impl Provider {
    pub(super) fn told(&self, answer: Result<Response, Refusal>) -> Response {
        let statuses = hold(&self.tenant).settings.statuses;
        answer.unwrap_or_else(|refusal| refusal.answer(statuses))
    }

    /// Returns who sent the bearer token, an `mfa_token` or an access token with the scope.
    pub(super) fn caller(&self, headers: &HeaderMap, scope: &str) -> Result<Caller, Refusal> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = header.and_then(|value| value.split_once(' '));
        let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, sent) = bearer.ok_or(refusal::INVALID_TOKEN)?;
        let now_ms = self.clock.now_ms();
        let context = hold(&self.desk).mfa.look(sent, now_ms).cloned();
        if let Some(context) = context {
            let client = context.client.clone();
            let context = self.opened(sent, &client).map_err(for_api)?;
            return Ok(Caller::Demanded { mfa_token: sent.to_owned(), subject: context.subject });
        }
        let claims = self.living_claims(sent).ok_or(refusal::INVALID_TOKEN)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("aud") != self.mfa_audience() {
            return Err(refusal::INVALID_TOKEN);
        }
        let allowed = has_scope(text("scope"), scope);
        let subject = text("sub").to_owned();
        allowed.then_some(Caller::SignedIn { subject }).ok_or(refusal::NO_SCOPE)
    }

    fn challenge(&self, headers: &HeaderMap, params: &Params) -> Result<Value, Refusal> {
        let client = self.client(headers, params)?;
        let mfa_token = params.get("mfa_token");
        let mfa_token =
            mfa_token.ok_or(invalid_request("Missing required parameter: mfa_token"))?;
        let context = self.opened(mfa_token, &client.client_id).map_err(for_api)?;
        let factor = self.chosen(&context, params)?;
        if factor.kind == FactorKind::Otp {
            self.note(Kind::MfaOtpAsked, &context.subject, "otp");
            return Ok(json!({ "challenge_type": "otp" }));
        }
        let oob_code = self.send(mfa_token, &context.subject, &factor)?;
        let mut answer = json!({ "challenge_type": "oob", "oob_code": oob_code });
        if factor.kind != FactorKind::Push {
            answer["binding_method"] = json!("prompt");
        }
        Ok(answer)
    }

    /// Returns the authenticator to challenge.
    fn chosen(&self, context: &Context, params: &Params) -> Result<Factor, Refusal> {
        let asked = params.get("challenge_type").map_or("otp oob", String::as_str);
        let asked: Vec<&str> = asked.split_whitespace().collect();
        if !asked.iter().all(|kind| ["otp", "oob"].contains(kind)) {
            return Err(refusal::UNSUPPORTED_CHALLENGE);
        }
        let (active, unenrolled) = {
            let tenant = hold(&self.tenant);
            let active = tenant.factors(&context.subject).iter().filter(|factor| factor.active);
            (active.cloned().collect::<Vec<_>>(), tenant.settings.mfa.unenrolled)
        };
        if active.is_empty() {
            return Err(match unenrolled {
                Unenrolled::UnsupportedChallengeType => refusal::NOT_ENROLLED,
                Unenrolled::AssociationRequired => refusal::ASSOCIATION_REQUIRED,
            });
        }
        let given = |name| params.get(name).filter(|value| !value.is_empty());
        let channel = given("oob_channel").map(String::as_str);
        let serves = |factor: &&Factor| {
            asked.contains(&factor.kind.authenticator_type())
                && context.accepts(factor.kind)
                && (channel.is_none() || factor.kind.channel() == channel)
        };
        if let Some(id) = given("authenticator_id") {
            let named = active.iter().find(|factor| &factor.id == id);
            let named = named.ok_or(refusal::INVALID_AUTHENTICATOR)?;
            return Some(named).filter(serves).cloned().ok_or(refusal::UNSUPPORTED_CHALLENGE);
        }
        let place = |factor: &&Factor| PREFERRED.iter().position(|kind| *kind == factor.kind);
        let first = active.iter().filter(serves).min_by_key(place);
        first.cloned().ok_or(refusal::UNSUPPORTED_CHALLENGE)
    }

    fn remove_authenticator(&self, headers: &HeaderMap, id: &str) -> Result<(), Refusal> {
        let Caller::SignedIn { subject } = self.caller(headers, "remove:authenticators")? else {
            return Err(refusal::INVALID_TOKEN);
        };
        {
            let mut tenant = hold(&self.tenant);
            let user = tenant.subject_mut(&subject).ok_or(refusal::NO_AUTHENTICATOR)?;
            let before = user.factors.len();
            user.factors.retain(|factor| factor.id != id);
            if user.factors.len() == before {
                return Err(refusal::NO_AUTHENTICATOR);
            }
            // A recovery code recovers the other factors; alone it is nothing.
            if user.factors.iter().all(|factor| factor.kind == FactorKind::RecoveryCode) {
                user.factors.clear();
            }
        }
        self.note(Kind::MfaUnenrolled, &subject, id);
        Ok(())
    }
}

/// The API names a bad `mfa_token` otherwise than the grants do.
fn for_api(refused: Refusal) -> Refusal {
    match refused {
        refused if refused == refusal::MALFORMED => refusal::INVALID_TOKEN,
        refused if refused == refusal::EXPIRED => refusal::EXPIRED_TOKEN,
        refused => refused,
    }
}

fn shown(factor: &Factor, with_type: bool) -> Value {
    let mut shown = json!({
        "id": factor.id,
        "authenticator_type": factor.kind.authenticator_type(),
        "active": factor.active,
    });
    if let Some(channel) = factor.kind.channel() {
        shown["oob_channel"] = json!(channel);
        shown["oob_channels"] = json!([channel]);
    }
    if let Some(name) = &factor.name {
        shown["name"] = json!(masked(name));
    }
    if with_type {
        shown["type"] = json!(factor.kind.requirement());
    }
    shown
}

/// The vendor shows the end of a number and the host of an address.
fn masked(name: &str) -> String {
    let kept = name.find('@').unwrap_or_else(|| name.chars().count().saturating_sub(4));
    let mask = |(place, letter)| if place < kept { 'X' } else { letter };
    name.chars().enumerate().map(mask).collect()
}
