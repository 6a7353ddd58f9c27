//! The origin under which a browser knows the gateway, and hosts that may name it.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header};

use crate::config::Config;
use crate::route::without_port;

/// Returns the gateway's own origin for a request.
///
/// Where the operator wrote no `public_url`, only callers on this machine are let in, and any other
/// name in Host is a foreign page's attempt (DNS rebinding) or a proxy that the operator forgot.
///
/// # Errors
/// Gives back the host that is not ours.
pub(crate) fn of(config: &Config, headers: &HeaderMap, uri: &Uri) -> Result<String, String> {
    if let Some(url) = &config.public_url {
        return Ok(url.origin().ascii_serialization());
    }
    let host = host(headers, uri).unwrap_or_default();
    if !is_loopback(host) {
        return Err(host.to_owned());
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", host.to_ascii_lowercase()))
}

/// Returns the host a request is for: HTTP/2 has it in the target, HTTP/1 in a header.
pub(crate) fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(header::HOST).and_then(|host| host.to_str().ok()),
    }
}

/// Reports whether a host, with or without a port, is this machine's own by its very spelling.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let lower = bare.to_ascii_lowercase();
    lower == "localhost"
        || lower.ends_with(".localhost") && lower.bytes().all(is_host_byte)
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for own in
            ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.9.9.9", "[::1]:1", "a.localhost"]
        {
            assert!(is_loopback(own), "{own}");
        }
        for foreign in [
            "",
            "evil.example",
            "localhost.evil.example:8080",
            "127.0.0.1.nip.io",
            "10.0.0.1:80",
            "0.0.0.0",
            "[::2]",
            "evil/.localhost",
            "user@127.0.0.1",
        ] {
            assert!(!is_loopback(foreign), "{foreign}");
        }
    }
}
