//! Blocking HTTP on this machine, with redirects and statuses left to the caller.

use std::io::BufReader;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
pub use ureq::http::{HeaderMap, HeaderName, HeaderValue};
use ureq::{Agent, Body};

use crate::failure::Failure;

/// How long any single answer may take: the gateway's own soft deadline is 8 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(12);
/// The longest body that is read into memory: ten thousand events of the ledger take three
/// megabytes, a hundred thousand minted sessions some twenty.
const BODY_LIMIT_BYTES: u64 = 64 << 20;

/// One caller with its own connections.
#[derive(Clone, Debug)]
pub struct Caller {
    agent: Agent,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Tells whether this is a 503 that says when to come back.
    #[must_use]
    pub fn is_postponed(&self) -> bool {
        let told = self.header("retry-after").unwrap_or_default();
        self.status == 503 && told.parse::<u32>().is_ok()
    }

    /// Returns a header's text, or nothing when it is absent or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Reads the body of a success as JSON.
    ///
    /// # Errors
    /// `Ours` that says what `doing` was answered with.
    pub fn json(&self, doing: &str) -> Result<Value, Failure> {
        match self.status {
            204 => Ok(Value::Null),
            200..=299 => serde_json::from_str(&self.body)
                .map_err(|error| Failure::Ours(format!("{doing}: {error}"))),
            // What a control port complains of is no secret; an answer of another kind may be one.
            status => {
                let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
                let why = body["error"].as_str().unwrap_or_default();
                Err(Failure::Ours(format!("{doing} was answered with {status} {why}")))
            }
        }
    }
}

impl Caller {
    /// Makes a caller that follows nothing and reads no proxy settings: all traffic is local.
    #[must_use]
    pub fn new() -> Self {
        Self::patient(ANSWER_LIMIT)
    }

    /// Makes a caller as [`Caller::new`] does that waits for so long for an answer.
    #[must_use]
    pub fn patient(limit: Duration) -> Self {
        let config = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(limit))
            .build();
        Self { agent: config.new_agent() }
    }

    /// Sends a GET.
    ///
    /// # Errors
    /// The transport's words when no answer came.
    pub fn fetch(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        let mut request = self.agent.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.call())
    }

    /// Sends a POST of an HTML form.
    ///
    /// # Errors
    /// The transport's words when no answer came.
    pub fn post_form(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        fields: &[(String, String)],
    ) -> Result<Answer, String> {
        let mut request = self.agent.post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send_form(fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
    }

    /// Sends a POST of JSON.
    ///
    /// # Errors
    /// The transport's words when no answer came.
    pub fn post_json(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Answer, String> {
        let mut request = self.agent.post(url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send(body.to_string()))
    }

    /// Sends a DELETE.
    ///
    /// # Errors
    /// The transport's words when no answer came.
    pub fn delete(&self, url: &str) -> Result<Answer, String> {
        read(self.agent.delete(url).call())
    }

    /// Opens a stream of server-sent events, which has no end of its own.
    ///
    /// # Errors
    /// The transport's words, or the status when it is not 200.
    pub fn stream(&self, url: &str) -> Result<BufReader<impl std::io::Read + use<>>, String> {
        let request = self.agent.get(url).header("accept", "text/event-stream");
        let request =
            request.config().timeout_global(None).timeout_connect(Some(ANSWER_LIMIT)).build();
        let response = request.call().map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200 => Ok(BufReader::new(response.into_body().into_reader())),
            status => Err(format!("status {status}")),
        }
    }
}

impl Default for Caller {
    fn default() -> Self {
        Self::new()
    }
}

fn read(response: Result<Response<Body>, ureq::Error>) -> Result<Answer, String> {
    // The transport's words name an address at most: credentials travel in headers and bodies.
    let mut response = response.map_err(|error| error.to_string())?;
    let body =
        response.body_mut().with_config().limit(BODY_LIMIT_BYTES).lossy_utf8(true).read_to_string();
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: body.map_err(|error| error.to_string())?,
    })
}
