//! The authorization request: reading it, and what it comes to. Pure.

use url::Url;

use super::Params;
use super::policy::Granted;
use super::registry::Client;
use super::tenant::Tenant;
use super::token_endpoint::audience;

/// A checked authorization request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthorizeRequest {
    pub(crate) client: String,
    pub(crate) redirect_uri: String,
    pub(crate) granted: Granted,
    pub(crate) state: Option<String>,
    pub(crate) nonce: Option<String>,
    /// The S256 challenge of PKCE.
    pub(crate) challenge: Option<String>,
    pub(crate) acr: String,
    pub(crate) max_age_s: Option<u64>,
    pub(crate) prompt: Prompt,
}

/// How much the user may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// Only where no session serves.
    Needed,
    /// Not at all (`none`).
    Never,
    /// In any case (`login`).
    Always,
}

/// Why an authorization request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The client or its redirect URI is unknown: the user is told here and sent nowhere.
    Here(&'static str),
    /// The client is told, by this redirect.
    ToClient(String),
}

/// The authentication context class where none was asked for.
pub(crate) const PASSWORD_ACR: &str = "urn:tokenward:sandbox:password";

/// An error and its description, for the client.
type Fault = (&'static str, &'static str);

/// Reads an authorization request.
pub(crate) fn read(
    tenant: &Tenant,
    issuer: &str,
    params: &Params,
) -> Result<AuthorizeRequest, Refused> {
    let client = param(params, "client_id").and_then(|client_id| tenant.client(client_id));
    let client = client.ok_or(Refused::Here(UNKNOWN_CLIENT))?;
    let redirect_uri = params.get("redirect_uri");
    let redirect_uri = redirect_uri.filter(|uri| client.redirect_uris.contains(uri));
    let redirect_uri = redirect_uri.ok_or(Refused::Here(UNKNOWN_ADDRESS))?;
    read_checked(tenant, client, redirect_uri, issuer, params).map_err(|(error, description)| {
        let state = param(params, "state");
        let location = error_location(redirect_uri, state, issuer, error, description);
        Refused::ToClient(location)
    })
}

const UNKNOWN_CLIENT: &str = "Unknown client: client_id is not registered.";
const UNKNOWN_ADDRESS: &str = "Callback URL mismatch: redirect_uri is not registered exactly.";

/// Reads what remains once it is known where errors go.
fn read_checked(
    tenant: &Tenant,
    client: &Client,
    redirect_uri: &str,
    issuer: &str,
    params: &Params,
) -> Result<AuthorizeRequest, Fault> {
    check_response(params)?;
    let challenge = challenge(client, params)?;
    let prompt = match param(params, "prompt") {
        Some("none") => Prompt::Never,
        Some("login" | "select_account") => Prompt::Always,
        None | Some("consent") => Prompt::Needed,
        Some(_) => return Err(("invalid_request", "Unknown prompt")),
    };
    let max_age_s = param(params, "max_age").map(str::parse).transpose();
    let max_age_s = max_age_s.map_err(|_| ("invalid_request", "max_age is no number"))?;
    let scope = param(params, "scope").unwrap_or_default();
    let granted = tenant.granted(audience(params), scope, issuer);
    let acr = param(params, "acr_values").and_then(|all| all.split_whitespace().next());
    let owned = |name| param(params, name).map(str::to_owned);
    Ok(AuthorizeRequest {
        client: client.client_id.clone(),
        redirect_uri: redirect_uri.to_owned(),
        granted: granted.ok_or(("access_denied", "Service not found"))?,
        state: owned("state"),
        nonce: owned("nonce"),
        challenge: challenge.map(str::to_owned),
        acr: acr.unwrap_or(PASSWORD_ACR).to_owned(),
        max_age_s,
        prompt,
    })
}

fn check_response(params: &Params) -> Result<(), Fault> {
    if param(params, "response_type") != Some("code") {
        return Err(("unsupported_response_type", "Only response_type=code is supported"));
    }
    match param(params, "response_mode") {
        None | Some("query") => Ok(()),
        Some(_) => Err(("invalid_request", "Only response_mode=query is supported")),
    }
}

/// A public client proves by PKCE that the code comes back to the one who asked for it.
fn challenge<'a>(client: &Client, params: &'a Params) -> Result<Option<&'a str>, Fault> {
    let challenge = param(params, "code_challenge");
    if challenge.is_none() && client.public() {
        return Err(("invalid_request", "Parameter 'code_challenge' is required"));
    }
    if challenge.is_some() && param(params, "code_challenge_method") != Some("S256") {
        return Err(("invalid_request", "Only code_challenge_method=S256 is supported"));
    }
    Ok(challenge)
}

fn param<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    params.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

impl AuthorizeRequest {
    /// Tells whether a session that authenticated at `auth_time_ms` serves this request.
    pub(crate) fn served_by(&self, auth_time_ms: u64, now_ms: u64) -> bool {
        let age_ms = now_ms.saturating_sub(auth_time_ms);
        let young = self.max_age_s.is_none_or(|max| age_ms < max.saturating_mul(1000));
        young && self.prompt != Prompt::Always
    }

    /// Returns where the code goes.
    pub(crate) fn code_location(&self, issuer: &str, code: &str) -> String {
        location(&self.redirect_uri, self.state.as_deref(), issuer, &[("code", code)])
    }

    /// Returns where an error goes.
    pub(crate) fn error_location(&self, issuer: &str, error: &str, description: &str) -> String {
        error_location(&self.redirect_uri, self.state.as_deref(), issuer, error, description)
    }
}

fn error_location(
    redirect_uri: &str,
    state: Option<&str>,
    issuer: &str,
    error: &str,
    description: &str,
) -> String {
    let pairs = [("error", error), ("error_description", description)];
    location(redirect_uri, state, issuer, &pairs)
}

/// `iss` as RFC 9207 says, on errors too.
fn location(
    redirect_uri: &str,
    state: Option<&str>,
    issuer: &str,
    pairs: &[(&str, &str)],
) -> String {
    let Ok(mut url) = Url::parse(redirect_uri) else {
        return redirect_uri.to_owned();
    };
    let state = state.map(|state| ("state", state));
    url.query_pairs_mut().extend_pairs(pairs).extend_pairs(state).append_pair("iss", issuer);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::super::registry::Audience;
    use super::super::settings::Settings;
    use super::*;

    const ISSUER: &str = "http://127.0.0.1:1/";

    fn tenant() -> Tenant {
        let client = |client_id: &str, secret: Option<&str>| Client {
            client_id: client_id.into(),
            client_secret: secret.map(str::to_owned),
            redirect_uris: vec!["http://app/cb?x=1".into()],
            ..Client::default()
        };
        let audience = Audience { identifier: "api".into(), scopes: vec!["read".into()] };
        let clients = vec![client("web", Some("s")), client("spa", None)];
        Tenant::new(Settings::default(), vec![], clients, vec![audience])
    }

    fn outcome(changes: &[(&str, &str)]) -> Result<AuthorizeRequest, Refused> {
        let mut params = Params::from([
            ("client_id".to_owned(), "web".to_owned()),
            ("redirect_uri".to_owned(), "http://app/cb?x=1".to_owned()),
            ("response_type".to_owned(), "code".to_owned()),
            ("state".to_owned(), "s&1".to_owned()),
            ("scope".to_owned(), "openid read admin".to_owned()),
            ("audience".to_owned(), "api".to_owned()),
        ]);
        params.extend(changes.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        read(&tenant(), ISSUER, &params)
    }

    #[test]
    fn what_is_refused_and_how() {
        let rows: &[(&[(&str, &str)], &str)] = &[
            (&[("client_id", "nobody")], "here"),
            (&[("redirect_uri", "http://app/cb")], "here"),
            (&[("response_type", "token")], "unsupported_response_type"),
            (&[("response_mode", "fragment")], "invalid_request"),
            (&[("client_id", "spa")], "invalid_request"),
            (&[("code_challenge", "c"), ("code_challenge_method", "plain")], "invalid_request"),
            (&[("prompt", "sometimes")], "invalid_request"),
            (&[("max_age", "-1")], "invalid_request"),
            (&[("audience", "other")], "access_denied"),
        ];
        for (changes, expected) in rows {
            match outcome(changes) {
                Err(Refused::Here(_)) => assert_eq!(*expected, "here", "{changes:?}"),
                Err(Refused::ToClient(location)) => {
                    let start = format!("http://app/cb?x=1&error={expected}&");
                    assert!(location.starts_with(&start), "{changes:?} {location}");
                    let end = "&state=s%261&iss=http%3A%2F%2F127.0.0.1%3A1%2F";
                    assert!(location.ends_with(end), "{location}");
                }
                Ok(request) => panic!("{changes:?} {request:?}"),
            }
        }
    }

    #[test]
    fn scopes_are_filtered_and_resource_names_the_audience_too() {
        let request = outcome(&[("audience", ""), ("resource", "api")]);
        let expected = Granted { audience: "api".into(), scope: "openid read".into() };
        assert_eq!(request.unwrap().granted, expected, "an empty audience hides no resource");
        assert_eq!(outcome(&[]).unwrap().granted, expected);
    }

    #[test]
    fn a_session_serves_until_max_age() {
        let served = |changes: &[(&str, &str)], age_ms| {
            outcome(changes).unwrap().served_by(1000, 1000 + age_ms)
        };
        assert!(served(&[], u64::MAX - 1000));
        assert!(served(&[("max_age", "5")], 4999));
        assert!(!served(&[("max_age", "5")], 5000));
        assert!(!served(&[("max_age", "0")], 0));
        assert!(!served(&[("prompt", "login")], 0));
    }
}
