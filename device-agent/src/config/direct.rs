//! What a provider and an API are asked for, without a gateway.

use std::fmt::Display;

use tokenward::core::name::Audience;
use tokenward::core::scope::ScopeSet;
use tokenward::provider::AudienceParameter;
use url::{Host, Url};

use super::Fault;
use super::file::{Asked, Provider};
use crate::feed::Direct;

/// Checks what is to be asked of a provider and of an API.
pub(super) fn read(
    asked: Asked,
    provider: Provider,
    roots: Vec<u8>,
    fault: impl Fn(&'static str, String) -> Fault,
) -> Result<Direct, Fault> {
    if asked.gateway.is_some() || asked.prefix.is_some() || asked.client_id.is_some() {
        let wrong = "asks a provider and no gateway: remove `gateway`, `prefix` and `client_id` \
                     above, or the table [provider]";
        return Err(fault("issuer", wrong.to_owned()));
    }
    let address = |key, text: &str| web(text).map_err(|wrong| fault(key, wrong));
    address("issuer", &provider.issuer)?;
    let content = address("content", &asked.content)?;
    let [audience] = asked.audience.as_slice() else {
        return Err(fault(
            "audience",
            "name one API, such as [\"https://api.example\"]".to_owned(),
        ));
    };
    let unreadable = |error: &dyn Display| fault("audience", error.to_string());
    let audience = Audience::parse(audience).map_err(|error| unreadable(&error))?;
    let audience_parameter = match provider.audience_parameter.as_deref() {
        None | Some("audience") => AudienceParameter::Audience,
        Some("resource") => AudienceParameter::Resource,
        Some("none") => AudienceParameter::Omit,
        Some(_) => {
            let wrong = "write \"audience\", \"resource\" or \"none\"".to_owned();
            return Err(fault("audience_parameter", wrong));
        }
    };
    Ok(Direct {
        issuer: provider.issuer,
        client_id: provider.client_id,
        audience_parameter,
        audience,
        scopes: ScopeSet::parse(&asked.scope.unwrap_or_default()),
        content,
        roots,
    })
}

/// Reads an address that may be sent a credential.
fn web(text: &str) -> Result<Url, String> {
    let example = "write one such as \"https://api.example/quote\"";
    let url = Url::parse(text).map_err(|_| format!("it is no address; {example}"))?;
    let is_own = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(format!("it names no host; {example}")),
    };
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err(format!("a credential does not belong there; {example}"))
        }
        "https" => Ok(url),
        "http" if is_own => Ok(url),
        _ => Err(format!("a credential goes over https only; {example}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;
    use crate::feed::Origin;

    const SHORT: &str = "content = \"https://api.example/quote\"\naudience = [\"urn:quotes\"]\n\
                         scope = \"read:quotes\"\n[provider]\n\
                         issuer = \"https://tenant.example/\"\nclient_id = \"abc\"\n";

    #[test]
    fn a_provider_takes_the_place_of_the_gateway() {
        let read = |text: &str| {
            let config = Config::read(Path::new("d.toml"), text, None);
            config.map_err(|fault| fault.to_string())
        };
        let Ok(Config { origin: Origin::Provider(direct), .. }) = read(SHORT) else {
            panic!("not direct")
        };
        assert_eq!(direct.audience.as_str(), "urn:quotes");
        for (from, to, told) in [
            ("content", "gateway = \"https://g.example\"\ncontent", "line 6: issuer: asks a"),
            ("\"urn:quotes\"", "", "line 2: audience: name one API"),
            ("https://api", "http://api", "line 1: content: a credential goes over https only"),
            ("https://tenant", "https://u:pass@tenant", "a credential does not belong"),
            ("abc\"", "abc\"\naudience_parameter = \"x\"", "line 7: audience_parameter: write"),
        ] {
            let fault = read(&SHORT.replacen(from, to, 1)).unwrap_err();
            assert!(fault.contains(told) && !fault.contains("pass"), "{fault}");
        }
    }
}
