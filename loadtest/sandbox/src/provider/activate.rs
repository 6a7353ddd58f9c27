//! The device flow's endpoints: asking for a code, and the page where the user enters it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use serde_json::json;

use crate::hold;
use crate::ledger::{Entry, Kind};

use super::authorize::{AuthorizeRequest, PASSWORD_ACR, Prompt};
use super::device::DeviceCode;
use super::policy::Granted;
use super::refusal::{self, Refusal};
use super::registry::User;
use super::seal::{random, random_name};
use super::token_endpoint::{audience, read_params};
use super::{Browser, Code, Params, Provider, pages};

/// The letters of user codes: no vowels, so that no words appear (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// POST /oauth/device/code.
pub(crate) async fn device_code(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let statuses = hold(&provider.tenant).settings.statuses;
    let params = read_params(&headers, &body).ok_or(refusal::UNREADABLE);
    let started = params.and_then(|params| provider.start_device(&headers, &params));
    started.unwrap_or_else(|refusal| refusal.answer(statuses))
}

/// GET /activate.
pub(crate) async fn page(
    State(provider): State<Arc<Provider>>,
    Query(query): Query<Params>,
) -> Response {
    let Some(typed) = query.get("user_code").filter(|typed| !typed.is_empty()) else {
        return pages::activate(&provider, "", None, None);
    };
    let user_code = normal(typed);
    match provider.device_client(&user_code) {
        Some(client) => pages::activate(&provider, &user_code, Some(&client), None),
        None => pages::activate(&provider, typed, None, Some(UNKNOWN_CODE)),
    }
}

/// POST /activate: the user's decision.
pub(crate) async fn decide(
    State(provider): State<Arc<Provider>>,
    Form(form): Form<Params>,
) -> Response {
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let user_code = normal(field("user_code"));
    let subject = hold(&provider.tenant).user(field("user")).map(User::subject);
    let denied = form.contains_key("deny");
    if !denied && subject.is_none() {
        return pages::refused("Choose a user to approve the device with.");
    }
    let subject = subject.filter(|_| !denied);
    if !provider.decide_device(&user_code, subject) {
        return pages::activate(&provider, &user_code, None, Some(UNKNOWN_CODE));
    }
    match denied {
        true => pages::done("Device refused", "The device has not been signed in."),
        false => {
            pages::done("Device signed in", "You can put this page away and look at the device.")
        }
    }
}

const UNKNOWN_CODE: &str =
    "This code is unknown, used or expired. Look at the device for a new one.";

/// Returns what an approved device code is exchanged as.
pub(crate) fn approved(device: DeviceCode, subject: String, now_ms: u64) -> Code {
    Code {
        request: AuthorizeRequest {
            client: device.client,
            redirect_uri: String::new(),
            granted: Granted { audience: device.audience, scope: device.scope },
            state: None,
            nonce: None,
            challenge: None,
            acr: PASSWORD_ACR.to_owned(),
            max_age_s: None,
            prompt: Prompt::Needed,
        },
        browser: Browser { subject, sid: random_name(), auth_time_ms: now_ms, second: None },
        settled: false,
    }
}

impl Provider {
    /// Records a user's decision about a device and tells whether there was one to decide about.
    pub(crate) fn decide_device(&self, user_code: &str, subject: Option<String>) -> bool {
        let now_ms = self.clock.now_ms();
        let mut desk = hold(&self.desk);
        let device_code = desk.user_codes.look(&normal(user_code), now_ms).cloned();
        let device = device_code.and_then(|code| desk.devices.look(&code, now_ms));
        let open = device.filter(|device| device.open(now_ms));
        open.map(|device| device.decide(subject)).is_some()
    }

    fn device_client(&self, user_code: &str) -> Option<String> {
        let now_ms = self.clock.now_ms();
        let mut desk = hold(&self.desk);
        let device_code = desk.user_codes.look(user_code, now_ms).cloned()?;
        let device = desk.devices.look(&device_code, now_ms)?;
        device.open(now_ms).then(|| device.client.clone())
    }

    fn start_device(&self, headers: &HeaderMap, params: &Params) -> Result<Response, Refusal> {
        let client = self.client(headers, params)?.client_id;
        let scope = params.get("scope").map_or("", String::as_str);
        let (granted, lifetime_s, interval_s) = {
            let tenant = hold(&self.tenant);
            let granted = tenant.granted(audience(params), scope, &self.issuer);
            let settings = &tenant.settings;
            (granted, settings.device_code_lifetime_s, settings.device_interval_s)
        };
        let Granted { audience, scope } = granted.ok_or(refusal::UNKNOWN_AUDIENCE)?;
        let now_ms = self.clock.now_ms();
        let (device_code, user_code) = (random_name(), new_user_code());
        let device = DeviceCode::new(
            client.clone(),
            audience.clone(),
            scope.clone(),
            user_code.clone(),
            interval_s.saturating_mul(1000),
            now_ms.saturating_add(lifetime_s.saturating_mul(1000)),
        );
        {
            let mut desk = hold(&self.desk);
            desk.devices.put(device_code.clone(), device, now_ms);
            desk.user_codes.put(user_code.clone(), device_code.clone(), now_ms);
        }
        let (client, audience, scope) = (Some(client), Some(audience), Some(scope));
        self.log(Kind::DeviceStarted, Entry { client, audience, scope, ..Entry::default() });
        let page = format!("{}activate", self.issuer);
        let body = json!({
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={user_code}"),
            "expires_in": lifetime_s,
            "interval": interval_s,
        });
        self.secrets.learn_members(&body);
        Ok(Json(body).into_response())
    }
}

/// Users type codes in small letters and without the dash.
fn normal(typed: &str) -> String {
    let letters = typed.chars().filter(char::is_ascii_alphanumeric).take(8);
    let mut code: String = letters.map(|letter| letter.to_ascii_uppercase()).collect();
    if code.len() > 4 {
        code.insert(4, '-');
    }
    code
}

fn new_user_code() -> String {
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied().unwrap_or(b'B');
    normal(&random::<8>().map(|byte| char::from(letter(byte))).iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_users_type_them() {
        for (typed, code) in
            [("bcdfghjk", "BCDF-GHJK"), (" bcdf-GHJK ", "BCDF-GHJK"), ("bc", "BC"), ("", "")]
        {
            assert_eq!(normal(typed), code);
        }
        let code = new_user_code();
        assert_eq!((code.len(), normal(&code)), (9, code));
    }
}
