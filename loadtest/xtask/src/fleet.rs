//! Several gateways on one Redis: harmed in every way while callers go on, and judged by what the
//! provider saw.

pub(crate) mod board;
mod callers;
mod course;
mod fault;
pub(crate) mod gateways;
mod judge;
pub(crate) mod ledger;
mod matrix;
pub(crate) mod redis;
pub(crate) mod strait;

use std::time::Duration;

use clap::Args;
use tokenward_programs::clock::Watch;
use tokenward_programs::dice::Dice;
use tokenward_programs::failure::Failure;

use crate::crash::crowd;
use crate::fleet::course::Scene;
use crate::fleet::gateways::{Gateways, Wish};
use crate::fleet::redis::{Fsync, Layout, Redis};
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::world::{self, Addresses, Route};

/// Life of an access token, in seconds.
const LIFE_SECONDS: u32 = 10;
/// The sessions of the step of the test run: few enough for programs built without optimisation.
const STEP_SESSIONS: u32 = 200;

/// What a fleet is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// How long faults befall the fleet
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=24 * 60))]
    minutes: u32,
    /// How many gateways share the sessions
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=8))]
    gateways: u32,
    /// Sessions under load
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sessions: u32,
    /// Pairs of calls in a second
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pace: u32,
    /// How the Redis servers stand to each other
    #[arg(long, default_value = "single")]
    layout: Layout,
    /// Chooses the faults; drawn and told where it is absent
    #[arg(long)]
    seed: Option<u64>,
    /// How long the provider takes the previous refresh token
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(0..=600))]
    reuse_window: u32,
    /// Counts exchanges per expiry instead: 1, 2, 4 and 8 gateways, three latencies, no faults
    #[arg(long)]
    matrix: bool,
    /// Harms optimised programs, as they are installed
    #[arg(long)]
    release: bool,
}

impl Options {
    /// The step of the test run.
    pub(crate) fn step() -> Self {
        Self {
            minutes: 2,
            gateways: 3,
            sessions: STEP_SESSIONS,
            pace: 30,
            layout: Layout::Single,
            seed: None,
            reuse_window: 60,
            matrix: false,
            release: false,
        }
    }

    fn profile(&self) -> Profile {
        if self.release { Profile::Release } else { Profile::Debug }
    }

    fn life(&self) -> Duration {
        Duration::from_secs(LIFE_SECONDS.into())
    }
}

/// Runs the fleet, and prints `fleet reuse R lost L revoked V exchanges_per_expiry X` last.
///
/// # Errors
/// `Missed` when a session was lost, a family revoked, or a call answered as none may be;
/// `Unavailable` when a program does not come up.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let seed = options.seed.unwrap_or_else(Dice::random_seed);
    terminal::note("building the gateway and the sandbox");
    world::build(&tree, options.profile())?;
    // A build beside a long run must not put another program under it.
    let tree = tree.with_copies(options.profile(), "fleet", &["tokenward", "tokenward-sandbox"])?;
    if options.matrix {
        return matrix::run(options, &tree);
    }
    let mut scene = open(options, &tree)?;
    terminal::note(&format!(
        "{} gateways, {} sessions, {} audiences, {LIFE_SECONDS}-second tokens, reuse window {} s; \
         repeat with --seed {seed}; state and logs: {}",
        options.gateways,
        options.sessions,
        crowd::AUDIENCES.len(),
        options.reuse_window,
        scene.gateways.folder().display()
    ));
    let course = scene.play(options, seed);
    let stopped = scene.gateways.stop();
    let judged = course.and_then(|course| judge::judge(options, &course));
    judged.and(stopped)
}

fn open(options: &Options, tree: &Tree) -> Result<Scene, Failure> {
    let folder = tree.fresh_run("fleet-state")?;
    let _starting = terminal::spinner("starting Redis, the provider and the gateways");
    let redis = Redis::start(&folder, options.layout, Fsync::Always)?;
    let wish = Wish {
        profile: options.profile(),
        gateways: options.gateways as usize,
        public_port: None,
        access_token_seconds: LIFE_SECONDS,
        reuse_window_seconds: Some(options.reuse_window),
    };
    let gateways = Gateways::start(tree, &folder, &wish, &redis, routes)?;
    let members = crowd::adopt_all(&gateways.control(), &gateways.admins(), options.sessions)?;
    Ok(Scene { redis, gateways, members, watch: Watch::start() })
}

fn routes(addresses: &Addresses) -> Vec<Route> {
    let upstreams = [&addresses.apis.quotes, &addresses.apis.accounts, &addresses.apis.echo];
    let routes = crowd::AUDIENCES.iter().zip(upstreams).map(|(audience, upstream)| Route {
        path: audience.prefix.to_owned(),
        upstream: upstream.clone(),
        audience: Some(audience.identifier.to_owned()),
        scopes: audience.scopes.iter().map(|&scope| scope.to_owned()).collect(),
        strip_prefix: true,
    });
    routes.collect()
}
