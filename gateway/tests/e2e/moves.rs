//! Sessions move from the embedded store into Redis and back, and nobody signs in again.

use std::fs;
use std::future::pending;
use std::path::Path;
use std::process::Output;

use nix::sys::signal::Signal;
use reqwest::Response;
use reqwest::header::SET_COOKIE;
use serde_json::json;
use tokenward_sandbox::secrecy::Kind;
use tokenward_sandbox::{Authenticate, ECHO_AUDIENCE, Sandbox};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::gateway::{Gateway, Place, TOKENWARD, routes};
use super::program::{PATIENCE, Program, free_port, http};
use super::provider::sandbox;
use super::redis::{RedisServer, keys, table};

/// How many browsers sign in.
const BROWSERS: usize = 12;
/// A server with so many keys has some of the sessions, and lacks some.
const HALF_WAY_KEYS: u64 = 16;
const PEOPLE: [&str; 3] = ["ada", "alan", "grace"];

/// The provider has no reuse window: a refresh token that is sent twice ends its session. At each
/// place each session is asked for an audience that it has no access token for, which spends the
/// refresh token that the move has brought.
#[tokio::test(flavor = "multi_thread")]
async fn l10_l11_sessions_move_into_redis_and_back_and_go_on() {
    let port = free_port();
    let (sandbox, registration) = sandbox(port).await;
    sandbox.tenant(&json!({"leeway_s": 0})).unwrap();
    let echo = &sandbox.addresses().apis["echo"];
    let tables = format!(
        "{}[[route]]\npath = \"/api/echo/\"\nstrip_prefix = true\nupstream = \"{echo}\"\n\
         audience = \"{ECHO_AUDIENCE}\"\nscopes = \"use:echo\"\n",
        routes(&sandbox),
    );
    let mut old = Gateway::start(Place::at(port, &registration), &tables).await;
    let mut cookies = Vec::new();
    for person in PEOPLE.into_iter().cycle().take(BROWSERS) {
        cookies.push(sign_in(&old, &sandbox, person).await);
    }
    all_get(&[&old], &cookies, "/api/quotes/quote", 200).await;
    let mut gone = vec![cookies.pop().unwrap()];
    sign_out(&old, &gone[0]).await;
    stop(&mut old).await;

    let server = RedisServer::start().await;
    let [new, beside] = [Place::new(&registration), Place::new(&registration)];
    kill_half_way(&old.place, &new, &server, &tables).await;
    let tables = format!("{}{tables}", server.table());
    new.write(&tables);
    let [copied, renewed, there, newer, ended] = migrate(&old.place, &new).await;
    assert!(copied > 0 && there > 0, "it was cut short half-way: {copied} {there}");
    assert_eq!((copied + there, renewed, newer, ended), (cookies.len() as u64, 0, 0, 0));

    fs::create_dir(beside.state()).unwrap();
    fs::copy(new.state().join("keys.json"), beside.state().join("keys.json")).unwrap();
    let mut fleet = [Gateway::start(new, &tables).await, Gateway::start(beside, &tables).await];
    all_get(&fleet.each_ref(), &cookies, "/api/accounts/accounts", 200).await;
    all_get(&fleet.each_ref(), &gone, "/api/quotes/quote", 401).await;
    gone.push(cookies.pop().unwrap());
    sign_out(&fleet[1], &gone[1]).await;
    for gateway in &mut fleet {
        stop(gateway).await;
    }

    let spool = fleet[0].place.state().join("spool");
    fs::write(spool.join("any.commit"), "the only living token").unwrap();
    let refused = run_migrate(&fleet[0].place, &old.place).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(69) && said.contains("has not confirmed"), "{said}");
    fs::remove_file(spool.join("any.commit")).unwrap();
    let back = migrate(&fleet[0].place, &old.place).await;
    assert_eq!(back, [0, cookies.len() as u64, 0, 0, 1], "what went on replaces what had stayed");
    old.restart().await;
    all_get(&[&old], &cookies, "/api/echo/any", 200).await;
    all_get(&[&old], &gone, "/api/quotes/quote", 401).await;
    let sums = sandbox.ledger().summary();
    assert!(sums.rotations >= 2 * cookies.len() as u64, "{sums:?}");
    assert_eq!((sums.refreshes_refused, sums.reuse_detected, sums.families_revoked), (0, 0, 0));
}

/// Signs somebody in; returns the session's cookie.
async fn sign_in(gateway: &Gateway, sandbox: &Sandbox, person: &str) -> String {
    let http = http();
    let begun = http.get(gateway.url("/auth/login?return_to=/")).send().await.unwrap();
    let place = begun.headers()["location"].to_str().unwrap().to_owned();
    let wanted = Authenticate {
        authorize_url: Some(place),
        user: Some(person.to_owned()),
        ..Authenticate::default()
    };
    let back = sandbox.authenticate(&wanted).unwrap().unwrap();
    let call = http.get(back).header("cookie", cookies_of(&begun).join("; "));
    let cookies = cookies_of(&call.send().await.unwrap());
    let cookie = cookies.iter().find(|cookie| cookie.starts_with("tokenward=")).unwrap();
    gateway.keep_secret(Kind::SessionHandle, cookie.trim_start_matches("tokenward="));
    cookie.clone()
}

fn cookies_of(response: &Response) -> Vec<String> {
    let cookies = response.headers().get_all(SET_COOKIE).iter();
    let cookies = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
    cookies.map(str::to_owned).collect()
}

async fn sign_out(gateway: &Gateway, cookie: &str) {
    let call = http().post(gateway.url("/auth/logout")).header("cookie", cookie);
    let call = call.header("sec-fetch-site", "same-origin").header("accept", "application/json");
    assert_eq!(call.send().await.unwrap().status(), 200);
}

/// Asks every gateway in every session.
async fn all_get(gateways: &[&Gateway], cookies: &[String], path: &str, status: u16) {
    for cookie in cookies {
        for gateway in gateways {
            let call = http().get(gateway.url(path)).header("cookie", cookie);
            let answer = call.send().await.unwrap();
            let (got, log) = (answer.status(), gateway.program.log());
            assert_eq!(got, status, "{path}: {}\n{log}", answer.text().await.unwrap());
        }
    }
}

async fn stop(gateway: &mut Gateway) {
    gateway.program.signal(Signal::SIGTERM);
    assert!(gateway.program.ended().await.success(), "{}", gateway.program.log());
}

/// Starts to move, through a relay that takes no more once a part is there, and kills the program.
async fn kill_half_way(from: &Place, to: &Place, server: &RedisServer, tables: &str) {
    let (relay, mut full) = Relay::start(server.port).await;
    to.write(&format!("{}{tables}", table(relay.port)));
    let mut program = Program::start(Path::new(TOKENWARD), |command| {
        command.args(["migrate", "--from"]).arg(from.file()).arg("--to").arg(to.file());
    });
    let stuck = tokio::time::timeout(PATIENCE, full.recv()).await;
    assert!(stuck.is_ok(), "nothing got through: {}", program.log());
    program.signal(Signal::SIGKILL);
    assert!(!program.ended().await.success());
}

/// Moves all sessions; returns how many were copied, renewed, there, newer and ended.
async fn migrate(from: &Place, to: &Place) -> [u64; 5] {
    let output = run_migrate(from, to).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let numbers = said.split_whitespace().filter_map(|word| word.parse().ok());
    numbers.collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("{said}"))
}

async fn run_migrate(from: &Place, to: &Place) -> Output {
    let mut command = Command::new(TOKENWARD);
    command.args(["migrate", "--from"]).arg(from.file()).arg("--to").arg(to.file());
    let running = command.kill_on_drop(true).output();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap()
}

/// A way to Redis that ends once the server has [`HALF_WAY_KEYS`].
struct Relay {
    port: u16,
}

impl Relay {
    async fn start(server: u16) -> (Self, mpsc::Receiver<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (full, told) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(lead(near, server, full.clone()));
            }
        });
        (Self { port }, told)
    }
}

async fn lead(near: TcpStream, server: u16, full: mpsc::Sender<()>) {
    let far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
    let ((mut asks, mut hears), (mut answers, mut takes)) = (near.into_split(), far.into_split());
    tokio::spawn(async move { tokio::io::copy(&mut answers, &mut hears).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = asks.read(&mut buffer).await {
        if keys(server).await >= HALF_WAY_KEYS {
            // Only the first word counts: all connections end up here.
            let _told_before = full.try_send(());
            pending::<()>().await;
        }
        takes.write_all(&buffer[..length]).await.unwrap();
    }
}
