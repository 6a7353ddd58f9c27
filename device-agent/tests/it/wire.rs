//! What the way to the gateway makes of answers, certificates and redirects.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokenward::SessionHandle;
use tokenward_device::agent::{Fetched, Miss, Return};
use tokenward_device::feed::{Feed, Source};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

fn feed(gateway: &str, path: &str, roots: &str) -> Feed {
    let gateway = Url::parse(gateway).unwrap();
    let source = Source {
        content: gateway.join(path).unwrap(),
        gateway,
        prefix: "/auth".to_owned(),
        client_id: "display".to_owned(),
        audiences: Vec::new(),
        scope: String::new(),
        roots: roots.as_bytes().to_vec(),
    };
    Feed::new(source).unwrap()
}

async fn fetch(feed: &Feed) -> Return {
    feed.fetch(&SessionHandle::random(), None, "v=\"0\"").await.meaning
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Starts a TLS server with this certificate, which nobody gets a word from.
async fn tls(certificate: &rcgen::Certificate, key: &KeyPair) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = acceptor.accept(socket).await;
        }
    });
    address
}

#[tokio::test]
async fn certificates_are_judged_by_what_a_person_can_do_about_them() {
    let table = [
        ("localhost", 2090, 2100, true, None),
        ("localhost", 2010, 2020, true, None),
        ("localhost", 2020, 2100, false, Some("certificate not trusted")),
        ("gw.example", 2020, 2100, true, Some("certificate of another name")),
    ];
    for (name, from, until, is_known, complaint) in table {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let made = params.self_signed(&key).unwrap();
        let port = tls(&made, &key).await.port();
        let other = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
        let root = if is_known { made.pem() } else { other.cert.pem() };
        let Return::Missed(miss) =
            fetch(&feed(&format!("https://localhost:{port}/"), "/q", &root)).await
        else {
            panic!("{name} {from}: an answer");
        };
        match (miss, complaint) {
            (Miss::CertificateTime, None) => {}
            (Miss::Failed(told), Some(expected)) => assert_eq!(told.what, expected),
            (other, _) => panic!("{name} {from}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn l13_the_credential_follows_no_redirect_to_another_origin() {
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let notes = Arc::clone(&seen);
    let stranger = serve(Router::new().fallback(move |request: Request| {
        notes.lock().unwrap().push(request.headers().clone());
        async { "stolen" }
    }))
    .await;
    let away = format!("http://{stranger}/steal");
    let gateway = serve(
        Router::new()
            .route("/away", get(move || async move { Redirect::temporary(&away) }))
            .route("/near", get(|| async { Redirect::temporary("/here") }))
            .route("/round", get(|| async { Redirect::temporary("/round") }))
            .route(
                "/here",
                get(|headers: HeaderMap| async move {
                    let is_signed = headers.contains_key(header::AUTHORIZATION);
                    if is_signed { "signed" } else { "unsigned" }
                }),
            ),
    )
    .await;
    let at = |path| feed(&format!("http://{gateway}/"), path, "");
    let Return::Missed(Miss::Failed(told)) = fetch(&at("/away")).await else { panic!("followed") };
    assert_eq!(told.what, "redirected away (307)");
    assert!(seen.lock().unwrap().is_empty(), "nobody called the stranger");
    let Return::Fetched(Fetched::Fresh { content, .. }) = fetch(&at("/near")).await else {
        panic!("not followed");
    };
    assert_eq!(content.text, "signed");
    assert!(matches!(fetch(&at("/round")).await, Return::Missed(Miss::Failed(_))));
}

#[tokio::test]
async fn answers_mean_what_the_table_says() {
    const PROBLEM: &str = "application/problem+json";
    type Row = (u16, &'static str, &'static str, fn(&Return) -> bool);
    let long = "x".repeat(20_000).leak();
    let table: [Row; 13] = [
        (200, "application/json", r#"{"quote":"Q","author":"A"}"#, |meaning| {
            matches!(meaning, Return::Fetched(Fetched::Fresh { .. }))
        }),
        (200, "text/plain", "Q", |meaning| matches!(meaning, Return::Fetched(_))),
        (200, "text/plain", long, |meaning| matches!(meaning, Return::Missed(Miss::Failed(_)))),
        (200, "application/json", "{", |meaning| {
            matches!(meaning, Return::Missed(Miss::Failed(_)))
        }),
        (304, "", "", |meaning| matches!(meaning, Return::Fetched(Fetched::Unchanged))),
        (401, PROBLEM, r#"{"error":"login_required"}"#, |meaning| {
            matches!(meaning, Return::Fetched(Fetched::SignedOut))
        }),
        (401, "application/json", r#"{"error":"invalid_token"}"#, |meaning| {
            matches!(meaning, Return::Missed(Miss::Failed(_)))
        }),
        (
            403,
            PROBLEM,
            r#"{"error":"mfa_required","audience":"urn:a","step_up_uri":"https://gw/d/ABCD-EFGH"}"#,
            |meaning| link_of(meaning) == Some(Some("https://gw/d/ABCD-EFGH")),
        ),
        (403, PROBLEM, r#"{"error":"mfa_required"}"#, |meaning| link_of(meaning) == Some(None)),
        (403, PROBLEM, r#"{"error":"mfa_required","step_up_uri":"javascript:x"}"#, |meaning| {
            link_of(meaning) == Some(None)
        }),
        (
            404,
            PROBLEM,
            r#"{"error":"no_route"}"#,
            |meaning| matches!(meaning, Return::Missed(Miss::Failed(told)) if told.remedy.contains("route")),
        ),
        (
            429,
            PROBLEM,
            "{}",
            |meaning| matches!(meaning, Return::Missed(Miss::Busy(Some(wait))) if *wait == Duration::from_secs(7)),
        ),
        (502, PROBLEM, "{}", |meaning| matches!(meaning, Return::Missed(Miss::Failed(_)))),
    ];
    for (status, kind, body, is_right) in table {
        let answer = move || async move {
            let status = StatusCode::from_u16(status).unwrap();
            let headers = [(header::CONTENT_TYPE, kind), (header::RETRY_AFTER, "7")];
            let answer: Response = (status, headers, body).into_response();
            answer
        };
        let gateway = serve(Router::new().route("/q", get(answer))).await;
        let meaning = fetch(&feed(&format!("http://{gateway}/"), "/q", "")).await;
        assert!(is_right(&meaning), "{status} {body:.60}: {meaning:?}");
    }
}

#[tokio::test]
async fn a_gateway_whose_store_is_away_is_to_be_asked_again_and_has_said_no_to_nothing() {
    let later = || async {
        let headers =
            [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, "2")];
        let told = r#"{"status":503,"error":"temporarily_unavailable"}"#;
        (StatusCode::SERVICE_UNAVAILABLE, headers, told)
    };
    let code = r#"{"device_code":"dc","user_code":"WDJB-MJHT","expires_in":900,
        "verification_uri":"https://gw.example/d"}"#;
    let is_later = |meaning: &Return| matches!(meaning, Return::Missed(Miss::Busy(Some(wait))) if *wait == Duration::from_secs(2));
    let at = async |router: Router| feed(&format!("http://{}/", serve(router).await), "/q", "");
    let gateway = at(Router::new()
        .route("/auth/device/code", post(move || async move { code }))
        .route("/auth/device/token", post(later)))
    .await;
    let Return::Coded(coded) = gateway.ask_code("v=\"0\"").await.meaning else { panic!("a code") };
    let meaning = gateway.poll(&coded.code, "v=\"0\"").await.meaning;
    assert!(is_later(&meaning), "{meaning:?}");
    let gateway = at(Router::new().route("/auth/device/code", post(later))).await;
    let meaning = gateway.ask_code("v=\"0\"").await.meaning;
    assert!(is_later(&meaning), "{meaning:?}");
}

/// Returns the link of a demand, where the meaning is one.
fn link_of(meaning: &Return) -> Option<Option<&str>> {
    if let Return::Fetched(Fetched::Held(demand)) = meaning {
        Some(demand.step_up_uri.as_deref())
    } else {
        None
    }
}
