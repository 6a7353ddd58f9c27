//! What goes wrong with a provider or a person, played before the gateway and before those who would
//! do its job: one session whose access token has run out, at a provider that revokes a family when a
//! refresh token comes twice.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_programs::clock::{self, Watch};
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;
use tokenward_programs::port;

use super::peer::{AUDIENCE, Peer, Seat};
use super::{Ground, apache, express};
use crate::stage::SAME_ORIGIN;
use crate::terminal;
use crate::tree::Profile;
use crate::visitor::Visitor;
use crate::world::{Addresses, Launch, Route, World};

/// What is called.
const PATH: &str = "/quote";
/// The life of an access token at the sign-in: it has run out when the play begins.
const SHORT_SECONDS: u64 = 4;
const RUN_OUT: Duration = Duration::from_secs(6);
/// The life of those that come after.
const LONG_SECONDS: u64 = 3_600;
/// How long a call may wait for its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);
/// How long a session is tried that may be usable again.
const PATIENCE: Duration = Duration::from_secs(60);
const GAP: Duration = Duration::from_millis(50);

/// A row: what goes wrong, and how it is played.
struct Row {
    title: &'static str,
    play: fn(&Stage<'_>) -> Result<String, Failure>,
}

const ROWS: [Row; 7] = [
    Row { title: "20 callers at once", play: |stage| storm(stage, 20, 0) },
    Row { title: "100 callers at once", play: |stage| storm(stage, 100, 0) },
    Row { title: "503 for 1 s, then healthy", play: ill },
    Row { title: "the caller goes away mid-refresh", play: aborted },
    Row { title: "sign-out mid-refresh, the old cookie comes again", play: signed_out },
    // Last, because a gateway that has seen a slow provider waits longer for a lost answer.
    Row { title: "100 callers, provider takes 1 s", play: |stage| storm(stage, 100, 1_000) },
    Row { title: "100 callers, provider takes 6 s", play: |stage| storm(stage, 100, 6_000) },
];

/// One of those that are compared.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Ours(&'a World),
    Other(&'a Peer),
}

/// A session of one of them, with its access token run out.
struct Stage<'a> {
    subject: Subject<'a>,
    control: &'a Control,
    cookie: String,
    statuses: Mutex<BTreeMap<u16, u32>>,
}

/// Plays all rows before all, and returns a table.
///
/// # Errors
/// `Unavailable` when a program does not come up.
pub(super) fn play(ground: &Ground) -> Result<String, Failure> {
    let world = World::start(&ground.tree, "peers-faults", launch()?, routes)?;
    let control = world.control();
    // What was measured of others elsewhere was measured without a reuse window.
    control.post("tenant", &json!({ "leeway_s": 0 }))?;
    let upstream = world.addresses.apis.quotes.trim_end_matches('/').to_owned();
    let seat = Seat { issuer: world.addresses.issuer.clone(), upstream, core: None };
    let apache = apache::start(ground, &control, &seat)?;
    let express = express::start(ground, &control, &seat)?;
    let subjects = [Subject::Ours(&world), Subject::Other(&apache), Subject::Other(&express)];
    let mut lines = Vec::new();
    let total = u64::try_from(ROWS.len() * subjects.len()).unwrap_or(u64::MAX);
    let progress = terminal::progress(total, "plays");
    for row in &ROWS {
        lines.push(row.title.to_owned());
        for subject in subjects {
            let told = one(row, subject, &control)?;
            progress.step(subject.name());
            lines.push(format!("    {:<18}{told}", subject.name()));
        }
    }
    drop(progress);
    Ok(lines.join("\n"))
}

fn launch() -> Result<Launch, Failure> {
    Ok(Launch {
        profile: Profile::Release,
        port: port::wanted_or_free(0)?,
        admin_port: port::wanted_or_free(0)?,
        access_token_seconds: 60,
        reuse_window_seconds: Some(0),
        gateway_core: None,
        other_core: None,
    })
}

fn routes(addresses: &Addresses) -> Vec<Route> {
    vec![
        Route {
            path: PATH.to_owned(),
            upstream: addresses.apis.quotes.clone(),
            audience: Some(AUDIENCE.to_owned()),
            scopes: vec!["read:quotes".to_owned()],
            strip_prefix: false,
        },
        Route::public("/", &addresses.app),
    ]
}

/// Signs somebody in, waits until the access token has run out, and plays.
fn one(row: &Row, subject: Subject<'_>, control: &Control) -> Result<String, Failure> {
    let life = |seconds: u64| {
        let patch = json!({ "access_token_lifetime_s": seconds, "token_latency_ms": 0 });
        control.post("tenant", &patch).map(drop)
    };
    control.delete("faults")?;
    life(SHORT_SECONDS)?;
    let visitor = subject.sign_in()?;
    thread::sleep(RUN_OUT);
    life(LONG_SECONDS)?;
    control.delete("ledger")?;
    let cookie = visitor.cookie();
    let stage = Stage { subject, control, cookie, statuses: Mutex::default() };
    (row.play)(&stage)
}

// === the rows ===

fn storm(stage: &Stage<'_>, callers: usize, provider_ms: u64) -> Result<String, Failure> {
    stage.control.post("tenant", &json!({ "token_latency_ms": provider_ms }))?;
    let (start, waits) = (Barrier::new(callers), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                start.wait();
                let watch = Watch::start();
                stage.call();
                let waited = watch.elapsed();
                waits.lock().unwrap_or_else(PoisonError::into_inner).push(waited);
            });
        }
    });
    let mut waits = waits.into_inner().unwrap_or_else(PoisonError::into_inner);
    waits.sort_unstable();
    let median = waits.get(waits.len() / 2).copied().unwrap_or_default();
    Ok(format!("{}, half wait {} ms", stage.seen()?, median.as_millis()))
}

fn ill(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.control.post(
        "faults",
        &json!({ "endpoint": "token", "kind": "status", "status": 503, "rate": 1.0 }),
    )?;
    let watch = Watch::start();
    let (cured, usable) = thread::scope(|scope| {
        let cure = scope.spawn(|| {
            thread::sleep(Duration::from_secs(1));
            stage.control.delete("faults")
        });
        let usable =
            clock::poll(PATIENCE, GAP, || (stage.call() == Some(200)).then(|| watch.elapsed()));
        (cure.join(), usable)
    });
    cured.map_err(|_| Failure::Ours("a thread panicked".to_owned()))??;
    Ok(match usable {
        Some(after) => format!("usable {} ms after it began", after.as_millis()),
        None => format!("not usable within {} s, {}", PATIENCE.as_secs(), stage.seen()?),
    })
}

fn aborted(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.control.post("tenant", &json!({ "token_latency_ms": 800 }))?;
    let gone = |error| Failure::io("reach a proxy", &error);
    let port = stage.subject.port();
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(gone)?;
    let (cookie, host) = (&stage.cookie, format!("127.0.0.1:{port}"));
    let request =
        format!("GET {PATH} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\naccept: */*\r\n\r\n");
    socket.write_all(request.as_bytes()).map_err(gone)?;
    stage.until("token_requests", 1)?;
    drop(socket);
    thread::sleep(Duration::from_secs(2));
    let served = stage.call() == Some(200);
    let told = if served { "the next caller is served" } else { "the next caller is not served" };
    Ok(format!("{told}, {}", stage.seen()?))
}

fn signed_out(stage: &Stage<'_>) -> Result<String, Failure> {
    stage.control.post(
        "faults",
        &json!({
            "endpoint": "token", "kind": "slow", "ms": 1_500, "only": "refresh_token", "when": "after",
        }),
    )?;
    let left = thread::scope(|scope| {
        scope.spawn(|| stage.call());
        stage.until("refreshes", 1)?;
        stage.subject.sign_out(&stage.cookie).map_err(Failure::Missed)
    })?;
    let again: Vec<Option<u16>> = (0..5).map(|_| stage.call()).collect();
    let zombie = again.contains(&Some(200));
    let told = if zombie { "200: zombie" } else { "not served again" };
    Ok(format!("{told}, signing out answered {left}, {}", stage.seen()?))
}

// === impl Subject ===

impl Subject<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Ours(_) => "tokenward",
            Self::Other(peer) => peer.name,
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Ours(world) => world.port(),
            Self::Other(peer) => peer.port,
        }
    }

    fn sign_in(self) -> Result<Visitor, Failure> {
        match self {
            Self::Ours(world) => {
                let mut visitor = Visitor::new(&world.origin());
                visitor.sign_in("ada").map_err(Failure::Ours)?;
                Ok(visitor)
            }
            Self::Other(peer) => peer.sign_in(PATH),
        }
    }

    /// Signs the person out, and returns the status of the answer.
    fn sign_out(self, cookie: &str) -> Result<u16, String> {
        let (caller, cookie) = (Caller::new(), ("cookie", cookie));
        let answer = match self {
            Self::Ours(world) => {
                let headers = [cookie, SAME_ORIGIN, ("accept", "application/json")];
                caller.post_form(&format!("{}/auth/logout", world.origin()), &headers, &[])
            }
            Self::Other(peer) => {
                caller.fetch(&format!("{}{}", peer.origin(), peer.sign_out), &[cookie])
            }
        };
        answer.map(|answer| answer.status)
    }
}

// === impl Stage ===

impl Stage<'_> {
    /// Calls the API once, and returns the status; nothing where no answer came.
    fn call(&self) -> Option<u16> {
        let url = format!("http://127.0.0.1:{}{PATH}", self.subject.port());
        let headers = [("cookie", self.cookie.as_str()), ("accept", "application/json")];
        let answer = Caller::patient(ANSWER_LIMIT).fetch(&url, &headers).ok();
        let status = answer.map(|answer| answer.status);
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        *statuses.entry(status.unwrap_or(0)).or_default() += 1;
        status
    }

    /// Says what provider and callers have seen.
    fn seen(&self) -> Result<String, Failure> {
        let sums = self.control.read("ledger/summary")?;
        let sum = |key: &str| sums.get(key).and_then(Value::as_u64).unwrap_or_default();
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let answers: Vec<String> = statuses
            .iter()
            .map(|(status, count)| match status {
                0 => format!("{count} x no answer"),
                status => format!("{count} x {status}"),
            })
            .collect();
        let family = if sum("families_revoked") > 0 { "family revoked" } else { "session lives" };
        let requests = sum("token_requests");
        Ok(format!("token requests {requests}, {}, {family}", answers.join(", ")))
    }

    fn until(&self, sum: &str, count: u64) -> Result<(), Failure> {
        let reached = || self.control.sum(sum).is_some_and(|now| now >= count).then_some(());
        clock::poll(PATIENCE, GAP, reached).ok_or_else(|| {
            Failure::Missed(format!("{} never reached {count} {sum}", self.subject.name()))
        })
    }
}
