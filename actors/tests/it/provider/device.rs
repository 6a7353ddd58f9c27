//! The device grant: asking for a code, asking whether it was used, and what then comes.

use std::time::Duration;

use serde_json::json;
use tokenward::core::device_sign_in::{Heard, Next, next};
use tokenward::core::name::Audience;
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::RefreshToken;
use tokenward::provider::{DeviceCode, DeviceWish, IdTokenFault, ProviderError, SignInError};

use super::fake::{CLIENT_ID, Fake};

#[tokio::test]
async fn a_device_is_given_a_code_and_asks_until_a_person_has_used_it() {
    let fake = Fake::start().await;
    let (provider, _hand) = fake.provider();
    let audience = Audience::parse("urn:quotes").unwrap();
    let scopes = ScopeSet::parse("openid offline_access");
    let wish = DeviceWish { scopes: &scopes, audience: Some(&audience) };
    let refused = provider.authorize_device(wish).await;
    assert!(matches!(refused, Err(ProviderError::NotOffered(_))), "{refused:?}");

    let (provider, _hand) = fake.provider();
    // The endpoint that stands in for all others answers this one too.
    fake.metadata.lock().unwrap()["device_authorization_endpoint"] =
        json!(format!("{}/token", fake.base));
    fake.says(
        200,
        &[],
        json!({
            "device_code": "dc", "user_code": "WDJB-MJHT", "expires_in": 900, "interval": 7,
            "verification_uri": "https://p.example/d",
        }),
    );
    let given = provider.authorize_device(wish).await.unwrap();
    assert_eq!(
        (given.user_code.as_str(), given.interval),
        ("WDJB-MJHT", Some(Duration::from_secs(7)))
    );
    assert!(!format!("{given:?}").contains("dc"), "what opens a session has no text");
    let form = fake.asked("/token").remove(0).form;
    assert_eq!(form["client_id"], CLIENT_ID);
    assert_eq!((form["audience"].as_str(), form["scope"].contains("openid")), ("urn:quotes", true));

    fake.says(403, &[], json!({"error": "authorization_pending"}));
    let Err(SignInError::Refused(refusal)) = provider.redeem_device(&given.device_code, None).await
    else {
        panic!("not refused")
    };
    assert_eq!(
        next(Heard::Refused(&refusal), given.interval.unwrap()),
        Next::Poll(Duration::from_secs(7))
    );

    fake.grants(json!({"refresh_token": "r1", "id_token": fake.sign(json!({}))}));
    let signed_in = provider.redeem_device(&given.device_code, None).await.unwrap();
    assert_eq!(signed_in.grant.refresh_token, Some(RefreshToken::new("r1")));
    assert_eq!(signed_in.identity.subject, "alice");
    let form = fake.asked("/token").pop().unwrap().form;
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
    assert_eq!(form["device_code"], "dc");
}

#[tokio::test]
async fn a_sign_in_that_names_nobody_is_none() {
    let fake = Fake::start().await;
    let (provider, _hand) = fake.provider();
    fake.grants(json!({"refresh_token": "r1"}));
    let redeemed = provider.redeem_device(&DeviceCode::new("dc".to_owned()), None).await;
    assert!(matches!(redeemed, Err(SignInError::IdToken(IdTokenFault::Missing))), "{redeemed:?}");
}
