//! The provider: pure rules (`tenant`, `family`, `policy`, `device`) with a thin shell of HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::faults::{Endpoint, Faults, deform};
use crate::hold;
use crate::ledger::{Entry, Kind, Ledger};
use crate::secrecy::{self, Secrets};

use self::authorize::AuthorizeRequest;
use self::device::DeviceCode;
use self::family::{FamilyId, Second};
use self::keys::Keys;
use self::mfa::limits::Limits;
use self::mfa::phone::{Challenge, Phones};
use self::mfa::{Context, Waiting};
use self::seal::Seal;
use self::shelf::Shelf;
use self::tenant::Tenant;

pub(crate) mod activate;
pub(crate) mod authorize;
mod client_auth;
pub mod device;
pub mod family;
mod issue;
mod keys;
pub(crate) mod login;
pub(crate) mod logout;
pub mod mfa;
mod pages;
pub mod policy;
pub mod refusal;
pub mod registry;
pub(crate) mod seal;
pub mod settings;
mod shelf;
mod sign_in;
pub mod tenant;
mod token_endpoint;
mod userinfo;

/// Parameters of a query or a form.
pub(crate) type Params = BTreeMap<String, String>;

/// The largest body an endpoint of the provider reads; a client assertion is about 1 KB.
pub(crate) const BODY_MAX_BYTES: usize = 64 * 1024;

/// How long an authorization code lives.
const CODE_LIFETIME_MS: u64 = 60_000;
/// How long a login page may stay open.
const LOGIN_PAGE_LIFETIME_MS: u64 = 3_600_000;
/// How long a browser stays signed in.
const BROWSER_LIFETIME_MS: u64 = 3 * 86_400_000;
/// How long device codes are remembered, so that `expired_token` can be said once.
const DEVICE_MEMORY_MS: u64 = 86_400_000;
/// How long demands for a second factor are remembered, so that *expired* differs from *unknown*.
const MFA_MEMORY_MS: u64 = 86_400_000;
/// How long the names of client assertions are remembered against replay.
const ASSERTION_MEMORY_MS: u64 = 3_600_000;
/// Things on one shelf; beyond it the oldest goes. Sized for load tests with 100,000 logins.
const SHELF_MAX: usize = 500_000;
/// How long we wait for a client to take a logout token.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The provider's state, shared by its endpoints and the control port.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) clock: Clock,
    /// With a trailing slash, as Auth0 writes it.
    pub(crate) issuer: String,
    pub(crate) tenant: Mutex<Tenant>,
    pub(crate) desk: Mutex<Desk>,
    pub(crate) keys: Keys,
    pub(crate) seal: Seal,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) secrets: Secrets,
    pub(crate) http: reqwest::Client,
    /// Whether the provider can be reached at all.
    pub(crate) network: watch::Sender<bool>,
}

/// What is open on the provider's desk: everything between a request and its tokens.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) codes: Shelf<Code>,
    /// Codes that were used, with the family they started: a second use ends it (RFC 6749 §4.1.2).
    pub(crate) spent_codes: Shelf<Option<FamilyId>>,
    pub(crate) login_pages: Shelf<AuthorizeRequest>,
    pub(crate) browsers: Shelf<Browser>,
    pub(crate) devices: Shelf<DeviceCode>,
    pub(crate) user_codes: Shelf<String>,
    pub(crate) opaque: Shelf<Value>,
    pub(crate) assertion_names: Shelf<()>,
    /// Contexts of demands for a second factor by `mfa_token`, used and expired ones included.
    pub(crate) mfa: Shelf<Context>,
    /// Out-of-band challenges by `oob_code`.
    pub(crate) oob: Shelf<Challenge>,
    pub(crate) factor_pages: Shelf<Waiting>,
    pub(crate) phones: Phones,
    pub(crate) limits: Limits,
}

/// An authorization code.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) request: AuthorizeRequest,
    pub(crate) browser: Browser,
    /// Whether a second factor was given in this very sign-in.
    pub(crate) settled: bool,
}

/// A browser that is signed in at the provider.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    pub(crate) subject: String,
    pub(crate) sid: String,
    pub(crate) auth_time_ms: u64,
    pub(crate) second: Option<Second>,
}

impl Browser {
    /// Returns when its user last proved who they are.
    pub(crate) fn authenticated_at_ms(&self) -> u64 {
        self.second.map_or(self.auth_time_ms, |second| second.at_ms.max(self.auth_time_ms))
    }

    /// Returns how long ago a second factor was given.
    pub(crate) fn second_age_ms(&self, now_ms: u64) -> Option<u64> {
        self.second.map(|second| now_ms.saturating_sub(second.at_ms))
    }
}

impl Provider {
    pub(crate) fn new(issuer: String, tenant: Tenant, clock: Clock) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(CALL_TIMEOUT)
            .build()?;
        Ok(Self {
            clock,
            issuer,
            tenant: Mutex::new(tenant),
            desk: Mutex::new(Desk::default()),
            keys: Keys::generate(),
            seal: Seal::new(),
            ledger: Ledger::default(),
            faults: Faults::default(),
            secrets: Secrets::default(),
            http,
            network: watch::Sender::new(true),
        })
    }

    /// Writes a line of the ledger.
    pub(crate) fn log(&self, kind: Kind, entry: Entry) {
        self.ledger.write(self.clock.now_ms(), kind, entry);
    }

    /// Plays an armed fault around the work of an endpoint.
    pub(crate) async fn faulty<W>(&self, endpoint: Endpoint, only: &str, work: W) -> Response
    where
        W: Future<Output = Response>,
    {
        let fault = self.faults.take(endpoint, only, seal::roll());
        if let Some(fault) = &fault {
            let detail = Some(format!("{:?} at {endpoint:?}", fault.kind));
            self.log(Kind::FaultPlayed, Entry { detail, ..Entry::default() });
        }
        deform::play(fault, self.clock.unix_s(self.clock.now_ms()), work).await
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            codes: Shelf::new(CODE_LIFETIME_MS, SHELF_MAX),
            spent_codes: Shelf::new(CODE_LIFETIME_MS, SHELF_MAX),
            login_pages: Shelf::new(LOGIN_PAGE_LIFETIME_MS, SHELF_MAX),
            browsers: Shelf::new(BROWSER_LIFETIME_MS, SHELF_MAX),
            devices: Shelf::new(DEVICE_MEMORY_MS, SHELF_MAX),
            user_codes: Shelf::new(DEVICE_MEMORY_MS, SHELF_MAX),
            opaque: Shelf::new(DEVICE_MEMORY_MS, SHELF_MAX),
            assertion_names: Shelf::new(ASSERTION_MEMORY_MS, SHELF_MAX),
            mfa: Shelf::new(MFA_MEMORY_MS, SHELF_MAX),
            oob: Shelf::new(MFA_MEMORY_MS, SHELF_MAX),
            factor_pages: Shelf::new(LOGIN_PAGE_LIFETIME_MS, SHELF_MAX),
            phones: Phones::default(),
            limits: Limits::default(),
        }
    }
}

/// Returns the provider's endpoints.
pub(crate) fn router(provider: Arc<Provider>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/authorize", get(login::authorize))
        .route("/login", post(login::login))
        .route("/oauth/revoke", post(userinfo::revoke))
        .route("/mfa/challenge", post(mfa::api::challenge))
        .route_layer(from_fn_with_state(Arc::clone(&provider), fault_by_path))
        .route("/oauth/token", post(token_endpoint::serve))
        .route("/oauth/introspect", post(userinfo::introspect))
        .route("/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .route("/oauth/device/code", post(activate::device_code))
        .route("/activate", get(activate::page).post(activate::decide))
        .route("/factor", post(mfa::answer_page))
        .route("/mfa/associate", post(mfa::associate::associate))
        .route("/mfa/authenticators", get(mfa::api::authenticators))
        .route("/mfa/authenticators/{id}", delete(mfa::api::remove))
        .route("/v2/logout", get(logout::v2_logout))
        .route("/oidc/logout", get(logout::end_session_query).post(logout::end_session_form))
        .route("/page.css", get(page_css))
        .route("/", get(pages::home))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(from_fn_with_state(Arc::clone(&provider), secrecy::hear))
        .with_state(provider)
}

/// Returns an HTML page that may load nothing but its own style sheet. It sets no form-action:
/// browsers apply that to the redirects after a form too, and ours lead to the client.
pub(crate) fn html(page: String) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
                          base-uri 'none'; frame-ancestors 'none'";
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], page)
        .into_response()
}

async fn fault_by_path(
    State(provider): State<Arc<Provider>>,
    ask: Request,
    next: Next,
) -> Response {
    let endpoint = match ask.uri().path() {
        "/.well-known/openid-configuration" => Endpoint::Discovery,
        "/.well-known/jwks.json" => Endpoint::Jwks,
        "/authorize" => Endpoint::Authorize,
        "/oauth/revoke" => Endpoint::Revoke,
        "/mfa/challenge" => Endpoint::MfaChallenge,
        _ => return next.run(ask).await,
    };
    provider.faulty(endpoint, "", next.run(ask)).await
}

async fn discovery(State(provider): State<Arc<Provider>>) -> axum::Json<Value> {
    let issuer = &provider.issuer;
    let acr_values = hold(&provider.tenant).settings.mfa.acr_values.clone();
    axum::Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}authorize"),
        "token_endpoint": format!("{issuer}oauth/token"),
        "device_authorization_endpoint": format!("{issuer}oauth/device/code"),
        "userinfo_endpoint": format!("{issuer}userinfo"),
        "jwks_uri": format!("{issuer}.well-known/jwks.json"),
        "revocation_endpoint": format!("{issuer}oauth/revoke"),
        "introspection_endpoint": format!("{issuer}oauth/introspect"),
        "mfa_challenge_endpoint": format!("{issuer}mfa/challenge"),
        "acr_values_supported": acr_values,
        "end_session_endpoint": format!("{issuer}oidc/logout"),
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", "client_credentials",
            token_endpoint::DEVICE_GRANT, mfa::OTP_GRANT, mfa::OOB_GRANT, mfa::RECOVERY_GRANT,
        ],
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256"],
        "claims_supported": [
            "aud", "auth_time", "acr", "amr", "email", "exp", "iat", "iss", "name", "nonce",
            "sid", "sub",
        ],
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    }))
}

async fn jwks(State(provider): State<Arc<Provider>>) -> axum::Json<Value> {
    axum::Json(provider.keys.jwks())
}

async fn page_css() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css")], include_str!("../assets/page.css"))
}

/// Returns the family of a refresh token as the ledger writes it.
pub(crate) fn family_name(family: FamilyId) -> String {
    format!("{family:06x}")
}
