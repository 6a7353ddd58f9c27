//! The accounts API: two accounts that everybody shares, and transfers between them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hold;

use super::Gate;

#[derive(Clone)]
struct Bank {
    gate: Gate,
    /// Cents by account.
    balances: Arc<Mutex<BTreeMap<String, u64>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    from: String,
    to: String,
    amount_cents: u64,
}

pub(super) fn router(gate: Gate) -> Router {
    let opening = [("everyday", 125_000), ("savings", 2_480_000)];
    let opening = opening.map(|(name, cents)| (name.to_owned(), cents));
    let bank = Bank { gate, balances: Arc::new(Mutex::new(BTreeMap::from(opening))) };
    Router::new().route("/accounts", get(list)).route("/transfer", post(transfer)).with_state(bank)
}

async fn list(State(bank): State<Bank>, headers: HeaderMap) -> Response {
    match bank.gate.admit(&headers, Some("read:accounts")).await {
        Ok(claims) => Json(bank.shown(&bank.gate.seen(&claims))).into_response(),
        Err(refusal) => refusal,
    }
}

async fn transfer(State(bank): State<Bank>, headers: HeaderMap, body: Bytes) -> Response {
    let claims = match bank.gate.admit(&headers, Some("write:accounts")).await {
        Ok(claims) => claims,
        Err(refusal) => return refusal,
    };
    let Ok(wanted) = serde_json::from_slice::<Transfer>(&body) else {
        return refused("a transfer has from, to and amount_cents");
    };
    match carry_out(&mut hold(&bank.balances), &wanted) {
        Ok(()) => {}
        Err(sentence) => return refused(sentence),
    }
    (StatusCode::CREATED, Json(bank.shown(&bank.gate.seen(&claims)))).into_response()
}

impl Bank {
    fn shown(&self, seen: &Value) -> Value {
        let balances = hold(&self.balances);
        let account =
            |(name, cents): (&String, &u64)| json!({"name": name, "balance_cents": cents});
        let accounts: Vec<Value> = balances.iter().map(account).collect();
        json!({ "accounts": accounts, "currency": "EUR", "access_token_seen": seen })
    }
}

fn carry_out(balances: &mut BTreeMap<String, u64>, wanted: &Transfer) -> Result<(), &'static str> {
    let Transfer { from, to, amount_cents } = wanted;
    let (Some(source), Some(target)) = (balances.get(from), balances.get(to)) else {
        return Err("there is no such account");
    };
    if from == to {
        return Err("from and to are the same account");
    }
    let left = source.checked_sub(*amount_cents).ok_or("the balance does not cover it")?;
    let grown = target.checked_add(*amount_cents).ok_or("the balance would overflow")?;
    balances.insert(from.clone(), left);
    balances.insert(to.clone(), grown);
    Ok(())
}

fn refused(sentence: &str) -> Response {
    let body = json!({ "error": "invalid_request", "error_description": sentence });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}
