//! How the gateway says no: `application/problem+json` (RFC 9457) with OAuth's fields beside it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::forward::ReplyBody;

/// A reply that the gateway makes itself.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    error: &'static str,
    title: &'static str,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Written<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    error: &'a str,
    error_description: &'a str,
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

/// The members that every problem has.
const RESERVED: [&str; 6] = ["type", "title", "status", "detail", "error", "error_description"];

/// Where the kinds of problems are named: a URN, so that nobody expects a page behind it.
const TYPE: &str = "urn:tokenward:problem:";

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

impl Problem {
    /// Starts a problem; `error` is the code that programs branch on, `detail` a sentence.
    pub fn new(
        status: StatusCode,
        error: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error,
            title,
            detail: detail.into(),
            members: Map::new(),
            headers: Vec::new(),
        }
    }

    /// Adds a member (RFC 9457 §3.2); those that every problem has stay as they are.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        if !RESERVED.contains(&name) {
            self.members.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds Retry-After: whole seconds, rounded up, at least one, so that nobody comes too early.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Writes the reply.
    pub fn reply(self) -> Response<ReplyBody> {
        let written = Written {
            r#type: format!("{TYPE}{}", self.error),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            error: self.error,
            error_description: &self.detail,
            members: &self.members,
        };
        // Texts and numbers always have a JSON form.
        let body = serde_json::to_vec(&written).unwrap_or_default();
        let mut reply = Response::new(ReplyBody::full(Bytes::from(body)));
        *reply.status_mut() = self.status;
        reply.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        reply.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        for (name, value) in self.headers {
            reply.headers_mut().append(name, value);
        }
        reply
    }
}
