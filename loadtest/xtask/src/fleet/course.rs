//! The run itself: faults befall the fleet one after the other while the crowd goes on calling.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokenward_programs::clock::{self, Watch};
use tokenward_programs::failure::Failure;

use super::Options;
use super::board::{Board, Tally};
use super::callers::{Crowd, Pace};
use super::fault::{Fault, Kind, Schedule};
use super::gateways::Gateways;
use super::ledger::{Ledger, Seen, Sums};
use super::redis::Redis;
use super::strait::Weather;
use crate::crash::crowd::{AUDIENCES, Member};
use crate::terminal;

/// How long everybody gets at least to be answered at the end: longer than a lease and a window.
const RECOVERY_MIN: Duration = Duration::from_secs(90);
/// How often the end is looked for.
const RECOVERY_GAP: Duration = Duration::from_millis(100);
/// How long the crowd runs before the first fault: the first exchanges of all sessions.
const WARM_UP_MAX: Duration = Duration::from_secs(180);
/// What the sample APIs forgive beyond a token's end: `exp` is a whole second.
const API_LEEWAY_SECONDS: u32 = 3;
/// The latencies that the token endpoint is given in turn, in milliseconds.
const LATENCIES_MS: [u64; 4] = [0, 40, 150, 600];

/// What the run came to.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) faults: Vec<Struck>,
    pub(crate) calls: Tally,
    /// The sessions that did not live on, each with the gateway's sentence if there was one.
    pub(crate) missing: Vec<(String, Option<String>)>,
    /// What was counted while faults befell the fleet, the recovery included.
    pub(crate) sums: Sums,
    pub(crate) seen: Vec<Seen>,
    /// How long the last session was waited for at the end.
    pub(crate) waited: Duration,
    /// What Redis was asked during the run, by command.
    pub(crate) redis_calls: BTreeMap<String, u64>,
    pub(crate) redis_bytes: u64,
}

/// A fault that has befallen the fleet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Struck {
    pub(crate) fault: Fault,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

/// Everything that a run needs.
pub(crate) struct Scene {
    pub(crate) redis: Redis,
    pub(crate) gateways: Gateways,
    pub(crate) members: Vec<Member>,
    pub(crate) watch: Watch,
}

impl Scene {
    /// Lets the faults of a schedule befall the fleet for as long as asked, and waits until
    /// everybody is well again.
    ///
    /// # Errors
    /// `Unavailable` when a program ended by itself or did not come back.
    pub(crate) fn play(&mut self, options: &Options, seed: u64) -> Result<Course, Failure> {
        let control = self.gateways.control();
        let tenant =
            json!({ "leeway_s": options.reuse_window, "api_leeway_s": API_LEEWAY_SECONDS });
        control.post("tenant", &tenant)?;
        let board = Arc::new(Board::new(&self.members, self.gateways.all.len()));
        let pace = Pace {
            gateways: self.gateways.all.iter().map(super::gateways::Gateway::origin).collect(),
            per_second: options.pace,
            seed,
        };
        let crowd = Crowd::start(pace, &self.members, &board);
        let mut ledger = Ledger::open(control, self.watch, options.life());
        let played = self.play_before(options, seed, &board, &mut ledger);
        crowd.stop();
        let mut course = played?;
        course.calls = board.tally();
        course.missing = board.missing();
        Ok(course)
    }

    fn play_before(
        &mut self,
        options: &Options,
        seed: u64,
        board: &Board,
        ledger: &mut Ledger,
    ) -> Result<Course, Failure> {
        self.all_answered(options, board, ledger, WARM_UP_MAX)?;
        let (before, calls_before) = (ledger.sums, self.redis.calls()?);
        let faults = self.strike(options, seed, board, ledger)?;
        board.begin_round();
        let waited = self.all_answered(options, board, ledger, RECOVERY_MIN)?;
        ledger.read()?;
        let mut redis_calls = self.redis.calls()?;
        for (name, count) in calls_before {
            // A server that was started again counts from nothing.
            redis_calls.entry(name).and_modify(|now| *now = now.saturating_sub(count));
        }
        Ok(Course {
            faults,
            calls: Tally::default(),
            missing: Vec::new(),
            sums: ledger.sums.since(before),
            seen: ledger.seen.clone(),
            waited,
            redis_calls,
            redis_bytes: self.redis.used_bytes()?,
        })
    }

    /// Waits until every session has been answered for every audience in this round; who is still
    /// silent after the limit is counted as lost.
    fn all_answered(
        &mut self,
        options: &Options,
        board: &Board,
        ledger: &mut Ledger,
        least: Duration,
    ) -> Result<Duration, Failure> {
        let watch = Watch::start();
        let calls = self.members.len() * AUDIENCES.len();
        // Twice as long as the calls alone take at the crowd's pace.
        let paced = Duration::from_secs_f64(calls as f64 * 2.0 / f64::from(options.pace));
        let limit = least + paced;
        let mut failed = None;
        let _ = clock::poll(limit, RECOVERY_GAP, || {
            failed = self.gateways.check().and_then(|()| ledger.read()).err();
            let all = board.missing().iter().all(|(_, ended)| ended.is_some());
            (all || failed.is_some()).then_some(())
        });
        failed.map_or(Ok(watch.elapsed()), Err)
    }

    fn strike(
        &mut self,
        options: &Options,
        seed: u64,
        board: &Board,
        ledger: &mut Ledger,
    ) -> Result<Vec<Struck>, Failure> {
        let length = Duration::from_secs(u64::from(options.minutes) * 60);
        let watch = Watch::start();
        let progress = terminal::progress(length.as_secs(), "seconds");
        let mut schedule = Schedule::new(options.layout, self.gateways.all.len(), seed);
        let mut faults: Vec<Struck> = Vec::new();
        let mut latencies = LATENCIES_MS.iter().cycle();
        while watch.elapsed() < length {
            let latency = latencies.next();
            self.gateways.control().post("tenant", &json!({ "token_latency_ms": latency }))?;
            thread::sleep(schedule.calm());
            let fault = schedule.next();
            let from = self.watch.elapsed();
            self.befall(fault, faults.len(), board)?;
            faults.push(Struck { fault, from, until: self.watch.elapsed() });
            self.gateways.check()?;
            ledger.read()?;
            progress.reach(
                watch.elapsed().as_secs(),
                &format!(
                    "{}; {} exchanges, {} families revoked",
                    fault.kind.words(),
                    ledger.sums.exchanges,
                    ledger.sums.revoked
                ),
            );
        }
        self.gateways.control().post("tenant", &json!({ "token_latency_ms": 0 }))?;
        Ok(faults)
    }

    fn befall(&mut self, fault: Fault, turn: usize, board: &Board) -> Result<(), Failure> {
        let Fault { kind, whom, lasts, fsync } = fault;
        match kind {
            Kind::Kill => {
                board.turns(whom);
                self.gateways.all[whom].child.kill();
                thread::sleep(lasts);
                self.gateways.restart(whom)?;
                board.turns(whom);
            }
            Kind::Freeze => {
                board.turns(whom);
                self.gateways.all[whom].child.freeze();
                thread::sleep(lasts);
                self.gateways.all[whom].child.thaw();
                board.turns(whom);
            }
            Kind::Cut => self.weather(&[whom], Weather::Cut, lasts, board),
            Kind::Stall => self.weather(&[whom], Weather::Stalled, lasts, board),
            Kind::Slow => {
                // The far end of a continent, both ways.
                self.weather(&[whom], Weather::Slow(Duration::from_millis(80)), lasts, board);
            }
            Kind::CrashRedis => {
                self.redis.crash(turn, lasts)?;
                self.redis.flush(fsync)?;
            }
            Kind::Loading => {
                let all: Vec<usize> = (0..self.gateways.all.len()).collect();
                self.weather(&all, Weather::Loading, lasts, board);
            }
            Kind::FailOver => self.redis.fail_over(lasts)?,
            Kind::MoveSlots => self.redis.move_slots(turn)?,
        }
        Ok(())
    }

    fn weather(&self, whom: &[usize], weather: Weather, lasts: Duration, board: &Board) {
        let turn = |weather, is_cut_off| {
            for &gateway in whom {
                if let Some(strait) = &self.gateways.all[gateway].strait {
                    strait.turn(weather);
                }
                board.cut_off(gateway, is_cut_off);
            }
        };
        turn(weather, !matches!(weather, Weather::Slow(_)));
        thread::sleep(lasts);
        turn(Weather::Calm, false);
    }
}
