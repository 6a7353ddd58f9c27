//! The door to the control room: what lies under the reserved prefix.
//!
//! Its requests run on the actors' runtime, detached: none of them stalls a thread of the data
//! plane, and a sign-in goes on when its browser has gone (law L4).

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tower_service::Service as _;

use crate::forward::ReplyBody;
use crate::house::Live;
use crate::judge;
use crate::rescue::{Asked, Refusal, rescue};
use crate::serve::Line;

/// The largest body that the control room reads: a logout token is a few kilobytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long such a body may take, from its first byte to its last: at the slowest of connections
/// they fit many times, and a caller that drips gives its place up after this.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Who knocks at the control room; found among the extensions of each of its requests.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The peer's address.
    pub peer: IpAddr,
    /// The origin under which the browser knows the gateway, such as `https://app.example.com`.
    pub origin: String,
    /// Whether the browser uses TLS, so that cookies may be marked so.
    pub https: bool,
}

/// Lets the control room answer.
pub(crate) async fn answer(
    line: &Line,
    live: &Live,
    head: Parts,
    body: Incoming,
) -> Response<ReplyBody> {
    let https = line.tls || live.config.is_https();
    let host = judge::asked_host(&head);
    let origin = live.origin.clone().unwrap_or_else(|| {
        let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        format!("{}://{host}", if https { "https" } else { "http" })
    });
    let body = match whole(body).await {
        Ok(body) => body,
        Err(refusal) => {
            let (method, headers, prefix) = (&head.method, &head.headers, &*live.config.prefix);
            return rescue(refusal, Asked { method, headers, target: None, prefix, origin: None });
        }
    };
    let asked = (head.method.clone(), head.headers.clone());
    let mut request = Request::from_parts(head, axum::body::Body::from(body));
    request.extensions_mut().insert(Visitor { peer: line.peer, origin, https });
    let mut router = line.house.public.clone();
    let answering = line.house.runtime.spawn(async move { router.call(request).await });
    match answering.await {
        Ok(Ok(reply)) => reply.map(ReplyBody::control),
        Ok(Err(never)) => match never {},
        Err(error) => {
            tracing::error!(%error, "a control endpoint failed");
            let (method, headers) = &asked;
            let prefix = &live.config.prefix;
            rescue(
                Refusal::ControlFailed,
                Asked { method, headers, target: None, prefix, origin: None },
            )
        }
    }
}

async fn whole(body: Incoming) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let reading = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_WITHIN, reading).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(fault)) if fault.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge),
        Ok(Err(_)) => Err(Refusal::BrokenBody),
        Err(_) => Err(Refusal::SlowBody),
    }
}
