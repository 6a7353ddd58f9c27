//! Upstreams inside the test: one that checks access tokens as an API does, one that does as told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::net::TcpListener;

use super::program::http;

/// What of an access token is looked at; audience, issuer and expiry are checked beside it.
#[derive(Deserialize)]
struct Claims {
    jti: String,
}

/// An API that takes the tokens of one issuer, for the audience that the path stands for.
pub(super) struct Verifier {
    pub(super) address: SocketAddr,
    room: Arc<Room>,
}

struct Room {
    keys: HashMap<String, DecodingKey>,
    issuer: String,
    /// The audience that each path is for.
    audiences: BTreeMap<&'static str, &'static str>,
    /// The numbers of the tokens that each path has seen.
    seen: Mutex<BTreeMap<&'static str, HashSet<String>>>,
}

impl Verifier {
    /// Starts it with the provider's own keys.
    pub(super) async fn start(issuer: &str, audiences: &[(&'static str, &'static str)]) -> Self {
        let room = Arc::new(Room {
            keys: keys(issuer).await,
            issuer: issuer.to_owned(),
            audiences: audiences.iter().copied().collect(),
            seen: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&room));
        Self { address: serve(router).await, room }
    }

    /// Returns how many different tokens a path has seen.
    pub(super) fn tokens_seen(&self, path: &str) -> usize {
        self.room.seen.lock().unwrap().get(path).map_or(0, HashSet::len)
    }
}

/// Serves a router on a free port of this machine for as long as the test's runtime lives.
pub(super) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn keys(issuer: &str) -> HashMap<String, DecodingKey> {
    let fetch = async |url: String| http().get(url).send().await.unwrap().bytes().await.unwrap();
    let document = fetch(format!("{issuer}/.well-known/openid-configuration")).await;
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    let keys = fetch(document["jwks_uri"].as_str().unwrap().to_owned()).await;
    let keys: JwkSet = serde_json::from_slice(&keys).unwrap();
    let keys = keys.keys.iter();
    keys.map(|key| (key.common.key_id.clone().unwrap(), DecodingKey::from_jwk(key).unwrap()))
        .collect()
}

async fn answer(State(room): State<Arc<Room>>, request: Request) -> (StatusCode, String) {
    match room.judge(request.uri().path(), request.headers()) {
        Ok(()) => (StatusCode::OK, "right".to_owned()),
        Err(why) => (StatusCode::UNAUTHORIZED, why),
    }
}

impl Room {
    fn judge(&self, path: &str, headers: &HeaderMap) -> Result<(), String> {
        let (path, audience) =
            self.audiences.get_key_value(path).ok_or_else(|| format!("{path} is no path"))?;
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (sent.next(), sent.next()) else {
            return Err("not exactly one Authorization".to_owned());
        };
        let text = value.to_str().map_err(|error| error.to_string())?;
        let access_token = text.strip_prefix("Bearer ").ok_or("no Bearer")?;
        let told = |error: jsonwebtoken::errors::Error| error.to_string();
        let kid = decode_header(access_token).map_err(told)?.kid.ok_or("no kid")?;
        let mut rules = Validation::new(Algorithm::RS256);
        rules.set_audience(&[audience]);
        rules.set_issuer(&[&self.issuer]);
        rules.set_required_spec_claims(&["exp", "aud", "iss"]);
        // The clocks are one and the same: a token that has ended is one that came too late.
        rules.leeway = 0;
        let key = self.keys.get(&kid).ok_or("an unknown kid")?;
        let claims = decode::<Claims>(access_token, key, &rules).map_err(told)?.claims;
        self.seen.lock().unwrap().entry(path).or_default().insert(claims.jti);
        Ok(())
    }
}
