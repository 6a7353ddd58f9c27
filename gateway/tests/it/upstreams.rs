//! Upstreams that refuse, fail, or lead back.

use http::{Method, Request, Response, header};
use http_body_util::Full;
use tokenward::AccessError;
use tokenward::core::name::Epoch;
use tokenward_gateway::observe::{AnsweredBy, RetryReason};

use super::played::ticket;
use super::world::{Gateway, Upstream, ask, full, raw, status, usual};

/// An upstream that takes the token `newer` only.
async fn picky() -> Upstream {
    Upstream::start(|seen| {
        let good = seen.header("authorization") == Some("Bearer newer");
        Response::builder()
            .status(if good { 200 } else { 401 })
            .body(full(if good { "yes" } else { "no" }))
            .unwrap()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_replaced_once_and_the_request_repeated() {
    let upstream = picky().await;
    let gateway = Gateway::before(&upstream).await;
    gateway.tokens.answer(Ok(ticket("newer", 2)));
    let reply = gateway.post("/api/x", "a body").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (200, "yes"));
    assert_eq!(gateway.tokens.wishes(), [Some(Epoch(1))], "a newer one than the refused");
    let bodies: Vec<_> = upstream.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, ["a body", "a body"]);
    assert_eq!(*gateway.notes.retried.lock().unwrap(), [RetryReason::Unauthorized]);

    gateway.tokens.answer(Ok(ticket("still wrong", 2)));
    assert_eq!(gateway.post("/api/x", "a body").await.status, 401, "there is no third try");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_401_is_passed_on_where_nothing_better_is_to_be_had() {
    let upstream = picky().await;
    let gateway = Gateway::start(&usual(&upstream, "replay_body = 10")).await;
    gateway.tokens.answer(Err(AccessError::Unchanged));
    let reply = gateway.post("/api/x", "a body").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (401, "no"));

    gateway.tokens.answer(Ok(ticket("newer", 2)));
    let reply = gateway.post("/api/x", "a longer body than ten").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (401, "no"), "the body is gone");

    gateway.tokens.answer(Err(AccessError::SignInRequired { reason: None }));
    let reply = gateway.get("/api/x").await;
    // The scripted token of the request before is still there: it comes first.
    assert_eq!(reply.status, 200);
    assert_eq!(gateway.get("/api/x").await.problem("error"), "login_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_answer_is_named() {
    let silent = Upstream::raw(|_, _| std::future::pending()).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let routes = format!(
        "[[route]]\npath = \"/silent\"\nupstream = \"http://{}\"\ntimeouts = {{ response = \"50ms\" }}\n\
         [[route]]\npath = \"/closed\"\nupstream = \"http://{closed}\"\n\
         [[route]]\npath = \"/nowhere\"\nupstream = \"http://nowhere.invalid\"\n",
        silent.address,
    );
    let gateway = Gateway::start(&routes).await;
    for (path, code, word) in [
        ("/silent", 504, "response timeout"),
        ("/closed", 502, "connect"),
        ("/nowhere", 502, "dns"),
    ] {
        let reply = gateway.get(path).await;
        assert_eq!(reply.status, code, "{path}");
        assert!(reply.problem("detail").contains(word), "{path}: {}", reply.text());
    }
    assert_eq!(*gateway.notes.failed.lock().unwrap(), ["timeout", "connect", "dns"]);
    assert_eq!(gateway.get("/elsewhere").await.problem("error"), "no_route");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_died_is_no_callers_trouble() {
    // Answers one request per connection and closes without saying so.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            drop(socket.read(&mut request).await);
            drop(socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await);
        }
    });
    let gateway = Gateway::start(&format!(
        "[limits]\nthreads = 1\n[[route]]\npath = \"/\"\nupstream = \"http://{address}\"\n"
    ))
    .await;
    for _ in 0..20 {
        assert_eq!(gateway.get("/x").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_answered_with_problems() {
    let upstream = Upstream::echo().await;
    let limited =
        format!("[limits]\nheader_bytes = \"4KiB\"\n{}", usual(&upstream, "max_body = 10"));
    let gateway = Gateway::start(&limited).await;
    assert_eq!(gateway.post("/api/x", "0123456789").await.status, 200);
    assert_eq!(gateway.post("/api/x", "0123456789a").await.problem("error"), "body_too_large");

    let auth = gateway.bearer();
    let chunked = format!(
        "POST /api/x HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\nTransfer-Encoding: chunked\r\n\r\n\
         6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n"
    );
    assert_eq!(status(&raw(gateway.address, chunked.as_bytes()).await), 413);

    let large = gateway.request(Method::GET, "/api/x").header("x-large", "x".repeat(5000));
    let reply = ask(gateway.address, large.body(Full::default()).unwrap()).await;
    assert_eq!((reply.status.as_u16(), &*reply.problem("error")), (431, "header_too_large"));

    let trace = Request::builder().method(Method::TRACE).uri("/x").header(header::HOST, "x");
    let reply = ask(gateway.address, trace.body(Full::default()).unwrap()).await;
    assert_eq!((reply.status.as_u16(), &*reply.problem("error")), (405, "method_not_allowed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_leads_back_is_noticed() {
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Gateway::start(&format!(
        "listen = \"{own}\"\n---\n[[route]]\npath = \"/\"\nupstream = \"http://{own}\"\n"
    ))
    .await;
    let reply = gateway.get("/x").await;
    assert_eq!((reply.status.as_u16(), &*reply.problem("error")), (508, "loop"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reserved_prefix_belongs_to_the_control_room() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(gateway.get("/auth/login").await.text(), "control /auth/login http://gw.example");
    assert_eq!(
        gateway.get("/%61uth/login").await.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(gateway.get("/authx").await.text(), "GET /authx");
    let admin = gateway.running.as_ref().unwrap().admin_address();
    let health = Request::get("/healthz").header(header::HOST, "x").body(Full::default()).unwrap();
    assert_eq!(ask(admin, health).await.text(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_told_to_the_observer_once() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    gateway.post("/api/x", "12345").await;
    gateway.get("/auth/x").await;
    let ended = gateway.notes.ended.lock().unwrap().clone();
    let told: Vec<_> = ended
        .iter()
        .map(|a| (a.route, a.status.as_u16(), a.by, a.complete, a.bytes_in, a.bytes_out))
        .collect();
    assert_eq!(told[0], (Some(0), 200, AnsweredBy::Upstream, true, 5, 11));
    assert_eq!((told[1].0, told[1].2), (None, AnsweredBy::Gateway));
    assert_eq!(told.len(), 2);
}
