//! POST /mfa/associate: enrolling an authenticator (WIRE a3).

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hold;
use crate::ledger::Kind;
use crate::provider::Provider;
use crate::provider::refusal::{self as refusals, Refusal, invalid_request};
use crate::provider::seal::random_name;
use crate::secrecy;

use super::api::Caller;
use super::factor::{Factor, FactorKind};
use super::refusal;

/// What a caller asks to enrol; other fields, such as the client's, are of no interest here.
#[derive(Deserialize)]
struct Wanted {
    authenticator_types: Vec<String>,
    #[serde(default)]
    oob_channels: Vec<String>,
    #[serde(default)]
    phone_number: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

/// Answers the enrolment of an authenticator.
pub(crate) async fn associate(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let wanted = serde_json::from_slice::<Wanted>(&body).map_err(|_| refusals::UNREADABLE);
    let answer = wanted.and_then(|wanted| provider.associate(&headers, &wanted));
    provider.told(answer.map(|body| Json(body).into_response()))
}

impl Provider {
    fn associate(&self, headers: &HeaderMap, wanted: &Wanted) -> Result<Value, Refusal> {
        let caller = self.caller(headers, "enroll")?;
        let subject = caller.subject();
        let (made, account) = {
            let mut tenant = hold(&self.tenant);
            let user = tenant.subject_mut(subject).ok_or(refusal::INVALID_TOKEN)?;
            let first = !user.enrolled();
            let (active, mfa_token) = match &caller {
                Caller::Demanded { .. } if !first => return Err(refusal::ALREADY_ENROLLED),
                Caller::Demanded { .. } => (false, true),
                Caller::SignedIn { .. } => (true, false),
            };
            let made = factors(wanted, user.email.as_deref(), first, active)?;
            if mfa_token {
                // What was begun before and never confirmed gives way.
                user.factors.retain(|factor| factor.active);
            }
            user.factors.extend(made.iter().cloned());
            (made, user.email.clone().unwrap_or_else(|| user.name.clone()))
        };
        for secret in made.iter().filter_map(|factor| factor.secret.as_ref()) {
            self.secrets.learn(secrecy::Kind::Factor, secret);
        }
        let main = made.first().ok_or(refusals::UNREADABLE)?;
        self.note(Kind::MfaEnrollStarted, subject, main.kind.requirement());
        let mut answer = json!({
            "authenticator_type": main.kind.authenticator_type(),
            "id": main.id,
        });
        let secrets = made.iter().find(|factor| factor.kind == FactorKind::Otp);
        if let Some(otp) = secrets {
            answer["barcode_uri"] = json!(otp.otpauth(&account));
            if main.kind == FactorKind::Otp {
                answer["secret"] = json!(otp.secret);
            }
        }
        if let Some(channel) = main.kind.channel() {
            answer["oob_channel"] = json!(channel);
            if let Caller::Demanded { mfa_token, .. } = &caller {
                answer["oob_code"] = json!(self.send(mfa_token, subject, main)?);
            }
            if main.kind != FactorKind::Push {
                answer["binding_method"] = json!("prompt");
            }
        }
        let recovery = made.iter().find(|factor| factor.kind == FactorKind::RecoveryCode);
        if let Some(recovery) = recovery {
            answer["recovery_codes"] = json!([recovery.secret]);
        }
        if let Caller::SignedIn { subject } = &caller {
            self.note(Kind::MfaEnrolled, subject, main.kind.requirement());
        }
        Ok(answer)
    }

    /// Activates what was enrolled together with an authenticator.
    pub(super) fn confirm(&self, subject: &str, id: &str) {
        let together = id.split_once('|').map(|(_, together)| together.to_owned());
        let confirmed = {
            let mut tenant = hold(&self.tenant);
            let Some(user) = tenant.subject_mut(subject) else {
                return;
            };
            let same = |factor: &Factor| {
                factor.id == id
                    || factor.id.split_once('|').map(|(_, rest)| rest) == together.as_deref()
            };
            let mut confirmed = false;
            for factor in user.factors.iter_mut().filter(|factor| same(factor)) {
                confirmed |= !std::mem::replace(&mut factor.active, true);
            }
            confirmed
        };
        if confirmed {
            self.note(Kind::MfaEnrolled, subject, id);
        }
    }
}

/// Returns the authenticators that one enrolment makes: the one asked for comes first, the rest of
/// the identifier is the same for all.
fn factors(
    wanted: &Wanted,
    known_email: Option<&str>,
    first: bool,
    active: bool,
) -> Result<Vec<Factor>, Refusal> {
    let phone = || {
        let phone = wanted.phone_number.clone().filter(|number| !number.is_empty());
        phone.ok_or(invalid_request("phone_number is required"))
    };
    let channel = wanted.oob_channels.first().and_then(|name| FactorKind::of_channel(name));
    let (main, beside, name) =
        match (wanted.authenticator_types.first().map(String::as_str), channel) {
            (Some("otp"), _) => (FactorKind::Otp, None, None),
            (Some("oob"), Some(kind @ (FactorKind::Sms | FactorKind::Voice))) => {
                // Either telephone channel enrols both.
                let other =
                    if kind == FactorKind::Sms { FactorKind::Voice } else { FactorKind::Sms };
                (kind, Some(other), Some(phone()?))
            }
            (Some("oob"), Some(FactorKind::Email)) => {
                let email = wanted.email.as_deref().or(known_email).map(str::to_owned);
                (FactorKind::Email, None, Some(email.ok_or(invalid_request("email is required"))?))
            }
            (Some("oob"), Some(FactorKind::Push)) => {
                (FactorKind::Push, Some(FactorKind::Otp), None)
            }
            (Some("oob"), Some(FactorKind::Otp | FactorKind::RecoveryCode) | None) => {
                return Err(invalid_request("oob_channels is required"));
            }
            (Some(_) | None, _) => return Err(invalid_request("authenticator_types is required")),
        };
    let together = random_name();
    let recovery = first.then_some(FactorKind::RecoveryCode);
    let kinds = [Some(main), beside, recovery].into_iter().flatten();
    let made = kinds.map(|kind| {
        let name = name.clone().filter(|_| kind != FactorKind::RecoveryCode);
        Factor::new(kind, name, active).enrolled_with(&together)
    });
    Ok(made.collect())
}
