//! GET /authorize and the login page behind it.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::hold;
use crate::ledger::{Entry, Kind};
use crate::secrecy;

use super::authorize::{self, AuthorizeRequest, Prompt, Refused};
use super::family::Second;
use super::mfa::factor::FactorKind;
use super::mfa::{Waiting, Wanted};
use super::seal::random_name;
use super::{Browser, Code, Params, Provider, pages};

/// The provider's session cookie; its name must not clash with a client's on the same host.
const COOKIE_NAME: &str = "sandbox_sso";

/// Answers an authorization request.
pub(crate) async fn authorize(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Response {
    let read = authorize::read(&hold(&provider.tenant), &provider.issuer, &params);
    let request = match read {
        Ok(request) => request,
        Err(Refused::Here(sentence)) => return pages::refused(sentence),
        Err(Refused::ToClient(location)) => return redirect(&location),
    };
    let now_ms = provider.clock.now_ms();
    let browser = provider.browser(&headers);
    let serves = |browser: &Browser| request.served_by(browser.authenticated_at_ms(), now_ms);
    match browser.filter(|(_, browser)| serves(browser)) {
        Some((cookie, browser)) => provider.go_on(request, browser, cookie, Kind::SilentLogin),
        None if request.prompt == Prompt::Never => {
            provider.silent_refused(&request, "Login required")
        }
        None => provider.login_page(request, None),
    }
}

/// Answers the login page's form: a name chosen from the list, or a name and a password.
pub(crate) async fn login(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(form): Form<Params>,
) -> Response {
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let now_ms = provider.clock.now_ms();
    let request = hold(&provider.desk).login_pages.take(field("page"), now_ms);
    let Some(request) = request else {
        return pages::refused(
            "This login page has been used or has expired: start again at the application.",
        );
    };
    if form.contains_key("cancel") {
        let description = "User did not authorize the request";
        let location = request.error_location(&provider.issuer, "access_denied", description);
        return redirect(&location);
    }
    let subject = {
        let tenant = hold(&provider.tenant);
        let chosen = form.get("user").and_then(|name| tenant.user(name));
        let typed = tenant.user(field("username"));
        let typed = typed.filter(|user| user.password == field("password"));
        chosen.or(typed).map(super::registry::User::subject)
    };
    let Some(subject) = subject else {
        return provider.login_page(request, Some("Wrong user name or password."));
    };
    let before = provider.browser(&headers).map(|(_, browser)| browser);
    let (browser, name) = provider.sign_in(subject, before);
    let mut answer = provider.go_on(request, browser, name.clone(), Kind::Login);
    let cookie = format!("{COOKIE_NAME}={name}; Path=/; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = cookie.parse() {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

/// Returns a 302, as the specifications' examples have it.
pub(crate) fn redirect(location: &str) -> Response {
    (StatusCode::FOUND, [(LOCATION, location)]).into_response()
}

impl Provider {
    /// Approves an authorization request as a user would, with the second factor the user gives
    /// where one is asked for, and returns where the browser would be sent; `None` stands for a user
    /// who cancels.
    pub(crate) fn approve(
        &self,
        params: &Params,
        subject: Option<String>,
        factor: Option<FactorKind>,
    ) -> Result<String, &'static str> {
        let read = authorize::read(&hold(&self.tenant), &self.issuer, params);
        let request = match read {
            Ok(request) => request,
            Err(Refused::Here(sentence)) => return Err(sentence),
            Err(Refused::ToClient(location)) => return Ok(location),
        };
        let denied =
            |description| Ok(request.error_location(&self.issuer, "access_denied", description));
        let Some(subject) = subject else {
            return denied("User did not authorize the request");
        };
        let (mut browser, name) = self.sign_in(subject, None);
        let wanted = self.wanted(&request, &browser);
        self.log(Kind::Login, entry(&request, &browser));
        match (wanted, factor) {
            (Wanted::Denied, _) => return denied("Access denied by a rule."),
            (Wanted::SecondFactor, None) => {
                self.note_demand(&request, &browser.subject, "headless");
                return Err("this sign-in needs a second factor; say which with \"factor\"");
            }
            (Wanted::SecondFactor | Wanted::Nothing, Some(kind)) => {
                let now_ms = self.clock.now_ms();
                self.note_demand(&request, &browser.subject, "headless");
                self.note(Kind::MfaPagePassed, &browser.subject, kind.requirement());
                browser.second = Some(Second { at_ms: now_ms, kind });
                if let Some(kept) = hold(&self.desk).browsers.look(&name, now_ms) {
                    kept.second = browser.second;
                }
            }
            (Wanted::Nothing, None) => {}
        }
        let settled = browser.second.is_some();
        Ok(self.code_for(request, browser, settled))
    }

    /// Sends a browser that is signed in on: to the application, or to give a second factor.
    fn go_on(
        &self,
        request: AuthorizeRequest,
        browser: Browser,
        cookie: String,
        kind: Kind,
    ) -> Response {
        let silent = request.prompt == Prompt::Never;
        match self.wanted(&request, &browser) {
            Wanted::Nothing => {
                self.log(kind, entry(&request, &browser));
                redirect(&self.code_for(request, browser, false))
            }
            Wanted::Denied => {
                let description = "Access denied by a rule.";
                redirect(&request.error_location(&self.issuer, "access_denied", description))
            }
            Wanted::SecondFactor => {
                let place = if silent { "silent" } else { "page" };
                self.note_demand(&request, &browser.subject, place);
                if silent {
                    return self.silent_refused(&request, "Multifactor authentication required");
                }
                self.log(kind, entry(&request, &browser));
                self.factor_page(Waiting::new(request, browser, cookie), None)
            }
        }
    }

    fn silent_refused(&self, request: &AuthorizeRequest, description: &str) -> Response {
        let client = Some(request.client.clone());
        let detail = Some(description.to_owned());
        self.log(Kind::SilentLoginRefused, Entry { client, detail, ..Entry::default() });
        redirect(&request.error_location(&self.issuer, "login_required", description))
    }

    /// Signs the browser out and returns the session it had.
    pub(crate) fn sign_out(&self, headers: &HeaderMap) -> Option<Browser> {
        let name = cookie(headers)?;
        hold(&self.desk).browsers.take(name, self.clock.now_ms())
    }

    /// Returns the session of a browser, with its name.
    fn browser(&self, headers: &HeaderMap) -> Option<(String, Browser)> {
        let name = cookie(headers)?;
        let browser = hold(&self.desk).browsers.look(name, self.clock.now_ms()).cloned()?;
        Some((name.to_owned(), browser))
    }

    /// Starts a session of a browser and returns it with its name. A user who was signed in already
    /// keeps the session identifier that logout tokens name.
    fn sign_in(&self, subject: String, before: Option<Browser>) -> (Browser, String) {
        let now_ms = self.clock.now_ms();
        let sid = before.filter(|before| before.subject == subject).map(|before| before.sid);
        let sid = sid.unwrap_or_else(random_name);
        let browser = Browser { subject, sid, auth_time_ms: now_ms, second: None };
        let name = random_name();
        hold(&self.desk).browsers.put(name.clone(), browser.clone(), now_ms);
        (browser, name)
    }

    /// Returns where the code for a request goes; `settled` says that a second factor was given in
    /// this very sign-in.
    pub(super) fn code_for(
        &self,
        request: AuthorizeRequest,
        browser: Browser,
        settled: bool,
    ) -> String {
        let code = random_name();
        self.secrets.learn(secrecy::Kind::AuthorizationCode, &code);
        let location = request.code_location(&self.issuer, &code);
        let now_ms = self.clock.now_ms();
        hold(&self.desk).codes.put(code, Code { request, browser, settled }, now_ms);
        location
    }

    fn login_page(&self, request: AuthorizeRequest, complaint: Option<&str>) -> Response {
        let page = random_name();
        let answer = pages::login(self, &page, &request, complaint);
        hold(&self.desk).login_pages.put(page, request, self.clock.now_ms());
        answer
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == COOKIE_NAME).map(|(_, value)| value.trim())
}

fn entry(request: &AuthorizeRequest, browser: &Browser) -> Entry {
    Entry {
        client: Some(request.client.clone()),
        audience: Some(request.granted.audience.clone()),
        scope: Some(request.granted.scope.clone()),
        subject: Some(browser.subject.clone()),
        ..Entry::default()
    }
}
