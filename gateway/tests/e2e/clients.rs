//! curl and h2load as callers, over every protocol that the gateway speaks.

use std::convert::Infallible;
use std::process::{Output, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokenward_sandbox::{ECHO_AUDIENCE, Mint, Sandbox};
use tokio::process::Command;
use tokio::sync::Notify;

use super::gateway::{Gateway, Place};
use super::nginx::Nginx;
use super::program::{PATIENCE, Program, free_port, tool};
use super::provider::sandbox;
use super::upstream::serve;

/// What h2load asks for: many more requests than connections, streams and tokens.
const REQUESTS: &str = "5000";
/// A body longer than any buffer on its way.
const LONG_BODY_BYTES: usize = 5_000_000;

/// A gateway with a session, and what its callers need.
struct Scene {
    gateway: Gateway,
    origin: String,
    authorization: String,
    go_on: Arc<Notify>,
    _sandbox: Sandbox,
    _nginx: Nginx,
}

impl Scene {
    /// Starts a gateway, with TLS or without, before the sandbox's echo API, nginx and a stream.
    async fn start(tls: bool) -> Self {
        let port = free_port();
        let (sandbox, registration) = sandbox(port).await;
        let place = Place::at(port, &registration);
        let go_on = Arc::new(Notify::new());
        let events = Router::new().route("/events", get(events)).with_state(Arc::clone(&go_on));
        let stream = serve(events).await;
        let nginx = Nginx::start(stream).await;
        let route = |path: &str, upstream: &str| {
            format!(
                "[[route]]\npath = \"{path}\"\nupstream = \"{upstream}\"\n\
                 audience = \"{ECHO_AUDIENCE}\"\nscopes = \"use:echo\"\n"
            )
        };
        let mut tables = route("/", &sandbox.addresses().apis["echo"]);
        tables += &route("/fixed", &format!("http://{}", nginx.address));
        tables += &route("/events", &format!("http://{stream}"));
        let encrypted = certificate(&place);
        if tls {
            tables += &encrypted;
        }
        let origin = format!("{}://127.0.0.1:{port}", if tls { "https" } else { "http" });
        let gateway = Gateway::start(place, &tables).await;
        let wanted = Mint {
            count: 1,
            client_id: "e2e".to_owned(),
            user: Some("ada".to_owned()),
            audience: ECHO_AUDIENCE.to_owned(),
            scope: "openid offline_access use:echo".to_owned(),
        };
        let minted = sandbox.mint(&wanted).unwrap().remove(0);
        let handle = gateway.adopt(ECHO_AUDIENCE, &minted.subject, &minted.refresh_token).await;
        let authorization = format!("authorization: Bearer {handle}");
        Self { gateway, origin, authorization, go_on, _sandbox: sandbox, _nginx: nginx }
    }

    /// Runs curl against a path.
    async fn curl(&self, path: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(tool("CURL"));
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30"]);
        command.args(["--cacert", &self.certificate(), "--header", &self.authorization]);
        command.args(arguments).arg(format!("{}{path}", self.origin)).stdin(Stdio::null());
        command.kill_on_drop(true).output().await.unwrap()
    }

    /// Runs curl against the echo API; returns the HTTP version it got, and what the API saw.
    async fn echo(&self, arguments: &[&str]) -> (String, Value) {
        let told = ["--write-out", "\n%{http_code} %{http_version}"];
        let output = self.curl("/any/where?x=1", &[arguments, &told].concat()).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        let (body, last) = text.rsplit_once('\n').unwrap();
        let (status, version) = last.split_once(' ').unwrap();
        assert_eq!(status, "200", "{arguments:?}: {body} {words}");
        (version.to_owned(), serde_json::from_str(body).unwrap())
    }

    fn certificate(&self) -> String {
        self.gateway.place.folder().join("cert.pem").display().to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_speaks_every_protocol_with_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("long");
    std::fs::write(&long, vec![b'x'; LONG_BODY_BYTES]).unwrap();
    let long = long.display().to_string();
    let body = format!("@{long}");
    let (plain, tls) = tokio::join!(Scene::start(false), Scene::start(true));
    for (scene, protocol, version) in [
        (&plain, "--http1.1", "1.1"),
        (&plain, "--http2-prior-knowledge", "2"),
        (&tls, "--http1.1", "1.1"),
        (&tls, "--http2", "2"),
    ] {
        let chunked = ["--header", "transfer-encoding: chunked", "--data-binary", &body];
        let asked = ["--header", "expect: 100-continue", "--upload-file", &long];
        let rows: [(&[&str], &str, usize); 4] = [
            (&[], "GET", 0),
            (&["--data", "short"], "POST", 5),
            (&asked, "PUT", LONG_BODY_BYTES),
            // HTTP/2 has no chunks; there, curl sends the body as it would anyway.
            (&chunked, "POST", LONG_BODY_BYTES),
        ];
        for (arguments, method, length) in rows {
            let (spoken, seen) = scene.echo(&[&[protocol], arguments].concat()).await;
            let row = format!("{} {protocol} {arguments:?}", scene.origin);
            assert_eq!(spoken, version, "{row}");
            assert_eq!((&seen["method"], &seen["query"]), (&json!(method), &json!("x=1")), "{row}");
            assert_eq!(seen["body_length"], json!(length), "{row}");
        }
        let output = scene.curl("/any", &[protocol, "--head"]).await;
        let head = String::from_utf8(output.stdout).unwrap();
        assert!(head.starts_with(&format!("HTTP/{version} 200")), "{protocol}: {head}");
    }
    let upload = ["--http1.1", "--verbose", "--header", "expect: 100-continue", "--data", "short"];
    let output = plain.curl("/any", &upload).await;
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("< HTTP/1.1 100 Continue"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_reads_an_event_before_the_next_one_exists() {
    let (plain, tls) = tokio::join!(Scene::start(false), Scene::start(true));
    for (scene, protocol) in [
        (&plain, "--http1.1"),
        (&plain, "--http2-prior-knowledge"),
        (&tls, "--http1.1"),
        (&tls, "--http2"),
    ] {
        let mut curl = Program::start(&tool("CURL"), |command| {
            command.args(["--silent", "--show-error", "--noproxy", "*", "--no-buffer", protocol]);
            command.args(["--cacert", &scene.certificate(), "--header", &scene.authorization]);
            command.arg(format!("{}/events", scene.origin));
        });
        curl.line(|line| (line == "data: one").then_some(())).await;
        scene.go_on.notify_one();
        curl.line(|line| (line == "data: two").then_some(())).await;
        assert!(curl.ended().await.success(), "{}", curl.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h2load_gets_five_thousand_answers_from_nginx_over_each_protocol() {
    let (plain, tls) = tokio::join!(Scene::start(false), Scene::start(true));
    for (scene, option, protocol) in [
        (&plain, "--npn-list=h2", "h2c"),
        (&tls, "--npn-list=h2", "h2"),
        (&plain, "--h1", "http/1.1"),
        (&tls, "--h1", "http/1.1"),
    ] {
        let mut command = Command::new(tool("H2LOAD"));
        command.args(["-n", REQUESTS, "-c", "10", "-m", "10", option]);
        command.args(["--header", &scene.authorization]).arg(format!("{}/fixed", scene.origin));
        let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(2 * PATIENCE, running).await.unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let all = format!("{REQUESTS} done, {REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout");
        assert!(text.contains(&all), "{text}");
        assert!(text.contains(&format!("status codes: {REQUESTS} 2xx")), "{text}");
        assert!(text.contains(&format!("Application protocol: {protocol}")), "{text}");
    }
}

/// Makes a certificate for this machine; returns the table that names it.
fn certificate(place: &Place) -> String {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (place.folder().join("cert.pem"), place.folder().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    format!("[tls]\ncert = \"{}\"\nkey = \"{}\"\n", cert.display(), key.display())
}

/// Two events; the second comes when it is told to.
async fn events(State(go_on): State<Arc<Notify>>) -> impl IntoResponse {
    let events = stream::unfold(0, move |sent| {
        let go_on = Arc::clone(&go_on);
        async move {
            match sent {
                0 => Some(("data: one\n\n", 1)),
                1 => {
                    go_on.notified().await;
                    Some(("data: two\n\n", 2))
                }
                _ => None,
            }
        }
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(events.map(Ok::<_, Infallible>)))
}
