//! A `tower` layer that puts a session's access token on each call.
//!
//! ```
//! # use tokenward::core::{name::SessionKey, name::Audience, scope::ScopeSet};
//! # use tokenward::layer::AccessLayer;
//! # use tokenward::{Tokenward, Wish};
//! # fn stack<S>(tokenward: Tokenward, client: S, key: SessionKey) -> Result<(), Box<dyn std::error::Error>> {
//! use tower_layer::Layer;
//!
//! let wish = Wish::new(Audience::parse("https://api.example")?, ScopeSet::parse("read:quotes"));
//! let client = AccessLayer::new(tokenward, wish).replaying().layer(client);
//!
//! // Whose call it is goes with the call.
//! let mut request = http::Request::get("https://api.example/quote").body(String::new())?;
//! request.extensions_mut().insert(key);
//! # drop((client, request));
//! # Ok(())
//! # }
//! ```

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::access::{Tokenward, Wish};
use crate::core::name::SessionKey;
pub use crate::inject::InjectError;
use crate::inject::{Source, is_refused};

/// Wraps a client so that each of its calls carries an access token.
///
/// A call that has an `Authorization` header of its own is refused: silently replacing it would
/// send somebody else's call in the session's name.
#[derive(Clone)]
pub struct AccessLayer<R = Once> {
    source: Source,
    replay: R,
}

/// A client whose calls carry access tokens; see [`AccessLayer`].
#[derive(Clone)]
pub struct Access<S, R = Once> {
    inner: S,
    source: Source,
    replay: R,
}

/// Why there is no response.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError<E> {
    /// The call was not made.
    #[error(transparent)]
    NotMade(#[from] InjectError),
    /// The client failed.
    #[error("the call failed")]
    Failed(#[source] E),
}

/// Says whether a call can be made twice.
pub trait Replay<B>: Clone + Send + 'static {
    /// Copies a body; `None` where it can be sent only once.
    fn copy(&self, body: &B) -> Option<B>;
}

/// Makes each call once, whatever its body is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Once;

/// Copies the body of each call, so that it can be made once more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Again;

impl AccessLayer {
    /// Makes a layer whose calls carry access tokens for `wish`.
    ///
    /// Each call says in its extensions whose it is, with a [`SessionKey`].
    pub const fn new(tokenward: Tokenward, wish: Wish) -> Self {
        Self { source: Source { tokenward, wish, session: None }, replay: Once }
    }

    /// Makes a call that the API refused with 401 once more, with a newer access token.
    ///
    /// Bodies must be cloneable, and calls safe to make twice after a 401.
    pub fn replaying(self) -> AccessLayer<Again> {
        AccessLayer { source: self.source, replay: Again }
    }
}

impl<R> AccessLayer<R> {
    /// Says whose calls those are that do not say it themselves.
    #[must_use]
    pub const fn for_session(mut self, key: SessionKey) -> Self {
        self.source.session = Some(key);
        self
    }
}

impl<S, R: Clone> Layer<S> for AccessLayer<R> {
    type Service = Access<S, R>;

    fn layer(&self, inner: S) -> Access<S, R> {
        Access { inner, source: self.source.clone(), replay: self.replay.clone() }
    }
}

impl<S, R, B, A> Service<Request<B>> for Access<S, R>
where
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    R: Replay<B>,
    B: Send + 'static,
    A: Send,
{
    type Response = Response<A>;
    type Error = CallError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<A>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(CallError::Failed)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready makes the call; the other has to be asked first.
        let waiting = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, waiting);
        let (source, replay) = (self.source.clone(), self.replay.clone());
        Box::pin(async move { call(&mut ready, &source, replay, request).await })
    }
}

async fn call<S, R, B, A>(
    client: &mut S,
    source: &Source,
    replay: R,
    request: Request<B>,
) -> Result<Response<A>, CallError<S::Error>>
where
    S: Service<Request<B>, Response = Response<A>>,
    R: Replay<B>,
{
    let (mut parts, body) = request.into_parts();
    let injected = source.inject(&mut parts.headers, &parts.extensions).await?;
    let spare: Option<(Parts, B)> = replay.copy(&body).map(|body| (parts.clone(), body));

    let first = client.call(Request::from_parts(parts, body)).await.map_err(CallError::Failed)?;
    let Some((mut parts, body)) = spare.filter(|_| is_refused(first.status())) else {
        return Ok(first);
    };
    if !source.replace(&injected, &mut parts.headers).await {
        return Ok(first);
    }
    poll_fn(|cx| client.poll_ready(cx)).await.map_err(CallError::Failed)?;
    client.call(Request::from_parts(parts, body)).await.map_err(CallError::Failed)
}

impl<B> Replay<B> for Once {
    fn copy(&self, _: &B) -> Option<B> {
        None
    }
}

impl<B: Clone> Replay<B> for Again {
    fn copy(&self, body: &B) -> Option<B> {
        Some(body.clone())
    }
}
