//! A `reqwest` middleware that puts a session's access token on each call.
//!
//! ```
//! # use tokenward::core::{name::SessionKey, name::Audience, scope::ScopeSet};
//! # use tokenward::middleware::AccessMiddleware;
//! # use tokenward::{Tokenward, Wish};
//! # async fn quote(tokenward: Tokenward, client: reqwest::Client, key: SessionKey) -> Result<(), Box<dyn std::error::Error>> {
//! let wish = Wish::new(Audience::parse("https://api.example")?, ScopeSet::parse("read:quotes"));
//! let client = reqwest_middleware::ClientBuilder::new(client)
//!     .with(AccessMiddleware::new(tokenward, wish))
//!     .build();
//!
//! // Whose call it is goes with the call.
//! let quote = client.get("https://api.example/quote").with_extension(key).send().await?;
//! # drop(quote);
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::pin::Pin;

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use crate::access::{Tokenward, Wish};
use crate::core::name::SessionKey;
pub use crate::inject::InjectError;
use crate::inject::{Source, is_refused};

/// Puts an access token on each call, and makes a call that the API refused with 401 once more
/// with a newer one, where its body can be copied: any but a stream.
///
/// A call that has an `Authorization` header of its own is refused: silently replacing it would
/// send somebody else's call in the session's name.
pub struct AccessMiddleware {
    source: Source,
}

impl AccessMiddleware {
    /// Makes a middleware whose calls carry access tokens for `wish`.
    ///
    /// Each call says in its extensions whose it is, with a [`SessionKey`].
    pub const fn new(tokenward: Tokenward, wish: Wish) -> Self {
        Self { source: Source { tokenward, wish, session: None } }
    }

    /// Says whose calls those are that do not say it themselves.
    #[must_use]
    pub const fn for_session(mut self, key: SessionKey) -> Self {
        self.source.session = Some(key);
        self
    }

    async fn call(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let injected = self.source.inject(request.headers_mut(), extensions).await;
        let injected = injected.map_err(Error::middleware)?;
        let spare = request.try_clone();

        let first = next.clone().run(request, extensions).await?;
        let Some(mut again) = spare.filter(|_| is_refused(first.status())) else {
            return Ok(first);
        };
        if !self.source.replace(&injected, again.headers_mut()).await {
            return Ok(first);
        }
        next.run(again, extensions).await
    }
}

// The trait is declared with `async_trait`; this is what that macro makes of its one method.
impl Middleware for AccessMiddleware {
    fn handle<'own, 'extensions, 'next, 'call>(
        &'own self,
        request: Request,
        extensions: &'extensions mut Extensions,
        next: Next<'next>,
    ) -> Pin<Box<dyn Future<Output = Result<Response>> + Send + 'call>>
    where
        'own: 'call,
        'extensions: 'call,
        'next: 'call,
        Self: 'call,
    {
        Box::pin(self.call(request, extensions, next))
    }
}
