//! The tower layer and the reqwest middleware, against an API over HTTP.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::State;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::json;
use tokenward::AccessError;
use tokenward::core::event::LogoutKind;
use tokenward::core::name::SessionKey;
use tokenward::layer::{AccessLayer, CallError, InjectError};
use tokenward::middleware::AccessMiddleware;
use tower_layer::Layer;
use tower_service::Service;

use crate::world::{World, wish, within};

const BODY: &str = "what was asked";

/// An API that refuses the first access tokens it sees, and remembers them all.
#[derive(Clone, Default)]
struct Api {
    refuse: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

struct Stage {
    world: World,
    key: SessionKey,
    api: Api,
    url: String,
}

impl Stage {
    async fn set(refuse: usize) -> Self {
        let world = World::start(json!({ "access_token_lifetime_s": 3_600 })).await;
        let key = world.adopt().await;
        let api = Api::default();
        api.refuse.store(refuse, Ordering::Relaxed);
        let url = api.clone().serve().await;
        Self { world, key, api, url }
    }

    fn middleware(&self) -> AccessMiddleware {
        AccessMiddleware::new(self.world.tokenward.clone(), wish(0))
    }

    fn layer(&self) -> AccessLayer {
        AccessLayer::new(self.world.tokenward.clone(), wish(0))
    }

    fn request(&self) -> Request<String> {
        let mut request = Request::post(&self.url).body(BODY.to_owned()).unwrap();
        request.extensions_mut().insert(self.key);
        request
    }

    /// Returns the access tokens that the API saw, each of them the session's.
    fn seen(&self) -> Vec<String> {
        let seen = self.api.seen.lock().unwrap().clone();
        assert!(seen.iter().all(|header| header.starts_with("Bearer ")), "{}", seen.len());
        seen
    }
}

#[tokio::test]
async fn a_call_is_made_once_more_with_a_newer_token_where_the_api_refuses_the_first() {
    let stage = Stage::set(1).await;
    let mut client = stage.layer().replaying().layer(Client::new());
    let response = within(client.call(stage.request())).await.unwrap();
    assert_eq!((response.status(), response.body().as_str()), (StatusCode::OK, BODY));
    let seen = stage.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0], seen[1], "the second is another one");

    let stage = Stage::set(1).await;
    let client = wrapped(stage.middleware());
    let call = client.post(&stage.url).body(BODY).with_extension(stage.key).send();
    let response = within(call).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.text().await.unwrap(), BODY);
    let seen = stage.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0], seen[1], "the second is another one");
}

#[tokio::test]
async fn an_api_that_refuses_every_token_is_asked_twice_and_its_answer_handed_on() {
    let stage = Stage::set(usize::MAX).await;
    let client = wrapped(stage.middleware().for_session(stage.key));
    let response = within(client.post(&stage.url).body(BODY).send()).await.unwrap();
    assert_eq!((response.status(), stage.seen().len()), (StatusCode::UNAUTHORIZED, 2));

    // The provider was asked for a newer token just before, so the next refusal is final at once.
    let mut client = stage.layer().replaying().layer(Client::new());
    let response = within(client.call(stage.request())).await.unwrap();
    assert_eq!((response.status(), stage.seen().len()), (StatusCode::UNAUTHORIZED, 3));
}

#[tokio::test]
async fn a_call_whose_body_cannot_be_copied_is_made_once() {
    let stage = Stage::set(usize::MAX).await;
    let mut client = stage.layer().layer(Client::new());
    let response = within(client.call(stage.request())).await.unwrap();
    assert_eq!((response.status(), stage.seen().len()), (StatusCode::UNAUTHORIZED, 1));
}

#[tokio::test]
async fn a_call_that_must_not_be_made_never_reaches_the_api() {
    let stage = Stage::set(0).await;
    let mut layered = stage.layer().layer(Client::new());
    let middled = wrapped(stage.middleware());

    let mut own = stage.request();
    own.headers_mut().insert(AUTHORIZATION, "Basic b3duOm93bg==".parse().unwrap());
    let error = within(layered.call(own)).await.unwrap_err();
    assert!(matches!(error, CallError::NotMade(InjectError::Authorized)), "{error}");
    let own = middled.post(&stage.url).bearer_auth("own").with_extension(stage.key);
    assert!(matches!(not_made(own).await, InjectError::Authorized));

    let nobodys = Request::post(&stage.url).body(String::new()).unwrap();
    let error = within(layered.call(nobodys)).await.unwrap_err();
    assert!(matches!(error, CallError::NotMade(InjectError::NoSession)), "{error}");
    assert!(matches!(not_made(middled.post(&stage.url)).await, InjectError::NoSession));

    let ended = stage.world.tokenward.end(&stage.key, LogoutKind::User);
    within(ended).await.unwrap().unwrap();
    let late = middled.post(&stage.url).with_extension(stage.key);
    let error = not_made(late).await;
    let sign_in = matches!(error, InjectError::Access(AccessError::SignInRequired { .. }));
    assert!(sign_in, "{error}");
    assert_eq!(stage.seen(), [""; 0]);
}

async fn not_made(call: reqwest_middleware::RequestBuilder) -> InjectError {
    match within(call.send()).await.unwrap_err() {
        reqwest_middleware::Error::Middleware(error) => error.downcast().unwrap(),
        error @ reqwest_middleware::Error::Reqwest(_) => panic!("{error}"),
    }
}

fn wrapped(middleware: AccessMiddleware) -> ClientWithMiddleware {
    ClientBuilder::new(Client::new().0).with(middleware).build()
}

impl Api {
    async fn serve(self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(self);
        // Ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/")
    }
}

async fn answer(State(api): State<Api>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let header = headers.get(AUTHORIZATION).unwrap().to_str().unwrap();
    let mut seen = api.seen.lock().unwrap();
    seen.push(header.to_owned());
    if seen.len() <= api.refuse.load(Ordering::Relaxed) {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    (StatusCode::OK, body)
}

/// An HTTP client as a tower service.
#[derive(Clone)]
struct Client(reqwest::Client);

impl Client {
    fn new() -> Self {
        // A second test of this binary finds the provider installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        Self(reqwest::Client::new())
    }
}

impl Service<Request<String>> for Client {
    type Response = Response<String>;
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, reqwest::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let response = client.execute(request.try_into()?).await?;
            let status = response.status();
            let mut answer = Response::new(response.text().await?);
            *answer.status_mut() = status;
            Ok(answer)
        })
    }
}
