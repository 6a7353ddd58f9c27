//! The provider client against small servers of this test's own making.
#![expect(clippy::unwrap_used, reason = "a step of a story that fails ends the story")]

#[path = "provider/device.rs"]
mod device;
#[path = "provider/fake.rs"]
mod fake;
#[path = "provider/sign_in.rs"]
mod sign_in;
#[path = "provider/tls.rs"]
mod tls;
#[path = "provider/vectors.rs"]
pub(crate) mod vectors;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};
use tokenward::clock::Clock;
use tokenward::core::grant::{NotSentCause, Reply, Unheard};
use tokenward::provider::observe::{Oddity, Requested};
use tokenward::provider::{
    AudienceParameter, Breaker, ClientSecret, Credentials, Observer, PrivateKey, Provider,
    SettingsFault, SigningAlgorithm,
};
use zeroize::Zeroizing;

use fake::{CLIENT_ID, Fake, NOW, Signer, Then, Wire, refresh, refresh_for};

/// Long enough never to pass on a busy machine.
const AMPLE_MS: u64 = 60_000;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 44\r\n\r\n\
                  {\"access_token\":\"a\",\"refresh_token\":\"r1\"}    ";

#[tokio::test]
async fn l3_what_became_of_a_request_is_told_by_what_left_and_what_came() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"access_token\":\"a\",\"refresh_to";
    let most = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"refresh_token\":\"r1\",\"access_to";
    let moved = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    for (then, expected) in [
        (Then::Close(OK), "granted"),
        (Then::Close(""), "unheard connection_lost"),
        (Then::Close("HTTP/1.1 200 OK\r\nconte"), "unheard connection_lost"),
        (Then::Close(half), "unheard connection_lost"),
        (Then::Close(most), "malformed r1"),
        (Then::Close("not HTTP at all\r\n\r\n"), "unheard connection_lost"),
        (Then::Close(moved), "refused 302"),
        (Then::Hang(""), "unheard deadline"),
        (Then::Hang(half), "unheard deadline"),
    ] {
        let wire = Wire::start(vec![then]).await;
        let (clock, hand) = Clock::manual();
        let provider = wire.provider(clock);
        let patience = async {
            while wire.count() == 0 {
                tokio::task::yield_now().await;
            }
            if let Then::Hang(_) = then {
                hand.advance(Duration::from_millis(AMPLE_MS));
            }
        };
        let (reply, ()) = tokio::join!(refresh(&provider, AMPLE_MS), patience);
        let (Then::Close(bytes) | Then::Keep(bytes) | Then::Hang(bytes)) = then;
        assert_eq!(told(&reply), expected, "{bytes:?}");
        assert_eq!(wire.count(), 1, "sent once, and no redirect followed: {bytes:?}");
    }
}

#[tokio::test]
async fn l3_without_a_connection_nothing_was_sent() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", closed.local_addr().unwrap());
    drop(closed);
    let gone = Wire { url, requests: Arc::default() }.provider(Clock::manual().0);
    for _ in 0..5 {
        assert_eq!(told(&refresh(&gone, AMPLE_MS).await), "not sent: connect");
    }
    assert_eq!(gone.breaker(), Breaker::Open, "five failures in a row");
    assert_eq!(told(&refresh(&gone, AMPLE_MS).await), "not sent: breaker_open");
}

#[tokio::test]
async fn l3_a_pooled_connection_that_dies_is_no_reason_to_send_twice() {
    // The second request meets a connection that takes it and dies.
    let wire = Wire::start(vec![Then::Keep(OK), Then::Close("")]).await;
    let provider = wire.provider(Clock::system());
    assert_eq!(told(&refresh(&provider, AMPLE_MS).await), "granted");
    assert_eq!(told(&refresh(&provider, AMPLE_MS).await), "unheard connection_lost");
    assert_eq!(wire.count(), 2);
    let sent = wire.requests.lock().unwrap()[0].to_ascii_lowercase();
    assert!(sent.contains("accept-encoding: identity"), "salvage reads plain bytes: {sent}");

    // The second request finds the connection closed and takes a new one.
    let wire = Wire::start(vec![Then::Close(OK), Then::Close(OK)]).await;
    let provider = wire.provider(Clock::system());
    assert_eq!(told(&refresh(&provider, AMPLE_MS).await), "granted");
    assert_eq!(told(&refresh(&provider, AMPLE_MS).await), "granted");
    assert_eq!(wire.count(), 2);
}

#[tokio::test]
async fn l14_an_answer_beyond_the_limit_is_not_read() {
    let fake = Fake::start().await;
    let mut settings = fake.settings();
    settings.reply_bytes_max = 4096;
    let provider = Provider::new(settings, Clock::manual().0).unwrap();
    fake.metadata.lock().unwrap()["padding"] = json!("x".repeat(1000));
    fake.grants(json!({"padding": "x".repeat(1_000_000), "a_refresh_token": "r1"}));
    assert_eq!(told(&refresh(&provider, AMPLE_MS).await), "malformed keep");
    fake.says(500, &[], json!({"padding": "x".repeat(1_000_000)}));
    assert_eq!(told(&refresh(&provider, AMPLE_MS).await), "refused 500");
}

#[tokio::test]
async fn l7_a_rate_limit_is_shared_and_costs_no_request() {
    let fake = Fake::start().await;
    let (provider, hand) = fake.provider();
    let reset = (NOW + 7).to_string();
    // A moment of the provider's clock is held against what that clock says of the reply.
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(NOW));
    let body = json!({"error": "too_many_requests"});
    fake.says(429, &[("x-ratelimit-reset", &reset), ("date", &date)], body);
    let Reply::Refused(refusal) = refresh(&provider, AMPLE_MS).await else { panic!("not refused") };
    assert_eq!(refusal.wait, Some(Duration::from_secs(7)));

    let Reply::NotSent(not_sent) = refresh(&provider, AMPLE_MS).await else { panic!("sent") };
    assert_eq!(not_sent.cause, NotSentCause::RateLimited);
    assert_eq!(not_sent.wait, Some(Duration::from_secs(7)));
    assert_eq!(fake.asked("/token").len(), 1);

    hand.advance(Duration::from_secs(7));
    fake.grants(json!({}));
    assert_eq!(told(&refresh(&provider, AMPLE_MS).await), "granted");
}

#[tokio::test]
async fn discovery_fails_as_not_sent_and_says_what_to_correct() {
    let fake = Fake::start().await;
    let (provider, hand) = fake.provider();
    let good = fake.metadata.lock().unwrap().clone();
    fake.metadata.lock().unwrap()["issuer"] = json!("https://other.example");
    let error = provider.discover().await.unwrap_err().to_string();
    assert!(error.contains("https://other.example") && error.contains(&fake.base), "{error}");
    let Reply::NotSent(not_sent) = refresh(&provider, AMPLE_MS).await else { panic!("sent") };
    assert_eq!(not_sent.cause, NotSentCause::Discovery);
    assert_eq!(not_sent.wait, Some(Duration::from_millis(500)));
    assert_eq!(fake.asked("/.well-known/openid-configuration").len(), 1, "not asked in a loop");

    hand.advance(Duration::from_secs(1));
    *fake.metadata.lock().unwrap() = Value::Null;
    assert!(provider.discover().await.is_err());
    assert_eq!(fake.asked("/.well-known/oauth-authorization-server").len(), 1, "the other place");

    hand.advance(Duration::from_secs(10));
    *fake.metadata.lock().unwrap() = good;
    fake.grants(json!({}));
    assert_eq!(told(&refresh(&provider, AMPLE_MS).await), "granted");
}

#[tokio::test]
async fn metadata_that_cannot_be_renewed_are_used_on() {
    let fake = Fake::start().await;
    let (provider, hand) = fake.provider();
    provider.discover().await.unwrap();
    hand.advance(Duration::from_secs(3600));
    *fake.metadata.lock().unwrap() = Value::Null;
    for _ in 0..3 {
        fake.grants(json!({}));
        assert_eq!(told(&refresh(&provider, AMPLE_MS).await), "granted");
    }
    while fake.asked("/.well-known/oauth-authorization-server").is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(fake.asked("/.well-known/openid-configuration").len(), 2, "in the background, once");
}

#[tokio::test]
async fn every_kind_of_client_credentials_reaches_the_provider() {
    let signer = Signer::new("c1");
    let key = PrivateKey {
        pem: Arc::new(Zeroizing::new(signer.pem.clone().into_bytes())),
        kid: Some("c1".to_owned()),
        algorithm: SigningAlgorithm::Es256,
    };
    let secret = || ClientSecret::new("p:w");
    for credentials in [
        Credentials::None,
        Credentials::Basic(secret()),
        Credentials::Post(secret()),
        Credentials::PrivateKeyJwt(key.clone()),
    ] {
        let fake = Fake::start().await;
        let mut settings = fake.settings();
        settings.credentials = credentials.clone();
        let provider = Provider::new(settings, Clock::manual().0).unwrap();
        fake.grants(json!({}));
        assert_eq!(told(&refresh(&provider, AMPLE_MS).await), "granted");
        let asked = fake.asked("/token").remove(0);
        let field = |name: &str| asked.form.get(name).map(String::as_str);
        match credentials {
            Credentials::None => assert_eq!(field("client_id"), Some(CLIENT_ID)),
            Credentials::Basic(_) => {
                let expected = format!("Basic {}", STANDARD.encode("client:p%3Aw"));
                assert_eq!(asked.authorization, Some(expected));
                assert_eq!((field("client_id"), field("client_secret")), (None, None));
            }
            Credentials::Post(_) => {
                assert_eq!(
                    (field("client_id"), field("client_secret")),
                    (Some("client"), Some("p:w"))
                );
            }
            Credentials::PrivateKeyJwt(_) => {
                let public = serde_json::from_value(signer.public()).unwrap();
                let mut validation = Validation::new(Algorithm::ES256);
                validation.set_audience(&[format!("{}/token", fake.base)]);
                validation.validate_exp = false;
                let key = DecodingKey::from_jwk(&public).unwrap();
                let assertion = field("client_assertion").unwrap();
                let read = decode::<Value>(assertion, &key, &validation).unwrap();
                assert_eq!(read.header.kid.as_deref(), Some("c1"));
                assert_eq!(read.claims["iss"], CLIENT_ID);
                assert_eq!(read.claims["sub"], CLIENT_ID);
                assert_eq!(read.claims["exp"], NOW + 60);
                assert!(read.claims["jti"].as_str().unwrap().len() >= 22);
            }
        }
    }
    let mut settings = Fake::start().await.settings();
    let algorithm = SigningAlgorithm::Rs256;
    settings.credentials = Credentials::PrivateKeyJwt(PrivateKey { algorithm, ..key });
    let fault = Provider::new(settings, Clock::manual().0).unwrap_err();
    assert!(matches!(fault, SettingsFault::Key(_)), "{fault}");
}

#[tokio::test]
async fn a_refresh_names_audience_and_scopes_as_the_provider_wants_them() {
    for (parameter, send_scope, scopes, expected) in [
        (AudienceParameter::Audience, true, "read x", "audience=https://api scope=read x "),
        (AudienceParameter::Audience, true, "", "audience=https://api "),
        (AudienceParameter::Resource, false, "read", "resource=https://api "),
        (AudienceParameter::Omit, false, "read", ""),
    ] {
        let fake = Fake::start().await;
        let mut settings = fake.settings();
        settings.audience_parameter = parameter;
        settings.send_scope_on_refresh = send_scope;
        let provider = Provider::new(settings, Clock::manual().0).unwrap();
        fake.grants(json!({}));
        refresh_for(&provider, "https://api", scopes, AMPLE_MS).await;
        let mut form = fake.asked("/token").remove(0).form;
        assert_eq!(form.remove("grant_type").as_deref(), Some("refresh_token"));
        assert_eq!(form.remove("refresh_token").as_deref(), Some("r0"));
        form.remove("client_id");
        let rest: String = form.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        assert_eq!(rest, expected);
    }
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Observer for Notes {
    fn requested(&self, request: Requested) {
        let note = format!("{} {}", request.endpoint.code(), request.outcome.code());
        self.0.lock().unwrap().push(note);
    }

    fn noticed(&self, oddity: Oddity) {
        self.0.lock().unwrap().push(oddity.code().to_owned());
    }
}

#[tokio::test]
async fn l16_every_request_and_every_oddity_is_observed() {
    let fake = Fake::start().await;
    let notes = Arc::new(Notes::default());
    let provider = Provider::observed(fake.settings(), Clock::manual().0, notes.clone()).unwrap();
    fake.grants(json!({"expires_in": -1, "refresh_token": "r1"}));
    fake.says(403, &[], json!({"error": "invalid_grant"}));
    fake.says(500, &[], json!({"error": "access_denied"}));
    fake.says(503, &[], json!({}));
    fake.grants(json!({"id_token": "no.jwt", "refresh_token": "r1"}));
    for expected in ["malformed r1", "refused 403", "refused 500", "refused 503", "granted"] {
        assert_eq!(told(&refresh(&provider, AMPLE_MS).await), expected);
    }
    let mut noted = notes.0.lock().unwrap().clone();
    // The keys are fetched beside the first exchange.
    let jwks = noted.iter().position(|note| note == "jwks ok").unwrap();
    noted.remove(jwks);
    assert_eq!(
        noted,
        [
            "discovery ok",
            "token malformed",
            "refresh_token_salvaged",
            "token oauth_error",
            "token oauth_error",
            "token server_error",
            "token ok",
            "id_token_dropped",
        ]
    );
}

fn told(reply: &Reply) -> String {
    match reply {
        Reply::Granted(_) => "granted".to_owned(),
        Reply::Malformed(broken) => {
            let refresh_token = broken.refresh_token.as_ref();
            format!("malformed {}", refresh_token.map_or("keep", |found| found.spend()))
        }
        Reply::Refused(refusal) => format!("refused {}", refusal.status),
        Reply::Unheard(how) => format!("unheard {}", Unheard::code(*how)),
        Reply::NotSent(not_sent) => format!("not sent: {}", not_sent.cause.code()),
    }
}
