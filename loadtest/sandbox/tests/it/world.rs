//! A sandbox of one's own, and the verbs the stories use.

use std::sync::Arc;

use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde_json::{Value, json};
use tokenward_sandbox::{Authenticate, Config, Fault, Sandbox};
use url::Url;

pub(crate) const CALLBACK: &str = "http://127.0.0.1:8080/auth/callback";
/// The verifier and challenge of RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) http: Client,
}

/// A status and a JSON body, or the transport's failure.
pub(crate) type Told = Result<(u16, Value), reqwest::Error>;

impl World {
    pub(crate) async fn start() -> Arc<Self> {
        let sandbox = Sandbox::start(Config::default()).await.unwrap();
        let http = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        Arc::new(Self { sandbox, http })
    }

    pub(crate) fn set(&self, patch: Value) {
        self.sandbox.tenant(&patch).unwrap();
    }

    pub(crate) fn arm(&self, fault: Value) {
        let fault: Fault = serde_json::from_value(fault).unwrap();
        self.sandbox.faults().arm(fault).unwrap();
    }

    pub(crate) fn provider(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.addresses().issuer)
    }

    pub(crate) fn api(&self, name: &str, path: &str) -> String {
        format!("{}{path}", self.sandbox.addresses().apis.get(name).unwrap())
    }

    pub(crate) fn control(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.addresses().control)
    }

    /// Returns an authorization request of the demo client, with changes.
    pub(crate) fn authorize_url(&self, changes: &[(&str, &str)]) -> String {
        let mut pairs = vec![
            ("client_id", "demo-web"),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "openid profile offline_access read:quotes"),
            ("audience", tokenward_sandbox::QUOTES_AUDIENCE),
            ("state", "the state"),
            ("nonce", "the nonce"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        pairs.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let pairs = pairs.iter().chain(changes).filter(|(_, value)| !value.is_empty());
        Url::parse_with_params(&self.provider("authorize"), pairs).unwrap().into()
    }

    /// Signs in headlessly and returns the answer to the code exchange.
    pub(crate) async fn sign_in(&self, changes: &[(&str, &str)]) -> Value {
        let code = self.code(changes);
        let (status, body) = self.exchange(&code, &[]).await.unwrap();
        assert_eq!(status, 200, "{body}");
        body
    }

    pub(crate) fn code(&self, changes: &[(&str, &str)]) -> String {
        let authorize_url = Some(self.authorize_url(changes));
        let wanted = Authenticate { authorize_url, ..Authenticate::default() };
        let location = self.sandbox.authenticate(&wanted).unwrap().unwrap();
        query(&location, "code").unwrap()
    }

    pub(crate) async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> Told {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        form.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        form.extend(changes);
        self.tokens(&form).await
    }

    /// Refreshes as the demo client.
    pub(crate) async fn refresh(&self, refresh_token: &str, more: &[(&str, &str)]) -> Told {
        let form =
            [&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)], more].concat();
        self.tokens(&form).await
    }

    /// Asks the token endpoint as the demo client.
    pub(crate) async fn tokens(&self, form: &[(&str, &str)]) -> Told {
        let ask = self.http.post(self.provider("oauth/token"));
        told(ask.basic_auth("demo-web", Some("demo-web-secret")).form(form)).await
    }

    /// Returns a sum of the ledger, read as a test in another process reads it.
    pub(crate) async fn sum(&self, name: &str) -> u64 {
        let (_, sums) = told(self.http.get(self.control("/ledger/summary"))).await.unwrap();
        sums[name].as_u64().unwrap()
    }

    /// Returns the vendor's log codes so far, without those that have none.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        let events = self.sandbox.ledger().since(0);
        events.iter().map(|event| event.code).filter(|code| !code.is_empty()).collect()
    }
}

pub(crate) async fn told(ask: RequestBuilder) -> Told {
    let answer = ask.send().await?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// Returns a 302's location.
pub(crate) async fn location(ask: RequestBuilder) -> String {
    let answer = ask.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

pub(crate) fn query(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub(crate) fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}"))
}

/// Returns a JWT's claims without checking them.
pub(crate) fn claims(jwt: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode_claims(jwt).unwrap()
}

/// The refusal of a refresh token, the same for every cause.
pub(crate) fn refused() -> (u16, Value) {
    let description = "Unknown or invalid refresh token.";
    (403, json!({"error": "invalid_grant", "error_description": description}))
}
