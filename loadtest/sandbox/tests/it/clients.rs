//! How clients prove who they are, and the clients that are devices.

use serde_json::{Value, json};
use tokenward_sandbox::{AuthMethod, Authenticate, Client};

use crate::world::{World, claims, text, told};

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[tokio::test]
async fn clients_authenticate_in_the_way_they_are_registered() {
    let world = World::start().await;
    let key = rcgen_key();
    world.sandbox.put_client(Client {
        client_id: "keyed".into(),
        public_key_pem: Some(key.public_pem),
        auth_method: Some(AuthMethod::PrivateKeyJwt),
        ..Client::default()
    });
    let ask = |pairs: Vec<(&str, String)>| {
        let mut form = vec![("grant_type", "client_credentials".to_owned())];
        form.extend(pairs);
        told(world.http.post(world.provider("oauth/token")).form(&form))
    };
    let assertion = |audience: &str, name: &str| {
        let claims = json!({"iss": "keyed", "sub": "keyed", "aud": audience, "jti": name, "exp": 4_102_444_800_u64});
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let jwt = jsonwebtoken::encode(&header, &claims, &key.private).unwrap();
        vec![("client_assertion_type", kind.to_owned()), ("client_assertion", jwt)]
    };
    let secret = |secret: &str| {
        vec![("client_id", "demo-web".to_owned()), ("client_secret", secret.to_owned())]
    };
    let issuer = world.provider("");
    let rows = [
        (assertion(&issuer, "1"), 200, "a good assertion"),
        (assertion(&issuer, "1"), 401, "the same one again"),
        (assertion("http://elsewhere/", "2"), 401, "meant for another provider"),
        (secret("demo-web-secret"), 200, "a good secret"),
        (secret("wrong"), 401, "a wrong secret"),
        (vec![("client_id", "demo-web".to_owned())], 401, "no secret"),
        (vec![("client_id", "demo-public".to_owned())], 400, "a public client has no such grant"),
        (vec![], 401, "nobody"),
    ];
    for (pairs, expected, what) in rows {
        assert_eq!(ask(pairs).await.unwrap().0, expected, "{what}");
    }
    let json = json!({
        "grant_type": "client_credentials", "client_id": "demo-web", "client_secret": "demo-web-secret",
    });
    let posted = world.http.post(world.provider("oauth/token")).json(&json);
    assert_eq!(told(posted).await.unwrap().0, 200, "JSON is accepted");
    assert_eq!(world.sum("clients_refused").await, 5);
}

struct Key {
    private: jsonwebtoken::EncodingKey,
    public_pem: String,
}

fn rcgen_key() -> Key {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let private = jsonwebtoken::EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    Key { private, public_pem: pair.public_key_pem() }
}

#[tokio::test]
async fn a_device_is_signed_in_on_another_screen() {
    let world = World::start().await;
    world.set(json!({"device_interval_s": 0}));
    let device = start_device(&world).await;
    assert_eq!(poll(&world, &device).await, (403, "authorization_pending".into()));
    let page = world.http.get(text(&device, "verification_uri_complete"));
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Approve as"), "{page}");
    let form = [("user_code", text(&device, "user_code")), ("user", "grace")];
    let decision = world.http.post(world.provider("activate")).form(&form);
    let page = decision.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Device signed in"), "{page}");
    let (_, tokens) = poll_raw(&world, &device).await;
    assert_eq!(claims(text(&tokens, "access_token"))["sub"], "auth0|grace");
    text(&tokens, "refresh_token");
    assert_eq!(poll(&world, &device).await, (403, "invalid_grant".into()), "used");
}

#[tokio::test]
async fn a_device_is_refused_or_told_to_slow_down() {
    let world = World::start().await;
    world.set(json!({"device_interval_s": 0}));
    let device = start_device(&world).await;
    let denied = Authenticate {
        user_code: Some(text(&device, "user_code").to_lowercase()),
        deny: true,
        ..Authenticate::default()
    };
    assert_eq!(world.sandbox.authenticate(&denied), Ok(None));
    assert_eq!(poll(&world, &device).await, (403, "access_denied".into()));
    world.set(json!({"device_interval_s": 60}));
    let device = start_device(&world).await;
    assert_eq!(poll(&world, &device).await, (403, "authorization_pending".into()));
    assert_eq!(poll(&world, &device).await, (429, "slow_down".into()), "as the vendor");
    world.set(json!({"statuses": "rfc"}));
    assert_eq!(poll(&world, &device).await, (400, "slow_down".into()), "as RFC 8628");
}

async fn start_device(world: &World) -> Value {
    let form = [
        ("client_id", "demo-device"),
        ("scope", "openid offline_access read:quotes"),
        ("audience", tokenward_sandbox::QUOTES_AUDIENCE),
    ];
    let ask = world.http.post(world.provider("oauth/device/code"));
    told(ask.form(&form)).await.unwrap().1
}

async fn poll(world: &World, device: &Value) -> (u16, String) {
    let (status, body) = poll_raw(world, device).await;
    (status, text(&body, "error").to_owned())
}

async fn poll_raw(world: &World, device: &Value) -> (u16, Value) {
    let form = [
        ("client_id", "demo-device"),
        ("grant_type", DEVICE_GRANT),
        ("device_code", text(device, "device_code")),
    ];
    let ask = world.http.post(world.provider("oauth/token"));
    told(ask.form(&form)).await.unwrap()
}
