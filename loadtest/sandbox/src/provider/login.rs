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
    let serving = browser.filter(|browser| request.served_by(browser.auth_time_ms, now_ms));
    match serving {
        Some(browser) => {
            provider.log(Kind::SilentLogin, entry(&request, &browser));
            redirect(&provider.code_for(request, browser))
        }
        None if request.prompt == Prompt::Never => {
            let client = Some(request.client.clone());
            provider.log(Kind::SilentLoginRefused, Entry { client, ..Entry::default() });
            redirect(&request.error_location(&provider.issuer, "login_required", "Login required"))
        }
        None => provider.login_page(request, None),
    }
}

/// Answers the login page's form: a name chosen from the list, or a name and a password.
pub(crate) async fn login(
    State(provider): State<Arc<Provider>>,
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
    let (browser, cookie) = provider.sign_in(subject);
    provider.log(Kind::Login, entry(&request, &browser));
    let mut answer = redirect(&provider.code_for(request, browser));
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
    /// Approves an authorization request as a user would and returns where the browser would be
    /// sent; `None` stands for a user who cancels.
    pub(crate) fn approve(
        &self,
        params: &Params,
        subject: Option<String>,
    ) -> Result<String, &'static str> {
        let read = authorize::read(&hold(&self.tenant), &self.issuer, params);
        let request = match read {
            Ok(request) => request,
            Err(Refused::Here(sentence)) => return Err(sentence),
            Err(Refused::ToClient(location)) => return Ok(location),
        };
        let Some(subject) = subject else {
            let description = "User did not authorize the request";
            return Ok(request.error_location(&self.issuer, "access_denied", description));
        };
        let (browser, _) = self.sign_in(subject);
        self.log(Kind::Login, entry(&request, &browser));
        Ok(self.code_for(request, browser))
    }

    /// Signs the browser out and returns the session it had.
    pub(crate) fn sign_out(&self, headers: &HeaderMap) -> Option<Browser> {
        let name = cookie(headers)?;
        hold(&self.desk).browsers.take(name, self.clock.now_ms())
    }

    fn browser(&self, headers: &HeaderMap) -> Option<Browser> {
        hold(&self.desk).browsers.look(cookie(headers)?, self.clock.now_ms()).cloned()
    }

    fn sign_in(&self, subject: String) -> (Browser, String) {
        let now_ms = self.clock.now_ms();
        let browser = Browser { subject, sid: random_name(), auth_time_ms: now_ms };
        let name = random_name();
        hold(&self.desk).browsers.put(name.clone(), browser.clone(), now_ms);
        (browser, format!("{COOKIE_NAME}={name}; Path=/; HttpOnly; SameSite=Lax"))
    }

    fn code_for(&self, request: AuthorizeRequest, browser: Browser) -> String {
        let code = random_name();
        self.secrets.learn(secrecy::Kind::AuthorizationCode, &code);
        let location = request.code_location(&self.issuer, &code);
        let now_ms = self.clock.now_ms();
        hold(&self.desk).codes.put(code, Code { request, browser }, now_ms);
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
