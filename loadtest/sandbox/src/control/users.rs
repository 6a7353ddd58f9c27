//! Users by the control port: who they are, which factors they have, what they were sent.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::hold;
use crate::provider::Provider;
use crate::provider::mfa::factor::FactorKind;
use crate::provider::mfa::phone::Message;
use crate::provider::registry::User;
use crate::secrecy;

use super::{Answer, Refused, Shared, read};

/// Returns the endpoints.
pub(super) fn router() -> Router<Arc<Provider>> {
    Router::new()
        .route("/users", post(put))
        .route("/users/{name}", get(show).delete(remove))
        .route("/users/{name}/otp", get(otp))
        .route("/users/{name}/messages", get(messages))
}

impl Provider {
    /// Adds or replaces a user and returns the user with all identifiers and secrets made.
    pub(crate) fn put_user(&self, user: User) -> User {
        let user = user.prepared();
        for secret in user.factors.iter().filter_map(|factor| factor.secret.as_ref()) {
            self.secrets.learn(secrecy::Kind::Factor, secret);
        }
        hold(&self.tenant).put_user(user.clone());
        user
    }

    /// Returns the one-time password a user's authenticator shows and that would be accepted.
    pub(crate) fn otp_of(&self, name: &str) -> Result<String, String> {
        let unix_s = self.clock.unix_s(self.clock.now_ms());
        let tenant = hold(&self.tenant);
        let user = tenant.user(name).ok_or("there is no such user")?;
        let mut factors = user.factors.iter().filter(|factor| factor.kind == FactorKind::Otp);
        let factor = factors.next_back().ok_or("the user has no one-time passwords")?;
        let mut factor = factor.clone();
        if !tenant.settings.mfa.otp_single_use {
            factor.last_step = None;
        }
        let code = factor.next_code(unix_s);
        code.ok_or_else(|| "all codes of these 30 seconds are used; wait for the next".to_owned())
    }

    /// Returns the messages a user was sent, the newest last.
    pub(crate) fn messages_of(&self, name: &str) -> Result<Vec<Message>, String> {
        let subject = hold(&self.tenant).user(name).map(User::subject);
        Ok(self.messages(&subject.ok_or("there is no such user")?))
    }
}

async fn put(State(provider): Shared, body: Bytes) -> Answer {
    let user = provider.put_user(read(&body)?);
    Ok(Json(json!({ "subject": user.subject(), "factors": user.factors })))
}

async fn show(State(provider): Shared, Path(name): Path<String>) -> Answer {
    let user = hold(&provider.tenant).user(&name).cloned();
    let user = user.ok_or_else(|| Refused("there is no such user".to_owned()))?;
    let mut shown = serde_json::to_value(&user).map_err(|error| Refused(error.to_string()))?;
    shown["subject"] = Value::String(user.subject());
    Ok(Json(shown))
}

async fn remove(State(provider): Shared, Path(name): Path<String>) -> StatusCode {
    match hold(&provider.tenant).delete_user(&name) {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_FOUND,
    }
}

async fn otp(State(provider): Shared, Path(name): Path<String>) -> Answer {
    let otp = provider.otp_of(&name).map_err(Refused)?;
    Ok(Json(json!({ "otp": otp })))
}

async fn messages(State(provider): Shared, Path(name): Path<String>) -> Answer {
    let messages = provider.messages_of(&name).map_err(Refused)?;
    Ok(Json(json!({ "messages": messages })))
}
