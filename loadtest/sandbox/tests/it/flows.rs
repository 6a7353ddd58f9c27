//! Signing in and out: authorization code, silent sign-in, logout.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};
use tokenward_sandbox::Client;
use tokio::sync::mpsc;

use crate::world::{CALLBACK, World, claims, location, query, text, told};

#[tokio::test]
async fn a_browser_signs_in_on_the_page() {
    let world = World::start().await;
    let (back, _) = browse_in(&world).await;
    assert!(back.starts_with(CALLBACK));
    assert_eq!(query(&back, "state").unwrap(), "the state");
    assert_eq!(query(&back, "iss").unwrap(), world.provider(""));
    let identity = identity(&world, &back).await;
    let issuer = world.provider("");
    for (name, expected) in [
        ("iss", issuer.as_str()),
        ("sub", "auth0|ada"),
        ("aud", "demo-web"),
        ("nonce", "the nonce"),
        ("name", "Ada Lovelace"),
    ] {
        assert_eq!(text(&identity, name), expected);
    }
}

#[tokio::test]
async fn a_browser_is_known_the_next_time() {
    let world = World::start().await;
    let (back, cookie) = browse_in(&world).await;
    let first = identity(&world, &back).await;
    let again = |changes: &[(&str, &str)], cookie: &str| {
        let ask = world.http.get(world.authorize_url(changes));
        ask.header("cookie", cookie.to_owned())
    };
    let changes = [("prompt", "none"), ("acr_values", "gold")];
    let second = identity(&world, &location(again(&changes, &cookie)).await).await;
    for name in ["sid", "auth_time", "sub"] {
        assert_eq!(second[name], first[name], "{name}");
    }
    assert_eq!(text(&second, "acr"), "gold");
    for (changes, cookie) in [(vec![], "a=b"), (vec![("max_age", "0")], cookie.as_str())] {
        let changes = [&[("prompt", "none")], &changes[..]].concat();
        let back = location(again(&changes, cookie)).await;
        assert_eq!(query(&back, "error").unwrap(), "login_required");
    }
    let answer = again(&[("prompt", "login")], &cookie).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "the page is shown again");
}

/// Signs in with a password and returns where the browser is sent, and its cookie.
async fn browse_in(world: &World) -> (String, String) {
    let page = world.http.get(world.authorize_url(&[])).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("Ada Lovelace") && page.contains("demo-web"), "{page}");
    let (_, hidden) = page.split_once("name=\"page\" value=\"").unwrap();
    let (hidden, _) = hidden.split_once('"').unwrap();
    let form = [("page", hidden), ("username", "ada"), ("password", "sandbox")];
    let login = world.http.post(world.provider("login")).form(&form);
    let answer = login.send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap();
    let (cookie, _) = header("set-cookie").split_once(';').unwrap();
    (header("location").to_owned(), cookie.to_owned())
}

/// Exchanges the code of a redirect and returns the ID token's claims.
async fn identity(world: &World, back: &str) -> Value {
    let code = query(back, "code").unwrap();
    let (_, tokens) = world.exchange(&code, &[]).await.unwrap();
    claims(text(&tokens, "id_token"))
}

#[tokio::test]
async fn a_code_serves_once_with_its_verifier_and_address() {
    let world = World::start().await;
    for changes in [[("code_verifier", "wrong")], [("redirect_uri", "http://elsewhere/")]] {
        let (status, body) = world.exchange(&world.code(&[]), &changes).await.unwrap();
        assert_eq!((status, text(&body, "error")), (403, "invalid_grant"), "{changes:?}");
    }
    let code = world.code(&[]);
    let (_, tokens) = world.exchange(&code, &[]).await.unwrap();
    assert_eq!(world.exchange(&code, &[]).await.unwrap().0, 403);
    let (status, _) = world.refresh(text(&tokens, "refresh_token"), &[]).await.unwrap();
    assert_eq!(status, 403, "a code used twice ends what its first use started");
}

#[tokio::test]
async fn without_offline_access_or_openid_there_is_no_such_token() {
    let world = World::start().await;
    let tokens = world.sign_in(&[("scope", "read:quotes read:accounts")]).await;
    assert_eq!(text(&tokens, "scope"), "read:quotes", "another API's scope is dropped");
    assert_eq!((tokens.get("refresh_token"), tokens.get("id_token")), (None, None));
}

#[tokio::test]
async fn a_page_says_what_is_wrong_and_sends_nobody_to_strangers() {
    let world = World::start().await;
    for changes in [[("client_id", "nobody")], [("redirect_uri", "http://127.0.0.1:8080/")]] {
        let answer = world.http.get(world.authorize_url(&changes)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 400, "{changes:?}");
    }
    let plain = world.authorize_url(&[("client_id", "demo-public"), ("code_challenge", "")]);
    let back = location(world.http.get(plain)).await;
    assert_eq!(query(&back, "error").unwrap(), "invalid_request", "public clients need PKCE");
}

#[tokio::test]
async fn signing_out_returns_only_to_registered_addresses() {
    let world = World::start().await;
    let tokens = world.sign_in(&[]).await;
    let leave = |pairs: &[(&str, &str)]| {
        let url = url::Url::parse_with_params(&world.provider("oidc/logout"), pairs).unwrap();
        world.http.get(url)
    };
    let hint = ("id_token_hint", text(&tokens, "id_token"));
    let to = |uri| ("post_logout_redirect_uri", uri);
    let back = location(leave(&[hint, to("http://127.0.0.1:8080/"), ("state", "s 1")])).await;
    assert_eq!(back, "http://127.0.0.1:8080/?state=s+1");
    for pairs in [
        vec![hint, to("http://127.0.0.1:8080/elsewhere")],
        vec![to("http://127.0.0.1:8080/")],
        vec![("id_token_hint", "forged"), to("http://127.0.0.1:8080/")],
        vec![hint, ("client_id", "demo-public")],
    ] {
        assert_eq!(leave(&pairs).send().await.unwrap().status().as_u16(), 400, "{pairs:?}");
    }
    let (status, _) = world.refresh(text(&tokens, "refresh_token"), &[]).await.unwrap();
    assert_eq!(status, 200, "the provider's logout revokes no refresh token");
    assert!(world.codes().contains(&"slo"));
}

#[tokio::test]
async fn a_logout_token_names_the_newest_login() {
    let world = World::start().await;
    let (sender, mut received) = mpsc::channel::<String>(1);
    type Fields = std::collections::HashMap<String, String>;
    let take = |State(sender): State<Arc<mpsc::Sender<String>>>, Form(mut form): Form<Fields>| async move {
        sender.send(form.remove("logout_token").unwrap()).await.unwrap();
    };
    let router = axum::Router::new().route("/", post(take)).with_state(Arc::new(sender));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let tokens = world.sign_in(&[]).await;
    world.sandbox.put_client(Client {
        client_id: "demo-web".into(),
        backchannel_logout_uri: Some(target),
        ..Client::default()
    });
    let sid = claims(text(&tokens, "id_token"))["sid"].clone();
    let sub = json!("auth0|ada");
    for (by, named) in [
        (json!(null), [sub.clone(), sid.clone()]),
        (json!("both"), [sub.clone(), sid.clone()]),
        (json!("sub"), [sub, json!(null)]),
        (json!("sid"), [json!(null), sid]),
    ] {
        let ask = world.http.post(world.control("/backchannel-logout"));
        let mut whose = json!({"client_id": "demo-web", "subject": "auth0|ada"});
        if !by.is_null() {
            whose["by"] = by.clone();
        }
        assert_eq!(told(ask.json(&whose)).await.unwrap(), (200, json!({"status": 200})));
        let sent = claims(&received.recv().await.unwrap());
        assert_eq!([&sent["sub"], &sent["sid"]], [&named[0], &named[1]], "{by}");
        assert_eq!(text(&sent, "aud"), "demo-web");
        let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        assert_eq!(sent["events"], event);
    }
}
