//! Law L14 of the whole program: floods, slow callers and few open files, and a good caller who
//! notices nothing of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::future::join_all;
use futures_util::stream;
use reqwest::ClientBuilder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::gateway::{Gateway, Place, Registration};
use super::program::{PATIENCE, eventually, http, http_with};
use super::upstream::serve;

/// The files that the gateway may have open: half of them are kept for the rest, and a quarter
/// each is for callers and for upstreams.
const OPEN_FILES: u32 = 256;
/// The callers that fit.
const CALLERS: usize = 64;
/// The connections to upstreams that fit.
const UPSTREAMS: usize = 64;
/// One piece of a body without end.
static CHUNK: [u8; 64 * 1024] = [b'x'; 64 * 1024];
/// What an endless body may get ahead of a caller who does not read: the buffers of four sockets,
/// which Linux lets grow to some megabytes each, and ours.
const AHEAD_MAX: u64 = 32 << 20;

/// A gateway with few open files before an upstream of quick answers and of endless ones.
struct Scene {
    gateway: Gateway,
    /// The bytes of endless answers that have left the upstream.
    poured: Arc<AtomicU64>,
}

impl Scene {
    async fn start() -> Self {
        let poured = Arc::new(AtomicU64::new(0));
        let endless = {
            let poured = Arc::clone(&poured);
            move || {
                let chunks = stream::repeat_with(move || {
                    poured.fetch_add(CHUNK.len() as u64, Ordering::Relaxed);
                    Ok::<_, Infallible>(Bytes::from_static(&CHUNK))
                });
                std::future::ready(Body::from_stream(chunks))
            }
        };
        let router = Router::new().route("/quick", get(|| async { "ok" }));
        let upstream = serve(router.route("/endless", get(endless))).await;
        let tables = format!(
            "[limits]\nheader_read = \"2s\"\nthreads = 2\n\
             [[route]]\npath = \"/\"\nupstream = \"http://{upstream}\"\n"
        );
        let place = Place::new(&Registration::absent());
        let gateway = Gateway::start_with_files(place, &tables, OPEN_FILES).await;
        Self { gateway, poured }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.gateway.place.port)).await.unwrap()
    }

    /// Returns how many files the gateway has open.
    fn open_files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.gateway.program.number());
        std::fs::read_dir(folder).unwrap().count()
    }

    fn resident_kb(&self) -> u64 {
        let path = format!("/proc/{}/status", self.gateway.program.number());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// A caller who came before the flood and calls all the time, on a connection that is kept.
struct GoodCaller {
    over: Arc<AtomicBool>,
    calling: JoinHandle<usize>,
}

impl GoodCaller {
    async fn start(scene: &Scene) -> Self {
        let (http, url) = (http(), scene.gateway.url("/quick"));
        let call = async move || http.get(&url).send().await.unwrap().status().as_u16();
        assert_eq!(call().await, 200);
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let calling = tokio::spawn(async move {
            let mut calls = 0;
            while !ended.load(Ordering::Relaxed) {
                assert_eq!(call().await, 200, "after {calls} calls");
                calls += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            calls
        });
        Self { over, calling }
    }

    /// Ends the calls; every one was answered as if nothing had been.
    async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        let calls = tokio::time::timeout(PATIENCE, self.calling).await.unwrap().unwrap();
        assert!(calls > 0, "nobody called meanwhile");
    }
}

/// Reads what a caller is told before the gateway closes.
async fn last_words(socket: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let reading = socket.read_to_end(&mut said);
    // A connection that is reset says no more either.
    let _ = tokio::time::timeout(PATIENCE, reading).await.unwrap();
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn l14_a_flood_of_silent_callers_is_turned_away_and_the_others_are_served() {
    let scene = Scene::start().await;
    let good = GoodCaller::start(&scene).await;
    let mut crowd = Vec::new();
    for _ in 0..4 * CALLERS {
        crowd.push(scene.connect().await);
    }
    assert!(scene.open_files() < OPEN_FILES as usize, "{}", scene.open_files());
    // Those for whom there was no place were told so at once, the others when they said nothing.
    let mut told = 0;
    for socket in &mut crowd {
        let words = last_words(socket).await.to_ascii_lowercase();
        told += usize::from(words.starts_with("http/1.1 503") && words.contains("retry-after: "));
        assert!(words.is_empty() || words.starts_with("http/1.1 "), "{words}");
    }
    assert!(told >= 3 * CALLERS, "{told}");
    // Whoever comes after the flood finds a place.
    let (http, url) = (http(), scene.gateway.url("/quick"));
    eventually("a new caller is served", PATIENCE, async || {
        let answer = http.get(&url).send().await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
    good.end().await;
    let log = scene.gateway.program.log();
    assert!(!log.contains("was not accepted"), "the files ran out: {log}");
    assert!(log.contains("LimitNOFILE"), "the operator is told: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn l14_callers_who_do_not_read_hold_up_nobody_and_fill_no_memory() {
    let scene = Scene::start().await;
    let good = GoodCaller::start(&scene).await;
    let before = scene.resident_kb();
    let mut crowd = Vec::new();
    for _ in 0..CALLERS / 4 {
        let mut socket = scene.connect().await;
        socket.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        crowd.push(socket);
    }
    // Everything that can be filled is full when nothing has moved for a while.
    let mut last = 0;
    eventually("the upstream is held back", PATIENCE, async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let poured = scene.poured.load(Ordering::Relaxed);
        let still = poured > 0 && poured == last;
        last = poured;
        still.then_some(())
    })
    .await;
    let each = last / crowd.len() as u64;
    assert!(each < AHEAD_MAX, "{each} bytes were taken for a caller who reads none");
    let grown = scene.resident_kb().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} kB");
    good.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l14_requests_for_which_no_file_is_left_are_told_to_come_back() {
    let scene = Scene::start().await;
    // One connection of a caller carries many requests, of which each holds one to the upstream.
    let many = || http_with(ClientBuilder::http2_prior_knowledge);
    let (callers, url) = ([(); 4].map(|()| many()), scene.gateway.url("/endless"));
    let asked = callers.iter().flat_map(|caller| (0..CALLERS).map(|_| caller.get(&url).send()));
    let answers = tokio::time::timeout(PATIENCE, join_all(asked)).await.unwrap();
    let mut served = Vec::new();
    for answer in answers.into_iter().map(Result::unwrap) {
        let busy = answer.status() == 503 && answer.headers().contains_key("retry-after");
        assert!(busy || answer.status() == 200, "{answer:?}");
        if !busy {
            served.push(answer);
        }
    }
    assert!((1..=UPSTREAMS).contains(&served.len()), "{}", served.len());
    assert!(scene.open_files() < OPEN_FILES as usize, "{}", scene.open_files());
    drop(served);
    let (http, url) = (http(), scene.gateway.url("/quick"));
    eventually("a new caller is served", PATIENCE, async || {
        let answer = http.get(&url).send().await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
}
