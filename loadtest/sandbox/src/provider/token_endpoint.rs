//! POST /oauth/token.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::faults::Endpoint;
use crate::hold;
use crate::ledger::{Entry, InFlight, Kind};

use super::device::Polled;
use super::family::FamilyId;
use super::issue::Extras;
use super::mfa::settings::Protocol;
use super::mfa::{self, Origin};
use super::refusal::{self, Refusal};
use super::registry::Client;
use super::seal::short_hash;
use super::tenant::{RefreshRefused, Refreshed};
use super::{Params, Provider, family_name};

/// The grant type of RFC 8628.
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Answers a request for tokens. The work goes on when the caller vanishes, as it does at a real
/// provider: a rotation whose answer was lost is a rotation all the same.
pub(crate) async fn serve(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    provider.ledger.count_token_request();
    let statuses = hold(&provider.tenant).settings.statuses;
    let Some(params) = read_params(&headers, &body) else {
        return refusal::UNREADABLE.answer(statuses);
    };
    let family = refresh_family(&provider, &params);
    let connected = family.map(|family| provider.connect(family));
    let work = tokio::spawn(work(Arc::clone(&provider), headers, params, family));
    let answer = work.await;
    drop(connected);
    answer.unwrap_or_else(|_panic| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Reads a form or a JSON object of strings.
pub(crate) fn read_params(headers: &HeaderMap, body: &[u8]) -> Option<Params> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
    if kind.starts_with("application/json") {
        return serde_json::from_slice(body).ok();
    }
    kind.starts_with("application/x-www-form-urlencoded")
        .then(|| url::form_urlencoded::parse(body).into_owned().collect())
}

async fn work(
    provider: Arc<Provider>,
    headers: HeaderMap,
    params: Params,
    family: Option<FamilyId>,
) -> Response {
    let _at_work = family.map(|family| provider.ledger.processing(family));
    let (half_latency, statuses) = {
        let tenant = hold(&provider.tenant);
        (Duration::from_millis(tenant.settings.token_latency_ms / 2), tenant.settings.statuses)
    };
    pause(half_latency).await;
    let grant_type = params.get("grant_type").map_or("", String::as_str);
    let short = grant_type.rsplit(':').next().unwrap_or(grant_type);
    let commit = async {
        let answer = provider.answer(&headers, &params, grant_type);
        answer.unwrap_or_else(|refusal| refusal.answer(statuses))
    };
    let answer = provider.faulty(Endpoint::Token, short, commit).await;
    pause(half_latency).await;
    answer
}

/// Even a sleep of nothing waits for the timer's next tick, a millisecond.
async fn pause(latency: Duration) {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
}

fn refresh_family(provider: &Provider, params: &Params) -> Option<FamilyId> {
    let refresh_token = params.get("refresh_token")?;
    (params.get("grant_type")? == "refresh_token")
        .then(|| provider.seal.open(refresh_token))?
        .map(|(family, _)| family)
}

impl Provider {
    /// Counts a refresh as in flight, and notes where it meets another of its family.
    fn connect(&self, family: FamilyId) -> InFlight {
        let (in_flight, met) = self.ledger.connected(family);
        if met {
            let family = Some(family_name(family));
            self.log(Kind::RefreshesOverlap, Entry { family, ..Entry::default() });
        }
        in_flight
    }

    fn answer(
        &self,
        headers: &HeaderMap,
        params: &Params,
        grant_type: &str,
    ) -> Result<Response, Refusal> {
        let client = self.client(headers, params)?;
        match grant_type {
            "refresh_token" => self.refresh(&client, params),
            "authorization_code" => self.exchange_code(&client, params),
            DEVICE_GRANT => self.poll_device(&client, params),
            "client_credentials" => self.client_credentials(&client, params),
            mfa::OTP_GRANT | mfa::OOB_GRANT | mfa::RECOVERY_GRANT => {
                self.verify(&client, params, grant_type)
            }
            "" => Err(refusal::invalid_request("Missing required parameter: grant_type")),
            _ => Err(refusal::UNSUPPORTED_GRANT),
        }
    }

    fn refresh(&self, client: &Client, params: &Params) -> Result<Response, Refusal> {
        let refresh_token = params
            .get("refresh_token")
            .ok_or(refusal::invalid_request("Missing required parameter: refresh_token"))?;
        let hash = Some(short_hash(refresh_token));
        let presented = self.seal.open(refresh_token);
        let refreshed = presented.ok_or(RefreshRefused::Unknown).and_then(|presented| {
            let scope = params.get("scope").map(String::as_str);
            let now_ms = self.clock.now_ms();
            let mut tenant = hold(&self.tenant);
            tenant.refresh(presented, &client.client_id, audience(params), scope, now_ms)
        });
        let entry = Entry {
            family: presented.map(|(family, _)| family_name(family)),
            generation: presented.map(|(_, generation)| generation),
            client: Some(client.client_id.clone()),
            hash,
            ..Entry::default()
        };
        match (refreshed, presented) {
            (Ok(refreshed), Some((family, _))) => {
                Ok(self.refreshed(client, family, &refreshed, entry, (Kind::Refreshed, None)))
            }
            (Err(RefreshRefused::SecondFactor(requirements)), Some((family, _))) => {
                let asked = |name| params.get(name).filter(|value| !value.is_empty()).cloned();
                let audience = audience(params).map(str::to_owned);
                let origin = Origin::Refresh { family, audience, scope: asked("scope") };
                self.refresh_challenged(client, origin, requirements, entry)
            }
            (Ok(_), None) => Err(refusal::UNKNOWN_REFRESH_TOKEN),
            (Err(refused), _) => Err(self.refresh_refused(refused, entry)),
        }
    }

    /// Returns the answer to an exchange of a family and notes it.
    pub(super) fn refreshed(
        &self,
        client: &Client,
        family: FamilyId,
        refreshed: &Refreshed,
        entry: Entry,
        (kind, recovery_code): (Kind, Option<String>),
    ) -> Response {
        let Refreshed { grant, granted, next, latest, fork } = refreshed;
        let id_token = if hold(&self.tenant).settings.id_token_on_refresh {
            self.id_token(grant, &granted.scope)
        } else {
            None
        };
        let refresh_token = next.map(|generation| self.seal.refresh_token(family, generation));
        let answer = self.token_answer(
            &grant.subject,
            &client.client_id,
            granted,
            Extras { refresh_token, id_token, grant: Some(Arc::clone(grant)), recovery_code },
        );
        self.log(
            kind,
            Entry {
                latest: Some(*latest),
                fork: *fork,
                subject: Some(grant.subject.clone()),
                audience: Some(granted.audience.clone()),
                scope: Some(granted.scope.clone()),
                ..entry
            },
        );
        answer
    }

    pub(super) fn refresh_refused(&self, refused: RefreshRefused, entry: Entry) -> Refusal {
        let family = entry.family.clone();
        let (kind, refusal) = match refused {
            RefreshRefused::Unknown => (Kind::RefreshRefused, refusal::UNKNOWN_REFRESH_TOKEN),
            RefreshRefused::UserGone => (Kind::RefreshRefused, refusal::USER_GONE),
            RefreshRefused::Audience => (Kind::RefreshRefused, refusal::AUDIENCE_REJECTED),
            RefreshRefused::Reused => (Kind::ReuseDetected, refusal::UNKNOWN_REFRESH_TOKEN),
            RefreshRefused::Denied => (Kind::RefreshRefused, refusal::DENIED_BY_RULE),
            RefreshRefused::RevokedByRule => (Kind::Revoked, refusal::REVOKED_BY_RULE),
            RefreshRefused::SecondFactor(_) => (Kind::MfaRequired, refusal::DENIED_BY_RULE),
        };
        let detail = Some(format!("{refused:?}").to_lowercase());
        self.log(kind, Entry { detail, ..entry });
        if refused == RefreshRefused::Reused {
            self.log(Kind::FamilyRevoked, Entry { family, ..Entry::default() });
        }
        refusal
    }

    fn poll_device(&self, client: &Client, params: &Params) -> Result<Response, Refusal> {
        let device_code = params
            .get("device_code")
            .ok_or(refusal::invalid_request("Missing required parameter: device_code"))?;
        let now_ms = self.clock.now_ms();
        let (polled, asked) = {
            let mut desk = hold(&self.desk);
            let device = desk.devices.look(device_code, now_ms);
            let device = device.filter(|device| device.client == client.client_id);
            let device = device.ok_or(refusal::INVALID_DEVICE_CODE)?;
            (device.poll(now_ms), device.clone())
        };
        let refusal = match polled {
            Polled::Approved(subject) => {
                let code = super::activate::approved(asked, subject, now_ms);
                let kind = Kind::DeviceExchanged;
                return Ok(match self.demanded(Protocol::DeviceCode, &code)? {
                    Some(requirements) => self.code_challenged(code, kind, requirements),
                    None => self.sign_in_answer(code, client, kind, None).0,
                });
            }
            Polled::Pending => return Err(refusal::PENDING),
            Polled::SlowDown => return Err(refusal::SLOW_DOWN),
            Polled::Denied => refusal::DENIED,
            Polled::Expired => refusal::DEVICE_EXPIRED,
            Polled::Invalid => refusal::INVALID_DEVICE_CODE,
        };
        let detail = Some(refusal.error.to_owned());
        let client = Some(client.client_id.clone());
        self.log(Kind::DeviceRefused, Entry { client, detail, ..Entry::default() });
        Err(refusal)
    }

    fn client_credentials(&self, client: &Client, params: &Params) -> Result<Response, Refusal> {
        if client.public() {
            return Err(refusal::UNSUPPORTED_GRANT);
        }
        let scope = params.get("scope").map_or("", String::as_str);
        let granted = hold(&self.tenant).granted(audience(params), scope, &self.issuer);
        let granted = granted.ok_or(refusal::UNKNOWN_AUDIENCE)?;
        let subject = format!("{}@clients", client.client_id);
        self.log(
            Kind::ClientCredentials,
            Entry {
                client: Some(client.client_id.clone()),
                audience: Some(granted.audience.clone()),
                ..Entry::default()
            },
        );
        Ok(self.token_answer(&subject, &client.client_id, &granted, Extras::default()))
    }
}

/// `resource` of RFC 8707 is accepted for Auth0's `audience`.
pub(crate) fn audience(params: &Params) -> Option<&str> {
    let named = |name| params.get(name).map(String::as_str).filter(|value| !value.is_empty());
    named("audience").or_else(|| named("resource"))
}
