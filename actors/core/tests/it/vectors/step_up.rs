//! Factors, challenges, statuses and polling.

use std::time::Duration;

use serde_json::{Value, json};
use tokenward_core::device_sign_in::{Heard, INTERVAL, Next, Pace, next};
use tokenward_core::refusal::{MfaDemand, Refusal};
use tokenward_core::step_up::context::context_ttl;
use tokenward_core::step_up::factor::{enrolment, may_challenge};
use tokenward_core::step_up::{Factor, FaultClass, StatusProfile};

use super::reading::instant;

pub(super) fn challenge_guard(input: &Value) -> Option<Value> {
    let listed = &input["requirements"]["challenge"];
    let names = listed.as_array().into_iter().flatten();
    let demand = MfaDemand {
        challenge: names.filter_map(|name| Some(name["type"].as_str()?.to_owned())).collect(),
        is_listed: !input["requirements"].is_null(),
        ..MfaDemand::default()
    };
    let allow = may_challenge(&demand, input["challenge_type"].as_str().unwrap_or_default());
    let error = (!allow).then_some(FaultClass::NoAvailableFactors.code());
    Some(json!({ "allow": allow, "error": error }))
}

pub(super) fn factor_map(input: &Value) -> Option<Value> {
    let refused = || Some(json!({ "error": FaultClass::InvalidRequest.code() }));
    let Some(factor) = input["factor"].as_str().and_then(Factor::parse) else {
        return refused();
    };
    if input["enroll"] == true {
        let (phone, email) = (input["phone_number"].as_str(), input["email"].as_str());
        if enrolment(factor, phone, email).is_err() {
            return refused();
        }
    }
    let channels: Vec<&str> = factor.channel().into_iter().collect();
    Some(json!({
        "authenticator_types": [factor.authenticator_type()],
        "oob_channels": channels,
        "error": null,
    }))
}

pub(super) fn http_status(input: &Value) -> Option<Value> {
    let class = FaultClass::from_code(input["error_class"].as_str()?)?;
    let profile = match input["profile"].as_str() {
        Some("doc_sample") => StatusProfile::Documented,
        Some(_) | None => StatusProfile::Sdk,
    };
    Some(json!({ "status": class.status(profile) }))
}

pub(super) fn ttl_config(input: &Value) -> Option<Value> {
    let written = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Some(value.to_string())
        }
    };
    let (option, environment) = (written(&input["option"]), written(&input["env"]));
    let ttl = context_ttl(option.as_deref(), environment.as_deref());
    Some(json!({ "ttl": ttl.ttl.as_secs(), "warning": ttl.is_fallback }))
}

pub(super) fn device_poll(input: &Value) -> Option<Value> {
    let interval = input["interval"].as_f64().map_or(INTERVAL, Duration::from_secs_f64);
    if input["server"] == true {
        return Some(answers(input, interval));
    }
    let text = |name: &str| input["body"][name].as_str().map(str::to_owned);
    let status = input["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let (error, description) = (text("error"), text("error_description"));
    let wait = input["retry_after"].as_u64().map(Duration::from_secs);
    let refusal =
        status.map(|status| Refusal { status, error, description, wait, ..Refusal::default() });
    let heard = match &refusal {
        Some(refusal) if refusal.status == 200 && refusal.error.is_none() => Heard::Granted,
        Some(refusal) if refusal.status > 0 => Heard::Refused(refusal),
        Some(_) | None => Heard::Nothing,
    };
    let (action, next_interval) = match next(heard, interval) {
        Next::Done => ("done", None),
        Next::Poll(every) => ("poll", Some(every.as_secs())),
        Next::Restart => ("restart", None),
        Next::Stop => ("stop", None),
    };
    Some(json!({ "action": action, "next_interval": next_interval }))
}

/// What a server tells a device that asks at these moments while nobody has answered.
fn answers(input: &Value, interval: Duration) -> Value {
    let mut pace = Pace::default();
    let answers = input["polls_at"].as_array().into_iter().flatten().map(|at| {
        let at = instant(&json!(0)) + Duration::from_secs_f64(at.as_f64().unwrap());
        if pace.allows(interval, at) { "authorization_pending" } else { "slow_down" }
    });
    json!({ "answers": answers.collect::<Vec<_>>() })
}
