//! `cargo xtask bench start`: how soon the gateway serves again after it was killed, with very many
//! sessions in its store, and what each of them costs it in memory while it rests.
//!
//! It is killed while others rotate, so that it wakes up with tokens in doubt. What is timed is what
//! a person notices: from the start of the process until a call with a session of before is answered.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokenward_programs::clock::{self, Watch};
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;
use tokenward_programs::port;
use tokenward_programs::usage;

use crate::command;
use crate::stage::{self, ACCOUNTS, QUOTES, Who};
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::visitor::Visitor;
use crate::world::{self, Launch, World};

/// Life of the access tokens of the person who is timed.
const LONG_SECONDS: u32 = 86_400;
/// Life of the access tokens of those who rotate meanwhile, and the API that they call.
const SHORT_SECONDS: u32 = 2;
const SHORT_AUDIENCE: &str = "https://accounts.sandbox.example";
/// How many rotate.
const ROTATING: u32 = 32;
/// How long they rotate before each kill.
const BEFORE_A_KILL: Duration = Duration::from_secs(5);
/// Between two calls of one of them.
const CALL_GAP: Duration = Duration::from_millis(50);
/// How often a starting gateway is called, and how long it may take: far more than the aim.
const GAP: Duration = Duration::from_millis(2);
const LIMIT: Duration = Duration::from_secs(60);

/// How the start is measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Sessions in the store; a million take some minutes and some gigabytes of disk
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    sessions: u64,
    /// How often it is killed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    kills: u32,
    /// Measures the programs as they were built last
    #[arg(long)]
    as_built: bool,
}

/// Measures, and prints `start ms S` last: the slowest of the starts.
///
/// # Errors
/// `Unavailable` when a program does not come up; `Missed` when a session was lost.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let packages = ["tokenward-gateway", "tokenward-sandbox", "tokenward-parts"];
    if !options.as_built {
        world::build_all(&tree, Profile::Release, &packages)?;
    }
    let launch = launch()?;
    let mut world = World::start(&tree, "start", launch, stage::routes)?;
    let lifetimes = json!({ "audience_lifetime_s": { SHORT_AUDIENCE: SHORT_SECONDS } });
    world.control().post("tenant", &lifetimes)?;
    let mut visitor = Visitor::new(&world.origin());
    visitor.sign_in("ada").map_err(Failure::Ours)?;
    let ada = Who::with(&visitor);
    served(&world, &ada)?;
    let rotating = stage::programs(&world, ROTATING)?;
    world.gateway.stop()?;
    world.restart_gateway()?;
    served(&world, &ada)?;
    let few = usage::of(world.gateway.id())?.rss_bytes;
    world.gateway.stop()?;
    fill(&tree, &world, options.sessions)?;
    world.restart_gateway()?;
    served(&world, &ada)?;
    let many = usage::of(world.gateway.id())?.rss_bytes;
    let mut starts = Vec::new();
    for kill in 1..=options.kills {
        let origin = world.origin();
        rotate(&origin, &rotating, || world.gateway.kill());
        let took = start(&mut world, &ada)?;
        terminal::note(&format!("kill {kill}: serving again after {} ms", took.as_millis()));
        starts.push(took);
    }
    // Exact: both are far below 2^52.
    let each = (many as f64 - few as f64) / options.sessions as f64;
    terminal::note(&format!(
        "{} sessions in the store ({} MB of disk): {:.1} MB resident after the start instead of \
         {:.1} MB, {each:.1} bytes for each session",
        options.sessions,
        store_bytes(&world) / 1_000_000,
        many as f64 / 1e6,
        few as f64 / 1e6,
    ));
    let revoked = world.control().sum("families_revoked").unwrap_or(u64::MAX);
    world.stop()?;
    let slowest = starts.iter().max().copied().unwrap_or_default();
    terminal::result(&format!("start ms {}", slowest.as_millis()));
    if revoked == 0 {
        return Ok(());
    }
    Err(Failure::Missed(format!("{revoked} sessions were lost by the kills")))
}

fn launch() -> Result<Launch, Failure> {
    Ok(Launch {
        profile: Profile::Release,
        port: port::wanted_or_free(0)?,
        admin_port: port::wanted_or_free(0)?,
        access_token_seconds: LONG_SECONDS,
        reuse_window_seconds: None,
        gateway_core: None,
        other_core: None,
    })
}

/// Puts sessions into the store of a gateway that is stopped.
fn fill(tree: &Tree, world: &World, sessions: u64) -> Result<(), Failure> {
    let mut command = Command::new(tree.built(Profile::Release, "tokenward-fill"));
    command.arg(world.state()).arg(sessions.to_string());
    command::run_visibly(&mut command, "filling the store")
}

/// Lets the others call an API whose access tokens last for two seconds, and kills in the middle.
fn rotate(origin: &str, who: &[Who], kill: impl FnOnce()) {
    let leave = AtomicBool::new(false);
    thread::scope(|scope| {
        for who in who {
            scope.spawn(|| {
                let (caller, url) = (Caller::new(), format!("{origin}{ACCOUNTS}"));
                while !leave.load(Ordering::Relaxed) {
                    // Whether they are served is another measurement's question.
                    drop(caller.fetch(&url, &[who.header()]));
                    thread::sleep(CALL_GAP);
                }
            });
        }
        thread::sleep(BEFORE_A_KILL);
        kill();
        leave.store(true, Ordering::Relaxed);
    });
}

/// Starts the gateway, and says how long it took until the session was served.
fn start(world: &mut World, who: &Who) -> Result<Duration, Failure> {
    let watch = Watch::start();
    world.launch_gateway()?;
    let up = clock::poll(LIMIT, GAP, || served(world, who).is_ok().then(|| watch.elapsed()));
    up.ok_or_else(|| world.gateway.died("did not serve"))
}

/// Calls the API once.
fn served(world: &World, who: &Who) -> Result<(), Failure> {
    let answer = Caller::new().fetch(&format!("{}{QUOTES}", world.origin()), &[who.header()]);
    match answer {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(Failure::Missed(format!("the session was answered {}", answer.status))),
        Err(why) => Err(Failure::Missed(why)),
    }
}

/// Returns how much disk the state directory takes.
fn store_bytes(world: &World) -> u64 {
    let files = fs::read_dir(world.state()).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|found| found.len()).sum()
}
