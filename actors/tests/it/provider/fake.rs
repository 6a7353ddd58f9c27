//! A small provider to talk to: answers as scripted, remembers what it was asked.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step of a story that fails ends the story"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokenward::clock::{Clock, ManualHand};
use tokenward::core::grant::Reply;
use tokenward::core::name::Audience;
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::RefreshToken;
use tokenward::provider::{Provider, ProviderSettings, RefreshRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(super) const CLIENT_ID: &str = "client";

/// The wall clock of [`Clock::manual`] at its start.
pub(super) const NOW: u64 = 1_767_225_600;

pub(super) struct Fake {
    pub(super) base: String,
    script: Mutex<VecDeque<Said>>,
    pub(super) asked: Mutex<Vec<Asked>>,
    pub(super) metadata: Mutex<Value>,
    pub(super) keys: Mutex<Vec<Signer>>,
}

/// One scripted answer: status, header fields, body.
type Said = (u16, Vec<(&'static str, String)>, Value);

#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) form: BTreeMap<String, String>,
}

impl Fake {
    pub(super) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let metadata = json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/authorize?tenant=t"),
            "token_endpoint": format!("{base}/token"),
            "jwks_uri": format!("{base}/jwks"),
            "revocation_endpoint": format!("{base}/revoke"),
            "end_session_endpoint": format!("{base}/logout"),
        });
        let fake = Arc::new(Self {
            base,
            script: Mutex::default(),
            asked: Mutex::default(),
            metadata: Mutex::new(metadata),
            keys: Mutex::new(vec![Signer::new("k1")]),
        });
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    pub(super) fn says(&self, status: u16, headers: &[(&'static str, &str)], body: Value) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.script.lock().unwrap().push_back((status, headers, body));
    }

    pub(super) fn grants(&self, change: Value) {
        let mut body = json!({"access_token": "a", "token_type": "Bearer", "expires_in": 60});
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.says(200, &[], body);
    }

    pub(super) fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }

    /// Signs with the newest key.
    pub(super) fn sign(&self, change: Value) -> String {
        let mut claims = json!({
            "iss": self.base, "aud": CLIENT_ID, "sub": "alice", "iat": NOW, "exp": NOW + 600,
            "nonce": "n1",
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.keys.lock().unwrap().last().unwrap().sign(&claims)
    }

    pub(super) fn settings(&self) -> ProviderSettings {
        ProviderSettings::new(&self.base, CLIENT_ID)
    }

    pub(super) fn provider(&self) -> (Provider, ManualHand) {
        let (clock, hand) = Clock::manual();
        (Provider::new(self.settings(), clock).unwrap(), hand)
    }
}

async fn answer(
    State(fake): State<Arc<Fake>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let form = url::form_urlencoded::parse(&body).into_owned().collect();
    let path = uri.path().to_owned();
    let asked = Asked { path: path.clone(), authorization: text("authorization"), form };
    fake.asked.lock().unwrap().push(asked);
    match path.as_str() {
        "/.well-known/openid-configuration" => {
            let metadata = fake.metadata.lock().unwrap().clone();
            let status = if metadata.is_null() { StatusCode::NOT_FOUND } else { StatusCode::OK };
            (status, axum::Json(metadata)).into_response()
        }
        "/jwks" => {
            let keys: Vec<Value> = fake.keys.lock().unwrap().iter().map(Signer::public).collect();
            axum::Json(json!({ "keys": keys })).into_response()
        }
        "/token" | "/revoke" => {
            let scripted = fake.script.lock().unwrap().pop_front();
            let (status, extra, body) = scripted.unwrap_or((200, Vec::new(), json!({})));
            let mut response = axum::Json(body).into_response();
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in extra {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// An ES256 key with a name.
pub(super) struct Signer {
    kid: String,
    pub(super) pem: String,
}

impl Signer {
    pub(super) fn new(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        Self { kid: kid.to_owned(), pem: pair.serialize_pem() }
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &self.key()).unwrap()
    }

    pub(super) fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key(), Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).unwrap()
    }

    fn key(&self) -> EncodingKey {
        EncodingKey::from_ec_pem(self.pem.as_bytes()).unwrap()
    }
}

/// A token endpoint made of bytes: what each request is answered with before the connection is
/// closed, and how many requests came.
pub(super) struct Wire {
    pub(super) url: String,
    pub(super) requests: Arc<Mutex<Vec<String>>>,
}

/// What happens on the wire once a request has been read.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// These bytes, and the connection ends.
    Close(&'static str),
    /// These bytes, and the connection stays open for the next request.
    Keep(&'static str),
    /// These bytes, and then nothing ever.
    Hang(&'static str),
}

impl Wire {
    pub(super) async fn start(script: Vec<Then>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut script) = (requests.clone(), script.into_iter());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                while let Some(request) = read_request(&mut stream).await {
                    seen.lock().unwrap().push(request);
                    let then = script.next().expect("a request beyond the script");
                    let (Then::Close(bytes) | Then::Keep(bytes) | Then::Hang(bytes)) = then;
                    stream.write_all(bytes.as_bytes()).await.unwrap();
                    match then {
                        Then::Close(_) => break,
                        Then::Keep(_) => {}
                        Then::Hang(_) => std::future::pending().await,
                    }
                }
            }
        });
        Self { url, requests }
    }

    pub(super) fn provider(&self, clock: Clock) -> Provider {
        let mut settings = ProviderSettings::new("https://idp.example", CLIENT_ID);
        settings.endpoints = Some(tokenward::provider::Endpoints {
            authorization: "https://idp.example/authorize".to_owned(),
            token: self.url.clone(),
            // Nobody listens there; no test of this endpoint needs keys.
            jwks: "http://127.0.0.1:1/jwks".to_owned(),
            revocation: None,
            end_session: None,
        });
        Provider::new(settings, clock).unwrap()
    }

    pub(super) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split_once("content-length: ").unwrap().1;
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() == length {
                return Some(text.into_owned());
            }
        }
    }
}

pub(super) async fn refresh(provider: &Provider, deadline_ms: u64) -> Reply {
    refresh_for(provider, "https://api", "read", deadline_ms).await
}

pub(super) async fn refresh_for(
    provider: &Provider,
    audience: &str,
    scopes: &str,
    deadline_ms: u64,
) -> Reply {
    let request = RefreshRequest {
        refresh_token: &RefreshToken::new("r0"),
        audience: &Audience::parse(audience).unwrap(),
        scopes: &ScopeSet::parse(scopes),
        deadline: Duration::from_millis(deadline_ms),
    };
    provider.refresh(request).await
}
