//! Every fault of a configuration is one sentence with the file, the key and the remedy.

use std::path::Path;

use tokenward_gateway::config::{ClientAuth, Config, StepUp};

const LISTEN: &str = "listen = \"127.0.0.1:1\"\n";
const PROVIDER: &str = "[provider]\nissuer = \"https://idp.example/\"\nclient_id = \"c\"\n";
const ROUTE: &str =
    "[[route]]\npath = \"/api/\"\nupstream = \"https://api.example\"\naudience = \"urn:a\"\n";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/etc/t.toml"), text).map_err(|faults| faults.to_string())
}

#[test]
fn the_shortest_configuration_that_works() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "s3cret\n").unwrap();
    let config = parse(&format!(
        "listen = \"127.0.0.1:8080\"\n{PROVIDER}client_secret = {{ file = \"{}\" }}\n{ROUTE}\
         [[route]]\npath = \"/payments/\"\nupstream = \"https://pay.example\"\n\
         audience = \"urn:pay\"\nmfa = {{ max_age = \"5m\" }}\n",
        secret.path().display()
    ))
    .unwrap();
    let ClientAuth::ClientSecretBasic(kept) = &config.provider.auth else { panic!("{config:?}") };
    assert_eq!(kept.expose(), "s3cret");
    assert!(!format!("{config:?}").contains("s3cret"), "l13: no secret is printed");
    assert_eq!(&*config.prefix, "/auth");
    assert_eq!(&*config.session.cookie, "tokenward");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9464");
    assert!(matches!(config.routes[1].mfa, StepUp::MaxAge { acr: None, .. }));
    assert_eq!(config.policies().audiences.len(), 2);
}

#[test]
fn tls_makes_the_cookie_host_bound_and_routes_inherit_their_audiences_scopes() {
    let config = parse(&format!(
        "listen = [\"127.0.0.1:1\", \"[::1]:1\"]\npublic_url = \"https://app.example\"\n{PROVIDER}\
         auth = \"none\"\n{ROUTE}scopes = \"read write\"\n\
         [[route]]\npath = \"/b\"\nupstream = \"https://api.example\"\naudience = \"urn:a\"\n\
         [[route]]\npath = \"/c\"\nupstream = \"https://api.example\"\naudience = \"urn:a\"\nscopes = [\"admin\"]\n"
    ))
    .unwrap();
    assert_eq!(&*config.session.cookie, "__Host-tokenward");
    let scopes: Vec<_> = config.routes.iter().map(|route| route.scopes.to_string()).collect();
    assert_eq!(scopes, ["read write", "read write", "admin"]);
}

#[test]
fn a_shape_that_does_not_fit_is_shown() {
    told(&[
        ("listen = \"127.0.0.1:1\n".to_owned(), &["line 1"]),
        (whole("lisen = 1\n", ""), &["line 2", "`lisen`", "write `listen`"]),
        (route("audiense = \"x\"\n"), &["`audiense`", "write `audience`"]),
        (route("zzz = 1\n"), &["`zzz`", "use one of", "upstream"]),
        (route("http2 = \"yes\"\n"), &["`http2`", "boolean"]),
        (route("timeouts = { idle = \"5 minutes\" }\n"), &["5 minutes", "\"5m\""]),
        (route("mfa = \"sometimes\"\n"), &["mfa", "sometimes", "always"]),
        (route("mfa = { acr = \"x\" }\n"), &["neither max_age nor always"]),
        (route("mfa = { max_age = \"5m\", remember = \"1d\" }\n"), &["remember goes only with"]),
        (route("mfa = { session = true, always = true }\n"), &["exclude each other"]),
        (format!("{LISTEN}{ROUTE}"), &["provider"]),
    ]);
}

#[test]
fn l13_a_secret_in_the_file_itself_is_refused_and_not_repeated() {
    for written in
        ["\"hunter2hunter2\"", "2022202220222022", "20.22", "true", "[\"hunter2hunter2\"]"]
    {
        for text in [
            format!("{LISTEN}{PROVIDER}client_secret = {written}\n{ROUTE}"),
            whole("", &format!("[admin]\ntoken = {written}\n")),
        ] {
            let refused = parse(&text).unwrap_err();
            assert!(!refused.contains("hunter2") && !refused.contains("22022"), "{refused}");
            assert!(!refused.contains("20.22") && refused.contains("env"), "{refused}");
        }
    }
}

#[test]
fn a_listener_that_cannot_be_is_named() {
    told(&[
        (whole("", "").replace("127.0.0.1:1", "localhost"), &["listen", "127.0.0.1:8080"]),
        (whole("", "").replace("127.0.0.1:1", "0.0.0.0:1"), &["public_url", "missing"]),
        (whole("public_url = \"http://app.example\"\n", ""), &["public_url", "use https"]),
        (
            whole("public_url = \"https://app.example/x\"\n", ""),
            &["public_url", "leave the rest out"],
        ),
        (whole("prefix = \"/\"\n", ""), &["prefix", "/auth"]),
        (whole("prefix = \"/api\"\n", ""), &["route[0].path", "prefix /api"]),
        (whole("prefix = \"/a/../b\"\n", ""), &["prefix"]),
    ]);
}

#[test]
fn a_webhook_that_cannot_be_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let hook = |url: &str, key: &str, more: &str| {
        std::fs::write(file.path(), key).unwrap();
        let secret = file.path().display();
        whole(
            "",
            &format!("[[webhook]]\nurl = \"{url}\"\nsecret = {{ file = \"{secret}\" }}\n{more}\n"),
        )
    };
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let config = parse(&hook("http://localhost:1/x", key, "events = [\"in_doubt\"]")).unwrap();
    assert_eq!(config.webhooks[0].events.len(), 1);
    assert!(!format!("{config:?}").contains("MfKQ9r8G"), "l13: no secret is printed");
    let rows: [(&str, &str, &str, &[&str]); 7] = [
        ("http://hooks.example/", key, "", &["webhook[0].url", "use https"]),
        ("https://u:p@hooks.example/", key, "", &["webhook[0].url", "credentials"]),
        ("hooks", key, "", &["webhook[0].url", "no URL"]),
        ("https://h.example/", "hunter2hunter2", "", &["webhook[0].secret", "whsec_", "openssl"]),
        ("https://h.example/", "whsec_c2hvcnQ=", "", &["webhook[0].secret", "32 random bytes"]),
        ("https://h.example/", key, "events = [\"end\"]", &["webhook[0].events", "ended, held"]),
        ("https://h.example/", key, "event = [\"held\"]", &["`event`", "`events`"]),
    ];
    for (url, key, more, words) in rows {
        let text = hook(url, key, more);
        let said = parse(&text).unwrap_err();
        assert!(!said.contains("hunter2"), "{said}");
        told(&[(text, words)]);
    }
}

#[test]
fn a_provider_that_cannot_be_is_named() {
    told(&[
        (
            whole("", "").replace("auth = \"none\"\n", ""),
            &["client_secret", "missing", "auth = \"none\""],
        ),
        (
            whole("", "")
                .replace("auth = \"none\"", "client_secret = { env = \"TOKENWARD_NO_SUCH\" }"),
            &["client_secret", "TOKENWARD_NO_SUCH is not set", "set it"],
        ),
        (
            whole("", "")
                .replace("auth = \"none\"", "client_secret = { file = \"/nonexistent/s\" }"),
            &["client_secret", "/nonexistent/s", "create it"],
        ),
        (
            whole("", "").replace("auth = \"none\"", "client_secret = {}"),
            &["client_secret", "no source"],
        ),
        (
            whole("", "").replace("auth = \"none\"", "auth = \"private_key_jwt\""),
            &["private_key", "missing"],
        ),
        (whole("", "").replace("https://idp", "http://idp"), &["provider.issuer", "use https"]),
        (whole("", "").replace("https://idp.example/", "idp"), &["provider.issuer", "no URL"]),
    ]);
}

#[test]
fn routes_that_cannot_be_are_named() {
    let public = public();
    told(&[
        (format!("{LISTEN}{public}"), &["route", "at least one"]),
        (route(ROUTE), &["route[1].path", "overlaps", "remove one"]),
        (route(&ROUTE.replace("/api/", "/api")), &["route[1].path", "overlaps"]),
        (route("host = \"a b\"\n"), &["route[0].host", "*.example.com"]),
        (route("host = \"a:80\"\n"), &["route[0].host", "port"]),
        (whole("", "").replace("/api/", "api"), &["route[0].path", "slash"]),
        (whole("", "").replace("/api/", "/a/%2e"), &["route[0].path", "plain path"]),
        (whole("", "").replace("https://api.example", "ftp://x"), &["route[0].upstream", "ftp"]),
        (
            whole("", "").replace("https://api.example", "api.example"),
            &["route[0].upstream", "URL"],
        ),
        (
            whole("", "").replace("https://api.example", "https://u:p@x"),
            &["upstream", "credentials"],
        ),
        (whole("", "").replace("urn:a", "a b"), &["route[0].audience", "blanks"]),
        (
            whole("", "").replace("audience = \"urn:a\"", "scopes = \"a\""),
            &["route[0].audience", "missing"],
        ),
        (
            route("refresh_ahead = \"5s\"\nserve_margin = \"10s\"\n"),
            &["serve_margin", "refresh_ahead", "larger"],
        ),
        (
            route(
                &ROUTE.replace("/api/", "/b").replace("urn:a\"", "urn:a\"\nserve_margin = \"9s\""),
            ),
            &["route[1].refresh_ahead", "urn:a", "the same"],
        ),
        (route("replay_body = \"1GiB\"\n"), &["replay_body", "16MiB"]),
        (route("timeouts = { idle = \"0s\" }\n"), &["timeouts", "zero"]),
        (route("mfa = { always = true, acr = 'a\"b' }\n"), &["mfa", "acr"]),
        (route("mfa = { session = true, remember = \"91d\" }\n"), &["route[0].mfa", "90d"]),
        (route("mfa = { session = true, remember = \"0s\" }\n"), &["route[0].mfa", "1m"]),
    ]);
}

#[test]
fn bounds_that_cannot_be_are_named() {
    told(&[
        (whole("", "[admin]\nlisten = \"0.0.0.0:1\"\n"), &["admin.token", "missing", "127.0.0.1"]),
        (whole("", "[limits]\nthreads = 0\n"), &["limits.threads", "at least 1"]),
        (whole("", "[limits]\nheader_bytes = 1\n"), &["limits.header_bytes", "4KiB"]),
        (whole("", "[limits]\nheader_read = \"1ms\"\n"), &["limits.header_read", "1s"]),
        (whole("trusted_proxies = \"x\"\n", ""), &["trusted_proxies", "10.0.0.0/8"]),
        (whole("", "[session]\ncookie = \"a b\"\n"), &["session.cookie"]),
        (whole("", "[session]\ntrusted_origins = \"x\"\n"), &["session.trusted_origins"]),
    ]);
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = parse(&format!(
        "listen = \"x\"\nprefix = \"auth\"\n{PROVIDER}{ROUTE}upstream_ca = \"/nonexistent\"\n"
    ))
    .unwrap_err();
    assert_eq!(faults.lines().count(), 4, "{faults}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let faults = Config::load(Path::new("/nonexistent/t.toml")).unwrap_err().to_string();
    assert!(faults.contains("/nonexistent/t.toml") && faults.contains("--config"), "{faults}");
}

/// Checks that each text has one fault, told in one sentence with these words.
fn told(rows: &[(String, &[&str])]) {
    for (text, words) in rows {
        let faults = parse(text).expect_err(text);
        assert_eq!(faults.lines().count(), 1, "one fault, one sentence: {faults}\n{text}");
        assert!(faults.starts_with("/etc/t.toml") && faults.ends_with('.'), "{faults}");
        for word in *words {
            assert!(faults.contains(word), "{word:?} is not in: {faults}");
        }
    }
}

fn public() -> String {
    format!("{PROVIDER}auth = \"none\"\n")
}

/// A good configuration with further plain keys and tables.
fn whole(plain: &str, tables: &str) -> String {
    format!("{LISTEN}{plain}{}{ROUTE}{tables}", public())
}

/// A good configuration with further lines in or after its route.
fn route(lines: &str) -> String {
    format!("{LISTEN}{}{ROUTE}{lines}", public())
}
