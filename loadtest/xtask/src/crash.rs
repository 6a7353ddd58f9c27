//! The crash loop: a real gateway under load, killed again and again at the worst moments, and
//! what its sessions and the provider's ledger say about it afterwards.

mod aim;
mod crowd;
mod dice;
mod doubt;
mod judge;
mod trace;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::child;
use crate::clock::{self, Watch};
use crate::crash::aim::{Aim, Point};
use crate::crash::crowd::{Board, Crowd};
use crate::crash::dice::Dice;
use crate::crash::doubt::Doubts;
use crate::failure::Failure;
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::world::{self, Addresses, Launch, Route, World};

/// Life of an access token, in seconds: so short that most sessions are in the middle of an exchange
/// when a kill falls.
const SHORT_LIFE: u32 = 2;
/// The same where the provider takes no refresh token twice: every session that is struck in the
/// middle is lost by right, and enough must be left to be struck by the later kills.
const LONG_LIFE: u32 = 20;
/// What the sample APIs forgive beyond a token's end: `exp` is a whole second, so that a two-second
/// token may be over after one, and a slow reply takes its share before the gateway sees it.
const API_LEEWAY_SECONDS: u32 = 3;
/// The latencies that the token endpoint is given in turn, in milliseconds.
const LATENCIES_MS: [u64; 5] = [0, 20, 60, 150, 300];
/// How long a gateway stays down: callers must meet a closed door, too.
const DOWN: Duration = Duration::from_millis(50);
/// How long a life may take until half of the sessions have been answered for every audience.
const LIVELY_LIMIT: Duration = Duration::from_secs(4);
/// The shortest time that sessions get to recover at the end: longer than a lease.
const RECOVERY_MIN: Duration = Duration::from_secs(30);
/// How often the end is looked for.
const RECOVERY_GAP: Duration = Duration::from_millis(50);

/// What the crash loop is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How often the gateway is killed
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    kills: u32,
    /// Chooses moments and latencies; drawn and told where it is absent
    #[arg(long)]
    seed: Option<u64>,
    /// How long the provider takes the previous refresh token
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(0..=600))]
    reuse_window: u32,
    /// How long the gateway lives at least between two kills
    #[arg(long, value_name = "SECONDS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=60))]
    life: u64,
    /// Latency of the token endpoint; drawn anew for each life where it is absent
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    latency: Option<u64>,
    /// The only point where kills fall; all in turn where it is absent
    #[arg(long)]
    point: Option<Point>,
    /// Sessions under load
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=200))]
    sessions: u32,
}

impl Options {
    /// The step of the test run.
    pub(crate) fn step(kills: u32) -> Self {
        Self {
            kills,
            seed: None,
            reuse_window: 60,
            life: 0,
            latency: None,
            point: None,
            sessions: 40,
        }
    }

    fn access_token_seconds(&self) -> u32 {
        if self.reuse_window == 0 { LONG_LIFE } else { SHORT_LIFE }
    }
}

/// Runs the loop, and prints `crash kills N lost L revoked R` last.
///
/// # Errors
/// `Missed` when a session was lost, a family revoked, or a call answered as none may be;
/// `Unavailable` when a program does not come up.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let seed = options.seed.unwrap_or_else(Dice::random_seed);
    let mut dice = Dice::new(seed);
    terminal::note("building the gateway and the sandbox");
    world::build(&tree, Profile::Debug)?;
    let mut world = World::start(&tree, "crash", launch(options)?, routes)?;
    let control = world.control();
    let tenant = json!({ "leeway_s": options.reuse_window, "api_leeway_s": API_LEEWAY_SECONDS });
    control.post("tenant", &tenant)?;
    let members = crowd::gather(&world, options.sessions)?;
    terminal::note(&format!(
        "{} sessions, {} audiences, {}-second tokens, reuse window {} s; \
         repeat with --seed {seed}; state and logs: {}",
        members.len(),
        crowd::AUDIENCES.len(),
        options.access_token_seconds(),
        options.reuse_window,
        world.folder().display()
    ));
    let board = Arc::new(Board::new(&members));
    let crowd = Crowd::start(&world.origin(), &members, &board, &mut dice);
    let mut doubts = Doubts::new(&members);
    let struck = strike(options, &mut world, &board, &mut doubts, &mut dice);
    let waited = struck.and_then(|()| recover(options, &world, &board));
    crowd.stop();
    let waited = waited?;
    let judged = judge::judge(options, &world, &board, &doubts, waited);
    let stopped = world.stop();
    judged.and(stopped)
}

/// Kills and restarts the gateway as often as asked.
fn strike(
    options: &Options,
    world: &mut World,
    board: &Board,
    doubts: &mut Doubts,
    dice: &mut Dice,
) -> Result<(), Failure> {
    // The first exchanges of all sessions fall together: no kill is to strike everybody at once.
    let _ = clock::poll(RECOVERY_MIN, RECOVERY_GAP, || board.missing().is_empty().then_some(()));
    let progress = terminal::progress(options.kills, "kills");
    let (aim, control) = (Aim::new(world)?, world.control());
    for kill in 0..options.kills {
        let point = options.point.unwrap_or_else(|| Point::of(kill));
        let latency = options.latency.unwrap_or_else(|| dice.pick(&LATENCIES_MS));
        control.post("tenant", &json!({ "token_latency_ms": latency }))?;
        thread::sleep(Duration::from_secs(options.life));
        if point != Point::Random {
            // Whoever is in doubt exchanges nothing: a chosen point needs sessions that do. Where
            // few have recovered in time the kill falls all the same.
            let _ = clock::poll(LIVELY_LIMIT, RECOVERY_GAP, || board.is_lively().then_some(()));
        }
        let hit = aim.wait_for(point, dice)?;
        board.goes_down();
        world.gateway.kill();
        control.delete("faults")?;
        thread::sleep(DOWN);
        let watch = Watch::start();
        world.restart_gateway()?;
        let life = board.comes_up(watch, watch.elapsed());
        doubts.look(world, life, point, hit)?;
        world.check()?;
        progress.step(&format!(
            "{} answered, {} sessions in doubt so far",
            board.answered(),
            doubts.count()
        ));
    }
    Ok(())
}

/// Waits until every session that has not ended was answered for every audience since the last start,
/// and tells how long that took.
fn recover(options: &Options, world: &World, board: &Board) -> Result<Duration, Failure> {
    let _running = terminal::spinner("waiting until every session is answered for every audience");
    world.control().post("tenant", &json!({ "token_latency_ms": 0 }))?;
    let watch = Watch::start();
    let limit = Duration::from_secs(options.reuse_window.into()).max(RECOVERY_MIN);
    // Whoever is still missing then is counted as lost.
    let silent = || board.missing().iter().any(|missing| missing.ended.is_none());
    let _ = clock::poll(limit, RECOVERY_GAP, || (!silent()).then_some(()));
    Ok(watch.elapsed())
}

fn launch(options: &Options) -> Result<Launch, Failure> {
    Ok(Launch {
        profile: Profile::Debug,
        port: child::port_or_free(0)?,
        admin_port: child::port_or_free(0)?,
        access_token_seconds: options.access_token_seconds(),
        reuse_window_seconds: Some(options.reuse_window),
        gateway_core: None,
        other_core: None,
    })
}

fn routes(addresses: &Addresses) -> Vec<Route> {
    let upstreams = [&addresses.apis.quotes, &addresses.apis.accounts, &addresses.apis.echo];
    crowd::AUDIENCES
        .iter()
        .zip(upstreams)
        .map(|(audience, upstream)| Route {
            path: audience.prefix.to_owned(),
            upstream: upstream.clone(),
            audience: Some(audience.identifier.to_owned()),
            scopes: audience.scopes.iter().map(|&scope| scope.to_owned()).collect(),
            strip_prefix: true,
        })
        .collect()
}
