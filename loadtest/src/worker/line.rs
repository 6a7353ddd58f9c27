//! One connection to a gateway, made anew when it is gone.

use std::cell::Cell;

use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::answer;
use crate::board::Heard;
use crate::plan::{Api, Http};
use crate::record::Cause;

/// The longest answer that is read: the sample APIs' take a kilobyte.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// A connection, and where it leads.
#[derive(Debug)]
pub(super) struct Line {
    http: Http,
    ports: Vec<u16>,
    /// Which of the gateways is called; after one could not be reached, the next, as a load
    /// balancer does.
    turn: Cell<usize>,
    sender: Mutex<Option<Sender>>,
}

type Body = Empty<Bytes>;

#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

/// What a request needs beside its session.
struct Failed(Cause);

impl Line {
    pub(super) fn new(http: Http, ports: Vec<u16>, turn: usize) -> Self {
        Self { http, ports, turn: Cell::new(turn), sender: Mutex::new(None) }
    }

    /// Calls an API with a credential.
    pub(super) async fn call(&self, api: Api, credential: (&HeaderName, &HeaderValue)) -> Heard {
        match self.answer(api, credential).await {
            Ok(heard) => heard,
            Err(Failed(cause)) => Heard::Silence(cause),
        }
    }

    async fn answer(
        &self,
        api: Api,
        credential: (&HeaderName, &HeaderValue),
    ) -> Result<Heard, Failed> {
        let response = match self.http {
            // The connection is ours until the answer is whole.
            Http::One => {
                let mut sender = self.sender.lock().await;
                let answer = self.over_one(&mut sender, api, credential).await;
                if answer.is_err() {
                    *sender = None;
                }
                return answer;
            }
            Http::Two => {
                let mut stream = self.stream().await?;
                let sent = stream.send_request(self.request(api, credential)?).await;
                sent.map_err(|error| Failed(cause_of(&error)))?
            }
        };
        understood(response).await
    }

    async fn over_one(
        &self,
        sender: &mut Option<Sender>,
        api: Api,
        credential: (&HeaderName, &HeaderValue),
    ) -> Result<Heard, Failed> {
        for is_fresh in [false, true] {
            let open = match sender.as_mut() {
                Some(Sender::One(open)) => open.ready().await.is_ok(),
                Some(Sender::Two(_)) | None => false,
            };
            if !open {
                *sender = Some(self.connect().await?);
            }
            let Some(Sender::One(open)) = sender.as_mut() else {
                return Err(Failed(Cause::Unreachable));
            };
            match open.send_request(self.request(api, credential)?).await {
                Ok(response) => return understood(response).await,
                // The gateway closed the idle connection in this very moment: nothing was sent.
                Err(error) if error.is_canceled() && !is_fresh => *sender = None,
                Err(error) => return Err(Failed(cause_of(&error))),
            }
        }
        Err(Failed(Cause::Unreachable))
    }

    /// Returns a stream of the shared connection.
    async fn stream(&self) -> Result<http2::SendRequest<Body>, Failed> {
        let mut sender = self.sender.lock().await;
        if let Some(Sender::Two(open)) = sender.as_mut()
            && open.ready().await.is_ok()
        {
            return Ok(open.clone());
        }
        match self.connect().await? {
            Sender::Two(open) => {
                *sender = Some(Sender::Two(open.clone()));
                Ok(open)
            }
            Sender::One(_) => Err(Failed(Cause::Unreachable)),
        }
    }

    async fn connect(&self) -> Result<Sender, Failed> {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).await;
        let Ok(stream) = stream else {
            self.turn.set(self.turn.get() + 1);
            return Err(Failed(Cause::Unreachable));
        };
        // Only batching would be lost; the connection works all the same.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(stream);
        let unreachable = |_: hyper::Error| Failed(Cause::Unreachable);
        match self.http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await.map_err(unreachable)?;
                tokio::task::spawn_local(connection);
                Ok(Sender::One(sender))
            }
            Http::Two => {
                let handshake = http2::handshake(TokioExecutor::new(), io).await;
                let (sender, connection) = handshake.map_err(unreachable)?;
                tokio::task::spawn_local(connection);
                Ok(Sender::Two(sender))
            }
        }
    }

    fn request(
        &self,
        api: Api,
        (name, credential): (&HeaderName, &HeaderValue),
    ) -> Result<Request<Body>, Failed> {
        let host = format!("127.0.0.1:{}", self.port());
        let request = match self.http {
            Http::One => Request::get(api.path()).header(HOST, host),
            Http::Two => Request::get(format!("http://{host}{}", api.path())),
        };
        let request = request.header(name, credential).header(ACCEPT, "application/json");
        // All parts are our own and valid; a request that is not must not be counted as the
        // gateway's.
        request.body(Empty::new()).map_err(|_| Failed(Cause::Waited))
    }

    fn port(&self) -> u16 {
        let turn = self.turn.get() % self.ports.len().max(1);
        self.ports.get(turn).copied().unwrap_or_default()
    }
}

async fn understood(response: Response<Incoming>) -> Result<Heard, Failed> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, BODY_MAX_BYTES).collect().await;
    let body = body.map_err(|_| Failed(Cause::Cut))?;
    Ok(answer::understand(head.status.as_u16(), &head.headers, &body.to_bytes()))
}

fn cause_of(error: &hyper::Error) -> Cause {
    match error.is_timeout() {
        true => Cause::TimedOut,
        false => Cause::Cut,
    }
}
