//! The page between the login page and the application, on which a second factor is given.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::response::Response;

use crate::hold;
use crate::ledger::{Entry, Kind};
use crate::provider::authorize::{AuthorizeRequest, Prompt};
use crate::provider::family::Second;
use crate::provider::login::redirect;
use crate::provider::seal::random_name;
use crate::provider::{Browser, Params, Provider, pages};

use super::factor::FactorKind;
use super::matrix::Decision;
use super::settings::{ChallengeAt, Protocol};

/// An authorization request whose user has yet to give a second factor.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) request: AuthorizeRequest,
    pub(crate) browser: Browser,
    /// The name of the browser's session, by which it remembers the factor.
    pub(crate) cookie: String,
    /// The challenges sent from this page.
    oob_codes: Vec<String>,
}

/// What an authorization request still wants of a user who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Nothing.
    Nothing,
    /// A second factor.
    SecondFactor,
    /// A rule refuses.
    Denied,
}

/// Messages sent from one page.
const SENT_MAX: usize = 5;

/// Answers the page's form.
pub(crate) async fn answer(
    State(provider): State<Arc<Provider>>,
    Form(form): Form<Params>,
) -> Response {
    let field = |name: &str| form.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let now_ms = provider.clock.now_ms();
    let page = field("page").unwrap_or_default();
    let Some(waiting) = hold(&provider.desk).factor_pages.take(page, now_ms) else {
        return pages::refused("This page has been used or has expired: start again.");
    };
    if form.contains_key("cancel") {
        let description = "User did not authorize the request";
        let issuer = &provider.issuer;
        return redirect(&waiting.request.error_location(issuer, "access_denied", description));
    }
    if let Some(id) = field("send") {
        return provider.send_from_page(waiting, id);
    }
    let subject = waiting.browser.subject.clone();
    let given = match field("code") {
        _ if form.contains_key("approve") => Some(FactorKind::Push),
        Some(code) => provider.typed(&waiting, code.trim()),
        None => None,
    };
    let Some(kind) = given else {
        provider.note(Kind::MfaPageFailed, &subject, "page");
        return provider.factor_page(waiting, Some("That code is wrong, used or too old."));
    };
    provider.note(Kind::MfaPagePassed, &subject, kind.requirement());
    let Waiting { request, mut browser, cookie, .. } = waiting;
    browser.second = Some(Second { at_ms: now_ms, kind });
    if let Some(kept) = hold(&provider.desk).browsers.look(&cookie, now_ms) {
        kept.second = browser.second;
    }
    redirect(&provider.code_for(request, browser, true))
}

impl Waiting {
    pub(crate) fn new(request: AuthorizeRequest, browser: Browser, cookie: String) -> Self {
        Self { request, browser, cookie, oob_codes: Vec::new() }
    }
}

impl Provider {
    /// Returns what a request still wants of a browser: by `acr_values`, by rule or by policy.
    pub(crate) fn wanted(&self, request: &AuthorizeRequest, browser: &Browser) -> Wanted {
        let silent = request.prompt == Prompt::Never;
        let protocol = if silent { Protocol::Silent } else { Protocol::Login };
        let age_ms = browser.second_age_ms(self.clock.now_ms());
        let tenant = hold(&self.tenant);
        let settings = &tenant.settings.mfa;
        if settings.acr_values.contains(&request.acr) && browser.second.is_none() {
            return Wanted::SecondFactor;
        }
        if settings.challenge_at == ChallengeAt::TokenEndpoint && !silent {
            return Wanted::Nothing;
        }
        let audience = &request.granted.audience;
        match tenant.decide(protocol, &request.client, &browser.subject, audience, age_ms) {
            Decision::Pass => Wanted::Nothing,
            Decision::Demand(_) => Wanted::SecondFactor,
            Decision::Deny | Decision::Revoke => Wanted::Denied,
        }
    }

    /// Notes that a second factor was demanded of a sign-in.
    pub(crate) fn note_demand(&self, request: &AuthorizeRequest, subject: &str, place: &str) {
        self.log(
            Kind::MfaRequired,
            Entry {
                client: Some(request.client.clone()),
                audience: Some(request.granted.audience.clone()),
                subject: Some(subject.to_owned()),
                detail: Some(place.to_owned()),
                ..Entry::default()
            },
        );
    }

    /// Returns the page that asks for a second factor.
    pub(crate) fn factor_page(&self, waiting: Waiting, complaint: Option<&str>) -> Response {
        let page = random_name();
        let answer = pages::factor(self, &page, &waiting, complaint);
        hold(&self.desk).factor_pages.put(page, waiting, self.clock.now_ms());
        answer
    }

    fn send_from_page(&self, mut waiting: Waiting, id: &str) -> Response {
        let subject = waiting.browser.subject.clone();
        let factor = {
            let tenant = hold(&self.tenant);
            let named = tenant.factors(&subject).iter().find(|factor| factor.id == id);
            named.filter(|factor| factor.active && factor.kind.channel().is_some()).cloned()
        };
        let Some(factor) = factor.filter(|_| waiting.oob_codes.len() < SENT_MAX) else {
            return self.factor_page(waiting, Some("No code can be sent there."));
        };
        match self.send("", &subject, &factor) {
            Ok(oob_code) => waiting.oob_codes.push(oob_code),
            Err(refused) => return self.factor_page(waiting, Some(refused.description)),
        }
        self.factor_page(waiting, None)
    }

    /// A one-time password, a code of a message sent from this page, or a recovery code.
    fn typed(&self, waiting: &Waiting, code: &str) -> Option<FactorKind> {
        let subject = &waiting.browser.subject;
        if let Some(id) = self.otp_serves(subject, code) {
            self.confirm(subject, &id);
            return Some(FactorKind::Otp);
        }
        let now_ms = self.clock.now_ms();
        let sent = {
            let mut desk = hold(&self.desk);
            waiting.oob_codes.iter().find_map(|oob_code| {
                let challenge = desk.oob.look(oob_code, now_ms)?;
                let right = challenge.expires_at_ms > now_ms
                    && challenge.binding_code.as_deref() == Some(code);
                right.then_some(challenge.kind)
            })
        };
        sent.or_else(|| self.recover(subject, code).map(|_| FactorKind::RecoveryCode))
    }
}
