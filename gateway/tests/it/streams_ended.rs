//! Law L10: what runs of a session is closed when the session ends, whoever ends it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokenward::SessionHandle;
use tokenward::core::event::LogoutKind;
use tokenward::core::name::SessionKey;
use tokenward_gateway::observe::CloseCause;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::desk::{Browser, CLIENT, Desk};
use super::streams::{echo_socket, fed};
use super::world::{Gateway, PATIENCE, TestBody, Upstream, connect, full, read, usual};

type Feed = mpsc::Sender<Bytes>;
type Http2 = hyper::client::conn::http2::SendRequest<TestBody>;

/// A gateway with a provider, before an upstream whose answers last.
struct Stage {
    desk: Desk,
    /// What feeds each event stream that the upstream began.
    feeds: mpsc::Receiver<Feed>,
    /// What became of each upload: `begun`, then `whole` or `broken`.
    uploads: mpsc::Receiver<&'static str>,
    /// Lets the answer begin that keeps its caller waiting.
    late: Arc<Notify>,
}

impl Stage {
    async fn set() -> Self {
        let (fed_to, feeds) = mpsc::channel(1);
        let (told, uploads) = mpsc::channel(1);
        let late = Arc::new(Notify::new());
        let go = Arc::clone(&late);
        let upstream = Upstream::raw(move |mut request, _| {
            let (fed_to, told, go) = (fed_to.clone(), told.clone(), Arc::clone(&go));
            async move {
                match request.uri().path() {
                    "/live/socket" => return echo_socket(&mut request),
                    "/live/upload" => return take_upload(request, told).await,
                    _ => {}
                }
                let (feed, body) = fed();
                fed_to.send(feed).await.unwrap();
                if request.uri().path() == "/live/late" {
                    go.notified().await;
                }
                Response::new(body)
            }
        })
        .await;
        let route = format!(
            "[[route]]\npath = \"/live/\"\nupstream = \"http://{}\"\nscopes = \"read:quotes\"\n\
             audience = \"https://quotes.sandbox.example\"\n",
            upstream.address
        );
        let desk = Desk::with(|text| text + &route).await;
        Self { desk, feeds, uploads, late }
    }

    /// Opens an event stream.
    async fn events(&mut self, browser: &Browser) -> Course {
        let response = ask(self.address(), cookie(browser), "GET /live/events", full("")).await;
        self.course(response).await
    }

    /// Opens an event stream as one of several on an HTTP/2 connection.
    async fn events_over(&mut self, http2: &mut Http2, browser: &Browser) -> Course {
        let uri = format!("http://{}/live/events", self.address());
        let request = Request::get(uri).header(header::COOKIE, cookie(browser));
        let response = http2.send_request(request.body(full("")).unwrap()).await.unwrap();
        self.course(response).await
    }

    async fn course(&mut self, response: Response<Incoming>) -> Course {
        assert_eq!(response.status(), 200);
        Course { body: response.into_body(), feed: self.feeds.recv().await.unwrap() }
    }

    async fn socket(&self, browser: &Browser) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        let url = format!("ws://{}/live/socket", self.address());
        let mut request: Request<()> = url.into_client_request().unwrap();
        request.headers_mut().insert(header::COOKIE, cookie(browser).parse().unwrap());
        tokio_tungstenite::connect_async(request).await.unwrap().0
    }

    /// Begins an upload; returns what feeds it, and its answer to come.
    async fn upload(&mut self, browser: &Browser) -> (Feed, JoinHandle<Response<Incoming>>) {
        let (feed, body) = fed();
        feed.send(Bytes::from("piece")).await.unwrap();
        let answer = ask(self.address(), cookie(browser), "POST /live/upload", body);
        let answer = tokio::spawn(answer);
        assert_eq!(self.uploads.recv().await, Some("begun"));
        (feed, answer)
    }

    fn address(&self) -> SocketAddr {
        self.desk.origin.trim_start_matches("http://").parse().unwrap()
    }

    /// What is counted of closed streams, without what counts none.
    fn closed(&self) -> Vec<String> {
        let text = self.desk.tokenward.metrics().render();
        let counts =
            text.lines().filter_map(|line| line.strip_prefix("tokenward_streams_closed_total"));
        counts.filter(|count| !count.ends_with(" 0")).map(str::to_owned).collect()
    }
}

/// An event stream from end to end.
struct Course {
    body: Incoming,
    feed: Feed,
}

impl Course {
    async fn goes_on(&mut self) {
        self.feed.send(Bytes::from("data: 1\n\n")).await.unwrap();
        let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.unwrap();
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "data: 1\n\n");
    }

    /// Expects that the caller sees no clean end, and that the upstream learns of it.
    async fn breaks_off(mut self) {
        let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("it breaks off");
        assert!(frame.expect("this is no clean end").is_err());
        tokio::time::timeout(PATIENCE, self.feed.closed())
            .await
            .expect("the upstream learns of it");
    }
}

/// Sends one HTTP/1.1 request on a connection of its own, which stays open for the answer.
async fn ask(at: SocketAddr, cookie: String, line: &str, body: TestBody) -> Response<Incoming> {
    try_ask(at, cookie, line, body).await.unwrap()
}

/// As [`ask`], where the connection may end before the answer begins.
async fn try_ask(
    at: SocketAddr,
    cookie: String,
    line: &str,
    body: TestBody,
) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = connect(at).await;
    let (method, path) = line.split_once(' ').unwrap();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, at.to_string())
        .header(header::COOKIE, cookie)
        .body(body)
        .unwrap();
    let response = sender.send_request(request).await;
    tokio::spawn(async move {
        drop(connection.await);
        drop(sender);
    });
    response
}

/// Reads an upload whole, and says what became of it.
async fn take_upload(
    request: Request<Incoming>,
    told: mpsc::Sender<&'static str>,
) -> Response<TestBody> {
    let mut body = request.into_body();
    body.frame().await.unwrap().unwrap();
    told.send("begun").await.unwrap();
    let end = if body.collect().await.is_ok() { "whole" } else { "broken" };
    told.send(end).await.unwrap();
    Response::new(full(end))
}

fn cookie(browser: &Browser) -> String {
    format!("tokenward={}", browser.cookies["tokenward"])
}

fn key(browser: &Browser) -> SessionKey {
    SessionHandle::parse(&browser.cookies["tokenward"]).unwrap().key()
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_streams_end_with_their_session_and_no_other() {
    let mut stage = Stage::set().await;
    let (mut ada, alan) = (stage.desk.signed_in("ada").await, stage.desk.signed_in("alan").await);
    let socket = TcpStream::connect(stage.address()).await.unwrap();
    let http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut http2, connection) = http2.handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });

    let mut hers = [stage.events(&ada).await, stage.events_over(&mut http2, &ada).await];
    let mut his = [stage.events(&alan).await, stage.events_over(&mut http2, &alan).await];
    for course in hers.iter_mut().chain(&mut his) {
        course.goes_on().await;
    }
    let (mut her_socket, mut his_socket) = (stage.socket(&ada).await, stage.socket(&alan).await);
    let (_her_feed, her_upload) = stage.upload(&ada).await;
    let (his_feed, his_upload) = stage.upload(&alan).await;

    let accept = [("accept", "application/json")];
    assert_eq!(ada.send(Method::POST, "/auth/logout", &accept, None).await.status, 200);

    for course in hers {
        course.breaks_off().await;
    }
    let end = tokio::time::timeout(PATIENCE, her_socket.next()).await.expect("the tunnel closes");
    assert!(end.is_none_or(|message| message.is_err()));
    let refused = tokio::time::timeout(PATIENCE, her_upload).await.unwrap().unwrap();
    assert_eq!(read(refused).await.problem("error"), "login_required");
    assert_eq!(stage.uploads.recv().await, Some("broken"));
    assert_eq!(stage.closed(), ["{reason=\"logout\"} 4"]);

    for course in &mut his {
        course.goes_on().await;
    }
    his_socket.send(Message::text("still here")).await.unwrap();
    let echo = tokio::time::timeout(PATIENCE, his_socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(echo, Message::text("still here"));
    drop(his_feed);
    assert_eq!(stage.uploads.recv().await, Some("whole"));
    assert_eq!(read(his_upload.await.unwrap()).await.text(), "whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_whoever_ends_a_session_ends_its_streams() {
    let mut stage = Stage::set().await;
    let mut ada = stage.desk.signed_in("ada").await;

    let course = stage.events(&ada).await;
    stage.desk.tokenward.end(&key(&ada), LogoutKind::Admin).await.unwrap();
    course.breaks_off().await;

    let mut ada_again = stage.desk.signed_in("ada").await;
    let course = stage.events(&ada_again).await;
    let told = stage.desk.sandbox.backchannel_logout(CLIENT, "auth0|ada", None).await;
    assert_eq!(told, Ok(200));
    course.breaks_off().await;
    assert_eq!(stage.closed(), ["{reason=\"logout\"} 2"]);

    let mut alan = stage.desk.signed_in("alan").await;
    let course = stage.events(&alan).await;
    assert_ne!(stage.desk.sandbox.revoke("auth0|alan", CLIENT), 0);
    // An audience whose access token must be obtained first.
    let reply = alan.get("/api/accounts/accounts").await;
    assert_eq!(reply.problem(), (401, "login_required".to_owned()));
    course.breaks_off().await;
    let counts = stage.closed();
    assert!(counts.contains(&"{reason=\"expiry\"} 1".to_owned()), "{counts:?}");
    for gone in [&mut ada, &mut ada_again] {
        assert_eq!(gone.get("/auth/session").await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_an_answer_that_begins_after_the_end_is_no_way_out() {
    let mut stage = Stage::set().await;
    let ada = stage.desk.signed_in("ada").await;
    let answer = try_ask(stage.address(), cookie(&ada), "GET /live/late", full(""));
    let answer = tokio::spawn(answer);
    let feed = stage.feeds.recv().await.unwrap();
    stage.desk.tokenward.end(&key(&ada), LogoutKind::User).await.unwrap();
    stage.late.notify_one();
    // Cut before its head has left, or in the middle of its body: either way nothing passes.
    match tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap() {
        Ok(response) => Course { body: response.into_body(), feed }.breaks_off().await,
        Err(error) => assert!(error.is_incomplete_message() || error.is_canceled(), "{error}"),
    }
    assert_eq!(stage.closed(), ["{reason=\"logout\"} 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn l16_streams_that_outlast_a_drain_are_counted() {
    let (fed_to, mut feeds) = mpsc::channel(1);
    let upstream = Upstream::raw(move |_, _| {
        let fed_to = fed_to.clone();
        async move {
            let (feed, body) = fed();
            fed_to.send(feed).await.unwrap();
            Response::new(body)
        }
    })
    .await;
    let settings = format!("[limits]\ndrain = \"100ms\"\n{}", usual(&upstream, ""));
    let mut gateway = Gateway::start(&settings).await;
    let response = ask(gateway.address, gateway.cookie(), "GET /open", full("")).await;
    let feed = feeds.recv().await.unwrap();
    let draining = gateway.running.take().unwrap().drain();
    assert_eq!(tokio::time::timeout(PATIENCE, draining).await.unwrap(), 1);
    Course { body: response.into_body(), feed }.breaks_off().await;
    assert_eq!(*gateway.notes.closed.lock().unwrap(), [CloseCause::Drain]);
}
