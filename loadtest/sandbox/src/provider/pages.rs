//! The provider's pages. They load nothing but their own style sheet and need no script.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::hold;

use super::authorize::AuthorizeRequest;
use super::mfa::Waiting;
use super::{Provider, html};

/// Users offered by one page; the others can type their name.
const USERS_SHOWN: usize = 12;

/// A user as a page offers them.
pub(crate) struct Offered {
    name: String,
    shown: String,
    initial: String,
    email: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    page: &'a str,
    client: &'a str,
    audience: &'a str,
    scopes: Vec<&'a str>,
    users: Vec<Offered>,
    complaint: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "activate.html")]
struct ActivatePage<'a> {
    user_code: &'a str,
    client: Option<&'a str>,
    users: Vec<Offered>,
    complaint: Option<&'a str>,
}

/// A way to be sent a code.
struct Sender {
    id: String,
    channel: &'static str,
    to: String,
}

#[derive(Template)]
#[template(path = "factor.html")]
struct FactorPage<'a> {
    page: &'a str,
    client: &'a str,
    shown: String,
    senders: Vec<Sender>,
    complaint: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    title: &'a str,
    sentence: &'a str,
    good: bool,
}

/// Returns the login page.
pub(crate) fn login(
    provider: &Provider,
    page: &str,
    request: &AuthorizeRequest,
    complaint: Option<&str>,
) -> Response {
    shown(&LoginPage {
        page,
        client: &request.client,
        audience: &request.granted.audience,
        scopes: request.granted.scope.split_whitespace().collect(),
        users: offered(provider),
        complaint,
    })
}

/// Returns the page that asks for a second factor.
pub(crate) fn factor(
    provider: &Provider,
    page: &str,
    waiting: &Waiting,
    complaint: Option<&str>,
) -> Response {
    let subject = &waiting.browser.subject;
    let (shown_name, senders) = {
        let tenant = hold(&provider.tenant);
        let shown_name = tenant.subject(subject).map_or("you", |user| user.shown()).to_owned();
        let active = tenant.factors(subject).iter().filter(|factor| factor.active);
        let senders = active.filter_map(|factor| {
            let to = factor.name.clone().unwrap_or_default();
            let channel = factor.kind.channel().filter(|channel| *channel != "auth0")?;
            Some(Sender { id: factor.id.clone(), channel, to })
        });
        (shown_name, senders.collect())
    };
    let client = &waiting.request.client;
    shown(&FactorPage { page, client, shown: shown_name, senders, complaint })
}

/// Returns the page on which a device's code is entered, or with a `client` confirmed.
pub(crate) fn activate(
    provider: &Provider,
    user_code: &str,
    client: Option<&str>,
    complaint: Option<&str>,
) -> Response {
    shown(&ActivatePage { user_code, client, users: offered(provider), complaint })
}

/// Returns a page with good news.
pub(crate) fn done(title: &str, sentence: &str) -> Response {
    shown(&MessagePage { title, sentence, good: true })
}

/// Returns a page that says why nothing was done.
pub(crate) fn refused(sentence: &str) -> Response {
    let page = shown(&MessagePage { title: "That did not work", sentence, good: false });
    (StatusCode::BAD_REQUEST, page).into_response()
}

/// Returns the front page.
pub(crate) async fn home(State(provider): State<Arc<Provider>>) -> Response {
    let sentence = format!("This is the sandbox provider, issuer {}.", provider.issuer);
    done("Sandbox provider", &sentence)
}

fn offered(provider: &Provider) -> Vec<Offered> {
    let offered = |user: &super::registry::User| Offered {
        name: user.name.clone(),
        shown: user.shown().to_owned(),
        initial: user.shown().chars().take(1).collect(),
        email: user.email.clone().unwrap_or_default(),
    };
    hold(&provider.tenant).users().take(USERS_SHOWN).map(offered).collect()
}

fn shown(page: &impl Template) -> Response {
    match page.render() {
        Ok(page) => html(page),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
