//! The sample APIs: what they accept, what they show, and how a token grows old.

use serde_json::{Value, json};
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, ECHO_AUDIENCE};

use crate::world::{World, claims, text, told};

async fn token_for(world: &World, audience: &str) -> String {
    let tokens = world.sign_in(&[]).await;
    let more = [("audience", audience)];
    let (_, tokens) = world.refresh(text(&tokens, "refresh_token"), &more).await.unwrap();
    text(&tokens, "access_token").to_owned()
}

#[tokio::test]
async fn an_api_takes_only_living_tokens_of_its_own_with_the_scope() {
    let world = World::start().await;
    let quotes = text(&world.sign_in(&[]).await, "access_token").to_owned();
    let unscoped = text(&world.sign_in(&[("scope", "openid")]).await, "access_token").to_owned();
    let accounts = token_for(&world, ACCOUNTS_AUDIENCE).await;
    world.set(json!({"access_token_lifetime_s": 0}));
    let expired = text(&world.sign_in(&[]).await, "access_token").to_owned();
    let broken = format!("{}AAAA", &quotes[..quotes.len() - 4]);
    let rows = [
        (quotes.as_str(), 200, ""),
        (&accounts, 401, "another audience"),
        (&unscoped, 403, "lacks a scope"),
        (&expired, 401, "has expired"),
        (&broken, 401, "signature"),
        ("opaque", 401, "unknown to its issuer"),
        ("", 401, ""),
    ];
    for (access_token, expected, reason) in rows {
        let ask = world.http.get(world.api("quotes", "/quote")).bearer_auth(access_token);
        let answer = ask.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{reason}");
        if expected != 200 {
            let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
            assert!(
                challenge.starts_with("Bearer error=\"") && challenge.contains(reason),
                "{challenge}"
            );
        }
    }
}

#[tokio::test]
async fn replies_show_the_token_without_giving_it_away() {
    let world = World::start().await;
    let tokens = world.sign_in(&[]).await;
    let access_token = text(&tokens, "access_token");
    let ask = || world.http.get(world.api("quotes", "/quote")).bearer_auth(access_token);
    let answer = ask().send().await.unwrap();
    let tag = answer.headers()["etag"].clone();
    let page = answer.text().await.unwrap();
    assert!(!page.contains(access_token));
    let seen = serde_json::from_str::<Value>(&page).unwrap()["access_token_seen"].take();
    let access = claims(access_token);
    assert!(text(&access, "jti").starts_with(text(&seen, "jti_prefix")));
    assert_eq!((&seen["sub"], &seen["aud"]), (&access["sub"], &access["aud"]));
    assert!(seen["seconds_left"].as_u64().unwrap() <= 10);
    let cached = ask().header("if-none-match", tag).send().await.unwrap();
    assert_eq!(cached.status().as_u16(), 304);
    let mut stream = world
        .http
        .get(world.api("quotes", "/stream"))
        .bearer_auth(access_token)
        .send()
        .await
        .unwrap();
    let event = stream.chunk().await.unwrap().unwrap();
    assert!(event.starts_with(b"id: 0\nevent: quote\ndata: {"), "{event:?}");
}

#[tokio::test]
async fn the_echo_tells_everything_but_the_token() {
    let world = World::start().await;
    let access_token = token_for(&world, ECHO_AUDIENCE).await;
    let ask = world.http.put(world.api("echo", "/any/thing?x=1&y")).bearer_auth(&access_token);
    let ask = ask.header("x-twice", "a").header("x-twice", "b").body("hello");
    let (status, echo) = told(ask).await.unwrap();
    assert_eq!((status, text(&echo, "method"), text(&echo, "path")), (200, "PUT", "/any/thing"));
    assert_eq!((text(&echo, "query"), &echo["body_length"]), ("x=1&y", &json!(5)));
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(text(&echo, "body_sha256"), hash);
    let headers = echo["headers"].as_array().unwrap();
    assert!(
        headers.contains(&json!(["x-twice", "a"])) && headers.contains(&json!(["x-twice", "b"]))
    );
    assert!(!echo.to_string().contains(&access_token));
    assert_eq!(text(&echo, "version"), "HTTP/1.1");
    let http2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let ask = http2.get(world.api("echo", "/anything")).bearer_auth(&access_token);
    assert_eq!(text(&told(ask).await.unwrap().1, "version"), "HTTP/2.0");
}

#[tokio::test]
async fn a_transfer_moves_what_is_there() {
    let world = World::start().await;
    let access_token = token_for(&world, ACCOUNTS_AUDIENCE).await;
    let transfer = |to: &str, amount_cents: u64| {
        let body = json!({"from": "everyday", "to": to, "amount_cents": amount_cents});
        let ask = world.http.post(world.api("accounts", "/transfer"));
        told(ask.bearer_auth(&access_token).json(&body))
    };
    for (to, cents) in [("savings", u64::MAX), ("nowhere", 1), ("everyday", 1)] {
        assert_eq!(transfer(to, cents).await.unwrap().0, 400);
    }
    let (status, body) = transfer("savings", 25_000).await.unwrap();
    assert_eq!(status, 201);
    let balances = [("everyday", 100_000), ("savings", 2_505_000)];
    let balances = balances.map(|(name, cents)| json!({"name": name, "balance_cents": cents}));
    assert_eq!(body["accounts"], json!(balances));
}

#[tokio::test]
async fn an_api_can_be_told_to_distrust_the_next_tokens() {
    let world = World::start().await;
    let tokens = world.sign_in(&[]).await;
    let ask = || async {
        let ask = world.http.get(world.api("quotes", "/quote"));
        told(ask.bearer_auth(text(&tokens, "access_token"))).await.unwrap().0
    };
    world.arm(json!({"endpoint": "api", "kind": "unauthorized", "times": 2, "only": "quotes"}));
    assert_eq!([ask().await, ask().await, ask().await], [401, 401, 200]);
}

#[tokio::test]
async fn keys_are_replaced_under_living_tokens() {
    let world = World::start().await;
    let status = |tokens: &Value| {
        let ask = world.http.get(world.api("quotes", "/quote"));
        let ask = ask.bearer_auth(text(tokens, "access_token"));
        async move { told(ask).await.unwrap().0 }
    };
    let before = world.sign_in(&[]).await;
    let kid = world.sandbox.rotate_keys(false);
    let after = world.sign_in(&[]).await;
    let (_, keys) = told(world.http.get(world.provider(".well-known/jwks.json"))).await.unwrap();
    assert_eq!((&keys["keys"][0]["kid"], keys["keys"].as_array().unwrap().len()), (&json!(kid), 2));
    assert_eq!((status(&after).await, status(&before).await), (200, 200));
}

#[tokio::test]
async fn opaque_tokens_work_by_introspection() {
    let world = World::start().await;
    world.set(json!({"opaque_access_tokens": true}));
    let tokens = world.sign_in(&[("scope", "openid profile read:quotes")]).await;
    let access_token = text(&tokens, "access_token");
    assert!(!access_token.contains('.'));
    let ask = world.http.get(world.api("quotes", "/quote")).bearer_auth(access_token);
    assert_eq!(told(ask).await.unwrap().0, 200);
    let ask = world.http.get(world.api("accounts", "/accounts")).bearer_auth(access_token);
    assert_eq!(told(ask).await.unwrap().0, 401);
    let ask = world.http.get(world.provider("userinfo")).bearer_auth(access_token);
    let (status, facts) = told(ask).await.unwrap();
    assert_eq!((status, text(&facts, "name")), (200, "Ada Lovelace"));
}

#[tokio::test]
async fn the_demo_page_loads_nothing_from_elsewhere() {
    let world = World::start().await;
    let app = &world.sandbox.addresses().app;
    let page = world.http.get(app).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"));
    let page = page.text().await.unwrap();
    assert!(!page.contains("style=") && !page.contains("onclick") && !page.contains("http"));
    for part in ["/app.js", "/app.css", "/app.svg"] {
        assert!(page.contains(part));
        let answer = world.http.get(format!("{app}{part}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{part}");
    }
}
