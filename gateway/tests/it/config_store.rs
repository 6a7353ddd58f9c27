//! Every fault of `[store]` is one sentence with the key and the remedy, and repeats no secret.

use std::path::Path;

use tokenward_gateway::config::Config;

const REST: &str = "listen = \"127.0.0.1:1\"\n[provider]\nissuer = \"https://idp.example/\"\n\
                    client_id = \"c\"\nauth = \"none\"\n[[route]]\npath = \"/api/\"\n\
                    upstream = \"https://api.example\"\naudience = \"urn:a\"\n";

fn parse(store: &str) -> Result<Config, String> {
    let text = format!("{REST}[store]\n{store}");
    Config::parse(Path::new("/etc/t.toml"), &text).map_err(|faults| faults.to_string())
}

#[test]
fn l13_what_is_wrong_with_a_store_is_said_with_its_remedy_and_without_its_secret() {
    let at = |place: &str| format!("redis = \"{place}\"\n");
    let with = |rest: &str| format!("redis = \"rediss://a\"\n{rest}\n");
    for (store, expected) in [
        (String::new(), &["redis"][..]),
        ("path = \"/var/lib/x\"\n".to_owned(), &["`path`", "redis"]),
        (with("path = \"/var/lib/x\""), &["`path`", "use one of", "redis"]),
        (with("pasword = { env = \"X\" }"), &["`pasword`", "write `password`"]),
        (with("password = \"hunter2hunter2\""), &["env", "file", "replace the secret"]),
        (with("password = { env = \"TOKENWARD_TEST_UNSET\" }"), &["UNSET", "is not set; set it"]),
        (with("password = { file = \"/no/such\" }"), &["store.password", "/no/such"]),
        (with("sentinel_password = { file = \"/no/such\" }"), &["store.sentinel_password", "/no"]),
        (with("username = \"u\""), &["store.password", "beside username", "env"]),
        (with("ca = \"/no/such.pem\""), &["store.ca", "/no/such.pem", "name a PEM file"]),
        (at("redis://a") + "ca = \"x.pem\"\n", &["store.ca", "write rediss://"]),
        (with("prefix = \"a{b}\""), &["store.prefix", "\"tw\""]),
        (with("prefix = \"\""), &["store.prefix", "\"tw\""]),
        (with("buckets = 0"), &["store.buckets", "1 to 16384"]),
        (with("buckets = 20000"), &["store.buckets", "write 16384"]),
        (with("buckets = \"many\""), &["`buckets`"]),
        (at("10.0.0.5"), &["store.redis", "redis+cluster://", "redis://10.0.0.5:6379/"]),
        (at("http://hunter2:hunter2@a"), &["store.redis", "does not begin with redis://"]),
        (at("redis://:hunter2@a"), &["store.redis", "a secret in the open", "store.password"]),
        (at("redis://u:hunter2@a/x"), &["store.redis", "store.username"]),
        (at("redis://a:port"), &["store.redis", "no host with a port", "redis://10.0.0.5:6379/"]),
        (at("redis://a/first"), &["store.redis", "no number of a database"]),
        (at("redis+sentinel://a,b"), &["store.redis", "name of the master", "/mymaster"]),
        (at("redis+cluster://a,b/mymaster"), &["store.redis", "database"]),
        (at("redis+cluster+sentinel://a/m"), &["store.redis", "does not begin with"]),
        (at(&format!("redis+cluster://{}", ["a"; 65].join(","))), &["more than 64 addresses"]),
    ] {
        let refused = parse(&store).expect_err(&store);
        for part in expected {
            assert!(refused.contains(part), "{store}{refused}: {part} is missing");
        }
        assert!(!refused.contains("hunter2"), "{store}{refused}");
        let sentences = refused.matches("/etc/t.toml").count();
        assert_eq!(sentences, 1, "one fault is told once: {refused}");
    }
}

#[test]
fn what_of_a_store_cannot_change_while_the_gateway_runs_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| {
        let file = dir.path().join(name);
        std::fs::write(&file, format!("{name}-s3cret")).unwrap();
        file.display().to_string()
    });
    let store = |redis: &str, rest: &str| {
        parse(&format!("redis = \"{redis}\"\n{rest}")).unwrap_or_else(|told| panic!("{told}")).store
    };
    let password = |file: &str| format!("password = {{ file = \"{file}\" }}\n");
    let before = store("rediss://a", &password(&one));
    assert_eq!(before.changed(&store("rediss://a:6379/0", &password(&one))), None);
    for (redis, rest, key) in [
        ("rediss://b", password(&one), "store.redis"),
        ("redis://a", password(&one), "store.redis"),
        ("rediss://a", password(&other), "store.password"),
        ("rediss://a", String::new(), "store.password"),
        ("rediss://a", password(&one) + "username = \"u\"", "store.username"),
        ("rediss://a", password(&one) + &format!("ca = \"{other}\""), "store.ca"),
        ("rediss://a", password(&one) + "prefix = \"x\"", "store.prefix"),
        ("rediss://a", password(&one) + "buckets = 7", "store.buckets"),
        ("rediss://a", password(&one) + "sentinel_" + &password(&one), "store.sentinel_password"),
    ] {
        assert_eq!(before.changed(&store(redis, &rest)), Some(key), "{redis} {rest}");
    }
}
