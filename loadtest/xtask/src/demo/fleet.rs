//! The demo of a fleet: several gateways on one Redis behind a balancer, one live line that shows who
//! refreshes which session, and keys that kill, pause or cut off any of them.

mod balancer;
mod owners;
mod residents;

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tokenward_programs::failure::Failure;
use tokenward_programs::port;

use self::balancer::Balancer;
use self::owners::{Condition, Owners};
use self::residents::Residents;
use super::calm::News;
use super::guest::Guest;
use super::keys::Keys;
use super::voice::Voice;
use super::{Options, PROGRAMS, TICK, routes, stop_flag};
use crate::crash::crowd;
use crate::fleet::gateways::{Gateways, Wish};
use crate::fleet::redis::{Fsync, Layout, Redis};
use crate::fleet::strait::Weather;
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::world;

/// What the keys do, under the live line, with the choice before it: both fit in 80 columns.
const LEGEND: &str = "choose   k kill/start   p pause/go on   c cut off/mend   r Redis   q quit";
/// Sessions that are there from the start: as many as one line has room for.
const RESIDENTS: u32 = 9;
/// Where nobody watches, each harm begins at this beat, and is over half a beat later.
const BEAT: Duration = Duration::from_secs(8);
/// How often the live line is told where nobody watches.
const LOGGED_EACH: Duration = Duration::from_secs(4);

/// Runs the demo until Ctrl-C, or for as long as asked.
///
/// # Errors
/// `Unavailable` when a program does not come up or ends by itself; `Missed` when a headless run
/// saw a failed call or a revoked family.
pub(super) fn run(options: &Options, count: u8) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let stop = stop_flag()?;
    terminal::note("building the gateway and the sandbox");
    // All that the other demo needs: of fewer packages Cargo would choose other features, and build
    // the gateway anew for each demo.
    world::build_all(&tree, Profile::Debug, &PROGRAMS)?;
    let starting = terminal::spinner("starting Redis, the provider and the gateways");
    let folder = tree.fresh_run("demo-fleet")?;
    let redis = Redis::start(&folder, Layout::Single, Fsync::Everysec)?;
    let port = port::wanted_or_free(options.port)?;
    let wish = Wish {
        profile: Profile::Debug,
        gateways: count.into(),
        public_port: Some(port),
        access_token_seconds: super::ACCESS_TOKEN_SECONDS,
        reuse_window_seconds: None,
    };
    let gateways = Gateways::start(&tree, &folder, &wish, &redis, routes)?;
    let balancer = Balancer::open(port, &gateways)?;
    drop(starting);
    invite(&gateways, port);
    let alone = options.headless_for.map(Duration::from_secs);
    let members = crowd::adopt_all(&gateways.control(), &gateways.admins(), RESIDENTS)?;
    let origin = balancer.origin();
    let residents = Residents::start(&origin, &members);
    let guest = alone.map(|_| Guest::arrive(&origin, true)).transpose()?;
    let mut show = Show::open(redis, gateways, alone);
    let mut ran = Ok(());
    while !stop.load(Ordering::Relaxed) && alone.is_none_or(|limit| show.voice.elapsed() < limit) {
        thread::sleep(TICK);
        match show.turn() {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(failure) => {
                ran = Err(failure);
                break;
            }
        }
    }
    residents.leave();
    let judged = guest.map_or(Ok(()), |guest| guest.leave(&show.gateways.control()));
    let stopped = show.close();
    terminal::result("stopped");
    ran.and(judged).and(stopped)
}

/// The demo as it is seen.
struct Show {
    redis: Redis,
    redis_is_down: bool,
    gateways: Gateways,
    owners: Owners,
    chosen: usize,
    keys: Option<Keys>,
    voice: Voice,
    /// The harms that were done where nobody watches, each followed by its mending.
    harms: usize,
    /// How often the live line was told where nobody watches.
    told: u32,
    is_alone: bool,
}

impl Show {
    fn open(redis: Redis, gateways: Gateways, alone: Option<Duration>) -> Self {
        let keys = if alone.is_some() { None } else { Keys::take() };
        Self {
            redis,
            redis_is_down: false,
            owners: Owners::follow(&gateways),
            gateways,
            chosen: 0,
            // One line more for the legend.
            voice: Voice::raise(keys.is_some().then_some(2)),
            keys,
            harms: 0,
            told: 0,
            is_alone: alone.is_some(),
        }
    }

    /// Shows what is new and does what keys say; breaks where the person has had enough.
    fn turn(&mut self) -> Result<ControlFlow<()>, Failure> {
        self.gateways.check()?;
        while let Some(key) = self.keys.as_ref().and_then(Keys::next) {
            if key == b'q' {
                return Ok(ControlFlow::Break(()));
            }
            self.press(key)?;
        }
        if self.is_alone {
            self.harm_when_due()?;
        }
        for news in self.owners.hear() {
            self.voice.hear(news);
        }
        let line = self.owners.line(self.chosen, self.redis_is_down);
        let legend = format!("1-{} {LEGEND}", self.gateways.all.len());
        let is_watched = self.voice.turn(&[line.clone(), legend]);
        if !is_watched && self.voice.elapsed() >= LOGGED_EACH * self.told {
            self.told += 1;
            terminal::result(&line);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn press(&mut self, key: u8) -> Result<(), Failure> {
        let chosen = self.chosen;
        let condition = self.owners.condition(chosen);
        match (key, condition) {
            (b'1'..=b'9', _) => {
                let wanted = usize::from(key - b'1');
                self.chosen = if wanted < self.gateways.all.len() { wanted } else { chosen };
            }
            (b'k', Condition::Killed) => {
                // It may have been cut off before.
                self.weather(Weather::Calm);
                self.gateways.launch_again(chosen)?;
                self.becomes(Condition::Well, "started again");
            }
            (b'k', _) => {
                self.gateways.all[chosen].child.kill();
                self.becomes(Condition::Killed, "killed");
            }
            (b'p', Condition::Paused) => {
                self.gateways.all[chosen].child.thaw();
                self.becomes(Condition::Well, "goes on");
            }
            (b'p', Condition::Well) => {
                self.gateways.all[chosen].child.freeze();
                self.becomes(Condition::Paused, "paused (SIGSTOP)");
            }
            (b'c', Condition::CutOff) => {
                self.weather(Weather::Calm);
                self.becomes(Condition::Well, "reaches Redis again");
            }
            (b'c', Condition::Well) => {
                self.weather(Weather::Cut);
                self.becomes(Condition::CutOff, "cut off from Redis");
            }
            (b'p' | b'c', _) => {
                let (name, first) = (self.gateways.all[chosen].name, condition.hint());
                self.voice.hear(News::plain(format!("{name}  {first}")));
            }
            (b'r', _) => self.turn_redis()?,
            (_, _) => {}
        }
        Ok(())
    }

    fn turn_redis(&mut self) -> Result<(), Failure> {
        let [server, ..] = self.redis.servers_mut() else {
            return Ok(());
        };
        let word = if self.redis_is_down {
            server.restart()?;
            "started again"
        } else {
            server.kill();
            "killed"
        };
        self.redis_is_down = !self.redis_is_down;
        self.voice.hear(News::plain(format!("Redis  {word}")));
        Ok(())
    }

    fn weather(&self, weather: Weather) {
        if let Some(strait) = &self.gateways.all[self.chosen].strait {
            strait.turn(weather);
        }
    }

    fn becomes(&mut self, condition: Condition, word: &str) {
        let name = self.gateways.all[self.chosen].name;
        self.owners.becomes(self.chosen, condition);
        self.voice.hear(News::plain(format!("{name}  {word}")));
    }

    /// Presses keys by itself: each gateway in turn is killed, paused or cut off, and mended.
    fn harm_when_due(&mut self) -> Result<(), Failure> {
        let half = BEAT / 2;
        let steps = u32::try_from(self.harms).unwrap_or(u32::MAX).saturating_add(1);
        if self.voice.elapsed() < half * steps {
            return Ok(());
        }
        let harm = self.harms / 2;
        if self.harms.is_multiple_of(2) {
            self.chosen = harm % self.gateways.all.len();
        }
        self.harms += 1;
        self.press([b'k', b'p', b'c'][harm % 3])
    }

    /// Mends everything, so that all can stop cleanly.
    fn close(mut self) -> Result<(), Failure> {
        self.voice.fall_silent();
        for gateway in &self.gateways.all {
            gateway.child.thaw();
            if let Some(strait) = &gateway.strait {
                strait.turn(Weather::Calm);
            }
        }
        self.gateways.stop()
    }
}

fn invite(gateways: &Gateways, port: u16) {
    let consoles = gateways.all.iter();
    let consoles: Vec<String> =
        consoles.map(|gateway| format!("    {}  {}", gateway.name, gateway.admin("/"))).collect();
    terminal::result(&format!(
        "
{} gateways share their sessions through one Redis, behind a balancer. Click here, and sign in as
anyone; whichever gateway you meet knows you:

    http://127.0.0.1:{port}/

{RESIDENTS} more sessions call APIs with {}-second tokens. The live line shows with each gateway the
sessions that it refreshed last, by the first letters of their ids. Their consoles:

{}

Configuration, state and logs of this run: {}
Ctrl-C stops everything. What happens:
",
        gateways.all.len(),
        super::ACCESS_TOKEN_SECONDS,
        consoles.join("\n"),
        gateways.folder().display(),
    ));
}
