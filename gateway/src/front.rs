//! The gateway's own endpoints for callers: what they share, and where each is found.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use tokenward::Tokenward;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokio::sync::watch;

use crate::config::Config;
use crate::device::{self, Displays};
use crate::events::{self, Hub};
use crate::identify::{self, Caller, OwnOrigin};
use crate::pages::Trouble;
use crate::webhook::Webhooks;
use crate::{logout, origin, session, sign_in, step_up, trace};

/// What the endpoints share.
pub struct Front {
    config: ArcSwap<Config>,
    tokenward: Tokenward,
    hub: Arc<Hub>,
    displays: Displays,
    webhooks: Webhooks,
    draining: watch::Sender<bool>,
}

impl Front {
    /// Puts the endpoints in front of a framework; call it on the framework's runtime.
    pub fn new(config: Arc<Config>, tokenward: Tokenward) -> Arc<Self> {
        let hub = Hub::start(&tokenward);
        let draining = watch::Sender::new(false);
        trace::follow_exchanges(&tokenward, &config);
        let webhooks = Webhooks::start(&tokenward, &config);
        let (config, displays) = (ArcSwap::new(config), Displays::new(tokenward.vault().clone()));
        Arc::new(Self { config, tokenward, hub, displays, webhooks, draining })
    }

    /// Returns the endpoints, each under its full path.
    pub fn router(self: &Arc<Self>) -> Router {
        let prefix = Arc::clone(&self.config().prefix);
        let at = |path: &str| format!("{prefix}{path}");
        Router::new()
            .route(&at("/login"), get(sign_in::login))
            .route(&at("/callback"), get(sign_in::callback))
            .route(&at("/logout"), post(logout::logout))
            .route(&at("/backchannel-logout"), post(logout::backchannel))
            .route(&at("/session"), get(session::session))
            .route(&at("/events"), get(events::events))
            .route(&at("/mfa"), get(step_up::page))
            .route(&at("/mfa/redirect"), get(step_up::leave))
            .route(&at("/mfa/authenticators"), get(step_up::authenticators))
            .route(&at("/mfa/challenge"), post(step_up::challenge))
            .route(&at("/mfa/associate"), post(step_up::associate))
            .route(&at("/mfa/verify"), post(step_up::verify))
            .route(&at("/device/code"), post(device::code))
            .route(&at("/device/token"), post(device::token))
            .merge(device::pages())
            .method_not_allowed_fallback(wrong_method)
            .fallback(not_found)
            // The door has read and bounded the body already.
            .layer(DefaultBodyLimit::disable())
            .layer(map_response(guarded))
            .with_state(Arc::clone(self))
    }

    /// Goes on with a reloaded configuration.
    pub fn replace(&self, config: Arc<Config>) {
        self.webhooks.replace(&config);
        self.config.store(config);
    }

    /// Closes the event streams, and reports from here on that the gateway is going away.
    pub fn drain(&self) {
        self.draining.send_replace(true);
        self.hub.close();
    }

    /// Reports whether the gateway is going away.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Waits until the gateway is going away.
    pub(crate) async fn drained(&self) {
        // The sender lives as long as this, so that an error cannot happen.
        drop(self.draining.subscribe().wait_for(|draining| *draining).await);
    }

    /// Returns the streams of single sessions: whoever holds a connection of a session open learns
    /// of its end here.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Returns the framework.
    pub fn tokenward(&self) -> &Tokenward {
        &self.tokenward
    }

    /// Returns what is known of displays.
    pub(crate) fn displays(&self) -> &Displays {
        &self.displays
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Returns the session that a request names, whoever sent it.
    pub(crate) fn session_of(&self, headers: &HeaderMap) -> Option<SessionKey> {
        match identify::identify(headers, &self.config().session.cookie) {
            Caller::Program(key) | Caller::Browser(key) => Some(key),
            Caller::Nobody | Caller::Stranger | Caller::Two => None,
        }
    }

    /// Returns the origin under which this browser knows the gateway.
    pub(crate) fn origin(&self, headers: &HeaderMap, uri: &Uri) -> Result<String, Trouble> {
        origin::of(&self.config(), headers, uri).map_err(|host| {
            Trouble::new(
                StatusCode::MISDIRECTED_REQUEST,
                "wrong_host",
                "This address is not served",
                format!(
                    "The gateway does not know itself as \u{201c}{host}\u{201d}. Its operator writes \
                     public_url with the address that browsers use into the configuration."
                ),
            )
        })
    }

    /// Refuses an unsafe request that a foreign page sent.
    pub(crate) fn guard(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Trouble> {
        let config = self.config();
        let origin = self.origin(headers, uri)?;
        let own = OwnOrigin::Configured(&origin);
        identify::guard(&Method::POST, headers, false, own, &config.session).map_err(|_| {
            Trouble::new(
                StatusCode::FORBIDDEN,
                "cross_site",
                "Request from another site refused",
                "A page of another origin sent this request with your session's cookie.",
            )
        })
    }

    /// Returns the audiences of the configuration in its order, each with all scopes that its
    /// routes need.
    pub(crate) fn audiences(&self) -> Vec<(Audience, ScopeSet)> {
        let mut audiences: Vec<(Audience, ScopeSet)> = Vec::new();
        for route in &self.config().routes {
            let Some(audience) = &route.audience else { continue };
            match audiences.iter_mut().find(|(known, _)| known == audience) {
                Some((_, scopes)) => *scopes = scopes.merge(&route.scopes),
                None => audiences.push((audience.clone(), route.scopes.clone())),
            }
        }
        audiences
    }
}

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Adds what every reply of ours carries: nothing of it may be kept, sniffed, framed or passed on
/// in a Referer, because addresses here hold codes. A page has a policy of its own.
async fn guarded(mut reply: Response) -> Response {
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::REFERRER_POLICY, NO_REFERRER);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(RESOURCE_POLICY, SAME_ORIGIN);
    headers.insert(header::X_FRAME_OPTIONS, DENY);
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    reply
}

const DENY: HeaderValue = HeaderValue::from_static("DENY");
const NOTHING: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

async fn not_found(State(front): State<Arc<Front>>, headers: HeaderMap) -> Response {
    let prefix = &front.config().prefix;
    let detail = format!(
        "Below {prefix} there are login, callback, logout, session, events, mfa and device."
    );
    Trouble::new(StatusCode::NOT_FOUND, "not_found", "Nothing is here", detail).reply(&headers)
}

async fn wrong_method(headers: HeaderMap) -> Response {
    Trouble::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This is asked in another way",
        "The endpoint does not take this method; the Allow header says which it takes.",
    )
    .reply(&headers)
}
