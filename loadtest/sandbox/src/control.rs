//! The control port: how tests, load plans and demos steer the sandbox. Loopback only.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::faults::Fault;
use crate::hold;
use crate::ledger::{Entry, Kind};
use crate::provider::authorize::PASSWORD_ACR;
use crate::provider::family::Grant;
use crate::provider::mfa::factor::FactorKind;
use crate::provider::registry::{Client, User};
use crate::provider::settings::Settings;
use crate::provider::{Params, Provider, family_name};
use crate::secrecy;

mod users;

/// Families minted by one request: at some 600 bytes each this stays below a gigabyte.
const MINT_MAX: u64 = 1_000_000;

/// The largest body the control port reads; a tenant's settings are a few kilobytes.
const BODY_MAX_BYTES: usize = 1 << 20;

/// A decision to take in a user's place.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authenticate {
    /// The authorization request, as the browser would be sent to it.
    pub authorize_url: Option<String>,
    /// The user code of a device instead.
    pub user_code: Option<String>,
    /// The user's name; absent means the first registered user.
    pub user: Option<String>,
    /// Whether the user refuses.
    pub deny: bool,
    /// With `authorize_url`, the second factor the user gives.
    pub factor: Option<FactorKind>,
    /// Decides the newest push that waits for the user instead.
    pub push: bool,
}

/// Families to mint for a load test.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mint {
    /// How many.
    pub count: u64,
    /// The client that holds them.
    pub client_id: String,
    /// The one user who holds them all (mind `max_active`); absent gives each its own subject.
    pub user: Option<String>,
    /// The audience of the login.
    pub audience: String,
    /// The scopes of the login.
    pub scope: String,
}

/// One minted family.
#[derive(Clone, Debug, Serialize)]
pub struct Minted {
    /// The subject.
    pub subject: String,
    /// The family, as the ledger writes it.
    pub family: String,
    /// Its first refresh token.
    pub refresh_token: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RotateKeys {
    forgotten: bool,
}

/// Whom a logout token names (OpenID Connect Back-Channel Logout 1.0 §2.4: at least one).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedBy {
    /// The person and the provider's session.
    #[default]
    Both,
    /// The provider's session alone.
    Sid,
    /// The person alone.
    Sub,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    subject: String,
    client_id: String,
    #[serde(default)]
    sid: Option<String>,
    #[serde(default)]
    by: NamedBy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    up: bool,
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

/// A refusal: 400 and the sentence that says why.
struct Refused(String);

type Answer = Result<Json<Value>, Refused>;
type Shared = State<Arc<Provider>>;

impl Default for Mint {
    fn default() -> Self {
        Self {
            count: 1,
            client_id: "demo-web".to_owned(),
            user: None,
            audience: crate::QUOTES_AUDIENCE.to_owned(),
            scope: "openid profile email offline_access read:quotes".to_owned(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({ "error": self.0 }))).into_response()
    }
}

/// Returns the control port's endpoints.
pub(crate) fn router(provider: Arc<Provider>) -> Router {
    Router::new()
        .route("/faults", post(arm).delete(disarm))
        .route("/tenant", get(settings).post(patch))
        .merge(users::router())
        .route("/clients", post(put_client))
        .route("/keys/rotate", post(rotate))
        .route("/authenticate", post(authenticate))
        .route("/sessions", post(mint))
        .route("/revoke", post(revoke))
        .route("/backchannel-logout", post(backchannel_logout))
        .route("/network", post(network))
        .route("/secrets", get(secrets))
        .route("/ledger", get(events).delete(clear))
        .route("/ledger/summary", get(summary))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(provider)
}

impl Provider {
    /// Changes the named settings and returns all of them.
    pub(crate) fn patch_settings(&self, patch: &Value) -> Result<Settings, String> {
        let mut tenant = hold(&self.tenant);
        tenant.settings = tenant.settings.patched(patch)?;
        Ok(tenant.settings.clone())
    }

    /// Replaces the signing key.
    pub(crate) fn rotate_keys(&self, forgotten: bool) -> String {
        let kid = self.keys.rotate(forgotten);
        self.log(Kind::KeyRotated, Entry { detail: Some(kid.clone()), ..Entry::default() });
        kid
    }

    /// Decides an authorization request or a device code.
    pub(crate) fn authenticate(&self, wanted: &Authenticate) -> Result<Option<String>, String> {
        let subject = {
            let tenant = hold(&self.tenant);
            let user = match &wanted.user {
                Some(name) => tenant.user(name),
                None => tenant.users().next(),
            };
            user.map(User::subject).ok_or("there is no such user; POST /users first")?
        };
        if wanted.push {
            let decided = self.decide_push(&subject, !wanted.deny);
            return decided.then_some(None).ok_or("no push waits for this user".to_owned());
        }
        let subject = Some(subject).filter(|_| !wanted.deny);
        match (&wanted.authorize_url, &wanted.user_code) {
            (Some(url), None) => {
                let url = Url::parse(url).map_err(|error| format!("authorize_url: {error}"))?;
                let params: Params = url.query_pairs().into_owned().collect();
                Ok(Some(self.approve(&params, subject, wanted.factor)?))
            }
            (None, Some(user_code)) if self.decide_device(user_code, subject) => Ok(None),
            (None, Some(_)) => Err("the user code is unknown, used or expired".to_owned()),
            (Some(_), Some(_)) | (None, None) => {
                Err("give one of authorize_url, user_code and push".to_owned())
            }
        }
    }

    /// Starts families without logins.
    pub(crate) fn mint(&self, wanted: &Mint) -> Result<Vec<Minted>, String> {
        if wanted.count > MINT_MAX {
            return Err(format!("count must be at most {MINT_MAX}"));
        }
        let (granted, subject) = {
            let tenant = hold(&self.tenant);
            tenant
                .client(&wanted.client_id)
                .ok_or("there is no such client; POST /clients first")?;
            let granted = tenant.granted(Some(&wanted.audience), &wanted.scope, &self.issuer);
            let user = wanted.user.as_ref().map(|name| tenant.user(name).map(User::subject));
            (granted.ok_or("there is no such audience")?, user)
        };
        let subject = subject.map(|found| found.ok_or("there is no such user")).transpose()?;
        let minted = (0..wanted.count).map(|_| {
            let sid = crate::provider::seal::random_name();
            let grant = Grant {
                subject: subject.clone().unwrap_or_else(|| format!("load|{sid}")),
                client: wanted.client_id.clone(),
                audience: granted.audience.clone(),
                scope: granted.scope.clone(),
                sid,
                auth_time_ms: self.clock.now_ms(),
                acr: PASSWORD_ACR.to_owned(),
                nonce: None,
                second: None,
            };
            let subject = grant.subject.clone();
            let family = self.start_family(grant);
            let refresh_token = self.seal.refresh_token(family, 1);
            self.secrets.learn(secrecy::Kind::RefreshToken, &refresh_token);
            Minted { subject, family: family_name(family), refresh_token }
        });
        let minted = minted.collect();
        let detail = Some(format!("{} families", wanted.count));
        self.log(Kind::Minted, Entry { detail, ..Entry::default() });
        Ok(minted)
    }

    /// Revokes all refresh tokens of a user at a client and returns how many families ended.
    pub(crate) fn revoke_all(&self, subject: &str, client: &str) -> usize {
        let ended = hold(&self.tenant).revoke_all(subject, client);
        for family in &ended {
            self.log(
                Kind::Revoked,
                Entry {
                    family: Some(family_name(*family)),
                    client: Some(client.to_owned()),
                    subject: Some(subject.to_owned()),
                    ..Entry::default()
                },
            );
        }
        ended.len()
    }
}

async fn arm(State(provider): Shared, body: Bytes) -> Answer {
    let fault: Fault = read(&body)?;
    provider.faults.arm(fault).map_err(|sentence| Refused(sentence.to_owned()))?;
    Ok(Json(json!({ "armed": true })))
}

async fn disarm(State(provider): Shared) -> StatusCode {
    provider.faults.clear();
    StatusCode::NO_CONTENT
}

async fn settings(State(provider): Shared) -> Json<Settings> {
    Json(hold(&provider.tenant).settings.clone())
}

async fn patch(State(provider): Shared, body: Bytes) -> Result<Json<Settings>, Refused> {
    provider.patch_settings(&read(&body)?).map(Json).map_err(Refused)
}

async fn put_client(State(provider): Shared, body: Bytes) -> Answer {
    let client: Client = read(&body)?;
    let client_id = client.client_id.clone();
    hold(&provider.tenant).put_client(client);
    Ok(Json(json!({ "client_id": client_id })))
}

async fn rotate(State(provider): Shared, body: Bytes) -> Answer {
    let wanted: RotateKeys = if body.is_empty() { RotateKeys::default() } else { read(&body)? };
    Ok(Json(json!({ "kid": provider.rotate_keys(wanted.forgotten) })))
}

async fn authenticate(State(provider): Shared, body: Bytes) -> Answer {
    let location = provider.authenticate(&read(&body)?).map_err(Refused)?;
    Ok(Json(json!({ "location": location })))
}

async fn mint(State(provider): Shared, body: Bytes) -> Answer {
    let wanted = read(&body)?;
    // A million families take seconds; the runtime's threads must go on serving meanwhile.
    let minted = tokio::task::spawn_blocking(move || provider.mint(&wanted)).await;
    let minted = minted.map_err(|error| Refused(error.to_string()))?.map_err(Refused)?;
    Ok(Json(json!({ "sessions": minted })))
}

async fn revoke(State(provider): Shared, body: Bytes) -> Answer {
    let whose: Whose = read(&body)?;
    let ended = provider.revoke_all(&whose.subject, &whose.client_id);
    Ok(Json(json!({ "families_ended": ended })))
}

async fn backchannel_logout(State(provider): Shared, body: Bytes) -> Answer {
    let Whose { subject, client_id, sid, by } = read(&body)?;
    let sent = provider.backchannel_logout(&client_id, &subject, sid, by).await;
    Ok(Json(json!({ "status": sent.map_err(Refused)? })))
}

async fn network(State(provider): Shared, body: Bytes) -> Answer {
    let Network { up } = read(&body)?;
    provider.network.send_replace(up);
    Ok(Json(json!({ "up": up })))
}

async fn secrets(State(provider): Shared) -> Json<Value> {
    let (secrets, forgotten) = provider.secrets.all();
    Json(json!({ "secrets": secrets, "forgotten": forgotten }))
}

async fn events(State(provider): Shared, Query(Since { since }): Query<Since>) -> Response {
    Json(json!({ "events": provider.ledger.since(since) })).into_response()
}

async fn clear(State(provider): Shared) -> StatusCode {
    provider.ledger.clear();
    StatusCode::NO_CONTENT
}

async fn summary(State(provider): Shared) -> Response {
    Json(provider.ledger.summary()).into_response()
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused(error.to_string()))
}
