//! Where a route's requests go, as the operator describes it.

use std::path::{Path, PathBuf};

use url::{Host, Url};

use super::file;

/// Where a route's requests go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamConfig {
    /// Whether the connection is encrypted.
    pub https: bool,
    /// The host as it is looked up: a name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The Host header: host, and the port where it is not the scheme's own.
    pub authority: String,
    /// The path before every forwarded path, without a slash at its end.
    pub base: String,
    /// Whether HTTP/2 is spoken without negotiation.
    pub http2: bool,
    /// The only root certificate that is trusted for it; `None` trusts the system's.
    pub ca: Option<PathBuf>,
}

/// Checks the upstream of a route; the error is a fragment that says what to do.
pub(super) fn check(raw: &file::Route, base: &Path) -> Result<UpstreamConfig, String> {
    let written = &raw.upstream;
    let example = "write one such as \"https://api.example.com\"";
    let url = Url::parse(written)
        .map_err(|error| format!("{written:?} is no URL ({error}); {example}"))?;
    let https = match url.scheme() {
        "https" => true,
        "http" => false,
        other => {
            return Err(format!("the scheme {other} cannot be forwarded to; {example}"));
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("the URL holds credentials; {example}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{written:?} has a query or a fragment; {example}"));
    }
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Err(format!("{written:?} has no host; {example}"));
    };
    let ca = raw.upstream_ca.as_ref().map(|file| base.join(file));
    if let Some(file) = &ca {
        std::fs::metadata(file).map_err(|error| {
            format!("its upstream_ca {} cannot be read ({error}); name a PEM file", file.display())
        })?;
    }
    Ok(UpstreamConfig {
        https,
        host: match &host {
            Host::Domain(name) => (*name).to_owned(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        },
        port,
        authority: url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}")),
        base: url.path().trim_end_matches('/').to_owned(),
        http2: raw.http2,
        ca,
    })
}
