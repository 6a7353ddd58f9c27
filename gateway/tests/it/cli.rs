//! The commands, as the real program.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use tokenward_sandbox::{Mint, Sandbox};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::desk::{Browser, Desk, configuration};

/// What a command said, and how it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) said: String,
    pub(super) noted: String,
}

async fn tokenward(arguments: &[&str]) -> Ended {
    with_input(arguments, "").await
}

async fn with_input(arguments: &[&str], input: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tokenward"))
        .args(arguments)
        .env_remove("TOKENWARD_CONFIG")
        .env_remove("TOKENWARD_ADMIN_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads nothing may be gone already.
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    let output = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output());
    let output = output.await.unwrap().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        said: String::from_utf8(output.stdout).unwrap(),
        noted: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test]
async fn the_command_line_explains_itself() {
    for (arguments, code, part) in [
        (&["--help"][..], 0, "tokenward check"),
        (&["--version"], 0, "tokenward 0."),
        (&["adopt", "--help"], 0, "standard input"),
        (&["sessions", "explain", "--help"], 0, "plain words"),
        (&[], 64, "Usage"),
        (&["serv"], 64, "serve"),
        (&["serve"], 64, "--config"),
        (&["sessions", "list"], 64, "--admin"),
        (&["sessions", "list", "--admin", "nonsense"], 64, "--admin"),
        (
            &["sessions", "list", "--admin", "http://127.0.0.1:1"],
            69,
            "is `tokenward serve` running?",
        ),
        (&["check", "--config", "/nonexistent.toml"], 78, "--config"),
    ] {
        let ended = tokenward(arguments).await;
        let told = format!("{}{}", ended.said, ended.noted);
        assert_eq!(ended.code, code, "{arguments:?} {ended:?}");
        assert!(told.contains(part), "{arguments:?} {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_works_and_what_to_do_where_it_does_not() {
    let sandbox = Sandbox::start(tokenward_sandbox::Config::default()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let good = configuration(&sandbox, directory.path(), "127.0.0.1:0");
    let issuer = sandbox.addresses().issuer.clone();
    let rows = [
        (good.clone(), 0, &["ok     provider", "PKCE", "the configuration works"][..]),
        (
            good.replace("[admin]", "reuse_window = \"0s\"\n[admin]"),
            0,
            &["warn   reuse window", "→ allow an overlap"],
        ),
        (good.replace(&issuer, "http://127.0.0.1:1/"), 78, &["WRONG", "cannot be reached"]),
        (good.replace("client_id", "client_idd"), 78, &["client_idd", "write `client_id` instead"]),
        (
            good.replace(&issuer, &format!("{issuer}tenant/")),
            78,
            &["WRONG", "correct provider.issuer"],
        ),
        (good.replace("secret\"", "nowhere\""), 78, &["provider.client_secret"]),
    ];
    for (text, code, parts) in rows {
        let ended = check(directory.path(), &text).await;
        let told = format!("{}{}", ended.said, ended.noted);
        assert_eq!(ended.code, code, "{told}");
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("demo-web-secret"), "law L13: {told}");
    }
    let path = directory.path().join("gateway.toml");
    std::fs::write(&path, good).unwrap();
    let ended = tokenward(&["check", "--json", "--config", path.to_str().unwrap()]).await;
    let told: serde_json::Value = serde_json::from_str(&ended.said).unwrap();
    assert_eq!(told["ok"], true);
}

/// Seeds 000 and 001: a rule that asks for a factor in every refresh, and how the operator learns of
/// it before the wall displays do.
#[tokio::test(flavor = "multi_thread")]
async fn check_tells_whether_a_factor_would_block_refreshes() {
    let sandbox = Sandbox::start(tokenward_sandbox::Config::default()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = configuration(&sandbox, directory.path(), "127.0.0.1:0");
    let path = directory.path().join("trial.toml");
    std::fs::write(&path, &text).unwrap();
    let tried = async |refresh_token: &str| {
        with_input(&["check", "--trial", "--config", path.to_str().unwrap()], refresh_token).await
    };
    let fine = tried(&minted(&sandbox)).await;
    assert_eq!(fine.code, 0, "{fine:?}");
    assert!(fine.said.contains("no person was asked"), "{fine:?}");
    assert!(fine.said.contains("each refresh brings a new refresh token"), "{fine:?}");

    sandbox.tenant(&serde_json::json!({"mfa": {"rules": [{"then": "challenge"}]}})).unwrap();
    let refresh_token = minted(&sandbox);
    let blocked = tried(&refresh_token).await;
    assert_eq!(blocked.code, 78, "{blocked:?}");
    for part in ["asks for another factor", "oauth2-refresh-token", "demo-web", "mfa ="] {
        assert!(blocked.said.contains(part), "{part}: {blocked:?}");
    }
    assert!(!blocked.said.contains(&refresh_token) && !blocked.noted.contains(&refresh_token));
    let ended = tried("not-a-refresh-token").await;
    assert_eq!(ended.code, 78, "{ended:?}");
    assert!(ended.said.contains("is not accepted (invalid_grant)"), "{ended:?}");
    assert_eq!(tried("").await.code, 64);

    let accounts = "audience = \"https://accounts.sandbox.example\"\n";
    for (key, part) in [
        ("mfa = { max_age = \"5m\" }\nkeep_fresh = \"always\"\n", "without anybody there"),
        ("mfa = { always = true, acr = \"urn:nobody\" }\n", "nobody can ever satisfy it"),
        ("mfa = { max_age = \"5m\" }\n", "a factor every 5 min"),
    ] {
        let text = text.replace(accounts, &format!("{accounts}{key}"));
        let told = check(directory.path(), &text).await;
        assert!(told.said.contains(part), "{part}: {told:?}");
    }
}

fn minted(sandbox: &Sandbox) -> String {
    let wanted = Mint { count: 1, client_id: "demo-web".to_owned(), ..Mint::default() };
    sandbox.mint(&wanted).unwrap()[0].refresh_token.clone()
}

pub(super) async fn check(directory: &Path, text: &str) -> Ended {
    let path = directory.join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    tokenward(&["check", "--config", path.to_str().unwrap()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_shown_explained_and_ended() {
    let desk = Desk::open().await;
    let mut ada = desk.signed_in("ada").await;
    assert_eq!(ada.get("/api/accounts/accounts").await.status, 200);
    let ask = async |arguments: &[&str]| {
        let admin = ["--admin", desk.admin.as_str()];
        tokenward(&[&["sessions"], arguments, &admin].concat()).await
    };
    let listed = ask(&["list"]).await;
    assert_eq!(listed.code, 0, "{listed:?}");
    assert!(listed.said.starts_with("ID ") && listed.said.contains("auth0|ada"), "{listed:?}");
    assert!(listed.noted.contains("1 of 1 living sessions"), "{listed:?}");
    let id = listed.said.lines().nth(1).and_then(|line| line.split(' ').next()).unwrap();

    let shown = ask(&["show", id]).await;
    assert!(shown.said.contains("https://accounts.sandbox.example"), "{shown:?}");
    let explained = ask(&["explain", id]).await;
    assert!(explained.said.contains("signed in"), "{explained:?}");
    assert!(
        explained.said.contains("refreshed in") || explained.said.contains("asking for"),
        "{explained:?}"
    );
    let json = ask(&["show", id, "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json.said).unwrap();
    assert_eq!(json["id"], id);

    let ended = ask(&["end", id]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ada.get("/auth/session").await.status, 401);
    let again = ask(&["end", id]).await;
    assert_eq!(again.code, 64, "{again:?}");
    assert!(again.noted.contains("an operator ended it"), "{again:?}");
    let explained = ask(&["explain", id]).await;
    assert!(explained.said.contains("■ session ended: an operator"), "{explained:?}");
    // What is typed never becomes another path.
    let odd = ask(&["show", "../../metrics"]).await;
    assert_eq!(odd.code, 64, "{odd:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn adopt_prints_the_handle_and_nothing_else() {
    let desk = Desk::open().await;
    let minted = desk.sandbox.mint(&Mint::default()).unwrap();
    let file = desk.file_of_operator();
    let subject = minted[0].subject.as_str();
    let arguments = |audience| {
        let file = file.to_str().unwrap();
        ["adopt", "--config", file, "--audience", audience, "--subject", subject]
    };
    let empty = tokenward(&arguments("https://quotes.sandbox.example")).await;
    assert_eq!(empty.code, 64, "{empty:?}");
    assert!(empty.noted.contains("standard input is empty"), "{empty:?}");
    let input = format!("{}\n", minted[0].refresh_token);
    let unknown = with_input(&arguments("https://unknown.example"), &input).await;
    assert_eq!(unknown.code, 64, "{unknown:?}");
    assert!(unknown.noted.contains("https://quotes.sandbox.example"), "{unknown:?}");

    let adopted = with_input(&arguments("https://quotes.sandbox.example"), &input).await;
    assert_eq!(adopted.code, 0, "{adopted:?}");
    let handle = adopted.said.trim_end();
    assert_eq!(handle.len(), 43, "{adopted:?}");
    let bearer = format!("Bearer {handle}");
    let ask = [("authorization", bearer.as_str())];
    let reply = desk.browser().send(Method::GET, "/api/quotes/quote", &ask, None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_runs_until_it_is_told_to_end() {
    let sandbox = Sandbox::start(tokenward_sandbox::Config::default()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let admin = format!("127.0.0.1:{}", free_port());
    let text = configuration(&sandbox, directory.path(), &admin);
    let path = directory.path().join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tokenward"))
        .args(["serve", "--config", path.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let operator = Browser::at(&format!("http://{admin}"));
    let ready = async {
        loop {
            let asked = operator.request(Method::GET, "/readyz", &[], None).send();
            if asked.await.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ready).await.unwrap();

    // A second one must not touch the same sessions.
    let second = tokenward(&["serve", "--config", path.to_str().unwrap()]).await;
    assert_eq!(second.code, 69, "{second:?}");
    assert!(second.noted.contains("in use by another process"), "{second:?}");

    let process = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = tokio::time::timeout(Duration::from_secs(20), child.wait());
    assert!(status.await.unwrap().unwrap().success());
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
