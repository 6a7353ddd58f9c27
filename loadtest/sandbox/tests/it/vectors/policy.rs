//! The area `policy_precedence`: each case is a tenant of its own that really is asked.

use serde_json::{Value, json};
use tokenward_sandbox::Client;

use crate::world::{CALLBACK, World, location, query};

const AUDIENCE_PARAMS: [&str; 2] = ["account", "console"];

/// Says what the tenant answers to a refresh, or to a silent sign-in, under the given policy.
pub(crate) fn precedence(input: &Value) -> Option<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Some(runtime.block_on(played(input)))
}

async fn played(input: &Value) -> Value {
    let world = World::start().await;
    let text = |name: &str| input[name].as_str();
    let metadata = input.get("client_metadata").filter(|facts| facts.is_object());
    world.sandbox.put_client(Client {
        client_id: "demo-web".into(),
        client_secret: Some("demo-web-secret".into()),
        redirect_uris: vec![CALLBACK.into()],
        metadata: metadata
            .map(|facts| serde_json::from_value(facts.clone()).unwrap())
            .unwrap_or_default(),
        ..Client::default()
    });
    let mut ada = world.sandbox.user("ada").unwrap();
    let enrolled = input["user_enrolled"].as_array().cloned().unwrap_or_default();
    ada.factors = enrolled
        .iter()
        .map(|kind| serde_json::from_value(json!({"kind": factor(kind)})).unwrap())
        .collect();
    world.sandbox.put_user(ada);
    let silent = text("protocol") == Some("silent_auth");
    let tokens = if silent { Value::Null } else { world.sign_in(&[]).await };
    let cookie = if silent { browse_in(&world).await } else { String::new() };
    let mut rules = Vec::new();
    rules.extend(text("rule").map(rule).into_iter().flatten());
    rules.extend(text("action").map(action));
    let option = text("tenant_option") == Some("policy_applies_to_refresh");
    world.set(json!({"mfa": {
        "policy": text("policy").unwrap_or("never"),
        "policy_applies_to_refresh": option,
        "rules": rules,
        "intersect_enrolled": text("tenant_option") == Some("intersect_enrolled"),
    }}));
    if silent {
        let ask = world.http.get(world.authorize_url(&[("prompt", "none")]));
        let back = location(ask.header("cookie", cookie)).await;
        return match query(&back, "error") {
            Some(error) => {
                json!({"error": error, "error_description": query(&back, "error_description")})
            }
            None => json!({"status": 200}),
        };
    }
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let (status, body) = world.refresh(refresh_token, &[]).await.unwrap();
    let types = |name: &str| {
        let listed = body["mfa_requirements"][name].as_array().cloned().unwrap_or_default();
        listed.into_iter().map(|one| one["type"].clone()).collect::<Vec<_>>()
    };
    json!({
        "status": status,
        "error": body["error"],
        "error_description": body["error_description"],
        "challenge_types": types("challenge"),
        "enroll_types": types("enroll"),
    })
}

/// Signs a browser in before there is any rule, and returns its cookie.
async fn browse_in(world: &World) -> String {
    let page = world.http.get(world.authorize_url(&[])).send().await.unwrap().text().await.unwrap();
    let (_, rest) = page.split_once("name=\"page\" value=\"").unwrap();
    let form = [("page", rest.split_once('"').unwrap().0), ("user", "ada")];
    let answer = world.http.post(world.provider("login")).form(&form).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// Reads the words of a rule: `challenge_all`, or `challenge unless A==B and …`, or `challenge
/// audience NAME every time`.
fn rule(words: &str) -> Vec<Value> {
    let challenge = json!({"then": "challenge"});
    if let Some((_, conditions)) = words.split_once(" unless ") {
        return vec![json!({"when": when(conditions), "then": "return"}), challenge];
    }
    if words.contains("audience") || words == "challenge_all" {
        // The sandbox's own audience stands for the one that the words name.
        assert!(
            words == "challenge_all" || AUDIENCE_PARAMS.iter().any(|name| words.contains(name)),
            "{words}"
        );
        return vec![challenge];
    }
    if words.contains("return") || words.contains("skip") {
        return vec![json!({"then": "return"})];
    }
    panic!("no such rule is known: {words}");
}

fn when(conditions: &str) -> Value {
    let mut when = json!({});
    for condition in conditions.split(" and ") {
        let (name, value) = condition.split_once("==").unwrap();
        match name.trim() {
            "protocol" => when["protocol"] = json!(value.trim()),
            name => {
                let fact = name.strip_prefix("client.metadata.").unwrap();
                when["metadata"][fact] = json!(value.trim());
            }
        }
    }
    when
}

/// Reads the words of an Action: what it calls, and when.
fn action(words: &str) -> Value {
    let (call, condition) = words.split_once(' ').unwrap_or((words, ""));
    let then = match call {
        "challengeWithAny" | "challengeWith" => "challenge",
        "enrollWithAny" | "enrollWith" => "enroll",
        _ => panic!("no such Action is known: {words}"),
    };
    let mut when = json!({});
    if condition.contains("refresh_token") {
        when["protocol"] = json!("oauth2-refresh-token");
    }
    if condition.contains("multifactor is empty") {
        when["enrolled"] = json!(false);
    }
    json!({"when": when, "then": then, "with": ["any"]})
}

fn factor(kind: &Value) -> &str {
    match kind.as_str().unwrap() {
        "phone" => "sms",
        "push-notification" => "push",
        "recovery-code" => "recovery_code",
        other => other,
    }
}
