//! Talks to the admin listener of a running gateway.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::{Client, Method, RequestBuilder, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::Failure;
use crate::config::{Config, Secret};

/// How long a gateway may take to answer: longer than its own soft deadline (8 s).
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How long a connection may take: the listener is near.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// The largest answer that is read: a page of sessions is far smaller.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where the bearer token is looked for, beside the configuration; never on the command line, where
/// every user of the machine can read it.
const BEARER_VARIABLE: &str = "TOKENWARD_ADMIN_TOKEN";

/// Which running gateway is meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Target {
    /// The configuration file of the running gateway
    #[arg(long, value_name = "FILE", env = "TOKENWARD_CONFIG")]
    config: Option<PathBuf>,
    /// The address of its admin listener, such as http://127.0.0.1:9464; a bearer token is read from
    /// TOKENWARD_ADMIN_TOKEN
    #[arg(long, value_name = "URL")]
    admin: Option<Url>,
}

/// A way to one admin listener.
#[derive(Debug)]
pub(super) struct Operator {
    http: Client,
    base: Url,
    bearer: Option<Secret>,
}

/// What is read of a problem document.
#[derive(Deserialize)]
struct Told {
    detail: String,
}

impl Target {
    /// Finds the way to the listener; asks it nothing yet.
    pub(super) fn operator(&self) -> Result<Operator, Failure> {
        match (&self.admin, &self.config) {
            (Some(base), _) => {
                let bearer = std::env::var(BEARER_VARIABLE).ok().map(Secret::new);
                Operator::new(base.clone(), bearer)
            }
            (None, Some(path)) => {
                Operator::of(&Config::load(path).map_err(Failure::configuration)?)
            }
            (None, None) => Err(Failure::usage("give --config FILE or --admin URL")),
        }
    }
}

impl Operator {
    /// Finds the way to the listener that a configuration describes.
    pub(super) fn of(config: &Config) -> Result<Self, Failure> {
        let mut listen = config.admin.listen;
        if listen.ip().is_unspecified() {
            // Every address of this machine includes this one.
            listen.set_ip(match listen.ip() {
                std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let base = Url::parse(&format!("http://{listen}")).map_err(Failure::ours)?;
        Self::new(base, config.admin.bearer.clone())
    }

    fn new(base: Url, bearer: Option<Secret>) -> Result<Self, Failure> {
        if base.cannot_be_a_base() || !matches!(base.scheme(), "http" | "https") {
            return Err(Failure::usage("--admin is no address such as http://127.0.0.1:9464"));
        }
        let http = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| Failure::ours(format!("no HTTP client can be made ({error})")))?;
        Ok(Self { http, base, bearer })
    }

    /// Asks for a resource.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.ask(self.http.request(Method::GET, url)).await
    }

    /// Removes a resource.
    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Failure> {
        self.ask(self.http.request(Method::DELETE, self.url(path))).await
    }

    /// Sends a document.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &Value,
    ) -> Result<T, Failure> {
        self.ask(self.http.request(Method::POST, self.url(path)).json(body)).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Escapes what is typed, so that an id cannot become another path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        url
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let request = match &self.bearer {
            Some(bearer) => request.bearer_auth(bearer.expose()),
            None => request,
        };
        let mut answer = request.send().await.map_err(|error| self.away(&error))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.away(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(Failure::unavailable(format!("{} answers too much", self.base)));
            }
        }
        if !status.is_success() {
            return Err(self.refused(status.as_u16(), &body));
        }
        serde_json::from_slice(&body).map_err(|_| {
            Failure::unavailable(format!(
                "{} answers something else than a tokenward admin listener; check the address",
                self.base
            ))
        })
    }

    fn refused(&self, status: u16, body: &[u8]) -> Failure {
        let told = serde_json::from_slice::<Told>(body).map(|told| told.detail);
        let told = told.unwrap_or_else(|_| format!("{} answered {status}", self.base));
        match status {
            401 => Failure::configuration(format!(
                "{told} Set {BEARER_VARIABLE}, or name the configuration with --config."
            )),
            400..500 => Failure::usage(told),
            _ => Failure::unavailable(told),
        }
    }

    fn away(&self, error: &reqwest::Error) -> Failure {
        let how = if error.is_connect() {
            "nobody listens there"
        } else if error.is_timeout() {
            "it did not answer in time"
        } else {
            "the connection broke"
        };
        Failure::unavailable(format!(
            "the gateway's admin listener at {} cannot be asked: {how}; is `tokenward serve` running?",
            self.base
        ))
    }
}
