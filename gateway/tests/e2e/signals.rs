//! What an operator's signals do to a gateway at work.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use nix::sys::signal::Signal;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::{Notify, mpsc};

use super::gateway::{Gateway, Place, Registration};
use super::program::{PATIENCE, eventually, http, tool};
use super::redis::RedisServer;
use super::upstream::serve;

/// curl's exit code for a certificate that it does not trust.
const CURL_UNTRUSTED: i32 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_and_a_calm_end_lose_no_request() {
    let (arrived, mut arrivals) = mpsc::channel(1);
    let release = Arc::new(Notify::new());
    let slow = Slow { arrived, release: Arc::clone(&release) };
    let first = serve(router("first").merge(slow.router())).await;
    let second = serve(router("second")).await;
    let place = Place::new(&Registration::absent());
    let tables = |upstream| {
        let folder = place.folder().display();
        format!(
            "[tls]\ncert = \"{folder}/cert.pem\"\nkey = \"{folder}/key.pem\"\n\
             [[route]]\npath = \"/\"\nupstream = \"http://{upstream}\"\n"
        )
    };
    let (begun, replaced) = (tables(first), tables(second));
    let old = certify(&place, "old");
    let mut gateway = Gateway::start(place, &begun).await;
    let origin = format!("https://127.0.0.1:{}", gateway.place.port);
    let caller = Caller { curl: tool("CURL"), origin };
    let waiting = tokio::spawn(caller.clone().ask("/slow", old.clone()));
    tokio::time::timeout(PATIENCE, arrivals.recv()).await.unwrap().unwrap();

    gateway.place.write(&format!("{begun}audiense = \"x\"\n"));
    hang_up(&gateway, "the old one stays: ").await;
    assert!(gateway.program.log().contains("`audiense`"), "{}", gateway.program.log());
    assert_eq!(text(&caller.clone().ask("/", old.clone()).await), "first");

    let new = certify(&gateway.place, "new");
    gateway.place.write(&replaced);
    hang_up(&gateway, "configuration reloaded").await;
    assert_eq!(text(&caller.clone().ask("/", new.clone()).await), "second");
    assert_eq!(caller.clone().ask("/", old).await.status.code(), Some(CURL_UNTRUSTED));

    gateway.program.signal(Signal::SIGTERM);
    let port = gateway.place.port;
    eventually("nobody is let in", PATIENCE, async || {
        TcpStream::connect(("127.0.0.1", port)).await.is_err().then_some(())
    })
    .await;
    assert!(!waiting.is_finished(), "a request is in flight");
    release.notify_one();
    assert_eq!(text(&waiting.await.unwrap()), "slow, but here");
    assert!(gateway.program.ended().await.success(), "{}", gateway.program.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_would_change_the_store_is_refused_by_its_key() {
    let server = RedisServer::start().await;
    let [first, second] = [serve(router("first")).await, serve(router("second")).await];
    let route = |upstream| format!("[[route]]\npath = \"/\"\nupstream = \"http://{upstream}\"\n");
    let store = server.table();
    let place = Place::new(&Registration::absent());
    let gateway = Gateway::start(place, &format!("{store}{}", route(first))).await;
    let served = async || http().get(gateway.url("/")).send().await.unwrap().text().await.unwrap();
    for (changed, key) in [
        (format!("{store}prefix = \"other\"\n"), "store.prefix"),
        (store.replace("/\"", "/1\""), "store.redis"),
        (String::new(), "store"),
    ] {
        gateway.place.write(&format!("{changed}{}", route(second)));
        hang_up(&gateway, &format!(": {key}: it cannot change while the gateway runs")).await;
        assert_eq!(served().await, "first", "{key}");
    }
    gateway.place.write(&format!("{store}{}", route(second)));
    hang_up(&gateway, "configuration reloaded").await;
    assert_eq!(served().await, "second", "the store is the same");
}

/// Sends SIGHUP, and waits for what the log says to it.
async fn hang_up(gateway: &Gateway, words: &str) {
    gateway.program.signal(Signal::SIGHUP);
    eventually(words, PATIENCE, async || gateway.program.log().contains(words).then_some(())).await;
}

/// A caller that trusts one certificate only: curl, on a new connection each time.
#[derive(Clone)]
struct Caller {
    curl: PathBuf,
    origin: String,
}

impl Caller {
    async fn ask(self, path: &'static str, trusted: String) -> Output {
        let mut command = Command::new(&self.curl);
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30"]);
        command.args(["--cacert", &trusted]).arg(format!("{}{path}", self.origin));
        command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap()
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Puts a new certificate in place; returns where a copy of it stays.
fn certify(place: &Place, name: &str) -> String {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let copy = place.folder().join(format!("{name}.pem"));
    for path in [&copy, &place.folder().join("cert.pem")] {
        std::fs::write(path, made.cert.pem()).unwrap();
    }
    std::fs::write(place.folder().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    copy.display().to_string()
}

fn router(name: &'static str) -> Router {
    Router::new().route("/", get(async move || name))
}

/// An answer that waits for its release, and says when it is asked for.
#[derive(Clone)]
struct Slow {
    arrived: mpsc::Sender<()>,
    release: Arc<Notify>,
}

impl Slow {
    fn router(self) -> Router {
        let answer = async |State(slow): State<Self>| {
            slow.arrived.send(()).await.unwrap();
            slow.release.notified().await;
            "slow, but here"
        };
        Router::new().route("/slow", get(answer)).with_state(self)
    }
}
