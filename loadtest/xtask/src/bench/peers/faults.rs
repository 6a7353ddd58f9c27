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
use super::results::{Fault, Outcome};
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
    play: fn(&Stage<'_>) -> Result<Seen, Failure>,
}

const ROWS: [Row; 7] = [
    Row { title: "20 callers at once", play: |stage| storm(stage, 20, 0) },
    Row { title: "100 callers at once", play: |stage| storm(stage, 100, 0) },
    Row { title: "503 for 1 s, then healthy", play: ill },
    Row { title: "the caller goes away mid-refresh", play: aborted },
    Row { title: "sign-out mid-refresh, then the old cookie", play: signed_out },
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

/// What came of a row.
struct Seen {
    /// Whether callers and session got through it unharmed.
    held: bool,
    /// The harm, or how it went, in a few words.
    brief: String,
    /// All that was seen.
    told: String,
}

/// Plays all rows before all.
///
/// # Errors
/// `Unavailable` when a program does not come up.
pub(super) fn play(ground: &Ground) -> Result<Vec<Fault>, Failure> {
    let world = World::start(&ground.tree, "peers-faults", launch()?, routes)?;
    let control = world.control();
    // What was measured of others elsewhere was measured without a reuse window.
    control.post("tenant", &json!({ "leeway_s": 0 }))?;
    let upstream = world.addresses.apis.quotes.trim_end_matches('/').to_owned();
    let seat = Seat { issuer: world.addresses.issuer.clone(), upstream, core: None };
    let apache = apache::start(ground, &control, &seat)?;
    let express = express::start(ground, &control, &seat)?;
    let subjects = [Subject::Ours(&world), Subject::Other(&apache), Subject::Other(&express)];
    let mut faults = Vec::new();
    let total = u64::try_from(ROWS.len() * subjects.len()).unwrap_or(u64::MAX);
    let progress = terminal::progress(total, "plays");
    for row in &ROWS {
        let mut outcomes = Vec::new();
        for subject in subjects {
            let Seen { held, brief, told } = one(row, subject, &control)?;
            let program = subject.name().to_owned();
            progress.step(&program);
            outcomes.push(Outcome { program, held, brief, told });
        }
        faults.push(Fault { title: row.title.to_owned(), outcomes });
    }
    Ok(faults)
}

/// Returns a table of what came of all rows.
pub(super) fn table(faults: &[Fault]) -> String {
    let rows = faults.iter().map(|fault| {
        let outcomes = fault.outcomes.iter().map(|outcome| {
            let mark = if outcome.held { ' ' } else { '!' };
            format!("  {mark} {:<18}{}", outcome.program, outcome.told)
        });
        std::iter::once(fault.title.clone()).chain(outcomes).collect::<Vec<_>>().join("\n")
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn launch() -> Result<Launch, Failure> {
    Ok(Launch {
        profile: Profile::Dist,
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
fn one(row: &Row, subject: Subject<'_>, control: &Control) -> Result<Seen, Failure> {
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

fn storm(stage: &Stage<'_>, callers: usize, provider_ms: u64) -> Result<Seen, Failure> {
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
    let (served, revoked) = (stage.served(), stage.sum("families_revoked")? > 0);
    let requests = stage.sum("token_requests")?;
    let some =
        if served == callers { format!("all {callers}") } else { format!("{served} of {callers}") };
    let end = match (revoked, requests) {
        (true, _) => ", revoked".to_owned(),
        (false, 1) => String::new(),
        (false, _) => format!(", asked {requests} times"),
    };
    Ok(Seen {
        held: served == callers && !revoked,
        brief: format!("{some} served{end}"),
        told: format!("{}, half wait {} ms", stage.seen()?, median.as_millis()),
    })
}

fn ill(stage: &Stage<'_>) -> Result<Seen, Failure> {
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
        Some(after) => Seen {
            held: true,
            brief: format!("usable after {:.1} s", after.as_secs_f64()),
            told: format!("usable {} ms after it began", after.as_millis()),
        },
        None => Seen {
            held: false,
            brief: "lost".to_owned(),
            told: format!("not usable within {} s, {}", PATIENCE.as_secs(), stage.seen()?),
        },
    })
}

fn aborted(stage: &Stage<'_>) -> Result<Seen, Failure> {
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
    let revoked = stage.sum("families_revoked")? > 0;
    let next = if served { "the next caller is served" } else { "the next caller is not served" };
    let end = if revoked { ", revoked" } else { "" };
    let brief = if served { "next one is served" } else { "next one is refused" };
    Ok(Seen {
        held: served && !revoked,
        brief: format!("{brief}{end}"),
        told: format!("{next}, {}", stage.seen()?),
    })
}

fn signed_out(stage: &Stage<'_>) -> Result<Seen, Failure> {
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
    let again = if zombie { "200: zombie" } else { "not served again" };
    Ok(Seen {
        held: !zombie,
        brief: if zombie { "signed in again" } else { "stays signed out" }.to_owned(),
        told: format!("{again}, signing out answered {left}, {}", stage.seen()?),
    })
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
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let answers: Vec<String> = statuses
            .iter()
            .map(|(status, count)| match status {
                0 => format!("{count} x no answer"),
                status => format!("{count} x {status}"),
            })
            .collect();
        let revoked = self.sum("families_revoked")? > 0;
        let family = if revoked { "family revoked" } else { "session lives" };
        let requests = self.sum("token_requests")?;
        Ok(format!("token requests {requests}, {}, {family}", answers.join(", ")))
    }

    /// Returns how many calls were answered with 200.
    fn served(&self) -> usize {
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.get(&200).map_or(0, |&count| count as usize)
    }

    /// Returns a sum of the provider's ledger.
    fn sum(&self, key: &str) -> Result<u64, Failure> {
        let sums = self.control.read("ledger/summary")?;
        Ok(sums.get(key).and_then(Value::as_u64).unwrap_or_default())
    }

    fn until(&self, sum: &str, count: u64) -> Result<(), Failure> {
        let reached = || self.control.sum(sum).is_some_and(|now| now >= count).then_some(());
        clock::poll(PATIENCE, GAP, reached).ok_or_else(|| {
            Failure::Missed(format!("{} never reached {count} {sum}", self.subject.name()))
        })
    }
}
