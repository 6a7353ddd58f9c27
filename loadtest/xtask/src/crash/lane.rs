//! One lane: a provider, a gateway and a crowd, and the kills that fall on that gateway.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokenward_programs::clock::{self, Watch};
use tokenward_programs::dice::Dice;
use tokenward_programs::failure::Failure;
use tokenward_programs::port;

use super::Options;
use super::aim::Aim;
use super::course::Course;
use super::crowd::{self, Board, Crowd, Member};
use super::doubt::Doubts;
use super::points::Turns;
use crate::terminal::Progress;
use crate::tree::Tree;
use crate::world::{Addresses, Launch, Route, World};

/// What the sample APIs forgive beyond a token's end: `exp` is a whole second, so that a two-second
/// token may be over after one, and a slow reply takes its share before the gateway sees it.
const API_LEEWAY_SECONDS: u32 = 3;
/// The latencies that the token endpoint is given in turn, in milliseconds.
const LATENCIES_MS: [u64; 5] = [0, 20, 60, 120, 240];
/// How long a gateway stays down: callers must meet a closed door, too.
const DOWN: Duration = Duration::from_millis(40);
/// How long a life may take until half of the sessions have been answered for every audience.
const LIVELY_LIMIT: Duration = Duration::from_secs(4);
/// The shortest time that sessions get to recover at the end: longer than a lease.
const RECOVERY_MIN: Duration = Duration::from_secs(30);
/// How often the end is looked for.
const RECOVERY_GAP: Duration = Duration::from_millis(20);

/// What all lanes have in common while they run.
#[derive(Debug)]
pub(super) struct Shared {
    progress: Progress,
    answered: AtomicU64,
    doubts: AtomicU64,
    /// One lane has failed: the others need not go on.
    over: AtomicBool,
}

impl Shared {
    pub(super) fn new(progress: Progress) -> Self {
        let (answered, doubts) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { progress, answered, doubts, over: AtomicBool::new(false) }
    }
}

/// A lane that is ready to run.
#[derive(Debug)]
pub(super) struct Lane {
    number: u32,
    world: World,
    /// The gateway's program, which also explains.
    program: PathBuf,
    members: Vec<Member>,
    dice: Dice,
}

impl Lane {
    /// Starts the lane's programs and signs its sessions in.
    ///
    /// # Errors
    /// `Unavailable` when a program does not come up, `Ours` when one does not do as it is told.
    pub(super) fn open(
        options: &Options,
        tree: &Tree,
        number: u32,
        seed: u64,
    ) -> Result<Self, Failure> {
        let world = World::start(tree, &format!("crash.{number}"), launch(options)?, routes)?;
        let tenant =
            json!({ "leeway_s": options.reuse_window, "api_leeway_s": API_LEEWAY_SECONDS });
        world.control().post("tenant", &tenant)?;
        let members = crowd::gather(&world, options.sessions)?;
        // Neighbouring seeds give unlike numbers: the generator mixes its whole state.
        let dice = Dice::new(seed.wrapping_add(number.into()));
        let program = tree.built(options.profile(), "tokenward");
        Ok(Self { number, world, program, members, dice })
    }

    /// Returns the folder with the lane's state and logs.
    pub(super) fn folder(&self) -> &Path {
        self.world.folder()
    }

    fn run(mut self, options: &Options, shared: &Shared) -> Result<Course, Failure> {
        let board = Arc::new(Board::new(&self.members));
        let crowd = Crowd::start(&self.world.origin(), &self.members, &board, &mut self.dice);
        let mut doubts = Doubts::new(&self.members);
        let struck = self.strike(options, &board, &mut doubts, shared);
        let waited = struck.and_then(|()| recover(options, &self.world, &board));
        crowd.stop();
        let course = waited
            .and_then(|waited| Course::read(&self.world, &self.program, &board, doubts, waited));
        let stopped = self.world.stop();
        course.and_then(|course| stopped.map(|()| course))
    }

    /// Kills and restarts the gateway as often as the lane's share is.
    fn strike(
        &mut self,
        options: &Options,
        board: &Board,
        doubts: &mut Doubts,
        shared: &Shared,
    ) -> Result<(), Failure> {
        // The first exchanges of all sessions fall together: no kill is to strike everybody at once.
        let everybody = || board.missing().is_empty().then_some(());
        let _ = clock::poll(RECOVERY_MIN, RECOVERY_GAP, everybody);
        let aim = Aim::new(&self.world)?;
        let mut turns = Turns::new(options.point, self.number);
        let (mut answered, mut found) = (0, 0);
        for _ in 0..options.share(self.number) {
            if shared.over.load(Ordering::Relaxed) {
                break;
            }
            self.strike_once(options, board, doubts, &aim, &mut turns)?;
            let (answers, doubted) = (board.answered(), doubts.count() as u64);
            let all = shared.answered.fetch_add(answers - answered, Ordering::Relaxed);
            let struck = shared.doubts.fetch_add(doubted - found, Ordering::Relaxed);
            shared.progress.step(&format!(
                "{} calls answered, {} sessions left in doubt so far",
                all + answers - answered,
                struck + doubted - found
            ));
            (answered, found) = (answers, doubted);
        }
        Ok(())
    }

    fn strike_once(
        &mut self,
        options: &Options,
        board: &Board,
        doubts: &mut Doubts,
        aim: &Aim,
        turns: &mut Turns,
    ) -> Result<(), Failure> {
        let control = self.world.control();
        let (world, dice) = (&mut self.world, &mut self.dice);
        let latency = options.latency.unwrap_or_else(|| dice.pick(&LATENCIES_MS));
        control.post("tenant", &json!({ "token_latency_ms": latency }))?;
        thread::sleep(Duration::from_secs(options.life));
        let point = turns.next(aim.log_is_nearly_full());
        if point.needs_life() {
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
        world.check()
    }
}

/// Runs all lanes side by side, each in a thread of its own.
///
/// # Errors
/// The first failure; the other lanes end soon after it.
pub(super) fn run_all(
    options: &Options,
    lanes: Vec<Lane>,
    shared: &Shared,
) -> Result<Vec<Course>, Failure> {
    thread::scope(|scope| {
        let running: Vec<_> = lanes
            .into_iter()
            .map(|lane| {
                scope.spawn(move || {
                    let course = lane.run(options, shared);
                    shared.over.fetch_or(course.is_err(), Ordering::Relaxed);
                    course
                })
            })
            .collect();
        let ended = running.into_iter().map(|lane| {
            lane.join().unwrap_or_else(|_| Err(Failure::Ours("a lane panicked".to_owned())))
        });
        ended.collect()
    })
}

/// Waits until every session that has not ended was answered for every audience since the last start,
/// and tells how long that took.
fn recover(options: &Options, world: &World, board: &Board) -> Result<Duration, Failure> {
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
        profile: options.profile(),
        port: port::steady()?,
        admin_port: port::steady()?,
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
