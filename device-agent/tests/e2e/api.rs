//! The API whose text the display shows: it says how many access tokens it has been shown.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use tokio::net::TcpListener;

/// An API that takes whatever looks like an access token: the provider's own word is in its ledger.
pub(super) struct Api {
    pub(super) address: String,
    shown: Arc<Mutex<BTreeSet<String>>>,
}

impl Api {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}/quote", listener.local_addr().unwrap());
        let shown: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let notes = Arc::clone(&shown);
        let quote = move |headers: HeaderMap| async move {
            let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
            let access_token = sent.and_then(|text| text.strip_prefix("Bearer ey"));
            let Some(access_token) = access_token else {
                return (StatusCode::UNAUTHORIZED, String::new());
            };
            let mut seen = notes.lock().unwrap();
            seen.insert(access_token.to_owned());
            (StatusCode::OK, format!("A quote for token number {}", seen.len()))
        };
        let router = Router::new().route("/quote", get(quote));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shown }
    }

    /// Returns how many different access tokens came.
    pub(super) fn access_tokens(&self) -> usize {
        self.shown.lock().unwrap().len()
    }
}
