//! Where traces go.

use std::path::Path;

use http::HeaderName;
use url::Url;

use super::provider::is_loopback;
use super::{Fault, Secret, file};

/// Where traces go, and how many.
#[derive(Clone, Debug)]
pub struct TraceConfig {
    /// Where spans are posted to: the collector's address with `/v1/traces`.
    pub place: Url,
    /// Which share of the requests is sampled, from 0 to 1; exchanges all are.
    pub sample: f64,
    /// Whether the caller's `traceparent` says what is sampled.
    pub trust_sampling: bool,
    /// What proves to the collector who we are.
    pub headers: Vec<(HeaderName, Secret)>,
}

/// The share where nobody says: enough to see what is slow, and cheap.
const SAMPLE: f64 = 0.1;

/// Checks the `[trace]` table, whose presence turns traces on.
pub(super) fn check(
    path: &Path,
    raw: Option<file::Trace>,
    faults: &mut Vec<Fault>,
) -> Option<TraceConfig> {
    let raw = raw?;
    let base = path.parent().unwrap_or(Path::new("."));
    let mut fault = |key: &str, wrong: String| {
        faults.push(Fault::new(path, &format!("trace.{key}"), wrong));
    };
    let place = place(&raw.otlp).map_err(|wrong| fault("otlp", wrong)).ok();
    let sample = raw.sample.unwrap_or(SAMPLE);
    if !(0.0..=1.0).contains(&sample) {
        fault("sample", format!("{sample} is no share; write a number from 0.0 to 1.0"));
    }
    let mut headers = Vec::new();
    for (name, source) in raw.headers {
        let key = format!("headers.{name}");
        match (HeaderName::try_from(&name), source.read(base)) {
            (Ok(name), Ok(secret)) => headers.push((name, secret)),
            (Err(_), _) => fault(&key, "it is no name of a header".to_owned()),
            (Ok(_), Err(wrong)) => fault(&key, wrong),
        }
    }
    Some(TraceConfig { place: place?, sample, trust_sampling: raw.trust_sampling, headers })
}

fn place(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| {
        format!("{text:?} is no URL ({error}); write one such as \"http://127.0.0.1:4318\"")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds credentials; use trace.headers for them".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{text:?} has a query or a fragment; leave it out"));
    }
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(format!("{text:?} is not https, and not on this machine; use https"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with("/v1/traces") {
        url.set_path(&format!("{path}/v1/traces"));
    }
    Ok(url)
}
