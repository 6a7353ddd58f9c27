//! A provider behind TLS: whom to trust, and HTTP/2.
#![expect(clippy::unwrap_used, reason = "a step of a story that fails ends the story")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokenward::clock::Clock;
use tokenward::provider::{Endpoints, Provider, ProviderSettings};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fake::{CLIENT_ID, refresh};
use super::{AMPLE_MS, told};

/// What the server saw: the HTTP version and the body of each request.
type Seen = Arc<Mutex<Vec<String>>>;

/// Starts a token endpoint behind TLS; returns its address and the certificate to trust, as PEM.
async fn start(seen: Seen) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/token", listener.local_addr().unwrap().port());
    let router = Router::new().fallback(move |request: Request| async move {
        let version = request.version();
        let body = axum::body::to_bytes(request.into_body(), 4096).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        seen.lock().unwrap().push(format!("{version:?} {body}"));
        axum::Json(json!({"access_token": "a", "expires_in": 60}))
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us hangs up here.
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await
            });
        }
    });
    (url, made.cert.pem())
}

fn provider(url: &str, extra_roots: &str) -> Provider {
    let mut settings = ProviderSettings::new("https://idp.example", CLIENT_ID);
    settings.extra_roots = extra_roots.as_bytes().to_vec();
    settings.endpoints = Some(Endpoints {
        authorization: url.to_owned(),
        token: url.to_owned(),
        jwks: "https://localhost:1/jwks".to_owned(),
        revocation: None,
        end_session: None,
    });
    Provider::new(settings, Clock::system()).unwrap()
}

#[tokio::test]
async fn l13_a_private_authority_is_trusted_only_by_setting() {
    let seen = Seen::default();
    let (url, certificate) = start(seen.clone()).await;
    let refused = refresh(&provider(&url, ""), AMPLE_MS).await;
    assert_eq!(told(&refused), "not sent: connect");
    assert!(seen.lock().unwrap().is_empty(), "no secret goes to a stranger");

    let granted = refresh(&provider(&url, &certificate), AMPLE_MS).await;
    assert_eq!(told(&granted), "granted");
    let expected = "HTTP/2.0 grant_type=refresh_token&refresh_token=r0&audience=https%3A%2F%2Fapi\
                    &scope=read&client_id=client";
    assert_eq!(*seen.lock().unwrap(), [expected]);

    let mut broken = ProviderSettings::new("https://idp.example", CLIENT_ID);
    broken.extra_roots = b"no certificate".to_vec();
    assert!(Provider::new(broken, Clock::system()).is_err());
}
