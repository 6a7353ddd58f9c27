//! Second factors: the demand for one, its context, and what completes it (WIRE a1–a3, a8).
//!
//! A demand (`mfa_required`) spends nothing; what completes it rotates the family.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::hold;
use crate::ledger::{Entry, Kind};
use crate::secrecy;

use self::matrix::{Decision, Requirements};
use self::settings::{ChallengeAt, Protocol};

use super::family::FamilyId;
use super::refusal::{self as refusals, Refusal};
use super::registry::Client;
use super::seal::{random_name, short_hash};
use super::{Code, Provider, family_name};

pub(crate) mod api;
pub(crate) mod associate;
pub mod factor;
pub(crate) mod limits;
pub mod matrix;
mod page;
pub(crate) mod phone;
pub mod refusal;
pub mod settings;
mod verify;

/// The grant type that completes a demand with a one-time password.
pub(crate) const OTP_GRANT: &str = "http://auth0.com/oauth/grant-type/mfa-otp";
/// The grant type that completes a demand out of band.
pub(crate) const OOB_GRANT: &str = "http://auth0.com/oauth/grant-type/mfa-oob";
/// The grant type that completes a demand with a recovery code.
pub(crate) const RECOVERY_GRANT: &str = "http://auth0.com/oauth/grant-type/mfa-recovery-code";

pub(crate) use self::page::{Waiting, Wanted, answer as answer_page};

/// What an `mfa_token` stands for.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) client: String,
    pub(crate) subject: String,
    pub(crate) origin: Origin,
    requirements: Requirements,
    expires_at_ms: u64,
    /// How many more factors are demanded after the next one.
    chain_left: u8,
    used: bool,
}

/// What was asked for when the demand was made; a verification gets exactly that.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A refresh of a family.
    Refresh { family: FamilyId, audience: Option<String>, scope: Option<String> },
    /// An authorization code or a device code, which is spent already.
    Code(Box<Code>, Kind),
}

impl Context {
    /// Tells whether the demand accepts a kind of factor; one that only enrols accepts any.
    fn accepts(&self, kind: factor::FactorKind) -> bool {
        let listed = &self.requirements.challenge;
        let oob = kind.authenticator_type() == "oob";
        listed.is_empty()
            || listed.iter().any(|name| name == kind.requirement() || (oob && name == "oob"))
    }
}

impl Provider {
    /// Returns the audience of the MFA API.
    pub(crate) fn mfa_audience(&self) -> String {
        format!("{}mfa/", self.issuer)
    }

    /// Refuses a refresh until a second factor is given. Nothing was spent.
    pub(crate) fn refresh_challenged(
        &self,
        client: &Client,
        origin: Origin,
        requirements: Requirements,
        entry: Entry,
    ) -> Result<Response, Refusal> {
        let Origin::Refresh { family, .. } = &origin else {
            return Err(refusals::UNSUPPORTED_GRANT);
        };
        let subject = {
            let tenant = hold(&self.tenant);
            tenant.family(*family).map(|family| family.grant.subject.clone())
        };
        let subject = subject.ok_or(refusals::UNKNOWN_REFRESH_TOKEN)?;
        let chain = hold(&self.tenant).settings.mfa.chain;
        let context = self.context(&client.client_id, subject, origin, requirements, chain);
        Ok(self.demand(context, entry))
    }

    /// Returns the factors that the exchange of a code is challenged for, if it is.
    pub(crate) fn demanded(
        &self,
        protocol: Protocol,
        code: &Code,
    ) -> Result<Option<Requirements>, Refusal> {
        let Code { request, browser, settled } = code;
        let age_ms = browser.second_age_ms(self.clock.now_ms());
        let tenant = hold(&self.tenant);
        let here = protocol == Protocol::DeviceCode
            || tenant.settings.mfa.challenge_at == ChallengeAt::TokenEndpoint;
        if *settled || !here {
            return Ok(None);
        }
        let audience = &request.granted.audience;
        match tenant.decide(protocol, &request.client, &browser.subject, audience, age_ms) {
            Decision::Pass => Ok(None),
            Decision::Deny | Decision::Revoke => Err(refusals::DENIED_BY_RULE),
            Decision::Demand(requirements) => Ok(Some(requirements)),
        }
    }

    /// Refuses the exchange of a code until a second factor is given. The code is spent: what
    /// completes the demand is noted as `kind`.
    pub(crate) fn code_challenged(
        &self,
        code: Code,
        kind: Kind,
        requirements: Requirements,
    ) -> Response {
        let client = code.request.client.clone();
        let entry = Entry {
            audience: Some(code.request.granted.audience.clone()),
            client: Some(client.clone()),
            ..Entry::default()
        };
        let subject = code.browser.subject.clone();
        let chain = hold(&self.tenant).settings.mfa.chain;
        let origin = Origin::Code(Box::new(code), kind);
        self.demand(self.context(&client, subject, origin, requirements, chain), entry)
    }

    fn context(
        &self,
        client: &str,
        subject: String,
        origin: Origin,
        requirements: Requirements,
        chain_left: u8,
    ) -> Context {
        let lifetime_s = hold(&self.tenant).settings.mfa.mfa_token_lifetime_s;
        let expires_at_ms = self.clock.now_ms().saturating_add(lifetime_s.saturating_mul(1000));
        let client = client.to_owned();
        Context { client, subject, origin, requirements, expires_at_ms, chain_left, used: false }
    }

    /// Returns `mfa_required` with a new `mfa_token` for the context.
    fn demand(&self, context: Context, entry: Entry) -> Response {
        let mfa_token = format!("Fe26.2*{}*{}", random_name(), random_name());
        self.secrets.learn(secrecy::Kind::MfaToken, &mfa_token);
        let (settings, statuses) = {
            let tenant = hold(&self.tenant);
            (tenant.settings.mfa.clone(), tenant.settings.statuses)
        };
        let refusal = refusal::MFA_REQUIRED;
        let mut body = json!({ "error": refusal.error, "error_description": refusal.description });
        if settings.send_mfa_token {
            body["mfa_token"] = json!(mfa_token);
        }
        if settings.send_requirements {
            let typed = |names: &[String]| -> Vec<_> {
                names.iter().map(|name| json!({ "type": name })).collect()
            };
            let Requirements { challenge, enroll } = &context.requirements;
            let mut requirements = json!({});
            if !challenge.is_empty() {
                requirements["challenge"] = json!(typed(challenge));
            }
            if !enroll.is_empty() {
                requirements["enroll"] = json!(typed(enroll));
            }
            body["mfa_requirements"] = requirements;
        }
        let family = match &context.origin {
            Origin::Refresh { family, .. } => Some(family_name(*family)),
            Origin::Code(..) => None,
        };
        let subject = Some(context.subject.clone());
        let detail = Some(format!("mfa_token {}", short_hash(&mfa_token)));
        self.log(Kind::MfaRequired, Entry { family, subject, detail, ..entry });
        hold(&self.desk).mfa.put(mfa_token, context, self.clock.now_ms());
        let named = settings.required_status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = named.unwrap_or_else(|| refusal.status(statuses));
        (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }

    /// Returns the context of an `mfa_token` that a client presents.
    fn opened(&self, mfa_token: &str, client: &str) -> Result<Context, Refusal> {
        let now_ms = self.clock.now_ms();
        let context = hold(&self.desk).mfa.look(mfa_token, now_ms).cloned();
        let context = context.filter(|context| !context.used).ok_or(refusal::MALFORMED)?;
        if context.client != client {
            return Err(refusal::FOREIGN);
        }
        if context.expires_at_ms <= now_ms {
            return Err(refusal::EXPIRED);
        }
        Ok(context)
    }

    /// Uses up an `mfa_token`; of two that try at once, one succeeds.
    fn claim(&self, mfa_token: &str) -> bool {
        let now_ms = self.clock.now_ms();
        let mut desk = hold(&self.desk);
        let context = desk.mfa.look(mfa_token, now_ms);
        context.is_some_and(|context| !std::mem::replace(&mut context.used, true))
    }
}
