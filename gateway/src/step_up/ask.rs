//! What callers say to the endpoints of a step-up, as JSON or as a form.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Form, FromRequest, Json, Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::session::Need;
use tokenward::core::step_up::Factor;
use tokenward::step_up::{HoldView, MfaFault};

use super::about::About;
use super::visit::{self, Visit};
use crate::front::Front;
use crate::identify::{self, Caller};
use crate::pages::Trouble;

#[cfg(test)]
mod hostile;

/// What is meant: an API and its scopes, and where to go afterwards.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Place {
    #[serde(alias = "resource")]
    pub(super) audience: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) return_to: Option<String>,
    pub(super) remember: Option<Tick>,
}

/// A box on a form that is ticked or not; programs say `true`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Tick {
    Said(bool),
    Written(String),
}

/// One way to confirm.
#[derive(Deserialize)]
pub(super) struct Challenge {
    #[serde(alias = "mfaToken")]
    mfa_token: String,
    #[serde(alias = "authenticatorId", alias = "authenticator_id")]
    pub(super) authenticator: Option<String>,
    factor: Option<String>,
    #[serde(alias = "challengeType")]
    challenge_type: Option<String>,
    #[serde(alias = "oobChannel")]
    oob_channel: Option<String>,
    #[serde(flatten)]
    place: Place,
}

/// A factor to set up.
#[derive(Deserialize)]
pub(super) struct Associate {
    #[serde(alias = "mfaToken")]
    mfa_token: String,
    factor: Option<String>,
    #[serde(default, alias = "authenticatorTypes")]
    authenticator_types: Vec<String>,
    #[serde(default, alias = "oobChannels")]
    oob_channels: Vec<String>,
    #[serde(alias = "phoneNumber")]
    phone_number: Option<String>,
    email: Option<String>,
    #[serde(flatten)]
    place: Place,
}

/// What a person has to show.
#[derive(Deserialize)]
pub(super) struct Verify {
    #[serde(alias = "mfaToken")]
    mfa_token: String,
    pub(super) otp: Option<String>,
    #[serde(alias = "oobCode")]
    pub(super) oob_code: Option<String>,
    #[serde(alias = "bindingCode")]
    pub(super) binding_code: Option<String>,
    #[serde(alias = "recoveryCode")]
    pub(super) recovery_code: Option<String>,
    #[serde(flatten)]
    place: Place,
}

/// A request to one of the endpoints, with the session it belongs to.
pub(super) struct Asked<T> {
    pub(super) headers: HeaderMap,
    pub(super) key: SessionKey,
    pub(super) about: About,
    pub(super) said: T,
}

/// What every body says.
pub(super) trait Said: DeserializeOwned {
    /// What is expected, in words; the caller's own values are never repeated.
    const EXPECTED: &'static str;

    fn handle(&self) -> &str;
    fn place(&self) -> &Place;
}

impl Said for Challenge {
    const EXPECTED: &'static str = "mfa_token, and authenticator or factor";

    fn handle(&self) -> &str {
        &self.mfa_token
    }

    fn place(&self) -> &Place {
        &self.place
    }
}

impl Said for Associate {
    const EXPECTED: &'static str = "mfa_token and factor, and phone_number or email where it needs \
                                    one";

    fn handle(&self) -> &str {
        &self.mfa_token
    }

    fn place(&self) -> &Place {
        &self.place
    }
}

impl Said for Verify {
    const EXPECTED: &'static str = "mfa_token, and otp, oob_code (with binding_code where one was \
                                    sent) or recovery_code, each as text";

    fn handle(&self) -> &str {
        &self.mfa_token
    }

    fn place(&self) -> &Place {
        &self.place
    }
}

impl Challenge {
    /// Returns the factor that is named; `None` where only an authenticator is.
    pub(super) fn factor(&self) -> Result<Option<Factor>, MfaFault> {
        let kind = self.challenge_type.as_deref().filter(|kind| *kind != "oob");
        let named = self.factor.as_deref().or(self.oob_channel.as_deref()).or(kind);
        named.filter(|name| !name.is_empty()).map(parsed).transpose()
    }
}

impl Associate {
    /// Returns the factor to set up.
    pub(super) fn factor(&self) -> Result<Factor, MfaFault> {
        let listed = || self.oob_channels.first().or(self.authenticator_types.first());
        let named = self.factor.as_deref().or_else(|| listed().map(String::as_str));
        parsed(named.unwrap_or_default())
    }

    /// Returns the telephone number, without the blanks that people write into it.
    pub(super) fn phone_number(&self) -> Option<String> {
        let number: String = self.phone_number.as_deref()?.split_whitespace().collect();
        (!number.is_empty()).then_some(number)
    }

    /// Returns the address.
    pub(super) fn email(&self) -> Option<String> {
        self.email.clone().filter(|email| !email.trim().is_empty())
    }
}

impl Place {
    /// Reports whether the person wants this browser to be remembered.
    pub(super) fn is_ticked(&self) -> bool {
        match &self.remember {
            Some(Tick::Said(ticked)) => *ticked,
            Some(Tick::Written(text)) => text == "true",
            None => false,
        }
    }

    /// Returns what is meant, where it is said in full.
    pub(super) fn need(&self) -> Option<Need> {
        need(self.audience.as_deref()?, self.scope.as_deref()?)
    }

    /// Reports whether a hold is meant; one that names nothing means any.
    pub(super) fn is_for(&self, view: &HoldView) -> bool {
        let same_scopes = |scope: &String| ScopeSet::parse(scope) == ScopeSet::parse(&view.scope);
        self.audience.as_ref().is_none_or(|audience| *audience == view.audience)
            && self.scope.as_ref().is_none_or(same_scopes)
    }
}

/// Takes the blanks out of a code, which apps and people write into it.
pub(super) fn digits(code: Option<&String>) -> Option<String> {
    code.map(|code| code.split_whitespace().collect())
}

/// Reads the query of an address.
pub(super) fn place(query: Result<Query<Place>, QueryRejection>) -> Result<Place, Trouble> {
    query.map(|Query(place)| place).map_err(|_| {
        bad("The query of the address cannot be read; it holds audience, scope and return_to.")
    })
}

/// Reads a body, after checking that a page of ours sent it, and finds the session.
pub(super) async fn read<T: Said>(front: &Front, request: Request) -> Result<Asked<T>, Response> {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    front.guard(&headers, &uri).map_err(|trouble| trouble.reply(&headers))?;
    let visit = Visit::of(front, &uri, &headers);
    let visit = visit.ok_or_else(|| visit::nobody(front, &uri).reply(&headers))?;
    let said = body::<T>(request).await.ok_or_else(|| {
        let detail = format!("A JSON object or a form is expected with {}.", T::EXPECTED);
        bad(&detail).reply(&headers)
    })?;
    let place = visit.place(said.place().clone());
    let about = About::new(front, &place).before(&visit).with_handle(said.handle().to_owned());
    let key = *visit.key();
    match visit.check(front, said.handle()).await {
        Ok(()) => Ok(Asked { headers, key, about, said }),
        Err(fault) => Err(about.trouble(front, &key, fault).reply(&headers)),
    }
}

/// Finds the session of a request that may carry the handle of a hold as its bearer credential.
pub(super) fn session(front: &Front, headers: &HeaderMap) -> Option<SessionKey> {
    front.session_of(headers).or_else(|| {
        let mut without = headers.clone();
        without.remove(header::AUTHORIZATION);
        match identify::identify(&without, &front.config().session.cookie) {
            Caller::Browser(key) => Some(key),
            Caller::Nobody | Caller::Program(_) | Caller::Stranger | Caller::Two => None,
        }
    })
}

/// Returns the handle of a hold that came in a header: as a bearer credential beside a session
/// cookie, which is how pages of the web SDKs send it, or under a name of its own.
pub(super) fn handle(headers: &HeaderMap) -> Option<String> {
    if let Some(handle) = headers.get("mfa-token") {
        return handle.to_str().ok().map(str::to_owned);
    }
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, handle) = value.split_once(' ')?;
    let is_other = tokenward::SessionHandle::parse(handle.trim()).is_err();
    (scheme.eq_ignore_ascii_case("bearer") && is_other).then(|| handle.trim().to_owned())
}

/// Makes the need of a hold.
pub(super) fn need(audience: &str, scope: &str) -> Option<Need> {
    let audience = Audience::parse(audience).ok()?;
    Some(Need { audience, scopes: ScopeSet::parse(scope) })
}

async fn body<T: DeserializeOwned>(request: Request) -> Option<T> {
    let is_json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.trim_start().starts_with("application/json"));
    if is_json {
        Json::from_request(request, &()).await.ok().map(|Json(said)| said)
    } else {
        Form::from_request(request, &()).await.ok().map(|Form(said)| said)
    }
}

fn parsed(name: &str) -> Result<Factor, MfaFault> {
    let unknown = MfaFault::InvalidRequest(
        "factor is none of otp, push, sms, voice, email, recovery-code and webauthn",
    );
    Factor::parse(name).ok_or(unknown)
}

fn bad(detail: &str) -> Trouble {
    Trouble::new(StatusCode::BAD_REQUEST, "invalid_request", "This is not understood", detail)
}
