//! What a gateway is asked for.

use url::Url;

use super::Fault;
use super::file::Asked;
use crate::feed::Source;

/// The longest name of a kind of device (the gateway refuses a longer one).
const CLIENT_ID_CHARS_MAX: usize = 64;

/// Checks what is to be asked of a gateway.
pub(super) fn read(
    asked: Asked,
    roots: Vec<u8>,
    fault: impl Fn(&'static str, String) -> Fault,
) -> Result<Source, Fault> {
    let at = |key| {
        let fault = &fault;
        move |wrong| fault(key, wrong)
    };
    let Some(gateway) = asked.gateway else {
        return Err(fault("gateway", "it is missing; write \"https://gw.example\"".to_owned()));
    };
    let gateway = origin(&gateway).map_err(at("gateway"))?;
    let content = address(&gateway, &asked.content).map_err(at("content"))?;
    let client_id = asked.client_id.unwrap_or_else(|| "display".to_owned());
    kind(&client_id).map_err(at("client_id"))?;
    let prefix = asked.prefix.unwrap_or_else(|| "/auth".to_owned());
    prefix_path(&prefix).map_err(at("prefix"))?;
    let (audiences, scope) = (asked.audience, asked.scope.unwrap_or_default());
    Ok(Source { gateway, content, prefix, client_id, audiences, scope, roots })
}

/// Reads the gateway's origin.
fn origin(text: &str) -> Result<Url, String> {
    let example = "write one such as \"https://gw.example\"";
    let url = Url::parse(text).map_err(|_| format!("it is no address; {example}"))?;
    let is_own = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(format!("it names no host; {example}")),
    };
    let has_rest = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err(format!("a credential does not belong there; {example}"))
        }
        "https" | "http" if has_rest => Err(format!("it is more than an origin; {example}")),
        "https" => Ok(url),
        "http" if is_own => Ok(url),
        "http" => Err("plain http would carry the credential openly; write https".to_owned()),
        _ => Err(format!("it is no web address; {example}")),
    }
}

/// Reads the content's address: a path of the gateway, which alone may have the credential.
fn address(gateway: &Url, text: &str) -> Result<Url, String> {
    let url = gateway.join(text).map_err(|_| "it is no path; write \"/api/quote\"".to_owned())?;
    if !text.starts_with('/') || url.origin() != gateway.origin() {
        return Err("it is no path of the gateway; write one such as \"/api/quote\"".to_owned());
    }
    Ok(url)
}

fn kind(name: &str) -> Result<(), String> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_plain && (1..=CLIENT_ID_CHARS_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(format!("write 1 to {CLIENT_ID_CHARS_MAX} printable characters, such as \"display\""))
}

fn prefix_path(prefix: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    if prefix.starts_with('/') && !prefix.ends_with('/') && prefix.bytes().all(is_plain) {
        return Ok(());
    }
    Err("write the gateway's own prefix, such as \"/auth\"".to_owned())
}
