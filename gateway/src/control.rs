//! The door to the control room: what lies under the reserved prefix.
//!
//! Its requests run on the actors' runtime, detached: none of them stalls a thread of the data
//! plane, and a sign-in goes on when its browser has gone (law L4).

use std::net::IpAddr;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use tower_service::Service as _;

use crate::forward::ReplyBody;
use crate::house::Live;
use crate::judge;
use crate::rescue::{Asked, Refusal, rescue};
use crate::serve::Line;

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
    let asked = (head.method.clone(), head.headers.clone());
    let mut request = Request::from_parts(head, axum::body::Body::new(body));
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
                Asked { method, headers, target: None, prefix, step_up: None },
            )
        }
    }
}
