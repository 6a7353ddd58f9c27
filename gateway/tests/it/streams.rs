//! Bodies that flow: both ways, unbuffered, bounded, and ended when one side goes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::world::{Gateway, PATIENCE, TestBody, Upstream, connect, full, read};

/// A body that the test feeds.
pub(super) fn fed() -> (mpsc::Sender<Bytes>, TestBody) {
    let (feed, mut pieces) = mpsc::channel::<Bytes>(1);
    let stream = futures_util::stream::poll_fn(move |cx| {
        pieces.poll_recv(cx).map(|piece| piece.map(|piece| Ok::<_, Infallible>(Frame::data(piece))))
    });
    (feed, StreamBody::new(stream).boxed_unsync())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_event_arrives_before_the_second_exists() {
    let (feeds, mut fed_bodies) = mpsc::channel(1);
    let upstream = Upstream::raw(move |_, _| {
        let feeds = feeds.clone();
        async move {
            let (feed, body) = fed();
            feeds.send(feed).await.unwrap();
            Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
        }
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let (mut sender, _connection) = connect(gateway.address).await;
    let request = gateway.request(Method::GET, "/api/x").body(Full::<Bytes>::default()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let feed = fed_bodies.recv().await.unwrap();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        feed.send(Bytes::from(event)).await.unwrap();
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), event);
    }
    drop(feed);
    assert!(body.frame().await.is_none(), "the stream ends with its upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_stops_the_upstream() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let upstream = Upstream::raw(move |_, _| {
        let counter = Arc::clone(&counter);
        async move {
            let (feed, body) = fed();
            tokio::spawn(async move {
                while feed.send(Bytes::from(vec![0; 65_536])).await.is_ok() {
                    counter.fetch_add(65_536, Ordering::Relaxed);
                }
            });
            Response::new(body)
        }
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let (mut sender, connection) = connect(gateway.address).await;
    let request = gateway.request(Method::GET, "/api/x").body(Full::<Bytes>::default()).unwrap();
    let response = sender.send_request(request).await.unwrap();

    // The kernel's socket buffers fill; then nothing moves.
    let mut before = usize::MAX;
    while sent.load(Ordering::Relaxed) != before {
        before = sent.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(before < 64 << 20, "the gateway took {before} bytes for nobody");

    drop(response);
    connection.abort();
    let gone = async {
        while !gateway.notes.ended.lock().unwrap().iter().any(|answered| !answered.complete) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the upstream's stream is given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_cancels_the_upstream_call() {
    struct Dropped(Option<oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.take().unwrap().send(()).ok();
        }
    }
    let (arrived, mut arrivals) = mpsc::channel(1);
    let upstream = Upstream::raw(move |_, _| {
        let arrived = arrived.clone();
        async move {
            let (dropped, seen) = oneshot::channel();
            arrived.send(seen).await.unwrap();
            let _guard = Dropped(Some(dropped));
            std::future::pending().await
        }
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    socket.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let dropped = arrivals.recv().await.unwrap();
    drop(socket);
    tokio::time::timeout(PATIENCE, dropped).await.expect("the upstream learns of it").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_arrive_whole_both_ways() {
    let upstream = Upstream::start(|seen| Response::new(full(seen.body.clone()))).await;
    let gateway = Gateway::before(&upstream).await;
    let body: Bytes = (0..8_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>().into();
    let reply = gateway.post("/api/x", body.clone()).await;
    assert_eq!(reply.body.len(), body.len());
    assert!(reply.body == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_asks_first_is_told_to_continue() {
    let upstream = Upstream::start(|seen| Response::new(full(seen.body.clone()))).await;
    let gateway = Gateway::before(&upstream).await;
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    let head = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut reply = vec![0; 1024];
    let length = tokio::time::timeout(PATIENCE, socket.read(&mut reply)).await.unwrap().unwrap();
    assert!(reply[..length].starts_with(b"HTTP/1.1 100 Continue\r\n\r\n"));
    socket.write_all(b"body").await.unwrap();
    let length = tokio::time::timeout(PATIENCE, socket.read(&mut reply)).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&reply[..length]).into_owned();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("body"), "{text}");
    assert_eq!(upstream.last().header("expect"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_without_a_body_have_none() {
    let upstream = Upstream::start(|seen| {
        let status = seen.uri.path().rsplit('/').next().unwrap().parse().unwrap_or(200);
        let mut response = Response::new(if status == 200 { full("12345") } else { full("") });
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let (mut sender, _connection) = connect(gateway.address).await;
    for (method, path, status, length) in [
        (Method::HEAD, "/api/200", 200, Some("5")),
        (Method::GET, "/api/204", 204, None),
        (Method::GET, "/api/304", 304, None),
        (Method::GET, "/api/200", 200, Some("5")),
    ] {
        let request = gateway.request(method.clone(), path).body(Full::<Bytes>::default()).unwrap();
        sender.ready().await.unwrap();
        let reply = read(sender.send_request(request).await.unwrap()).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-length")), (status, length));
        assert_eq!(reply.body.len(), if method == Method::GET && status == 200 { 5 } else { 0 });
    }
}

/// An upstream that echoes WebSocket messages, and declines on `/no`.
async fn socket_upstream() -> Upstream {
    Upstream::raw(|mut request, _| async move {
        if request.uri().path() != "/api/ws" {
            return Response::builder().status(403).body(full("no sockets here")).unwrap();
        }
        assert_eq!(request.headers()["authorization"], "Bearer first for urn:a");
        echo_socket(&mut request)
    })
    .await
}

/// Agrees to a WebSocket, and echoes its messages.
pub(super) fn echo_socket(request: &mut Request<Incoming>) -> Response<TestBody> {
    let key = request.headers()["sec-websocket-key"].as_bytes();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let io = TokioIo::new(upgrade.await.unwrap());
        let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
        let socket = tokio_tungstenite::WebSocketStream::from_raw_socket(io, role, None).await;
        let (write, read) = socket.split();
        drop(read.forward(write).await);
    });
    Response::builder()
        .status(101)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", accept)
        .body(full(""))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_goes_through() {
    let upstream = socket_upstream().await;
    let gateway = Gateway::before(&upstream).await;
    let open = |path: &str, origin: Option<&str>| {
        let url = format!("ws://{}{path}", gateway.address);
        let mut request: Request<()> = url.into_client_request().unwrap();
        request.headers_mut().insert(header::COOKIE, gateway.cookie().parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        }
        tokio_tungstenite::connect_async(request)
    };
    let own = format!("http://{}", gateway.address);
    let (mut socket, _) = open("/api/ws", Some(&own)).await.unwrap();
    for text in ["hello", "again"] {
        socket.send(Message::text(text)).await.unwrap();
        let echo = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(echo, Message::text(text));
    }
    socket.close(None).await.unwrap();

    for (path, origin, status) in
        [("/api/no", None, 403), ("/api/ws", Some("http://evil.example"), 403)]
    {
        let error = open(path, origin).await.expect_err("no socket");
        let tokio_tungstenite::tungstenite::Error::Http(response) = error else {
            panic!("{path}: {error}")
        };
        assert_eq!(response.status(), status, "{path}");
    }
}
