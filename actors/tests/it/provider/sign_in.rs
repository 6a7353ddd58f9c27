//! Signing in and out: codes, ID tokens, keys that change, logout tokens, addresses.

use std::time::Duration;

use serde_json::{Value, json};
use tokenward::clock::Clock;
use tokenward::core::grant::{Grant, Reply};
use tokenward::core::name::Audience;
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::{IdToken, RefreshToken};
use tokenward::core::time::UnixSeconds;
use tokenward::provider::{
    AudienceParameter, AuthorizeRequest, CodeExchange, IdTokenFault, LogoutFallback, Provider,
    SignInError, SignedIn,
};

use super::AMPLE_MS;
use super::fake::{Fake, NOW, Signer, refresh};

async fn exchange(provider: &Provider) -> Result<SignedIn, SignInError> {
    let exchange = CodeExchange {
        code: "c0de",
        code_verifier: "v1",
        redirect_uri: "https://app/cb",
        nonce: "n1",
        audience: None,
        max_age: None,
    };
    provider.exchange_code(exchange).await
}

#[tokio::test]
async fn a_code_becomes_a_verified_identity() {
    let fake = Fake::start().await;
    let (provider, _hand) = fake.provider();
    let id_token = fake.sign(json!({
        "sid": "s1", "auth_time": NOW - 5, "acr": "mfa", "amr": ["pwd", "otp"],
        "session_expiry": NOW + 3600, "email": "alice@example",
    }));
    fake.grants(json!({"refresh_token": "r1", "id_token": id_token}));
    let SignedIn { grant, identity } = exchange(&provider).await.unwrap();
    assert_eq!(grant.refresh_token, Some(RefreshToken::new("r1")));
    assert_eq!(grant.id_token, Some(IdToken::new(&id_token)));
    assert_eq!(identity.subject, "alice");
    assert_eq!(identity.provider_session.as_deref(), Some("s1"));
    assert_eq!(identity.ceiling, Some(UnixSeconds(NOW + 3600)));
    assert_eq!(identity.authentication.class.as_deref(), Some("mfa"));
    assert_eq!(identity.authentication.methods, ["pwd", "otp"]);
    let form = fake.asked("/token").remove(0).form;
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "c0de"),
        ("code_verifier", "v1"),
        ("redirect_uri", "https://app/cb"),
    ] {
        assert_eq!(form[name], value);
    }
}

#[tokio::test]
async fn l2_a_sign_in_that_does_not_pass_gives_its_refresh_token_back() {
    let at = |seconds: i64| json!(NOW.checked_add_signed(seconds).unwrap());
    let fault = |fault: IdTokenFault| SignInError::IdToken(fault).to_string();
    for (change, expected) in [
        (json!({"nonce": "n2"}), fault(IdTokenFault::Nonce)),
        (json!({"iss": "https://other"}), fault(IdTokenFault::Issuer)),
        (json!({"aud": "other"}), fault(IdTokenFault::Audience)),
        (json!({"exp": at(-60)}), fault(IdTokenFault::Expired)),
        (json!({"iat": at(61)}), fault(IdTokenFault::TooEarly)),
        (json!({"session_expiry": at(30)}), SignInError::BornExpired.to_string()),
        (Value::Null, fault(IdTokenFault::Missing)),
    ] {
        let fake = Fake::start().await;
        let (provider, _hand) = fake.provider();
        let mut body = json!({"refresh_token": "r1"});
        if !change.is_null() {
            body["id_token"] = json!(fake.sign(change.clone()));
        }
        fake.grants(body);
        assert_eq!(exchange(&provider).await.unwrap_err().to_string(), expected, "{change}");
        while fake.asked("/revoke").is_empty() {
            tokio::task::yield_now().await;
        }
        let form = fake.asked("/revoke").remove(0).form;
        assert_eq!((form["token"].as_str(), form["client_id"].as_str()), ("r1", "client"));
    }
}

#[tokio::test]
async fn l12_an_id_token_from_a_clock_slightly_ahead_is_accepted() {
    let fake = Fake::start().await;
    let (provider, _hand) = fake.provider();
    let id_token = fake.sign(json!({"iat": NOW + 3, "nbf": NOW + 3}));
    fake.grants(json!({"id_token": id_token}));
    assert!(exchange(&provider).await.is_ok());
}

async fn granted(provider: &Provider) -> Box<Grant> {
    let Reply::Granted(grant) = refresh(provider, AMPLE_MS).await else { panic!("not granted") };
    grant
}

#[tokio::test]
async fn l2_a_bad_id_token_on_a_refresh_costs_nothing_but_itself() {
    let fake = Fake::start().await;
    let (provider, _hand) = fake.provider();
    let (other_client, forged) = (json!({"aud": "other"}), Signer::new("k1"));
    let claims = json!({"iss": fake.base, "aud": "client", "sub": "mallory"});
    for id_token in [fake.sign(other_client), forged.sign(&claims), "v1.opaque".to_owned()] {
        fake.grants(json!({"refresh_token": "r1", "id_token": id_token}));
        let grant = granted(&provider).await;
        assert_eq!(grant.refresh_token, Some(RefreshToken::new("r1")));
        assert!(grant.id_token.is_none() && grant.claims.is_none());
    }
    // A verified one tells the session whose tokens these are.
    fake.grants(json!({"id_token": fake.sign(json!({"sub": "bob", "nonce": null}))}));
    let grant = granted(&provider).await;
    assert_eq!(grant.claims.unwrap().subject.as_deref(), Some("bob"));
    // {"alg":"RS256"}.{"sub":"carol"}
    let carols = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYXJvbCJ9.c2ln";
    let id_token = fake.sign(json!({}));
    fake.grants(json!({"access_token": carols, "id_token": id_token, "refresh_token": "r2"}));
    let Reply::Malformed(broken) = refresh(&provider, AMPLE_MS).await else { panic!("accepted") };
    assert_eq!(broken.refresh_token, Some(RefreshToken::new("r2")));
}

#[tokio::test]
async fn an_unknown_key_is_fetched_once_in_a_while() {
    let fake = Fake::start().await;
    let (provider, hand) = fake.provider();
    let accepted = async |fake: &Fake| {
        fake.grants(json!({"id_token": fake.sign(json!({}))}));
        granted(&provider).await.id_token.is_some()
    };
    assert!(accepted(&fake).await);
    assert_eq!(fake.asked("/jwks").len(), 1);

    fake.keys.lock().unwrap().push(Signer::new("k2"));
    assert!(accepted(&fake).await, "the provider has a new key");
    assert_eq!(fake.asked("/jwks").len(), 2);

    let strangers = Signer::new("k3");
    fake.grants(json!({"id_token": strangers.sign(&json!({"sub": "mallory"}))}));
    assert!(granted(&provider).await.id_token.is_none());
    assert_eq!(fake.asked("/jwks").len(), 2, "whoever invents key ids causes no traffic");

    hand.advance(Duration::from_secs(31));
    fake.keys.lock().unwrap().push(strangers);
    assert!(accepted(&fake).await);
    assert_eq!(fake.asked("/jwks").len(), 3);
}

#[tokio::test]
async fn l10_a_logout_token_is_verified_and_used_once() {
    let fake = Fake::start().await;
    let (provider, _hand) = fake.provider();
    let events = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let body = json!({"events": events, "jti": "j1", "sid": "s1", "nonce": null});
    let mut claims: Value = body;
    claims.as_object_mut().unwrap().remove("nonce");
    claims["iss"] = json!(fake.base);
    claims["aud"] = json!("client");
    claims["iat"] = json!(NOW);
    let logout_token = fake.keys.lock().unwrap()[0].sign(&claims);

    let verified = provider.verify_logout_token(&logout_token).await.unwrap();
    assert_eq!(
        (verified.subject.as_deref(), verified.provider_session.as_deref()),
        (None, Some("s1"))
    );
    let again = provider.verify_logout_token(&logout_token).await;
    assert_eq!(again, Err(IdTokenFault::Replayed));
    provider.forget_logout(&verified);
    assert!(provider.verify_logout_token(&logout_token).await.is_ok(), "repeated after a failure");

    let id_token = fake.sign(json!({}));
    let mistaken = provider.verify_logout_token(&id_token).await;
    assert_eq!(mistaken, Err(IdTokenFault::NoLogoutToken));
    let forged = Signer::new("k1").sign(&claims);
    assert!(provider.verify_logout_token(&forged).await.is_err());
}

#[tokio::test]
async fn the_browser_is_sent_to_the_right_address() {
    let fake = Fake::start().await;
    let apis = ["https://a", "https://b"].map(|text| Audience::parse(text).unwrap());
    for (parameter, expected) in [
        (AudienceParameter::Audience, "audience=https://a"),
        (AudienceParameter::Resource, "resource=https://a resource=https://b"),
        (AudienceParameter::Omit, ""),
    ] {
        let mut settings = fake.settings();
        settings.audience_parameter = parameter;
        settings.authorize_parameters = vec![("connection".to_owned(), "db".to_owned())];
        let provider = Provider::new(settings, Clock::manual().0).unwrap();
        let request = AuthorizeRequest {
            redirect_uri: "https://app/cb",
            state: "s&1",
            nonce: "n1",
            code_challenge: "x",
            scopes: &ScopeSet::parse("openid offline_access"),
            audiences: &apis,
            prompt: Some("login"),
            max_age: Some(Duration::from_secs(300)),
            acr_values: None,
            login_hint: None,
        };
        let url = provider.authorize_url(&request).await.unwrap();
        let pairs: Vec<String> = url.query_pairs().map(|(n, v)| format!("{n}={v}")).collect();
        let (ours, audiences): (Vec<_>, Vec<_>) = pairs
            .iter()
            .map(String::as_str)
            .partition(|pair| !pair.starts_with("audience") && !pair.starts_with("resource"));
        assert_eq!(audiences.join(" "), expected);
        assert_eq!(
            ours.join(" "),
            "tenant=t response_type=code client_id=client redirect_uri=https://app/cb \
             scope=openid offline_access state=s&1 nonce=n1 code_challenge=x \
             code_challenge_method=S256 prompt=login max_age=300 connection=db"
        );
    }
}

#[tokio::test]
async fn logout_at_the_provider_has_an_address_or_a_fallback() {
    let fake = Fake::start().await;
    let (provider, _hand) = fake.provider();
    let url = provider.end_session_url(None, Some("https://app/"), Some("s")).await.unwrap();
    assert_eq!(url.path(), "/logout");
    assert!(url.query().unwrap().contains("post_logout_redirect_uri=https%3A%2F%2Fapp%2F&state=s"));

    fake.metadata.lock().unwrap().as_object_mut().unwrap().remove("end_session_endpoint");
    let mut settings = fake.settings();
    let none = Provider::new(settings.clone(), Clock::manual().0).unwrap();
    assert!(none.end_session_url(None, None, None).await.is_none());
    settings.logout = LogoutFallback::Auth0;
    let auth0 = Provider::new(settings, Clock::manual().0).unwrap();
    let url = auth0.end_session_url(None, Some("https://app/"), None).await.unwrap();
    assert_eq!(url.path(), "/v2/logout");
    assert_eq!(url.query(), Some("client_id=client&returnTo=https%3A%2F%2Fapp%2F"));
}

#[tokio::test]
async fn a_revocation_says_whether_it_was_heard() {
    let fake = Fake::start().await;
    let (provider, _hand) = fake.provider();
    let refresh_token = RefreshToken::new("r1");
    assert!(provider.revoke(&refresh_token).await.is_ok());
    fake.says(503, &[("retry-after", "9")], json!({"error": "temporarily_unavailable"}));
    let error = provider.revoke(&refresh_token).await.unwrap_err().to_string();
    assert_eq!(error, "the provider refused: temporarily_unavailable (status 503)");
    assert_eq!(fake.asked("/revoke")[0].form["token_type_hint"], "refresh_token");
}
