//! A gateway between a caller and an upstream that the test plays, with tokens of its choice.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokenward::{Clock, SessionHandle};
use tokenward_gateway::Rooms;
use tokenward_gateway::config::Config;
use tokenward_gateway::observe::Observe;
use tokenward_gateway::serve::{self, Running};
use tokenward_gateway::tokens::Tokens;
use tokenward_sandbox::secrecy::{Kind, Secrets, Watch};

use super::played::{Notes, Played};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(super) type TestBody = UnsyncBoxBody<Bytes, Infallible>;

/// How long a test waits before it calls something stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A running gateway.
pub(super) struct Gateway {
    pub(super) running: Option<Running>,
    pub(super) address: SocketAddr,
    pub(super) tokens: Arc<Played>,
    pub(super) notes: Arc<Notes>,
    pub(super) handle: SessionHandle,
    /// No log may have the handle, or what is put on calls (law L13).
    _watch: Watch,
}

impl Gateway {
    /// Starts a gateway with these routes and further settings.
    pub(super) async fn start(settings: &str) -> Self {
        Self::with(config(settings)).await
    }

    pub(super) async fn with(config: Config) -> Self {
        let (tokens, notes) = (Arc::new(Played::default()), Arc::new(Notes::default()));
        tokens.publish("first", 1);
        let secrets = Secrets::default();
        secrets.learn(Kind::AccessToken, "first for urn:a");
        let watch = Watch::over(&secrets);
        let public = axum::Router::new().fallback(|request: axum::extract::Request| async move {
            let visitor = request.extensions().get::<tokenward_gateway::control::Visitor>();
            format!("control {} {}", request.uri().path(), visitor.unwrap().origin)
        });
        let admin = axum::Router::new().route("/healthz", axum::routing::get(|| async { "ok" }));
        let rooms = Rooms {
            tokens: Arc::clone(&tokens) as Arc<dyn Tokens>,
            public,
            admin,
            observe: Arc::clone(&notes) as Arc<dyn Observe>,
            clock: Clock::system(),
        };
        let running = serve::start(config, rooms).await.unwrap();
        let address = running.addresses()[0];
        let handle = SessionHandle::random();
        secrets.learn(Kind::SessionHandle, &handle.expose());
        Self { running: Some(running), address, tokens, notes, handle, _watch: watch }
    }

    /// The usual gateway: one protected route `/api/` and a public one `/`.
    pub(super) async fn before(upstream: &Upstream) -> Self {
        Self::start(&usual(upstream, "")).await
    }

    pub(super) fn cookie(&self) -> String {
        format!("tokenward={}", *self.handle.expose())
    }

    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", *self.handle.expose())
    }

    /// A request with a program's credential.
    pub(super) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "gw.example")
            .header(header::AUTHORIZATION, self.bearer())
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        ask(self.address, self.request(Method::GET, path).body(Full::default()).unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        let body = Full::new(body.into());
        ask(self.address, self.request(Method::POST, path).body(body).unwrap()).await
    }
}

/// Returns the routes of [`Gateway::before`], with `extra` lines in the protected one.
pub(super) fn usual(upstream: &Upstream, extra: &str) -> String {
    let at = upstream.address;
    format!(
        "[[route]]\npath = \"/api/\"\nupstream = \"http://{at}\"\naudience = \"urn:a\"\n{extra}\n\
         [[route]]\npath = \"/\"\nupstream = \"http://{at}\"\n"
    )
}

pub(super) fn config(settings: &str) -> Config {
    Config::parse(Path::new("/etc/tokenward.toml"), &text(settings)).unwrap()
}

/// Completes settings to a whole configuration; tables come after the plain keys.
pub(super) fn text(settings: &str) -> String {
    let listen = if settings.contains("listen =") { "" } else { "listen = \"127.0.0.1:0\"\n" };
    let (plain, tables) = settings.split_once("---\n").unwrap_or(("", settings));
    let admin =
        if settings.contains("[admin]") { "" } else { "[admin]\nlisten = \"127.0.0.1:0\"\n" };
    format!(
        "{listen}state_dir = \"/nonexistent\"\n{plain}\n[provider]\nissuer = \"http://localhost:1/\"\n\
         client_id = \"c\"\nauth = \"none\"\n{admin}{tables}"
    )
}

/// What an upstream saw of one request.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// An upstream that notes what it sees and answers as the test says.
#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    /// An upstream that answers 200 with the method and target.
    pub(super) async fn echo() -> Self {
        Self::start(|seen| {
            let line = format!("{} {}", seen.method, seen.uri.path_and_query().unwrap());
            Response::new(full(line))
        })
        .await
    }

    /// An upstream that reads each request whole and then answers.
    pub(super) async fn start<F>(answer: F) -> Self
    where
        F: Fn(&Seen) -> Response<TestBody> + Send + Sync + 'static,
    {
        let answer = Arc::new(answer);
        Self::raw(move |request, notes| {
            let answer = Arc::clone(&answer);
            async move {
                let seen = Self::read(request).await;
                let response = answer(&seen);
                notes.lock().unwrap().push(seen);
                response
            }
        })
        .await
    }

    /// An upstream that does as it likes with a request.
    pub(super) async fn raw<F, R>(serve: F) -> Self
    where
        F: Fn(Request<Incoming>, Arc<Mutex<Vec<Seen>>>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<TestBody>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (notes, serve) = (Arc::clone(&seen), Arc::new(serve));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (notes, serve) = (Arc::clone(&notes), Arc::clone(&serve));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let answering = serve(request, Arc::clone(&notes));
                        async move { Ok::<_, Infallible>(answering.await) }
                    });
                    let io = TokioIo::new(socket);
                    drop(
                        auto::Builder::new(TokioExecutor::new())
                            .serve_connection_with_upgrades(io, service)
                            .await,
                    );
                });
            }
        });
        Self { address, seen }
    }

    async fn read(request: Request<Incoming>) -> Seen {
        let (head, body) = request.into_parts();
        let (body, trailers) = match body.collect().await {
            Ok(collected) => {
                let trailers = collected.trailers().cloned();
                (collected.to_bytes(), trailers)
            }
            Err(_) => (Bytes::from_static(b"broken"), None),
        };
        let http::request::Parts { method, uri, version, headers, .. } = head;
        Seen { method, uri, version, headers, body, trailers }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn last(&self) -> Seen {
        self.seen().pop().expect("the upstream saw a request")
    }
}

pub(super) fn full(content: impl Into<Bytes>) -> TestBody {
    Full::new(content.into()).boxed_unsync()
}

/// A reply, read whole.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

impl Reply {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns a member of the problem document, which must be one.
    pub(super) fn problem(&self, member: &str) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let value = &document[member];
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }
}

/// Sends one HTTP/1.1 request on a connection of its own.
pub(super) async fn ask(address: SocketAddr, request: Request<Full<Bytes>>) -> Reply {
    let (mut sender, _) = connect(address).await;
    read(sender.send_request(request).await.unwrap()).await
}

pub(super) async fn connect<B>(
    address: SocketAddr,
) -> (hyper::client::conn::http1::SendRequest<B>, tokio::task::JoinHandle<()>)
where
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

pub(super) async fn read(response: Response<Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    let collected = tokio::time::timeout(PATIENCE, body.collect()).await.unwrap().unwrap();
    let trailers = collected.trailers().cloned();
    let http::response::Parts { status, headers, .. } = head;
    Reply { status, headers, body: collected.to_bytes(), trailers }
}

/// Writes bytes as they are, and reads until the gateway closes or is quiet.
pub(super) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut reply = Vec::new();
    // A connection that is kept open ends the reading by its silence.
    let reading = socket.read_to_end(&mut reply);
    drop(tokio::time::timeout(Duration::from_millis(300), reading).await);
    String::from_utf8_lossy(&reply).into_owned()
}

/// Returns the status of the first response in raw bytes, 0 where there is none.
pub(super) fn status(reply: &str) -> u16 {
    reply.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}
