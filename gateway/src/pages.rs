//! What people see when something is in the way, and what programs are told instead.

use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Something that stands in the way: a page for people, a problem document for programs.
#[derive(Clone, Debug)]
pub(crate) struct Trouble(Box<Told>);

/// What is told of it; boxed, because most requests meet no trouble.
#[derive(Clone, Debug)]
struct Told {
    status: StatusCode,
    error: &'static str,
    title: &'static str,
    detail: String,
    way_out: Option<WayOut>,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
    members: Map<String, Value>,
}

/// Where a person can go from here.
#[derive(Clone, Debug)]
struct WayOut {
    label: &'static str,
    href: String,
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage<'a> {
    nonce: &'a str,
    title: &'a str,
    detail: &'a str,
    error: &'a str,
    status: u16,
    way_out: Option<&'a WayOut>,
}

impl Trouble {
    /// Says what stands in the way; `detail` says in whole sentences what to do about it.
    pub(crate) fn new(
        status: StatusCode,
        error: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Told {
            status,
            error,
            title,
            detail: detail.into(),
            way_out: None,
            retry_after: None,
            challenge: None,
            members: Map::new(),
        }))
    }

    /// Offers a person a way on; `href` must be a checked path on our own origin.
    #[must_use]
    pub(crate) fn way_out(mut self, label: &'static str, href: impl Into<String>) -> Self {
        self.0.way_out = Some(WayOut { label, href: href.into() });
        self
    }

    /// Says when it is worth asking again.
    #[must_use]
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Says how to prove who one is (RFC 6750 §3).
    #[must_use]
    pub(crate) fn challenge(mut self, challenge: &'static str) -> Self {
        self.0.challenge = Some(challenge);
        self
    }

    /// Tells programs more.
    #[must_use]
    pub(crate) fn with(mut self, name: String, value: Value) -> Self {
        self.0.members.insert(name, value);
        self
    }

    /// Returns the code that programs branch on.
    pub(crate) fn code(&self) -> &'static str {
        self.0.error
    }

    /// Makes the reply that fits who asks.
    pub(crate) fn reply(self, headers: &HeaderMap) -> Response {
        let Self(told) = self;
        let page = if wants_page(headers) { told.page() } else { None };
        let mut problem = Problem::new(told.status, told.error, told.title, told.detail);
        if let Some(wait) = told.retry_after {
            problem = problem.retry_after(wait);
        }
        if let Some(challenge) = told.challenge {
            let challenge = HeaderValue::from_static(challenge);
            problem = problem.header(header::WWW_AUTHENTICATE, challenge);
        }
        for (name, value) in told.members {
            problem = problem.with(&name, value);
        }
        let mut reply = problem.reply().map(Body::new);
        if let Some((page, nonce)) = page {
            *reply.body_mut() = Body::from(page);
            dress(&mut reply, &nonce, Allowed::Nothing);
        }
        reply
    }
}

impl Told {
    fn page(&self) -> Option<(String, String)> {
        let nonce = nonce()?;
        let page = TroublePage {
            nonce: &nonce,
            title: self.title,
            detail: &self.detail,
            error: self.error,
            status: self.status.as_u16(),
            way_out: self.way_out.as_ref(),
        };
        // Writing to a text fails only where a value's Display does; these are texts and numbers.
        page.render().ok().map(|page| (page, nonce))
    }
}

/// Reports whether a person waits for a page, rather than a program for an answer.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode.as_bytes() == b"navigate",
        // Browsers without fetch metadata name HTML; programs accept anything or JSON.
        None => headers
            .get(header::ACCEPT)
            .is_some_and(|accept| accept.as_bytes().windows(9).any(|part| part == b"text/html")),
    }
}

/// Draws a nonce for the one style element of a page.
pub(crate) fn nonce() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// What a page may do beside being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Nothing.
    Nothing,
    /// Send forms to us.
    Forms,
    /// Send forms to us, whose answer may lead to the provider.
    FormsThatLeave,
    /// Send forms to us, and run the one script that is written into it, which may ask us.
    FormsAndScript,
}

/// Puts the headers of a page on a reply: it loads nothing from elsewhere and is framed by nobody.
pub(crate) fn dress(reply: &mut Response, nonce: &str, allowed: Allowed) {
    // `form-action` judges where a form's answer redirects to as well; most of ours lead to our own
    // paths only. The provider may lead on to any other host: there is no list to write here.
    let more = match allowed {
        Allowed::Nothing => "form-action 'none'".to_owned(),
        Allowed::Forms => "form-action 'self'".to_owned(),
        Allowed::FormsThatLeave => "form-action 'self' http: https:".to_owned(),
        Allowed::FormsAndScript => {
            format!("form-action 'self'; script-src 'nonce-{nonce}'; connect-src 'self'")
        }
    };
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'; \
         {more}"
    );
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HTML);
    headers.insert(header::X_FRAME_OPTIONS, DENY);
    // A nonce of base64url fits any header.
    headers
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).unwrap_or(NOTHING));
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const DENY: HeaderValue = HeaderValue::from_static("DENY");
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_is_for_people_and_its_texts_are_escaped() {
        let trouble = |detail: &str| {
            Trouble::new(StatusCode::BAD_REQUEST, "broken", "It is broken", detail)
                .way_out("Try again", "/auth/login?return_to=%2F")
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
        let page = trouble("<script>alert(1)</script>").reply(&headers);
        assert_eq!(page.headers()[header::CONTENT_TYPE], HTML);
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"), "{policy}");
        let body = axum::body::to_bytes(page.into_body(), 1 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(!body.contains("<script") && body.contains("alert(1)"), "{body}");

        headers.insert("sec-fetch-mode", HeaderValue::from_static("cors"));
        let problem = trouble("x").reply(&headers);
        assert_eq!(problem.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
    }
}
