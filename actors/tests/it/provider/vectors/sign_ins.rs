//! What the tokens of a sign-in, and the times in any reply, are held against.

use serde_json::{Value, json};
use tokenward::core::grant::{Grant, Reply};
use tokenward::core::time::UnixSeconds;
use tokenward::provider::{CodeExchange, IdTokenFault, Provider, SignInError, SignedIn};

use super::super::AMPLE_MS;
use super::super::fake::{Fake, NOW, refresh};
use super::run;

pub(crate) fn expiry(input: &Value) -> Option<Value> {
    if let Some(expires_in) = input.get("response_expires_in") {
        return Some(run(lifetime(expires_in.clone())));
    }
    input.get("id_token_iat").or(input.get("id_token_nbf"))?;
    // The provider's clock differs from ours as the vector's clocks differ.
    let now = input["now"].as_i64().unwrap();
    let moved = |at: &Value| at.as_i64().map(|at| at - now + i64::try_from(NOW).unwrap());
    let mut claims = json!({ "iat": moved(&input["id_token_iat"]) });
    if let Some(from) = moved(&input["id_token_nbf"]) {
        claims["nbf"] = json!(from);
    }
    Some(match run(sign_in(claims)) {
        Ok(_) => json!({ "action": "accept", "code": null }),
        Err(SignInError::IdToken(IdTokenFault::TooEarly)) => {
            json!({ "action": "error", "code": "id_token_used_too_early" })
        }
        Err(error) => json!({ "action": "error", "code": error.to_string() }),
    })
}

async fn lifetime(expires_in: Value) -> Value {
    let fake = Fake::start().await;
    let (provider, _hand) = fake.provider();
    fake.grants(json!({ "expires_in": expires_in, "refresh_token": "rt1" }));
    match refresh(&provider, AMPLE_MS).await {
        Reply::Granted(_) => json!({ "action": "accept" }),
        Reply::Malformed(malformed) => {
            let kept = malformed.refresh_token.map(|refresh_token| refresh_token.seal().to_owned());
            json!({ "action": "malformed_success", "refresh_token": kept })
        }
        other @ (Reply::NotSent(_) | Reply::Refused(_) | Reply::Unheard(_)) => {
            panic!("{other:?}")
        }
    }
}

pub(crate) fn ceiling(input: &Value) -> Option<Value> {
    let grant = run(refreshed(json!({ "session_expiry": input["raw"] })));
    assert!(grant.id_token.is_some(), "the ID token passes whatever its ceiling");
    Some(json!({ "ceiling": grant.ceiling.map(|UnixSeconds(seconds)| seconds), "error": null }))
}

async fn refreshed(claims: Value) -> Grant {
    let fake = Fake::start().await;
    let (provider, _hand) = fake.provider();
    let id_token = fake.sign(claims);
    fake.grants(json!({ "refresh_token": "r1", "id_token": id_token }));
    match refresh(&provider, AMPLE_MS).await {
        Reply::Granted(grant) => *grant,
        other @ (Reply::Malformed(_)
        | Reply::NotSent(_)
        | Reply::Refused(_)
        | Reply::Unheard(_)) => panic!("{other:?}"),
    }
}

pub(crate) fn born_expired(input: &Value) -> Option<Value> {
    let claims = json!({ "session_expiry": input["ceiling"], "iat": input["iat"] });
    Some(match run(sign_in(claims)) {
        Ok(_) => json!({ "reject_login": false }),
        Err(SignInError::BornExpired | SignInError::IdToken(_)) => json!({ "reject_login": true }),
        Err(error) => panic!("{error}"),
    })
}

async fn sign_in(claims: Value) -> Result<SignedIn, SignInError> {
    let fake = Fake::start().await;
    let (provider, _hand): (Provider, _) = fake.provider();
    let id_token = fake.sign(claims);
    fake.grants(json!({ "refresh_token": "r1", "id_token": id_token }));
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
